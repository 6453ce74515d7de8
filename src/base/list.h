/* list.h - an intrusive doubly linked list: the links live in the members, nothing is allocated. */
#ifndef HEATCAST_BASE_LIST_H
#define HEATCAST_BASE_LIST_H

#include "base/base.h"

/* A list's head, or one member's links. A member in no list points at itself. */
struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline size_t list_size(const struct list *list)
{
    size_t size = 0;

    for (const struct list *it = list->next; it != list; it = it->next)
        size++;
    return size;
}

/* Links `member`, which must be in no list, before `list`: at the tail when `list` is a head. */
static inline void list_append(struct list *list, struct list *member)
{
    member->prev = list->prev;
    member->next = list;
    list->prev->next = member;
    list->prev = member;
}

/* Unlinks; harmless when it is in no list. */
static inline void list_remove(struct list *member)
{
    member->prev->next = member->next;
    member->next->prev = member->prev;
    list_init(member);
}

/* Unlinks and returns the first member, NULL when there is none. */
static inline struct list *list_pop(struct list *list)
{
    struct list *first = list->next;

    if (first == list) return NULL;
    list_remove(first);
    return first;
}

/* Walks with `it`; the loop body may remove `it` itself, using `after`, but nothing else. */
#define LIST_FOR_EACH(it, after, head)                                                             \
    for (struct list *it = (head)->next, *after = it->next; it != (head);                          \
         it = after, after = it->next)

#endif

/* redis_words.h - the words of one Redis command, some of them made for it. */
#ifndef HEATCAST_IO_REDIS_WORDS_H
#define HEATCAST_IO_REDIS_WORDS_H

#include <hiredis/async.h>

#include "base/base.h"

struct redis_words {
    char *owned[16]; /* NULL where the word is borrowed */
    const char *at[16];
    size_t sizes[16];
    int count;
};

/* EVAL of a script, which is borrowed; its keys and arguments follow. */
struct redis_words redis_words_script(const char *text, int key_count);
/* Takes over what malloc() gave. */
void redis_words_add(struct redis_words *words, char *text);
void redis_words_add_number(struct redis_words *words, uint64_t number);
/* Lives until the command is sent. */
void redis_words_borrow(struct redis_words *words, const char *data, size_t size);
/* Sends them, and frees what is owned. `done` is called with `context`. */
void redis_words_send(struct redis_words *words, redisAsyncContext *redis, redisCallbackFn *done,
                      void *context);

#endif

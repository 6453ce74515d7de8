#include "io/redis_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void redis_words_add(struct redis_words *words, char *text)
{
    words->owned[words->count] = text;
    redis_words_borrow(words, text, strlen(text));
}

void redis_words_add_number(struct redis_words *words, uint64_t number)
{
    redis_words_add(words, mem_printf("%" PRIu64, number));
}

void redis_words_borrow(struct redis_words *words, const char *data, size_t size)
{
    words->at[words->count] = data;
    words->sizes[words->count++] = size;
}

struct redis_words redis_words_script(const char *text, int key_count)
{
    struct redis_words words = {0};

    redis_words_borrow(&words, "EVAL", 4);
    redis_words_borrow(&words, text, strlen(text));
    redis_words_add_number(&words, (uint64_t)key_count);
    return words;
}

void redis_words_send(struct redis_words *words, redisAsyncContext *redis, redisCallbackFn *done,
                      void *context)
{
    redisAsyncCommandArgv(redis, done, context, words->count, words->at, words->sizes);
    for (int i = 0; i < words->count; i++)
        free(words->owned[i]);
}

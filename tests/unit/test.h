/* test.h - cmocka with tests that register themselves: a test's name is the sentence it proves.
 *
 *     TEST(a_frame_cut_anywhere_gives_the_same_events) { assert_int_equal(...); }
 *
 * One file tests/unit/test_*.c is one program; this header brings its main(). */
#ifndef HEATCAST_TEST_H
#define HEATCAST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct CMUnitTest registered_tests[512];
static size_t registered_count;

#define TEST(test_name)                                                                            \
    static void test_name(void);                                                                   \
    static void call_##test_name(void **state)                                                     \
    {                                                                                              \
        (void)state;                                                                               \
        test_name();                                                                               \
    }                                                                                              \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        registered_tests[registered_count++] =                                                     \
            (struct CMUnitTest){#test_name, call_##test_name, NULL, NULL, NULL};                   \
    }                                                                                              \
    static void test_name(void)

/* A small seeded generator (xorshift64*), so that a property test's failure can be repeated. */
static inline uint64_t test_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

int main(void)
{
    return _cmocka_run_group_tests("", registered_tests, registered_count, NULL, NULL);
}

#endif

#include "wire/query.h"

#include <string.h>

#include "test.h"

/* What parameter `name` of `query` gives; its value must be `expected`. */
static enum query_result get(const char *query, const char *name, const char *expected)
{
    struct buf value = {0};
    enum query_result result;

    buf_add(&value, "=", 1);
    result = query_get(str_of(query), name, &value);
    assert_int_equal(value.size, 1 + strlen(expected));
    assert_memory_equal(value.data + 1, expected, strlen(expected));
    buf_deinit(&value);
    return result;
}

TEST(a_query_parameter_is_found_and_decoded)
{
    assert_int_equal(get("symbol=BTC", "symbol", "BTC"), QUERY_OK);
    assert_int_equal(get("a=1&symbol=BTC&b=2", "symbol", "BTC"), QUERY_OK);
    assert_int_equal(get("w=5%3A15%2c10%3a30", "w", "5:15,10:30"), QUERY_OK);
    assert_int_equal(get("t=a+b%2Bc", "t", "a b+c"), QUERY_OK);
    assert_int_equal(get("t=a=b", "t", "a=b"), QUERY_OK);
    assert_int_equal(get("%74+x=1", "t x", "1"), QUERY_OK);
    assert_int_equal(get("e=%E2%82%AC", "e", "\xe2\x82\xac"), QUERY_OK);
    assert_int_equal(get("&&t=&", "t", ""), QUERY_OK);
    assert_int_equal(get("t", "t", ""), QUERY_OK);
}

TEST(a_query_parameter_may_be_absent)
{
    assert_int_equal(get("", "t", ""), QUERY_ABSENT);
    assert_int_equal(get("tt=1&T=2&xt=3", "t", ""), QUERY_ABSENT);
    assert_int_equal(get("a=t", "t", ""), QUERY_ABSENT);
    assert_int_equal(get("%7=1&%=2", "t", ""), QUERY_ABSENT);
}

TEST(a_query_parameter_given_twice_is_a_duplicate)
{
    assert_int_equal(get("t=1&t=1", "t", ""), QUERY_DUPLICATE);
    assert_int_equal(get("t=1&a=2&%74=3", "t", ""), QUERY_DUPLICATE);
}

TEST(a_query_parameter_ill_encoded_is_told)
{
    assert_int_equal(get("t=%", "t", ""), QUERY_BAD_ENCODING);
    assert_int_equal(get("t=ab%4", "t", ""), QUERY_BAD_ENCODING);
    assert_int_equal(get("t=%4g", "t", ""), QUERY_BAD_ENCODING);
    assert_int_equal(get("t=%G4&x=1", "t", ""), QUERY_BAD_ENCODING);
    assert_int_equal(get("t=a%00", "t", ""), QUERY_BAD_ENCODING);
    assert_int_equal(get("t=%ff", "t", ""), QUERY_BAD_ENCODING);
    assert_int_equal(get("t=%e2%82", "t", ""), QUERY_BAD_ENCODING);
}

static bool decodes(const char *segment, const char *expected)
{
    struct buf text = {0};
    bool ok;

    buf_add(&text, "=", 1);
    ok = query_decode_segment(str_of(segment), &text);
    assert_int_equal(text.size, 1 + strlen(expected));
    assert_memory_equal(text.data + 1, expected, strlen(expected));
    buf_deinit(&text);
    return ok;
}

TEST(a_segment_of_a_path_is_decoded_and_its_plus_is_one)
{
    assert_true(decodes("BTCUSDT", "BTCUSDT"));
    assert_true(decodes("%42TC+%2b%20%E2%82%AC", "BTC++ \xe2\x82\xac"));
    assert_true(decodes("", ""));
    assert_false(decodes("A%", ""));
    assert_false(decodes("A%4", ""));
    assert_false(decodes("A%4g", ""));
    assert_false(decodes("A%00", ""));
    assert_false(decodes("A%ff", ""));
}

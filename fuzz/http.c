/* http.c - heads of requests and of responses, what is looked up in them, and the handshake.
 *
 * The first byte's lowest bit says which of the two; the rest is the head. However many of its
 * bytes have come, the answer is the final one or "more". */
#include "base/utf8.h"
#include "fuzz.h"
#include "wire/forwarded.h"
#include "wire/handshake.h"
#include "wire/query.h"

/* The key of the client that reads responses; the corpus has the answer to it. */
static const struct handshake_request our_request = {
    .key = "the sample nonce", .host = {"h", 1}, .target = {"/", 1}, .offers_deflate = true};

static int parse_request(const uint8_t *bytes, size_t size)
{
    struct http_request request;
    uint8_t *copy = fuzz_copy(bytes, size);
    int result = http_parse_head(copy, size, &request);

    free(copy);
    return result;
}

static int parse_response(const uint8_t *bytes, size_t size)
{
    struct http_response response;
    uint8_t *copy = fuzz_copy(bytes, size);
    int result = http_parse_response(copy, size, &response);

    free(copy);
    return result;
}

/* A head is found with its last byte and not before; what was found, or refused, stays so. */
static void check_prefixes(int (*parse)(const uint8_t *, size_t), const uint8_t *bytes, size_t size)
{
    int whole = parse(bytes, size), result = 0;

    for (size_t n = 0, before = 0; n < size; before = n, n += 1 + n / 32) {
        int previous = result;

        result = parse(bytes, n);
        assert(result == whole || result == 0);
        assert(!previous || result == previous);
        if (result > 0 && !previous) assert((size_t)result > before && (size_t)result <= n);
    }
    if (whole <= 0) return;
    assert(parse(bytes, (size_t)whole) == whole);
    assert(parse(bytes, (size_t)whole - 1) == 0);
}

static void check_within(struct str text, const uint8_t *bytes, size_t size)
{
    if (!text.size) return;
    assert((const uint8_t *)text.at >= bytes &&
           (const uint8_t *)text.at + text.size <= bytes + size);
}

/* What may be written into a line of our own. */
static void check_one_line(struct str text)
{
    for (size_t i = 0; i < text.size; i++)
        assert(text.at[i] != '\r' && text.at[i] != '\n' && text.at[i] != '\0');
}

static void check_headers(const struct http_headers *headers, const uint8_t *bytes, size_t size)
{
    assert(headers->count <= HTTP_HEADERS_MAX);
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct http_header *header = &headers->items[i];

        check_within(header->name, bytes, size);
        check_within(header->value, bytes, size);
        check_one_line(header->value);
        assert(header->name.size && http_token_size(header->name) == header->name.size);
    }
    if (http_header_has_token(headers, "Connection", "upgrade"))
        assert(http_header_count(headers, "connection") && http_header(headers, "CONNECTION").at);
    if (http_accepts_encoding(headers, "gzip"))
        assert(http_header_count(headers, "accept-encoding"));
}

/* Nobody is made up: an answer is the peer, or stands in the field. */
static void check_forwarded(const struct http_headers *headers)
{
    static struct networks proxies;
    struct address peer = {{0}}, client;

    if (!proxies.count && networks_parse(STR("10.0.0.0/8, fd00::/8"), &proxies)) abort();
    client = forwarded_client(&proxies, headers, &peer);
    assert(http_header_count(headers, "X-Forwarded-For") ||
           memcmp(&client, &peer, sizeof(peer)) == 0);
}

static void check_query(struct str query)
{
    static const char *const names[] = {"symbol", "since", "a", ""};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct buf value = {0};
        enum query_result result = query_get(query, names[i], &value);

        assert(result == QUERY_OK || !value.size);
        assert(utf8_is_valid((const uint8_t *)value.data, value.size));
        assert(!value.size || !memchr(value.data, '\0', value.size));
        buf_deinit(&value);
    }
}

/* What we answer to a good handshake is a good response. */
static void check_handshake(const struct http_request *request, bool with_deflate)
{
    struct handshake handshake;
    struct http_response response;
    struct buf answer = {0};
    int err = handshake_check(request, with_deflate, &handshake), size;

    assert(err == 0 || err == -400 || err == -405 || err == -426);
    if (err) return;
    assert(request->method == HTTP_GET && (with_deflate || !handshake.deflate.is_on));
    assert(handshake.deflate.window_bits >= 9 && handshake.deflate.window_bits <= 15);
    handshake_write_accept(&answer, &handshake);
    size = http_parse_response((const uint8_t *)answer.data, answer.size, &response);
    assert(size == (int)answer.size && response.status == 101);
    assert(http_header_count(&response.headers, "Sec-WebSocket-Extensions") ==
           handshake.deflate.is_on);
    buf_deinit(&answer);
}

static void check_request(const uint8_t *bytes, size_t size)
{
    struct http_request request;
    uint8_t *copy = fuzz_copy(bytes, size);

    if (http_parse_head(copy, size, &request) > 0) {
        check_headers(&request.headers, copy, size);
        check_within(request.target, copy, size);
        assert(request.path.size && (request.path.at[0] == '/' || str_eq(request.path, STR("*"))));
        check_one_line(request.path);
        check_query(request.query);
        check_forwarded(&request.headers);
        check_handshake(&request, true);
        check_handshake(&request, false);
    }
    free(copy);
}

static void check_response(const uint8_t *bytes, size_t size)
{
    struct http_response response;
    struct handshake_deflate deflate;
    uint8_t *copy = fuzz_copy(bytes, size);

    if (http_parse_response(copy, size, &response) > 0) {
        check_headers(&response.headers, copy, size);
        assert(response.status >= 100 && response.status <= 999);
        if (handshake_check_response(&response, &our_request, &deflate) == 0)
            assert(response.status == 101);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    bool is_response = fuzz_take(&bytes, &size) & 1;

    check_prefixes(is_response ? parse_response : parse_request, bytes, size);
    if (is_response)
        check_response(bytes, size);
    else
        check_request(bytes, size);
    return 0;
}

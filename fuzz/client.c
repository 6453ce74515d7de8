/* client.c - what clients say in JSON, and what they are answered: always JSON again. */
#include <jansson.h>

#include "base/limits.h"
#include "fuzz.h"
#include "serve/protocol.h"

/* An object of this type; to be dereferenced. */
static json_t *read_back(struct buf *text, const char *type)
{
    json_error_t trouble;
    json_t *root =
        json_loadb(text->data, text->size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &trouble);

    assert(json_is_object(root));
    assert(strcmp(json_string_value(json_object_get(root, "type")), type) == 0);
    buf_deinit(text);
    return root;
}

static void check_error(struct buf *text)
{
    json_t *root = read_back(text, "error");

    assert(json_string_length(json_object_get(root, "code")) > 0);
    assert(json_is_string(json_object_get(root, "message")));
    json_decref(root);
}

static void check_ack(const struct request *request)
{
    const char *symbols[LIMIT_SYMBOLS_PER_MESSAGE];
    size_t count = json_array_size(request->symbols);
    struct buf text = {0};
    json_t *root, *told;

    for (size_t i = 0; i < count; i++)
        symbols[i] = json_string_value(json_array_get(request->symbols, i));
    protocol_write_ack(&text, request, symbols, count, request->interval);
    root = read_back(&text, request->action == ACTION_SUBSCRIBE ? "subscribed" : "unsubscribed");
    assert(json_equal(json_object_get(root, "id"), request->id));
    told = json_object_get(root, "symbols");
    assert(json_equal(told, request->symbols));
    json_decref(root);
}

static void check_request(const struct request *request)
{
    size_t count = json_array_size(request->symbols);

    if (request->action == ACTION_PING) {
        assert(!request->symbols);
        return;
    }
    assert(count >= 1 && count <= LIMIT_SYMBOLS_PER_MESSAGE);
    assert(request->interval <= 60 && (request->has_interval || !request->interval));
    assert(request->format < FORMATS);
    for (size_t i = 0; i < count; i++) {
        const char *symbol = json_string_value(json_array_get(request->symbols, i));
        struct version version = protocol_version_had(request, symbol);

        assert(json_object_get(request->since, symbol) ? version.epoch != 0 : version.epoch == 0);
    }
    if (request->id) check_ack(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = fuzz_copy(bytes, size);
    struct str text = {(const char *)copy, size};
    struct request request;
    struct buf error = {0};

    if (protocol_parse(text, &request, &error)) {
        assert(!error.size);
        check_request(&request);
        protocol_request_deinit(&request);
    } else
        check_error(&error);
    /* Whatever a message quotes. */
    protocol_write_error(&error, "INVALID_SYMBOL", text);
    check_error(&error);
    free(copy);
    return 0;
}

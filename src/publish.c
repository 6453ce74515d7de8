#include "publish.h"

#include <string.h>

#include "base/clock.h"
#include "publish_body.h"
#include "wire/query.h"

static const char prefix[] = "/publish/";

static size_t list_published(const struct engine *engine, struct buf *out)
{
    size_t count = 0;

    for (size_t i = 0; i < engine_symbol_count(engine); i++) {
        const struct symbol *symbol = engine_symbol(engine, i);

        if (!symbol->is_published || count++ >= LIMIT_SYMBOLS_LISTED) continue;
        buf_printf(out, "%s%s", count > 1 ? ", " : "", symbol->name);
    }
    return count;
}

static void fail_symbol(const struct engine *engine, struct str name,
                        struct site_response *response)
{
    struct buf text = {0};
    size_t count;

    buf_printf(&text, "'%.*s' is not published here. Valid symbols (publish-symbols): ",
               (int)MIN(name.size, LIMIT_SYMBOL_BYTES), name.size ? name.at : "");
    count = list_published(engine, &text);
    if (!count) buf_add_text(&text, "none");
    if (count > LIMIT_SYMBOLS_LISTED)
        buf_printf(&text, " and %zu more (GET /symbols)", count - LIMIT_SYMBOLS_LISTED);
    buf_add_char(&text, '\0');
    site_fail(response, 400, text.data);
    buf_deinit(&text);
}

/* The symbol that the path names; NULL, with the answer in *response, when it may not be published.
 */
static const struct symbol *read_symbol(const struct engine *engine, const char *path,
                                        struct site_response *response)
{
    struct buf name = {0};
    bool is_text = query_decode_segment(str_of(path + strlen(prefix)), &name);
    const struct symbol *symbol = is_text ? engine_find(engine, buf_str(&name)) : NULL;

    if (!is_text)
        site_fail(response, 400, "the symbol is not properly percent-encoded UTF-8");
    else if (!symbol || !symbol->is_published) {
        fail_symbol(engine, buf_str(&name), response);
        symbol = NULL;
    }
    buf_deinit(&name);
    return symbol;
}

static void write_answer(struct buf *out, const struct symbol *symbol,
                         const struct engine_published *published, uint32_t subscribers)
{
    char epoch[14];

    epoch_format(published->version.epoch, epoch);
    buf_printf(out,
               "{\"symbol\":\"%s\",\"seq\":%llu,\"epoch\":\"%s\",\"changed\":%s,"
               "\"subscribers\":%u}",
               symbol->name, (unsigned long long)published->version.seq, epoch,
               published->has_changed ? "true" : "false", subscribers);
}

void publish_answer(struct engine *engine, const struct server *server,
                    struct site_request *request)
{
    struct site_response *response = &request->response;
    const struct symbol *symbol = read_symbol(engine, request->path, response);
    struct snapshot snapshot;
    char message[512];

    if (!symbol) {
        site_answer(request);
        return;
    }
    if (publish_body_parse(request->body, clock_wall_ms(), &snapshot, message, sizeof(message)))
        site_fail(response, 422, message);
    else {
        /* Counted before: a long poll leaves with what it gets. */
        uint32_t subscribers = server_subscribers(server, symbol->id);
        struct engine_published published = engine_publish(engine, symbol, &snapshot);
        struct buf body = {0};

        write_answer(&body, symbol, &published, subscribers);
        *response = (struct site_response){
            .status = 200, .content_type = "application/json", .body = blob_take(&body)};
    }
    site_answer(request);
}

/* tail_command.c - `heatcast tail`: subscribes, prints what comes, connects again when it ends. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/limits.h"
#include "commands.h"
#include "io/loop.h"
#include "io/ws_client.h"
#include "tail_output.h"
#include "wire/frame.h"

static const char usage[] =
    "usage: heatcast tail [OPTION…] URL SYMBOL…\n\n"
    "Subscribes to symbols of a heatcast server and prints each message as a line of JSON, or\n"
    "with --table the biggest levels with bars. URL is ws://HOST:PORT/PATH, or what `heatcast\n"
    "serve` prints, or just HOST:PORT; the path is /ws/heatmap when there is none. What happens "
    "to\n"
    "the connection is told on standard error. A lost one is made again, after a random time "
    "below\n"
    "a limit that doubles from 0.5 to 30 seconds, or when the server says; to one that restarts at "
    "once.\n\n"
    "Exit status: 0 the count is reached, or stopped by SIGINT or SIGTERM, or nobody reads the\n"
    "output any more; 1 with --no-reconnect: no connection, or it was lost (or the output cannot\n"
    "be written); 2 wrong use; 3 the --timeout is over; 4 the server knows none of the symbols.";

enum {
    STATUS_WELL,
    STATUS_DISCONNECTED,
    STATUS_USAGE,
    STATUS_TIMEOUT,
    STATUS_REFUSED,
};

#define BEAT_MS          250   /* how often silence and the output are looked at */
#define BACKOFF_FIRST_MS 500   /* limit of the first wait; each next one is twice that, */
#define BACKOFF_MAX_MS   30000 /* up to this */
#define HEALTHY_MS       30000 /* data for this long makes the next wait a first one again */
#define RESTART_MAX_MS   250   /* limit of the wait where the server only restarts, */
#define RESTART_AGAIN_MS 1000  /* unless it said so less than this ago */

/* What servers take (--ws-max-message-bytes, unless set). */
#define REQUEST_BYTES_MAX 4096

/* The newest version of a symbol that was printed. */
struct had {
    char epoch[16]; /* "" for none */
    json_int_t seq;
};

struct tail {
    struct config config;
    struct loop loop;
    struct ws_url url;
    char *const *symbols; /* borrowed words */
    size_t symbol_count;
    struct had *had;          /* owned; one for each symbol */
    struct ws_client *client; /* NULL while there is none */

    uv_signal_t interrupt, terminate;
    uv_timer_t retry, beat, deadline;

    /* the connection */
    bool is_open;
    uint64_t opened_ms, heard_ms, pinged_ms;
    uint64_t restarted_ms;  /* when a server last closed it to restart; 0 for never */
    unsigned attempt_count; /* since the last healthy connection */
    bool has_empty_ack;     /* the server took none of our symbols */
    size_t refusal_count;   /* INVALID_SYMBOL errors */

    struct tail_output output;
    uint64_t snapshot_count;
    bool is_ending;
    int status;
};

/* --- the end --- */

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* Everything is told to end; the loop does not wait for a name that is still being looked up. */
static void end_loop(struct tail *t)
{
    loop_close(&t->loop);
    uv_stop(&t->loop.uv);
}

static void finish(struct tail *t, int status)
{
    if (t->is_ending) return;
    t->is_ending = true;
    t->status = status;
    close_handle(&t->interrupt); /* a second signal ends us at once */
    close_handle(&t->terminate);
    close_handle(&t->retry);
    close_handle(&t->beat);
    close_handle(&t->deadline);
    tail_output_close(&t->output);
    if (t->client)
        ws_client_close(t->client, WS_CLOSE_NORMAL, (struct str){0});
    else
        end_loop(t);
}

/* --- the output --- */

static void on_output_failed(struct tail_output *output, int err)
{
    struct tail *t = container_of(output, struct tail, output);

    switch (err) {
    case -EINTR:
    case -EPIPE:
    case -EBADF: /* it was closed from the start: main.c */
        finish(t, STATUS_WELL);
        break;
    case -ETIMEDOUT:
        finish(t, STATUS_TIMEOUT);
        break;
    default:
        fprintf(stderr, "heatcast: cannot write: %s\n", error_text(err));
        finish(t, STATUS_DISCONNECTED);
    }
}

/* --- messages --- */

static void note_had(struct tail *t, const json_t *message)
{
    const char *symbol = json_string_value(json_object_get(message, "symbol"));
    const char *epoch = json_string_value(json_object_get(message, "epoch"));

    for (size_t i = 0; symbol && i < t->symbol_count; i++) {
        struct had *had = &t->had[i];

        if (strcmp(t->symbols[i], symbol) != 0) continue;
        had->seq = json_integer_value(json_object_get(message, "seq"));
        if (!epoch || had->seq < 0 ||
            snprintf(had->epoch, sizeof(had->epoch), "%s", epoch) >= (int)sizeof(had->epoch))
            had->epoch[0] = '\0'; /* an original server's, or none of ours */
    }
}

static void on_snapshot(struct tail *t, const json_t *message)
{
    int err = t->config.tail_table ? tail_output_snapshot(&t->output, message) : 0;

    if (err) {
        tail_output_note(&t->output, "ignored a snapshot: %s", error_text(err));
        return;
    }
    if (t->is_ending) return; /* the output failed */
    note_had(t, message);
    t->snapshot_count++;
    if (t->snapshot_count != (uint64_t)t->config.tail_count) return;
    tail_output_flush(&t->output);
    finish(t, STATUS_WELL);
}

/* Did the server refuse all we asked for? Either its acknowledgement names nothing, or (servers
 * without acknowledgements) there is an error for each symbol. One that had them once will have
 * them again, when it has started: that is a lost connection, not the end. */
static void check_refusal(struct tail *t)
{
    if (!t->refusal_count || (!t->has_empty_ack && t->refusal_count < t->symbol_count)) return;
    if (t->snapshot_count && !t->config.tail_no_reconnect) {
        ws_client_destroy(t->client, "the server does not know the symbols now");
        return;
    }
    finish(t, STATUS_REFUSED);
    tail_output_note(&t->output, "the server knows none of the symbols");
}

static void on_trouble(struct tail *t, const char *type, const json_t *message)
{
    const char *code = json_string_value(json_object_get(message, "code"));
    const char *text = json_string_value(json_object_get(message, "message"));

    if (t->config.tail_table)
        tail_output_note(&t->output, "%s %s: %s", type, code ? code : "without a code",
                         text ? text : "");
    if (!code || strcmp(code, "INVALID_SYMBOL") != 0) return;
    t->refusal_count++;
    check_refusal(t);
}

static void on_ack(struct tail *t, const json_t *message)
{
    const json_t *symbols = json_object_get(message, "symbols");

    t->has_empty_ack = json_is_array(symbols) && json_array_size(symbols) == 0;
    check_refusal(t);
}

static void on_message(void *context, struct str text)
{
    struct tail *t = context;
    json_t *message = json_loadb(text.at, text.size, JSON_ALLOW_NUL, NULL);
    const char *type = json_string_value(json_object_get(message, "type"));

    if (!t->config.tail_table) tail_output_message(&t->output, text);
    if (!message && t->config.tail_table)
        tail_output_note(&t->output, "ignored a message that is not JSON");
    if (t->is_ending || !type)
        ; /* nothing that we know */
    else if (strcmp(type, "snapshot") == 0)
        on_snapshot(t, message);
    else if (strcmp(type, "error") == 0 || strcmp(type, "warning") == 0)
        on_trouble(t, type, message);
    else if (strcmp(type, "subscribed") == 0)
        on_ack(t, message);
    json_decref(message);
    uv_update_time(&t->loop.uv); /* waiting for our reader is not the server's silence */
    t->heard_ms = uv_now(&t->loop.uv);
}

/* --- the connection --- */

static void send_text(struct tail *t, struct str text)
{
    int err = ws_client_send(t->client, text);

    if (err) ws_client_destroy(t->client, "the server does not read");
}

/* ,"NAME":{…}: of each symbol that was printed its seq, or its epoch. */
static void add_had(const struct tail *t, struct buf *text, const char *name, bool is_epoch)
{
    const char *before = "{";

    buf_printf(text, ",\"%s\":", name);
    for (size_t i = 0; i < t->symbol_count; i++) {
        const struct had *had = &t->had[i];

        if (!had->epoch[0]) continue;
        buf_add_text(text, before);
        buf_add_json(text, str_of(t->symbols[i]));
        buf_add_char(text, ':');
        if (is_epoch)
            buf_add_json(text, str_of(had->epoch));
        else
            buf_add_int(text, had->seq);
        before = ",";
    }
    buf_add_text(text, *before == '{' ? "{}" : "}");
}

/* What was printed is not sent again; where that takes a longer request than a server does, all is.
 */
static void add_since(const struct tail *t, struct buf *text)
{
    size_t size = text->size;

    add_had(t, text, "since", false);
    add_had(t, text, "epoch", true);
    if (text->size >= REQUEST_BYTES_MAX) text->size = size;
}

static void subscribe(struct tail *t)
{
    struct buf text = {0};

    buf_add_text(&text, "{\"action\":\"subscribe\",\"id\":\"tail\",\"symbols\":[");
    for (size_t i = 0; i < t->symbol_count; i++) {
        if (i) buf_add_char(&text, ',');
        buf_add_json(&text, str_of(t->symbols[i]));
    }
    buf_printf(&text, "],\"update_interval\":%" PRId64, t->config.tail_interval);
    if (t->snapshot_count) add_since(t, &text);
    buf_add_char(&text, '}');
    send_text(t, buf_str(&text));
    buf_deinit(&text);
}

static void on_open(void *context)
{
    struct tail *t = context;

    t->is_open = true;
    t->opened_ms = t->heard_ms = t->pinged_ms = uv_now(&t->loop.uv);
    t->has_empty_ack = false;
    t->refusal_count = 0;
    tail_output_note(&t->output, "connected to ws://%s%s", t->url.authority, t->url.target);
    subscribe(t);
}

static void connect_now(struct tail *t);

static void on_retry(uv_timer_t *timer)
{
    connect_now(container_of(timer, struct tail, retry));
}

static uint64_t random_up_to(uint64_t limit_ms)
{
    uint32_t random;

    if (uv_random(NULL, NULL, &random, sizeof(random), 0, NULL)) abort();
    return random % (limit_ms + 1);
}

/* A server that restarts closes its clients one after the other, and another one is there: no need
 * to wait. One that does so again and again is like any other that cannot be had. */
static bool is_restart(struct tail *t, unsigned code)
{
    uint64_t before_ms = t->restarted_ms, now_ms = uv_now(&t->loop.uv);

    if (code != WS_CLOSE_SERVICE_RESTART) return false;
    t->restarted_ms = now_ms;
    return !before_ms || now_ms - before_ms >= RESTART_AGAIN_MS;
}

/* A random time below a limit that doubles, so that a server's clients do not all come back at
 * once; a server that is stopping says itself when to come (PROTOCOL section 1). */
static uint64_t choose_wait_ms(const struct tail *t, const char *reason)
{
    const char *hint = strstr(reason, "reconnect in ");
    uint64_t hint_ms, limit_ms = BACKOFF_FIRST_MS;

    if (hint && sscanf(hint, "reconnect in %5" SCNu64 " ms", &hint_ms) == 1)
        return MIN(hint_ms, (uint64_t)BACKOFF_MAX_MS);
    for (unsigned i = 0; i < t->attempt_count && limit_ms < BACKOFF_MAX_MS; i++)
        limit_ms *= 2;
    return random_up_to(MIN(limit_ms, (uint64_t)BACKOFF_MAX_MS));
}

static void on_closed(void *context, unsigned code, const char *reason)
{
    struct tail *t = context;
    bool was_open = t->is_open;
    uint64_t wait_ms;

    t->client = NULL;
    t->is_open = false;
    if (t->is_ending) {
        end_loop(t);
        return;
    }
    if (t->config.tail_no_reconnect) {
        finish(t, STATUS_DISCONNECTED);
        tail_output_note(&t->output, "%s (code %u)", reason, code);
        return;
    }
    if (was_open && t->heard_ms - t->opened_ms >= HEALTHY_MS) t->attempt_count = 0;
    if (is_restart(t, code))
        wait_ms = random_up_to(RESTART_MAX_MS);
    else {
        wait_ms = choose_wait_ms(t, reason);
        t->attempt_count++;
    }
    tail_output_note(&t->output, "%s (code %u); retry in %.1f s", reason, code,
                     (double)wait_ms / 1000);
    uv_timer_start(&t->retry, on_retry, wait_ms, 0);
}

static void connect_now(struct tail *t)
{
    static const struct ws_client_listener listener = {on_open, on_message, on_closed};

    tail_output_note(&t->output, "connecting to ws://%s%s", t->url.authority, t->url.target);
    t->client = ws_client_open(&t->loop.uv, &t->url, &listener, t);
}

/* --- time and signals --- */

static void on_beat(uv_timer_t *timer)
{
    struct tail *t = container_of(timer, struct tail, beat);
    uint64_t silence_ms = (uint64_t)(t->config.tail_silence * 1000), now_ms = uv_now(timer->loop);
    char reason[64];

    if (tail_output_is_abandoned()) {
        finish(t, STATUS_WELL);
        return;
    }
    if (!t->is_open) return;
    if (now_ms - t->heard_ms >= silence_ms) {
        snprintf(reason, sizeof(reason), "nothing heard for %g s", t->config.tail_silence);
        ws_client_destroy(t->client, reason);
    } else if (now_ms - t->pinged_ms >= silence_ms / 3) {
        t->pinged_ms = now_ms;
        send_text(t, STR("{\"action\":\"ping\"}"));
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct tail *t = container_of(timer, struct tail, deadline);

    finish(t, STATUS_TIMEOUT);
    tail_output_note(&t->output, "%" PRIu64 " snapshots in %g s", t->snapshot_count,
                     t->config.tail_timeout);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    finish(handle->data, STATUS_WELL);
}

static void watch_signal(struct tail *t, uv_signal_t *handle, int number)
{
    uv_signal_init(&t->loop.uv, handle);
    handle->data = t;
    uv_signal_start(handle, on_signal, number);
}

static void start(struct tail *t)
{
    signal(SIGPIPE, SIG_IGN);
    watch_signal(t, &t->interrupt, SIGINT);
    watch_signal(t, &t->terminate, SIGTERM);
    uv_timer_init(&t->loop.uv, &t->retry);
    uv_timer_init(&t->loop.uv, &t->beat);
    uv_timer_start(&t->beat, on_beat, BEAT_MS, BEAT_MS);
    uv_timer_init(&t->loop.uv, &t->deadline);
    if (t->config.tail_timeout > 0)
        uv_timer_start(&t->deadline, on_deadline, (uint64_t)(t->config.tail_timeout * 1000), 0);
    connect_now(t);
}

/* --- the command --- */

static bool read_words(struct tail *t, int word_count, char **words)
{
    const char *reason;

    if (word_count < 2) {
        fputs("heatcast: tail needs a URL and symbols (see --help)\n", stderr);
        return false;
    }
    if (ws_url_parse(str_of(words[0]), &t->url, &reason)) {
        fprintf(stderr, "heatcast: URL '%s': %s\n", words[0], reason);
        return false;
    }
    t->symbols = words + 1;
    t->symbol_count = (size_t)word_count - 1;
    if (t->symbol_count > LIMIT_SYMBOLS_PER_MESSAGE) {
        fprintf(stderr, "heatcast: at most %d symbols\n", LIMIT_SYMBOLS_PER_MESSAGE);
        return false;
    }
    for (size_t i = 0; i < t->symbol_count; i++) {
        size_t size = strlen(t->symbols[i]);

        if (size >= 1 && size <= LIMIT_SYMBOL_BYTES) continue;
        fprintf(stderr, "heatcast: '%s' is no symbol: 1 to %d bytes\n", t->symbols[i],
                LIMIT_SYMBOL_BYTES);
        return false;
    }
    t->had = mem_zalloc(t->symbol_count * sizeof(*t->had));
    return true;
}

static int run(struct tail *t)
{
    if (loop_init(&t->loop)) abort();
    tail_output_init(&t->output, &t->loop.uv, t->config.tail_table, (size_t)t->config.tail_top,
                     &t->deadline, on_output_failed);
    start(t);
    loop_run(&t->loop);
    uv_run(&t->loop.uv, UV_RUN_NOWAIT); /* the last handles' turn to close */
    /* A name is still looked up: nobody can stop that, and nobody waits for it. */
    if (uv_loop_alive(&t->loop.uv)) _exit(t->status);
    loop_deinit(&t->loop);
    tail_output_deinit(&t->output);
    return t->status;
}

int tail_command(int argc, char **argv)
{
    struct tail *t = mem_zalloc(sizeof(*t));
    int word_count, status = STATUS_USAGE;

    switch (config_load(&t->config, CMD_TAIL, usage, argc, argv, &word_count)) {
    case CONFIG_DONE:
        status = STATUS_WELL;
        break;
    case CONFIG_ERROR:
        break;
    case CONFIG_RUN:
        if (read_words(t, word_count, argv)) status = run(t);
        config_deinit(&t->config);
        break;
    }
    free(t->had);
    free(t);
    return status;
}

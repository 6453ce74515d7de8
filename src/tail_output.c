#include "tail_output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/printable.h"

#define DRAW_EVERY_MS 50   /* a live table is drawn at most so often */
#define PLAIN_COLUMNS 100  /* of a table that is not on a terminal */
#define PIPE_BYTES    4096 /* a pipe that poll() calls writable takes these at once, pipe(7) */

void tail_output_init(struct tail_output *o, uv_loop_t *loop, bool is_table, size_t top,
                      const uv_timer_t *deadline,
                      void (*on_failed)(struct tail_output *output, int err))
{
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    bool is_able = term && *term && strcmp(term, "dumb") != 0;

    *o = (struct tail_output){.on_failed = on_failed, .deadline = deadline};
    o->is_terminal = isatty(STDOUT_FILENO);
    o->is_live = o->is_terminal && is_able && is_table;
    o->is_coloured = o->is_terminal && is_able && !(no_colour && *no_colour);
    tail_table_init(&o->table, top);
    uv_timer_init(loop, &o->draw);
}

void tail_output_close(struct tail_output *o)
{
    if (o->is_closed) return;
    o->is_closed = true;
    uv_close((uv_handle_t *)&o->draw, NULL);
}

void tail_output_deinit(struct tail_output *o)
{
    tail_table_deinit(&o->table);
    buf_deinit(&o->line);
}

/* --- writing --- */

/* Writes in pieces that never block, so that signals and the timeout are heard while nobody reads.
 * Returns 0 or -errno; -EINTR when one of our signals came. */
static int write_all(const struct tail_output *o, struct str text)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    while (text.size) {
        uint64_t due_in_ms = uv_is_active((const uv_handle_t *)o->deadline)
                                 ? uv_timer_get_due_in(o->deadline)
                                 : INT32_MAX;
        int ready = poll(&out, 1, (int)MIN(due_in_ms, (uint64_t)INT32_MAX));
        ssize_t size;

        if (ready == 0) return -ETIMEDOUT;
        size = ready < 0 ? -1 : write(STDOUT_FILENO, text.at, MIN(text.size, (size_t)PIPE_BYTES));
        if (size < 0 && errno != EAGAIN) return -errno;
        if (size < 0) continue;
        text.at += size;
        text.size -= (size_t)size;
    }
    return 0;
}

static void print(struct tail_output *o, struct str text)
{
    int err = o->is_closed ? 0 : write_all(o, text);

    if (err) o->on_failed(o, err);
}

/* --- the table --- */

/* As many lines of `text` as there is room for, over what stood there before. */
static void redraw(struct tail_output *o, struct str text, int rows)
{
    struct buf out = {0};

    /* What stood on the screen first moves up, out of the way. */
    for (int i = 0; i < rows && !o->is_drawn; i++)
        buf_add_char(&out, '\n');
    o->is_drawn = true;
    buf_add_text(&out, "\033[H");
    for (int row = 1; row < rows && text.size; row++) {
        const char *end = memchr(text.at, '\n', text.size);
        size_t size = end ? (size_t)(end - text.at) : text.size;

        buf_add(&out, text.at, size);
        buf_add_text(&out, "\033[K\n");
        text.at += size + (end != NULL);
        text.size -= size + (end != NULL);
    }
    buf_add_text(&out, "\033[J");
    print(o, buf_str(&out));
    buf_deinit(&out);
}

static void draw(struct tail_output *o)
{
    struct winsize size = {0};
    struct buf text = {0};
    int columns, rows;

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    columns = size.ws_col ? size.ws_col : 80;
    rows = size.ws_row ? size.ws_row : 24;
    buf_printf(&text, "%.*s\n", columns, o->note);
    for (size_t i = 0; i < o->table.view_count; i++) {
        buf_add_char(&text, '\n');
        tail_view_write(&o->table.views[i], columns, o->is_coloured, &text);
    }
    redraw(o, buf_str(&text), rows);
    buf_deinit(&text);
}

static void on_draw(uv_timer_t *timer)
{
    draw(container_of(timer, struct tail_output, draw));
}

static void draw_soon(struct tail_output *o)
{
    if (!o->is_closed && !uv_is_active((uv_handle_t *)&o->draw))
        uv_timer_start(&o->draw, on_draw, DRAW_EVERY_MS, 0);
}

static void print_view(struct tail_output *o, const struct tail_view *view)
{
    struct buf text = {0};
    struct winsize size = {0};
    int columns = PLAIN_COLUMNS;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col) columns = size.ws_col;
    tail_view_write(view, columns, o->is_coloured, &text);
    buf_add_char(&text, '\n');
    print(o, buf_str(&text));
    buf_deinit(&text);
}

/* --- what is shown --- */

void tail_output_note(struct tail_output *o, const char *format, ...)
{
    char text[sizeof(o->note)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    printable_keep_ascii(text, strlen(text));
    memcpy(o->note, text, sizeof(text));
    /* It would land in the middle of the table, which is still drawn. */
    if (o->is_live && !o->is_closed && isatty(STDERR_FILENO))
        draw_soon(o);
    else
        fprintf(stderr, "heatcast: %s\n", text);
}

/* A message as one line. Line breaks between a JSON text's tokens are as good as spaces (RFC 8259
 * §2); on a terminal, what could command it is taken out: no JSON text has control characters in
 * its strings (§7), but what comes need not be JSON. */
void tail_output_message(struct tail_output *o, struct str text)
{
    buf_clear(&o->line);
    buf_add(&o->line, text.at, text.size);
    for (size_t i = 0; i < o->line.size; i++)
        if (o->line.data[i] == '\n' || o->line.data[i] == '\r') o->line.data[i] = ' ';
    if (o->is_terminal) o->line.size = printable_keep_utf8(o->line.data, o->line.size);
    buf_add_char(&o->line, '\n');
    print(o, buf_str(&o->line));
}

int tail_output_snapshot(struct tail_output *o, const json_t *snapshot)
{
    const struct tail_view *view;
    int err = tail_table_take(&o->table, snapshot, &view);

    if (err) return err;
    if (o->is_live)
        draw_soon(o);
    else
        print_view(o, view);
    return 0;
}

void tail_output_flush(struct tail_output *o)
{
    if (o->is_live) draw(o);
}

bool tail_output_is_abandoned(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLNVAL));
}

#include "tail_table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

#define COLOUR_LONG  "36" /* SGR: cyan */
#define COLOUR_SHORT "35" /* magenta */
#define COLOUR_BOLD  "1"
#define COLOUR_DIM   "2"

/* Beyond any market; sums of these stay finite. */
#define DENSITY_MAX 1e30

#define HUMAN_WIDTH 6 /* "99.9K" and one to spare */

void tail_table_init(struct tail_table *table, size_t top)
{
    *table = (struct tail_table){.top = top};
}

void tail_table_deinit(struct tail_table *table)
{
    for (size_t i = 0; i < table->view_count; i++)
        free(table->views[i].levels);
    table->view_count = 0;
}

/* --- reading --- */

/* A string for a terminal, a byte a column. */
static bool read_text(const json_t *value, char *text, size_t size)
{
    size_t length = json_string_length(value);

    if (!json_is_string(value) || length >= size) return false;
    memcpy(text, json_string_value(value), length);
    printable_keep_ascii(text, length);
    text[length] = '\0';
    return true;
}

static bool read_level(const json_t *item, struct tail_level *level)
{
    const json_t *price = json_object_get(item, "price"),
                 *longs = json_object_get(item, "long_density"),
                 *shorts = json_object_get(item, "short_density");

    if (!json_is_number(price) || !json_is_number(longs) || !json_is_number(shorts)) return false;
    *level = (struct tail_level){json_number_value(price), json_number_value(longs),
                                 json_number_value(shorts)};
    return level->long_density >= 0 && level->long_density <= DENSITY_MAX &&
           level->short_density >= 0 && level->short_density <= DENSITY_MAX;
}

/* Prices descending. */
static int by_price(const void *a, const void *b)
{
    const struct tail_level *x = a, *y = b;

    return (x->price < y->price) - (x->price > y->price);
}

/* The biggest first; among equals the order is that of prices, so that it is always the same. */
static int by_size(const void *a, const void *b)
{
    const struct tail_level *x = a, *y = b;
    double x_total = x->long_density + x->short_density;
    double y_total = y->long_density + y->short_density;

    return x_total == y_total ? by_price(a, b) : (x_total < y_total) - (x_total > y_total);
}

/* Reads all levels, sums them up, and keeps the biggest. */
static bool read_levels(const json_t *items, size_t top, struct tail_view *view)
{
    size_t count = json_array_size(items);

    if (!json_is_array(items)) return false;
    view->levels = mem_alloc(MAX(count, (size_t)1) * sizeof(*view->levels));
    for (size_t i = 0; i < count; i++) {
        if (!read_level(json_array_get(items, i), &view->levels[i])) return false;
        view->long_total += view->levels[i].long_density;
        view->short_total += view->levels[i].short_density;
    }
    qsort(view->levels, count, sizeof(*view->levels), by_size);
    view->level_count = MIN(count, top);
    qsort(view->levels, view->level_count, sizeof(*view->levels), by_price);
    if (view->level_count)
        view->levels = mem_realloc(view->levels, view->level_count * sizeof(*view->levels));
    return true;
}

/* On false the caller frees what view->levels has by then. */
static bool read_view(const json_t *snapshot, size_t top, struct tail_view *view)
{
    const json_t *data = json_object_get(snapshot, "data"),
                 *price = json_object_get(data, "current_price"),
                 *seq = json_object_get(snapshot, "seq");

    view->price = json_is_number(price) ? json_number_value(price) : NAN;
    view->seq = json_is_integer(seq) ? json_integer_value(seq) : -1;
    return read_text(json_object_get(snapshot, "symbol"), view->symbol, sizeof(view->symbol)) &&
           read_text(json_object_get(snapshot, "timestamp"), view->time, sizeof(view->time)) &&
           read_levels(json_object_get(data, "levels"), top, view);
}

/* The symbol's, or a new one; NULL when there is no room. */
static struct tail_view *find_or_add(struct tail_table *table, const char *symbol)
{
    for (size_t i = 0; i < table->view_count; i++)
        if (strcmp(table->views[i].symbol, symbol) == 0) return &table->views[i];
    if (table->view_count == ARRAY_LEN(table->views)) return NULL;
    return &table->views[table->view_count++];
}

int tail_table_take(struct tail_table *table, const json_t *snapshot, const struct tail_view **view)
{
    struct tail_view taken = {0}, *place;

    if (!read_view(snapshot, table->top, &taken)) {
        free(taken.levels);
        return ERR_SYNTAX;
    }
    place = find_or_add(table, taken.symbol);
    if (!place) {
        free(taken.levels);
        return ERR_FULL;
    }
    free(place->levels);
    *place = taken;
    *view = place;
    return 0;
}

/* --- writing --- */

void tail_human(double value, char *text, size_t size)
{
    static const char *const units[] = {"", "K", "M", "B", "T"};
    size_t unit = 0;

    /* 999.5 would be printed as 1000. */
    while (value >= 999.5 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    if (value < 0.005)
        snprintf(text, size, "0");
    else if (value >= 999.5)
        snprintf(text, size, "%.1e", value * 1e12);
    else
        snprintf(text, size, "%.*f%s",
                 value < 9.995   ? 2
                 : value < 99.95 ? 1
                                 : 0,
                 value, units[unit]);
}

/* A line being written, which stops at the last column. */
struct line {
    struct buf *out;
    int room; /* columns left */
    bool is_coloured;
};

static void begin_colour(struct line *line, const char *colour)
{
    if (line->is_coloured && colour) buf_printf(line->out, "\033[%sm", colour);
}

static void end_colour(struct line *line, const char *colour)
{
    if (line->is_coloured && colour) buf_add_text(line->out, "\033[0m");
}

/* `text` is ASCII: a byte, a column. */
static void put(struct line *line, const char *colour, const char *text)
{
    int size = MIN((int)strlen(text), line->room);

    if (size <= 0) return;
    begin_colour(line, colour);
    buf_add(line->out, text, (size_t)size);
    end_colour(line, colour);
    line->room -= size;
}

static void PRINTF_LIKE(3, 4) putf(struct line *line, const char *colour, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put(line, colour, text);
}

/* A bar of `eighths` of a column; with no colours a short one is told by its pattern, which has
 * whole columns only. */
static void put_bar(struct line *line, const char *colour, bool is_short, int eighths)
{
    static const char *const partial[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    bool is_pattern = is_short && !line->is_coloured;
    int whole = is_pattern ? (eighths + 7) / 8 : eighths / 8;
    int rest = is_pattern ? 0 : eighths % 8;

    begin_colour(line, colour);
    for (; whole > 0 && line->room > 0; whole--, line->room--)
        buf_add_text(line->out, is_pattern ? "▒" : "█");
    if (rest && line->room > 0) {
        buf_add_text(line->out, partial[rest]);
        line->room--;
    }
    end_colour(line, colour);
}

static void price_text(double price, char *text, size_t size)
{
    struct buf shortest = {0};

    buf_add_double(&shortest, price);
    snprintf(text, size, "%.*s", (int)shortest.size, shortest.data);
    buf_deinit(&shortest);
}

static void write_header(const struct tail_view *view, struct line line)
{
    char price[40], longs[16], shorts[16];

    tail_human(view->long_total, longs, sizeof(longs));
    tail_human(view->short_total, shorts, sizeof(shorts));
    put(&line, COLOUR_BOLD, view->symbol);
    putf(&line, NULL, "  %s", view->time);
    if (!isnan(view->price)) {
        price_text(view->price, price, sizeof(price));
        putf(&line, NULL, "  price ");
        put(&line, COLOUR_BOLD, price);
    }
    if (view->seq >= 0) putf(&line, NULL, "  seq %lld", (long long)view->seq);
    putf(&line, COLOUR_LONG, "  long %s", longs);
    putf(&line, COLOUR_SHORT, "  short %s", shorts);
    buf_add_char(line.out, '\n');
}

/* What all lines of a view agree on. */
struct layout {
    int price_width;
    double largest; /* of the totals of the levels shown */
};

static struct layout lay_out(const struct tail_view *view)
{
    struct layout layout = {.price_width = (int)strlen("price")};
    char text[40];

    for (size_t i = 0; i < view->level_count; i++) {
        const struct tail_level *level = &view->levels[i];

        price_text(level->price, text, sizeof(text));
        layout.price_width = MAX(layout.price_width, (int)strlen(text));
        layout.largest = MAX(layout.largest, level->long_density + level->short_density);
    }
    if (isnan(view->price)) return layout;
    price_text(view->price, text, sizeof(text));
    layout.price_width = MAX(layout.price_width, (int)strlen(text));
    return layout;
}

static int eighths_of(double density, const struct layout *layout, int columns)
{
    return layout->largest > 0 && columns > 0 ? (int)lround(density / layout->largest * columns * 8)
                                              : 0;
}

static void write_level(const struct tail_level *level, const struct layout *layout,
                        struct line line)
{
    char price[40], longs[16], shorts[16];
    int long_eighths, short_eighths;

    price_text(level->price, price, sizeof(price));
    tail_human(level->long_density, longs, sizeof(longs));
    tail_human(level->short_density, shorts, sizeof(shorts));
    putf(&line, NULL, "  %*s", layout->price_width, price);
    putf(&line, COLOUR_LONG, "  %*s", HUMAN_WIDTH, longs);
    putf(&line, COLOUR_SHORT, "  %*s  ", HUMAN_WIDTH, shorts);
    short_eighths = eighths_of(level->short_density, layout, line.room);
    long_eighths = eighths_of(level->long_density, layout, line.room);
    /* No gap between the two: the first ends with a whole column. */
    if (short_eighths) long_eighths = (long_eighths + 4) / 8 * 8;
    put_bar(&line, COLOUR_LONG, false, long_eighths);
    put_bar(&line, COLOUR_SHORT, true, short_eighths);
    buf_add_char(line.out, '\n');
}

static void write_price(const struct tail_view *view, const struct layout *layout, struct line line)
{
    char price[40];

    price_text(view->price, price, sizeof(price));
    putf(&line, COLOUR_BOLD, "> %*s  current price", layout->price_width, price);
    buf_add_char(line.out, '\n');
}

void tail_view_write(const struct tail_view *view, int columns, bool is_coloured, struct buf *out)
{
    struct layout layout = lay_out(view);
    struct line line = {out, columns, is_coloured}, heading = line;
    bool price_is_told = isnan(view->price); /* then there is none to tell */

    write_header(view, line);
    putf(&heading, COLOUR_DIM, "  %*s  %*s  %*s", layout.price_width, "price", HUMAN_WIDTH, "long",
         HUMAN_WIDTH, "short");
    buf_add_char(out, '\n');
    for (size_t i = 0; i < view->level_count; i++) {
        if (!price_is_told && view->price >= view->levels[i].price) {
            write_price(view, &layout, line);
            price_is_told = true;
        }
        write_level(&view->levels[i], &layout, line);
    }
    if (!price_is_told) write_price(view, &layout, line);
}

#include "publish_body.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/printable.h"
#include "heat/candle.h"
#include "heat/decimal.h"
#include "heat/price_bin.h"

/* Doubles keep 15 digits: a quotient below this is the bucket that was meant. */
#define BUCKET_MAX  1e15
#define COUNT_MAX   9007199254740991.0 /* 2^53 - 1 */
#define DENSITY_MAX 90071992547409.92  /* 2^53 cents */
#define BIN_MAX     (PRICE_BIN_MAX_E12 / PRICE_BIN_ONE_E12)

/* How far a price may be from its multiple of the bucket size, relative: the error of a few
 * operations on doubles has room in it. */
#define MULTIPLE_TOLERANCE 1e-9

/* Readers return 0 once something is wrong, and go on: the first fault is the one that is told. */
struct parser {
    struct snapshot snapshot; /* what is read so far */
    size_t levels_max;
    bool passes_unknown; /* fields */
    double bin;          /* price_bin_size; above 0 when levels are read */
    int64_t last_bucket; /* of the level before; -1: none */
    bool has_failed;
    char *message; /* the caller's, written by the first fault */
    size_t message_size;
};

/* A value and where it is in the body: "current_price", "levels[3].price", "levels.long[3]". */
struct field {
    json_t *value;     /* borrowed; NULL: missing */
    const char *array; /* NULL for none */
    size_t index;
    const char *name; /* NULL for an array's element itself */
};

static struct field member_of(const json_t *object, const char *name)
{
    return (struct field){.value = json_object_get(object, name), .name = name};
}

static struct field element_of(const json_t *array, const char *path, size_t index)
{
    return (struct field){.value = json_array_get(array, index), .array = path, .index = index};
}

/* A member of an array's element. */
static struct field member_of_element(const struct field *element, const char *name)
{
    return (struct field){json_object_get(element->value, name), element->array, element->index,
                          name};
}

static void write_place(char *out, size_t size, const struct field *field)
{
    const char *name = field->name ? field->name : "";

    if (field->array)
        snprintf(out, size, "%s[%zu]%s%s: ", field->array, field->index, field->name ? "." : "",
                 name);
    else
        snprintf(out, size, "%s%s", name, field->name ? ": " : "");
}

static void fail(struct parser *p, struct field field, const char *format, ...) PRINTF_LIKE(3, 4);

static void fail(struct parser *p, struct field field, const char *format, ...)
{
    char place[80], what[JSON_ERROR_TEXT_LENGTH + 80];
    va_list args;

    if (p->has_failed) return;
    p->has_failed = true;
    write_place(place, sizeof(place), &field);
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    snprintf(p->message, p->message_size, "%s%s", place, what);
    p->message[printable_keep_utf8(p->message, strlen(p->message))] = '\0';
}

/* --- numbers --- */

/* A number as messages show it: shortest, so that one just beyond a limit is seen to be. */
struct shown {
    char at[32];
};

static struct shown shown(double number)
{
    struct shown shown = {0};
    struct buf text = {0};

    buf_add_double(&text, number);
    memcpy(shown.at, text.data, MIN(text.size, sizeof(shown.at) - 1));
    buf_deinit(&text);
    return shown;
}

static double read_number(struct parser *p, struct field field)
{
    if (!field.value)
        fail(p, field, "missing");
    else if (!json_is_number(field.value))
        fail(p, field, "not a number");
    return json_number_value(field.value);
}

static uint64_t read_count(struct parser *p, struct field field)
{
    double number = field.value ? read_number(p, field) : 0;

    if (number >= 0 && number <= COUNT_MAX && number == floor(number)) return (uint64_t)number;
    fail(p, field, "%s is not a whole number from 0 to %.0f", shown(number).at, COUNT_MAX);
    return 0;
}

/* The decimal that a double means, its shortest, in units of 10^-decimals. It must fit. */
static int64_t decimal_of(double value, unsigned decimals)
{
    struct buf text = {0};
    int64_t units = 0;
    int err;

    buf_add_double(&text, value);
    err = decimal_parse(buf_str(&text), decimals, &units);
    assert(!err);
    buf_deinit(&text);
    return units;
}

static int64_t cents_of(double value)
{
    double scaled = value * 100, nearest = round(scaled);

    /* Below 2^50 value and product are off by a quarter at most, so this is no wrong side. */
    if (scaled < 0x1p50 && fabs(scaled - nearest) < 0.25) return (int64_t)nearest;
    return decimal_of(value, 2);
}

static int64_t read_density(struct parser *p, struct field field)
{
    double density = read_number(p, field);

    if (density >= 0 && density <= DENSITY_MAX) return cents_of(density);
    fail(p, field, "%s is not from 0 to %.2f", shown(density).at, DENSITY_MAX);
    return 0;
}

/* A price's bucket. */
static int64_t read_price(struct parser *p, struct field field)
{
    double price = read_number(p, field), quotient = price / p->bin, bucket = round(quotient);

    if (price < 0)
        fail(p, field, "%s is below 0", shown(price).at);
    else if (bucket > BUCKET_MAX)
        fail(p, field, "%s is more than %g times price_bin_size %s", shown(price).at, BUCKET_MAX,
             shown(p->bin).at);
    else if (fabs(quotient - bucket) > MULTIPLE_TOLERANCE * quotient)
        fail(p, field, "%s is not a multiple of price_bin_size %s", shown(price).at,
             shown(p->bin).at);
    else if ((int64_t)bucket <= p->last_bucket)
        fail(p, field, "%s is not above the level before", shown(price).at);
    else
        return (int64_t)bucket;
    return 0;
}

/* The same of a column, where a step from the bucket before follows the first price. */
static int64_t read_step(struct parser *p, struct field field)
{
    double step;

    if (p->last_bucket < 0) return read_price(p, field);
    step = read_number(p, field);
    if (step < 1 || step != floor(step))
        fail(p, field, "%s is not a step of whole buckets", shown(step).at);
    else if (step > BUCKET_MAX - (double)p->last_bucket)
        fail(p, field, "%s leads beyond %g times price_bin_size", shown(step).at, BUCKET_MAX);
    else
        return p->last_bucket + (int64_t)step;
    return 0;
}

/* --- levels --- */

/* Has it known fields only, where that matters? */
static void check_names(struct parser *p, struct field field, const char *const *names,
                        size_t count)
{
    const char *key;
    json_t *value;

    if (p->passes_unknown) return;
    json_object_foreach(field.value, key, value)
    {
        size_t i = 0;

        while (i < count && strcmp(names[i], key) != 0)
            i++;
        if (i == count) fail(p, field, "unknown field '%.80s'", key);
    }
}

static bool check_count(struct parser *p, size_t count)
{
    if (count > p->levels_max)
        fail(p, (struct field){.name = "levels"}, "%zu are more than %zu", count, p->levels_max);
    return !p->has_failed;
}

static void take_level(struct parser *p, struct level level)
{
    struct snapshot *snapshot = &p->snapshot;

    p->last_bucket = level.bucket;
    if (!level.long_cents && !level.short_cents) return;
    snapshot->levels[snapshot->level_count++] = level;
    snapshot->long_total += (double)level.long_cents / 100;
    snapshot->short_total += (double)level.short_cents / 100;
}

static void read_row(struct parser *p, struct field row)
{
    static const char *const names[] = {"price", "long_density", "short_density"};
    struct level level;

    if (!json_is_object(row.value)) fail(p, row, "not an object");
    check_names(p, row, names, ARRAY_LEN(names));
    level.bucket = read_price(p, member_of_element(&row, names[0]));
    level.long_cents = read_density(p, member_of_element(&row, names[1]));
    level.short_cents = read_density(p, member_of_element(&row, names[2]));
    take_level(p, level);
}

static void read_rows(struct parser *p, const json_t *rows)
{
    size_t count = json_array_size(rows);

    if (!check_count(p, count)) return;
    snapshot_reserve(&p->snapshot, count);
    for (size_t i = 0; i < count && !p->has_failed; i++)
        read_row(p, element_of(rows, "levels", i));
}

static void read_columns(struct parser *p, struct field levels)
{
    static const char *const names[] = {"prices", "long", "short"};
    static const char *const paths[] = {"levels.prices", "levels.long", "levels.short"};
    const json_t *columns[3];

    check_names(p, levels, names, ARRAY_LEN(names));
    for (int i = 0; i < 3; i++) {
        struct field column = {.name = paths[i]};

        columns[i] = json_object_get(levels.value, names[i]);
        if (!columns[i]) fail(p, column, "missing");
        if (!json_is_array(columns[i])) fail(p, column, "not an array");
        if (json_array_size(columns[i]) != json_array_size(columns[0]))
            fail(p, column, "not as many as %s", paths[0]);
    }
    if (!check_count(p, json_array_size(columns[0]))) return;
    snapshot_reserve(&p->snapshot, json_array_size(columns[0]));
    for (size_t i = 0; i < json_array_size(columns[0]) && !p->has_failed; i++) {
        struct level level;

        level.bucket = read_step(p, element_of(columns[0], paths[0], i));
        level.long_cents = read_density(p, element_of(columns[1], paths[1], i));
        level.short_cents = read_density(p, element_of(columns[2], paths[2], i));
        take_level(p, level);
    }
}

static void read_levels(struct parser *p, struct field levels)
{
    if (!levels.value)
        fail(p, levels, "missing");
    else if (json_is_array(levels.value))
        read_rows(p, levels.value);
    else if (json_is_object(levels.value))
        read_columns(p, levels);
    else
        fail(p, levels, "neither an array nor an object of columns");
}

/* --- the rest --- */

/* Prices are multiples of it, so it must be kept as it is. */
static void read_bin(struct parser *p, struct field field)
{
    double bin = read_number(p, field);

    if (bin <= 0 || bin > BIN_MAX) {
        fail(p, field, "%s is not above 0 and at most %lld", shown(bin).at, (long long)BIN_MAX);
        return;
    }
    p->snapshot.bin_e12 = decimal_of(bin, 12);
    p->bin = (double)p->snapshot.bin_e12 / PRICE_BIN_ONE_E12;
    if (fabs(p->bin - bin) > MULTIPLE_TOLERANCE * bin)
        fail(p, field, "%s has more than 12 decimals", shown(bin).at);
}

static void read_current_price(struct parser *p, struct field field)
{
    double price = read_number(p, field);

    if (price_from_double(price, &p->snapshot.current_price_e8))
        fail(p, field, "%s is not from 0.00000001 to %.0f", shown(price).at, PRICE_MAX_USDT);
}

static void read_timestamp(struct parser *p, struct field field)
{
    struct str text = {json_string_value(field.value), json_string_length(field.value)};

    if (!field.value) return;
    if (!json_is_string(field.value))
        fail(p, field, "not a string");
    else if (time_parse(text, &p->snapshot.time_ms))
        fail(p, field, "not a time in ISO 8601 of the years 1970 to 9999");
}

static void read_body(struct parser *p, json_t *root)
{
    static const char *const names[] = {"levels",         "current_price", "positions_created",
                                        "price_bin_size", "timestamp",     "positions_consumed"};

    if (!json_is_object(root)) fail(p, (struct field){0}, "the body is not a JSON object");
    check_names(p, (struct field){.value = root}, names, ARRAY_LEN(names));
    read_bin(p, member_of(root, "price_bin_size"));
    read_current_price(p, member_of(root, "current_price"));
    p->snapshot.positions_created = read_count(p, member_of(root, "positions_created"));
    p->snapshot.positions_consumed = read_count(p, member_of(root, "positions_consumed"));
    read_timestamp(p, member_of(root, "timestamp"));
    if (!p->has_failed) read_levels(p, member_of(root, "levels"));
}

json_t *publish_body_load(struct str text, char *message, size_t message_size)
{
    struct parser p = {.message = message, .message_size = message_size};
    json_error_t trouble;
    json_t *root = json_loadb(text.size ? text.at : "", text.size,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &trouble);

    if (root) return root;
    if (json_error_code(&trouble) == json_error_duplicate_key)
        fail(&p, (struct field){0}, "%s (at byte %d)", trouble.text, trouble.position);
    else
        fail(&p, (struct field){0}, "not JSON: %s (at byte %d)", trouble.text, trouble.position);
    return NULL;
}

/* Ends the parser's work on `root`. */
static int finish(struct parser *p, json_t *root, struct snapshot *out)
{
    read_body(p, root);
    if (p->has_failed) {
        snapshot_deinit(&p->snapshot);
        return ERR_SYNTAX;
    }
    *out = p->snapshot;
    return 0;
}

int publish_body_read_peer(json_t *data, int64_t now_ms, struct snapshot *out, char *message,
                           size_t message_size)
{
    struct parser p = {.snapshot = {.time_ms = now_ms},
                       .levels_max = LIMIT_PEER_LEVELS,
                       .passes_unknown = true,
                       .last_bucket = -1,
                       .message = message,
                       .message_size = message_size};

    return finish(&p, data, out);
}

int publish_body_parse(struct str text, int64_t now_ms, struct snapshot *out, char *message,
                       size_t message_size)
{
    struct parser p = {.snapshot = {.time_ms = now_ms},
                       .levels_max = LIMIT_PUBLISH_LEVELS,
                       .last_bucket = -1,
                       .message = message,
                       .message_size = message_size};
    json_t *root = publish_body_load(text, message, message_size);
    int err = root ? finish(&p, root, out) : ERR_SYNTAX;

    json_decref(root);
    return err;
}

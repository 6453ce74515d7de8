#include "io/dump_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    int64_t ms;
} steps[] = {{"1m", 60000}, {"5m", 300000}, {"15m", 900000}, {"30m", 1800000}, {"1h", 3600000}};

const char *dump_step_text(int64_t step_ms)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (steps[i].ms == step_ms) return steps[i].text;
    return NULL;
}

bool dump_is_symbol(struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];

        if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_') return false;
    }
    return text.size >= 1 && text.size <= LIMIT_SYMBOL_BYTES;
}

static void set_symbol(char symbol[LIMIT_SYMBOL_BYTES + 1], struct str text)
{
    memcpy(symbol, text.at, text.size);
    symbol[text.size] = '\0';
}

static void set_other(struct dump_name *name, struct str what, const char *more)
{
    name->kind = DUMP_OTHER;
    snprintf(name->other, sizeof(name->other), "%.*s%s", (int)what.size, what.at, more);
}

/* "4h", "1d", "1mo", "1s": an interval by its looks. */
static bool is_interval(struct str word)
{
    size_t digits = 0;

    while (digits < word.size && isdigit((unsigned char)word.at[digits]))
        digits++;
    word = (struct str){word.at + digits, word.size - digits};
    return digits && (str_eq(word, STR("mo")) || (word.size == 1 && strchr("smhdwM", word.at[0])));
}

/* The word after the symbol: "5m", "metrics", "aggTrades". Returns false when it tells nothing. */
static bool set_kind(struct dump_name *name, struct str word)
{
    static const char *const others[] = {"trades",     "aggTrades",   "bookDepth",
                                         "bookTicker", "fundingRate", "liquidationSnapshot"};

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (!str_eq(word, str_of(steps[i].text))) continue;
        name->kind = DUMP_KLINES;
        name->step_ms = steps[i].ms;
        return true;
    }
    if (str_eq(word, STR("metrics")))
        name->kind = DUMP_METRICS;
    else if (str_eq(word, STR("klines")))
        name->kind = DUMP_KLINES;
    else if (is_interval(word))
        set_other(name, word, " klines");
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (str_eq(word, str_of(others[i]))) set_other(name, word, "");
    return name->kind != DUMP_UNKNOWN;
}

/* Takes the part before the next of `ends` off the front of *rest, and the end itself. */
static struct str take_part(struct str *rest, const char *ends)
{
    struct str part = *rest;

    for (size_t i = 0; i < rest->size; i++) {
        if (!strchr(ends, rest->at[i])) continue;
        part.size = i;
        *rest = (struct str){rest->at + i + 1, rest->size - i - 1};
        return part;
    }
    rest->at += rest->size;
    rest->size = 0;
    return part;
}

/* A folder's name is taken for a symbol only with a letter in it: "klines/2025" is none. */
static bool is_symbol_folder(struct str folder)
{
    for (size_t i = 0; i < folder.size; i++)
        if (isalpha((unsigned char)folder.at[i])) return dump_is_symbol(folder);
    return false;
}

/* Kinds whose files have the names and columns of klines, so that only the folder tells. */
static bool is_other_folder(struct str before, struct str folder)
{
    static const char *const others[] = {"indexPriceKlines", "markPriceKlines",
                                         "premiumIndexKlines"};

    if (str_eq(before, STR("spot")))
        return str_eq(folder, STR("monthly")) || str_eq(folder, STR("daily"));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (str_eq(folder, str_of(others[i]))) return true;
    return false;
}

/* Folders speak where the file's name does not: a symbol beside "klines" or "metrics". */
static void parse_folders(struct str folders, struct dump_name *name)
{
    struct str before = {0};
    bool is_after_kind = false;

    while (folders.size) {
        struct str folder = take_part(&folders, "/");
        bool is_klines = str_eq(folder, STR("klines")), is_metrics = str_eq(folder, STR("metrics"));

        if (is_other_folder(before, folder))
            set_other(name, str_eq(before, STR("spot")) ? before : folder, "");
        if (!name->symbol[0] && is_after_kind && is_symbol_folder(folder))
            set_symbol(name->symbol, folder);
        is_after_kind = is_klines || is_metrics;
        if (is_after_kind && !name->symbol[0] && is_symbol_folder(before))
            set_symbol(name->symbol, before);
        if (is_after_kind && name->kind == DUMP_UNKNOWN)
            name->kind = is_klines ? DUMP_KLINES : DUMP_METRICS;
        before = folder;
    }
}

void dump_name_parse(const char *path, struct dump_name *name)
{
    const char *slash = strrchr(path, '/');
    struct str rest = str_of(slash ? slash + 1 : path), symbol, word;
    struct str folders = {path, slash ? (size_t)(slash - path) : 0};

    *name = (struct dump_name){0};
    symbol = take_part(&rest, "-");
    word = take_part(&rest, "-. ");
    if (dump_is_symbol(symbol) && set_kind(name, word)) set_symbol(name->symbol, symbol);
    parse_folders(folders, name);
}

void dump_name_complete(struct dump_name *name, const struct dump_name *more)
{
    if (name->kind == DUMP_UNKNOWN || more->kind == DUMP_OTHER) {
        name->kind = more->kind;
        memcpy(name->other, more->other, sizeof(name->other));
    }
    if (!name->symbol[0]) memcpy(name->symbol, more->symbol, sizeof(name->symbol));
    if (!name->step_ms && more->kind == DUMP_KLINES) name->step_ms = more->step_ms;
}

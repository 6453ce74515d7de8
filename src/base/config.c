#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/networks.h"

enum type { BOOL, INT, REAL, TEXT, SECRET };

/* Of a token: what cannot be guessed, and what a header field has room for. */
#define TOKEN_BYTES_MIN  16
#define TOKEN_BYTES_MAX  256
#define PREFIX_BYTES_MAX 64

struct option {
    const char *flag;
    const char *environment;
    const char *fallback;
    const char *argument;
    const char *help;
    size_t offset;
    enum type type;
    double min, max;
    unsigned commands;
};

static const struct option options[] = {
#define OPTION(field, type, flag, environment, fallback, min, max, commands, argument, help)       \
    {flag, environment, fallback, argument, help, offsetof(struct config, field),                  \
     type, min,         max,      commands},
#include "base/options.h"
#undef OPTION
};

/* Where an option's value came from, for --print-config and for errors. */
enum { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct loading {
    struct config *config;
    unsigned command;
    const char *file;                /* --config, borrowed */
    char *where[ARRAY_LEN(options)]; /* owned text: "default", "environment WS_…" */
    int rank[ARRAY_LEN(options)];
};

static bool parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no",
                                                                                "off"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        bool is_yes = str_eq_nocase(str_of(text), str_of(yes[i]));

        if (!is_yes && !str_eq_nocase(str_of(text), str_of(no[i]))) continue;
        *value = is_yes;
        return true;
    }
    return false;
}

static bool parse_number(const struct option *option, const char *text, double *value)
{
    char *end;

    errno = 0;
    *value = strtod(text, &end);
    if (end == text || *end || errno || !isfinite(*value) || isspace((unsigned char)*text))
        return false;
    return option->type == REAL || (*value == floor(*value) && !strpbrk(text, "xX"));
}

static bool is_text(const struct option *option)
{
    return option->type == TEXT || option->type == SECRET;
}

/* Sets one option from text; says on stderr what is wrong and returns false. */
static bool set_value(struct loading *l, size_t index, const char *text, const char *where)
{
    const struct option *option = &options[index];
    void *field = (char *)l->config + option->offset;
    double number;

    if (is_text(option)) {
        free(*(char **)field);
        *(char **)field = mem_strdup(text);
        return true;
    }
    if (option->type == BOOL) {
        if (parse_bool(text, field)) return true;
        fprintf(stderr, "heatcast: %s: %s is '%s', must be true or false\n", where, option->flag,
                text);
        return false;
    }
    if (!parse_number(option, text, &number)) {
        fprintf(stderr, "heatcast: %s: %s is '%s', must be a %s\n", where, option->flag, text,
                option->type == INT ? "whole number" : "number");
        return false;
    }
    if (number < option->min || number > option->max) {
        fprintf(stderr, "heatcast: %s: %s is %s, must be from %.15g to %.15g\n", where,
                option->flag, text, option->min, option->max);
        return false;
    }
    if (option->type == INT)
        *(int64_t *)field = (int64_t)number;
    else
        *(double *)field = number;
    return true;
}

/* Takes a value from a source of this rank unless a stronger one spoke already. */
static bool offer_value(struct loading *l, size_t index, const char *text, int rank,
                        const char *where)
{
    if (rank < l->rank[index]) return true;
    if (!set_value(l, index, text, where)) return false;
    l->rank[index] = rank;
    free(l->where[index]);
    l->where[index] = mem_strdup(where);
    return true;
}

static bool find_option(const struct loading *l, struct str name, size_t *index)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!(options[i].commands & l->command)) continue;
        if (!str_eq(name, str_of(options[i].flag)) && !str_eq(name, str_of(options[i].environment)))
            continue;
        *index = i;
        return true;
    }
    return false;
}

static bool load_environment(struct loading *l)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const char *value = getenv(options[i].environment);
        char where[128];

        if (!(options[i].commands & l->command) || !value || !*value) continue;
        snprintf(where, sizeof(where), "environment %s", options[i].environment);
        if (!offer_value(l, i, value, FROM_ENVIRONMENT, where)) return false;
    }
    return true;
}

/* Another command's option in a shared file is no mistake; a name that nobody knows is. */
static bool is_known_elsewhere(struct str name)
{
    struct loading any = {.command = CMD_SERVE | CMD_INGEST | CMD_TAIL | CMD_ECHO | CMD_EDGE};
    size_t index;

    return find_option(&any, name, &index);
}

static bool load_line(struct loading *l, char *line, int number)
{
    struct str text = str_trim((struct str){line, strcspn(line, "\r\n")}), name, value;
    const char *equals, *note;
    char where[512], *copy;
    size_t index;
    bool ok;

    if (number == 1 && text.size >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0)
        text = str_trim((struct str){text.at + 3, text.size - 3}); /* an editor's byte order mark */
    if (!text.size || text.at[0] == '#') return true;
    snprintf(where, sizeof(where), "%s:%d", l->file, number);
    equals = memchr(text.at, '=', text.size);
    if (!equals) {
        fprintf(stderr, "heatcast: %s: expected `name = value`\n", where);
        return false;
    }
    name = str_trim((struct str){text.at, (size_t)(equals - text.at)});
    value = (struct str){equals + 1, (size_t)(text.at + text.size - equals - 1)};
    /* A comment may follow a value behind a space; a '#' inside of one is the value's. */
    note = memmem(value.at, value.size, " #", 2);
    if (note) value.size = (size_t)(note - value.at);
    value = str_trim(value);
    if (!find_option(l, name, &index)) {
        if (is_known_elsewhere(name)) return true;
        fprintf(stderr, "heatcast: %s: unknown setting '%.*s'\n", where, (int)name.size, name.at);
        return false;
    }
    copy = mem_strndup(value.at, value.size);
    ok = offer_value(l, index, copy, FROM_FILE, where);
    free(copy);
    return ok;
}

static bool load_file(struct loading *l)
{
    char line[4096];
    bool ok = true;
    FILE *file;

    if (!l->file) return true;
    file = fopen(l->file, "re");
    if (file && getc(file) == EOF && ferror(file)) { /* a folder opens, but cannot be read */
        fclose(file);
        file = NULL;
    }
    if (!file) {
        fprintf(stderr, "heatcast: --config %s: %s\n", l->file, strerror(errno));
        return false;
    }
    rewind(file);
    for (int number = 1; ok && fgets(line, sizeof(line), file); number++) {
        ok = strchr(line, '\n') || feof(file);
        if (!ok) fprintf(stderr, "heatcast: %s:%d: line too long\n", l->file, number);
        ok = ok && load_line(l, line, number);
    }
    fclose(file);
    return ok;
}

static void print_help(const struct loading *l, const char *usage)
{
    printf("%s\n\n", usage);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];

        if (!(o->commands & l->command)) continue;
        printf("  --%s %s\n        %s\n        default %s; environment %s\n", o->flag, o->argument,
               o->help, *o->fallback ? o->fallback : "empty", o->environment);
    }
    printf(
        "  --config FILE\n        read settings from FILE: lines `name = value`, names as above\n"
        "  --print-config\n        print every setting with its origin, and exit\n"
        "  --help\n        this text\n\n"
        "A flag wins over the environment, the environment over the file.\n");
}

static void print_config(const struct loading *l)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const char *field = (const char *)l->config + options[i].offset;
        struct buf value = {0};

        if (!(options[i].commands & l->command)) continue;
        switch (options[i].type) {
        case BOOL:
            buf_add_text(&value, *(const bool *)field ? "true" : "false");
            break;
        case INT:
            buf_add_int(&value, *(const int64_t *)field);
            break;
        case REAL:
            buf_add_double(&value, *(const double *)field);
            break;
        case TEXT:
            buf_add_text(&value, *(char *const *)field);
            break;
        case SECRET: /* the stars are no good one, should this be read as settings again */
            buf_add_text(&value, strcmp(*(char *const *)field, options[i].fallback) != 0
                                     ? "********"
                                     : options[i].fallback);
            break;
        }
        printf("%s = %.*s  # %s\n", options[i].flag, (int)value.size, value.data ? value.data : "",
               l->where[i]);
        buf_deinit(&value);
    }
}

struct flags {
    bool wants_help, wants_print;
};

/* `--name value`, `--name=value`, and for a BOOL `--name` alone. */
static bool take_flag(struct loading *l, struct flags *flags, int argc, char **argv, int *at)
{
    const char *word = argv[*at] + 2, *equals = strchr(word, '=');
    struct str name = {word, equals ? (size_t)(equals - word) : strlen(word)};
    const char *value = equals ? equals + 1 : NULL;
    bool is_config = str_eq(name, STR("config")), needs_value = is_config;
    char where[160];
    size_t index = 0;

    if (!value && str_eq(name, STR("help"))) return flags->wants_help = true;
    if (!value && str_eq(name, STR("print-config"))) return flags->wants_print = true;
    if (!is_config) {
        if (!find_option(l, name, &index)) {
            fprintf(stderr, "heatcast: unknown option --%.*s (see --help)\n", (int)name.size,
                    name.at);
            return false;
        }
        needs_value = options[index].type != BOOL;
    }
    if (!value && !needs_value && *at + 1 < argc &&
        (strcmp(argv[*at + 1], "true") == 0 || strcmp(argv[*at + 1], "false") == 0))
        value = argv[++*at];
    if (!value && needs_value) {
        if (*at + 1 >= argc) {
            fprintf(stderr, "heatcast: --%s needs a value\n", word);
            return false;
        }
        value = argv[++*at];
    }
    if (is_config) {
        l->file = value;
        return true;
    }
    snprintf(where, sizeof(where), "flag --%s", options[index].flag);
    return offer_value(l, index, value ? value : "true", FROM_FLAG, where);
}

static bool load_flags(struct loading *l, struct flags *flags, int argc, char **argv,
                       int *word_count)
{
    bool only_words = false;

    *word_count = 0;
    for (int i = 0; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = true;
        else if (!only_words && strncmp(argv[i], "--", 2) == 0) {
            if (!take_flag(l, flags, argc, argv, &i)) return false;
        } else if (!only_words && strcmp(argv[i], "-h") == 0)
            flags->wants_help = true;
        else
            argv[(*word_count)++] = argv[i];
    }
    return true;
}

/* Says what a text must be, and where it was said; returns false. */
static bool refuse_text(const struct loading *l, const char *flag, const char *value,
                        const char *what)
{
    size_t index;

    if (!find_option(l, str_of(flag), &index)) abort();
    fprintf(stderr, "heatcast: %s: %s is '%s', must be %s\n", l->where[index], flag, value, what);
    return false;
}

static bool is_one_of(const char *value, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(value, words[i]) == 0) return true;
    return false;
}

static bool check_log(const struct loading *l)
{
    static const char *const formats[] = {"text", "json", "auto"};
    const struct config *c = l->config;
    enum log_level level;

    if (!log_level_parse(c->log_level, &level))
        return refuse_text(l, "log-level", c->log_level, "debug, info, warning or error");
    if (!is_one_of(c->log_format, formats, ARRAY_LEN(formats)))
        return refuse_text(l, "log-format", c->log_format, "text, json or auto");
    return true;
}

static bool check_listen(const struct loading *l)
{
    char host[256];
    int port;

    if (host_port_parse(l->config->listen, host, sizeof(host), &port))
        return refuse_text(l, "listen", l->config->listen,
                           "HOST:PORT, an IPv6 address in brackets, the port at most 65535");
    return true;
}

static bool check_trusted_proxy(const struct loading *l)
{
    struct networks networks;

    if (networks_parse(str_of(l->config->trusted_proxy), &networks))
        return refuse_text(l, "trusted-proxy", l->config->trusted_proxy,
                           "addresses and ranges like 127.0.0.1,10.0.0.0/8,fd00::/8, no bit set "
                           "behind a range's own");
    networks_deinit(&networks);
    return true;
}

/* Visible ASCII, without spaces, of so many bytes. */
static bool is_word(struct str text, size_t size_min, size_t size_max)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~') return false;
    return text.size >= size_min && text.size <= size_max;
}

/* A token is not shown, not even a bad one. */
static bool check_publish(const struct loading *l)
{
    const struct config *c = l->config;
    size_t index;

    if (!find_option(l, STR("publish-token"), &index)) abort();
    if (*c->publish_token && !is_word(str_of(c->publish_token), TOKEN_BYTES_MIN, TOKEN_BYTES_MAX)) {
        fprintf(stderr,
                "heatcast: %s: publish-token must be %d to %d characters of visible ASCII, without "
                "spaces\n",
                l->where[index], TOKEN_BYTES_MIN, TOKEN_BYTES_MAX);
        return false;
    }
    if (*c->publish_symbols && !*c->publish_token)
        return refuse_text(l, "publish-symbols", c->publish_symbols,
                           "empty where there is no publish-token: nobody could publish them");
    return true;
}

/* It becomes a part of keys, channels and a pattern. */
static bool check_prefix(const struct loading *l)
{
    const char *prefix = l->config->redis_channel_prefix;

    if (is_word(str_of(prefix), 1, PREFIX_BYTES_MAX)) return true;
    return refuse_text(l, "redis-channel-prefix", prefix,
                       "1 to " TEXT_OF(PREFIX_BYTES_MAX) " characters of visible ASCII");
}

static bool check_serve(const struct loading *l)
{
    static const char *const feeds[] = {"none", "replay", "sim"};
    const struct config *c = l->config;
    int64_t span;

    if (span_parse(str_of(c->history), &span))
        return refuse_text(l, "history", c->history, "a span like 12h, 30d or 1y");
    if (!is_one_of(c->feed, feeds, ARRAY_LEN(feeds)))
        return refuse_text(l, "feed", c->feed, "none, replay or sim");
    return check_publish(l);
}

/* What one value says must be right by itself; texts are looked at here, once for all commands. */
static bool check_texts(const struct loading *l)
{
    if (l->command & (CMD_SERVE | CMD_INGEST | CMD_ECHO | CMD_EDGE) && !check_log(l)) return false;
    if (l->command & (CMD_SERVE | CMD_ECHO | CMD_EDGE) && !check_listen(l)) return false;
    if (l->command & (CMD_SERVE | CMD_EDGE) && !(check_prefix(l) && check_trusted_proxy(l)))
        return false;
    return !(l->command & CMD_SERVE) || check_serve(l);
}

static enum config_result load_all(struct loading *l, const char *usage, int argc, char **argv,
                                   int *word_count)
{
    struct flags flags = {0};

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (!offer_value(l, i, options[i].fallback, FROM_DEFAULT, "default")) abort();
    if (!load_flags(l, &flags, argc, argv, word_count)) return CONFIG_ERROR;
    if (flags.wants_help) {
        print_help(l, usage);
        return CONFIG_DONE;
    }
    if (!load_file(l) || !load_environment(l) || !check_texts(l)) return CONFIG_ERROR;
    if (flags.wants_print) {
        print_config(l);
        return CONFIG_DONE;
    }
    return CONFIG_RUN;
}

enum config_result config_load(struct config *config, enum config_command command,
                               const char *usage, int argc, char **argv, int *word_count)
{
    struct loading l = {.config = config, .command = command};
    enum config_result result;

    *config = (struct config){0};
    result = load_all(&l, usage, argc, argv, word_count);
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        free(l.where[i]);
    if (result != CONFIG_RUN) config_deinit(config);
    return result;
}

void config_deinit(struct config *config)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (is_text(&options[i])) free(*(char **)((char *)config + options[i].offset));
    *config = (struct config){0};
}

void config_apply_log(const struct config *config)
{
    enum log_format format = LOG_AUTO;
    enum log_level level = LOG_INFO;

    /* config_load() has looked at both. */
    if (log_level_parse(config->log_level, &level) && log_format_parse(config->log_format, &format))
        log_configure(level, format);
}

int span_parse(struct str text, int64_t *span_ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {
        {'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'y', INT64_C(31536000000)}};
    int64_t count = 0;

    if (text.size < 2 || text.size > 10) return ERR_SYNTAX;
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (!isdigit((unsigned char)text.at[i])) return ERR_SYNTAX;
        count = count * 10 + (text.at[i] - '0');
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (text.at[text.size - 1] != units[i].unit) continue;
        if (count < 1 || count * units[i].ms > 10 * units[4].ms) return ERR_RANGE;
        *span_ms = count * units[i].ms;
        return 0;
    }
    return ERR_SYNTAX;
}

int host_port_parse(const char *text, char *host, size_t host_size, int *port)
{
    const char *colon = strrchr(text, ':'), *digits = colon ? colon + 1 : text;
    struct str name = {text, colon ? (size_t)(colon - text) : 0};
    char *end;
    long value;

    if (!isdigit((unsigned char)*digits)) return ERR_SYNTAX;
    value = strtol(digits, &end, 10);
    if (*end || value > 65535) return ERR_SYNTAX;
    if (name.size >= 2 && name.at[0] == '[' && name.at[name.size - 1] == ']') {
        name.at++;
        name.size -= 2;
    } else if (memchr(name.at, ':', name.size))
        return ERR_SYNTAX; /* an IPv6 address needs its brackets */
    if (!name.size) name = STR("0.0.0.0");
    if (name.size >= host_size) return ERR_SYNTAX;
    memcpy(host, name.at, name.size);
    host[name.size] = '\0';
    *port = (int)value;
    return 0;
}

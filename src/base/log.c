#include "base/log.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static enum log_level threshold = LOG_INFO;
static enum log_format chosen = LOG_AUTO;

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char *const format_names[] = {
    [LOG_AUTO] = "auto", [LOG_TEXT] = "text", [LOG_JSON] = "json"};

void log_configure(enum log_level level, enum log_format format)
{
    threshold = level;
    chosen = format;
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

bool log_format_parse(const char *text, enum log_format *format)
{
    for (size_t i = 0; i < ARRAY_LEN(format_names); i++)
        if (strcmp(text, format_names[i]) == 0) {
            *format = (enum log_format)i;
            return true;
        }
    return false;
}

static void add_value(struct buf *line, const struct log_field *field)
{
    if (field->type == LOG_FIELD_INT)
        buf_add_int(line, field->integer);
    else if (field->type == LOG_FIELD_DOUBLE)
        buf_add_double(line, field->real);
    else
        buf_add_json(line, str_of(field->text ? field->text : ""));
}

/* Text that needs no quotes: nothing in it can be mistaken for the next field or a new line. */
static bool is_plain(const struct log_field *field)
{
    if (field->type != LOG_FIELD_STR || !field->text || !field->text[0]) return false;
    for (const char *c = field->text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == '"' || *c == '\\' || *c == 0x7f) return false;
    return true;
}

static void add_json(struct buf *line, enum log_level level, const char *event, va_list fields)
{
    buf_add_text(line, "{\"time\":\"");
    buf_add_time(line, clock_wall_ms());
    buf_printf(line, "\",\"level\":\"%s\",\"event\":", level_names[level]);
    buf_add_json(line, str_of(event));
    for (;;) {
        struct log_field field = va_arg(fields, struct log_field);

        if (field.type == LOG_FIELD_END) break;
        buf_add_char(line, ',');
        buf_add_json(line, str_of(field.name));
        buf_add_char(line, ':');
        add_value(line, &field);
    }
    buf_add_text(line, "}\n");
}

static void add_text(struct buf *line, enum log_level level, const char *event, va_list fields)
{
    struct civil_time t = civil_from_ms(clock_wall_ms());

    buf_printf(line, "%02d:%02d:%02d.%03d %-7s %s", t.hour, t.minute, t.second, t.ms,
               level_names[level], event);
    for (;;) {
        struct log_field field = va_arg(fields, struct log_field);

        if (field.type == LOG_FIELD_END) break;
        buf_printf(line, "  %s=", field.name);
        if (is_plain(&field))
            buf_add_text(line, field.text);
        else
            add_value(line, &field);
    }
    buf_add_char(line, '\n');
}

void log_write(enum log_level level, const char *event, ...)
{
    struct buf line = {0};
    va_list fields;
    bool is_text = chosen == LOG_TEXT || (chosen == LOG_AUTO && isatty(STDERR_FILENO));

    if (level < threshold) return;
    va_start(fields, event);
    if (is_text)
        add_text(&line, level, event, fields);
    else
        add_json(&line, level, event, fields);
    va_end(fields);
    if (write(STDERR_FILENO, line.data, line.size) < 0) {
        /* Nowhere left to say it. */
    }
    buf_deinit(&line);
}

/* log.h - one line per event on standard error: text on a terminal, JSON otherwise.
 *
 *     log_info("listening", F_STR("address", "127.0.0.1:8000"), F_INT("threads", 2));
 *
 * An event is a short phrase that stays the same, so that it can be searched and counted; what
 * changes stands in fields. Any thread may log: a line is one write(2). */
#ifndef HEATCAST_BASE_LOG_H
#define HEATCAST_BASE_LOG_H

#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON };

struct log_field {
    enum { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_DOUBLE } type;
    const char *name;
    const char *text;
    int64_t integer;
    double real;
};

#define F_STR(name_, value)                                                                        \
    ((struct log_field){.type = LOG_FIELD_STR, .name = (name_), .text = (value)})
#define F_INT(name_, value)                                                                        \
    ((struct log_field){.type = LOG_FIELD_INT, .name = (name_), .integer = (value)})
#define F_DOUBLE(name_, value)                                                                     \
    ((struct log_field){.type = LOG_FIELD_DOUBLE, .name = (name_), .real = (value)})
#define F_END          ((struct log_field){.type = LOG_FIELD_END})
#define F_ERROR(error) F_STR("error", error_text(error))

#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__, F_END)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__, F_END)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__, F_END)
#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__, F_END)

/* Before the threads start. Until then: LOG_INFO and LOG_AUTO. */
void log_configure(enum log_level level, enum log_format format);
/* "debug", "info", "warning", "error"; "auto", "text", "json". False for anything else, the result
 * untouched. */
bool log_level_parse(const char *text, enum log_level *level);
bool log_format_parse(const char *text, enum log_format *format);

/* The variable arguments are struct log_field, F_END last; the macros above see to it. */
void log_write(enum log_level level, const char *event, ...);

#endif

#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

/* What an event of `format` is on a standard error that is no terminal. */
static void expect_logged(enum log_format format, const char *expected)
{
    char line[256] = "";
    int pipe_ends[2], kept = dup(STDERR_FILENO);

    assert_int_equal(pipe(pipe_ends), 0);
    dup2(pipe_ends[1], STDERR_FILENO);
    log_configure(LOG_INFO, format);
    log_debug("unheard");
    log_warning("it happened", F_STR("file", "a b"), F_INT("count", 2));
    dup2(kept, STDERR_FILENO);
    assert_true(read(pipe_ends[0], line, sizeof(line) - 1) > 0);
    if (!strstr(line, expected)) fail_msg("'%s' is not in '%s'", expected, line);
    assert_non_null(strchr(line, '\n'));
    assert_null(strstr(line, "unheard"));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    close(kept);
}

TEST(an_event_is_text_or_json_as_chosen_and_json_where_there_is_no_terminal)
{
    static const char json[] = "\"level\":\"warning\",\"event\":\"it happened\",\"file\":\"a b\","
                               "\"count\":2}";

    expect_logged(LOG_TEXT, "warning it happened  file=\"a b\"  count=2");
    expect_logged(LOG_JSON, json);
    expect_logged(LOG_AUTO, json);
}

TEST(levels_and_formats_have_names)
{
    enum log_level level = LOG_ERROR;
    enum log_format format = LOG_JSON;

    assert_false(log_level_parse("loud", &level));
    assert_false(log_format_parse("xml", &format));
    assert_false(log_format_parse("", &format));
    assert_true(level == LOG_ERROR && format == LOG_JSON);
    assert_true(log_level_parse("warning", &level) && level == LOG_WARNING);
    assert_true(log_format_parse("auto", &format) && format == LOG_AUTO);
    assert_true(log_format_parse("text", &format) && format == LOG_TEXT);
    assert_true(log_format_parse("json", &format) && format == LOG_JSON);
}

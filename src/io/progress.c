#include "io/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define DRAW_EVERY_US 50000
#define BAR_WIDTH     24

void progress_init(struct progress *progress, FILE *out)
{
    const char *term = getenv("TERM");
    bool can_draw = isatty(fileno(out)) && term && *term && strcmp(term, "dumb") != 0;

    *progress = (struct progress){.out = can_draw ? out : NULL};
}

static int terminal_width(FILE *out)
{
    struct winsize size;

    return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_draw(struct progress *progress, double fraction, const char *text)
{
    int64_t now_us = clock_monotonic_us();
    int filled, room;
    char bar[BAR_WIDTH + 1];

    if (!progress->out || now_us < progress->due_us) return;
    progress->due_us = now_us + DRAW_EVERY_US;
    progress->is_drawn = true;
    fraction = MAX(0.0, MIN(fraction, 1.0)); /* archives can claim what they like */
    filled = (int)(fraction * BAR_WIDTH);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    room = terminal_width(progress->out) - BAR_WIDTH - 9; /* "[", "] ", "100% ", the last column */
    fprintf(progress->out, "\r[%s] %3.0f%% %.*s\033[K", bar, fraction * 100, MAX(room, 0), text);
    fflush(progress->out);
}

void progress_clear(struct progress *progress)
{
    if (!progress->is_drawn) return;
    progress->is_drawn = false;
    progress->due_us = 0;
    fputs("\r\033[K", progress->out);
    fflush(progress->out);
}

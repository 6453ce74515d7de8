#include "feed/replay.h"

#include <stdlib.h>

#include "base/clock.h"

/* At the end of the data the last state stays in view for this long, in real time. */
#define PAUSE_MS 3000

int replay_from_parse(struct str text, struct replay *replay)
{
    char number[16], *end;
    double percent;
    int64_t time_ms;
    int err;

    if (!text.size || text.at[text.size - 1] != '%') {
        err = time_parse(text, &time_ms);
        if (!err) replay->from_ms = time_ms;
        return err;
    }
    if (text.size > sizeof(number) || text.at[0] < '0' || text.at[0] > '9') return ERR_SYNTAX;
    for (size_t i = 0; i + 1 < text.size; i++)
        number[i] = text.at[i];
    number[text.size - 1] = '\0';
    percent = strtod(number, &end);
    if (*end) return ERR_SYNTAX;
    if (percent > 100) return ERR_RANGE;
    replay->from_part = percent / 100;
    replay->from_ms = -1;
    return 0;
}

struct replay_position replay_at(const struct replay *replay, int64_t first_ms, int64_t last_ms,
                                 int64_t now_ms)
{
    double span_ms = (double)(last_ms - first_ms);
    int64_t from_ms =
        replay->from_ms >= 0 ? replay->from_ms : first_ms + (int64_t)(span_ms * replay->from_part);
    double elapsed_ms = (double)MAX(now_ms - replay->started_ms, 0), lap_ms, in_lap_ms;
    struct replay_position position = {0};

    from_ms = MIN(MAX(from_ms, first_ms), last_ms);
    lap_ms = (double)(last_ms - from_ms) / replay->speed + PAUSE_MS;
    position.lap = (uint64_t)(elapsed_ms / lap_ms);
    in_lap_ms = elapsed_ms - (double)position.lap * lap_ms;
    position.clock_ms = MIN(from_ms + (int64_t)(in_lap_ms * replay->speed), last_ms);
    return position;
}

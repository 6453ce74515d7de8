#include "replay_control.h"

#include "base/clock.h"
#include "base/log.h"
#include "replay_body.h"

/* Between two lines of the log. */
#define LOG_INTERVAL_MS 1000

static void write_state(const struct engine *engine, const struct replay_state *replay,
                        struct buf *out)
{
    buf_add_text(out, "{\"speed\":");
    buf_add_double(out, replay->speed);
    buf_add_time_field(out, "position", replay->position_ms);
    buf_add_time_field(out, "start", replay->start_ms);
    buf_add_time_field(out, "end", replay->end_ms);
    buf_printf(out, ",\"paused\":%s,\"control\":%s}", replay->is_paused ? "true" : "false",
               engine_config(engine)->replay_control ? "true" : "false");
}

void replay_control_write(const struct engine *engine, struct buf *out)
{
    struct replay_state replay = engine_replay(engine);

    write_state(engine, &replay, out);
}

const char *replay_control_closed(const struct engine *engine)
{
    if (!engine_is_replay(engine)) return "this server does not replay (--feed)";
    return engine_config(engine)->replay_control
               ? NULL
               : "this server's replay is not to be controlled (--replay-control=false)";
}

static void fail_position(const struct replay_state *replay, struct site_response *response)
{
    struct buf text = {0};

    buf_add_text(&text, "position: ");
    if (replay->start_ms < 0)
        buf_add_text(&text, "there are no candles to replay");
    else {
        buf_add_text(&text, "not from ");
        buf_add_time(&text, replay->start_ms);
        buf_add_text(&text, " to ");
        buf_add_time(&text, replay->end_ms);
    }
    buf_add_char(&text, '\0');
    site_fail(response, 422, text.data);
    buf_deinit(&text);
}

/* Who looks at it sees it jump: whoever did that, the operator can tell that somebody did. As often
 * as somebody likes to, so not every time. */
static void log_change(struct replay_control *control, const struct replay_state *replay)
{
    int64_t now_ms = clock_monotonic_us() / 1000;
    struct buf position = {0};

    if (control->logged_ms && now_ms - control->logged_ms < LOG_INTERVAL_MS) {
        control->unlogged_count++;
        return;
    }
    if (replay->position_ms >= 0) buf_add_time(&position, replay->position_ms);
    buf_add_char(&position, '\0');
    log_info("replay changed", F_DOUBLE("speed", replay->speed),
             F_STR("paused", replay->is_paused ? "true" : "false"),
             F_STR("position", position.data), F_INT("unlogged", control->unlogged_count));
    buf_deinit(&position);
    control->logged_ms = now_ms;
    control->unlogged_count = 0;
}

static void change(struct replay_control *control, const struct replay_change *wish,
                   struct site_response *response)
{
    struct replay_state replay = engine_replay(control->engine);
    struct buf body = {0};

    if (wish->has_position &&
        (wish->position_ms < replay.start_ms || wish->position_ms > replay.end_ms)) {
        fail_position(&replay, response);
        return;
    }
    if (engine_change_replay(control->engine, wish, &replay)) log_change(control, &replay);
    write_state(control->engine, &replay, &body);
    *response = (struct site_response){
        .status = 200, .content_type = "application/json", .body = blob_take(&body)};
}

void replay_control_answer(struct replay_control *control, struct site_request *request)
{
    struct replay_change wish;
    char message[256];

    if (replay_body_parse(request->body, &wish, message, sizeof(message)))
        site_fail(&request->response, 422, message);
    else
        change(control, &wish, &request->response);
    site_answer(request);
}

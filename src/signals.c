#include "signals.h"

#include <signal.h>

#include "base/log.h"

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;

    log_info("stopping", F_INT("signal", number));
    signals->on_stop(signals->context);
}

static void watch(struct signals *signals, struct loop *loop, uv_signal_t *handle, int number)
{
    uv_signal_init(&loop->uv, handle);
    handle->data = signals;
    uv_signal_start(handle, on_signal, number);
}

void signals_watch(struct signals *signals, struct loop *loop, void (*on_stop)(void *context),
                   void *context)
{
    signals->on_stop = on_stop;
    signals->context = context;
    signal(SIGPIPE, SIG_IGN);
    watch(signals, loop, &signals->interrupt, SIGINT);
    watch(signals, loop, &signals->terminate, SIGTERM);
    watch(signals, loop, &signals->hangup, SIGHUP);
}

void signals_unwatch(struct signals *signals)
{
    uv_close((uv_handle_t *)&signals->interrupt, NULL);
    uv_close((uv_handle_t *)&signals->terminate, NULL);
    uv_close((uv_handle_t *)&signals->hangup, NULL);
}

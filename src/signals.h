/* signals.h - what asks a command to stop: SIGINT, SIGTERM, and SIGHUP, as its terminal has gone.
 *
 * SIGPIPE is ignored from then on: writing to who has gone is an error like any other. On the
 * loop's thread. */
#ifndef HEATCAST_SIGNALS_H
#define HEATCAST_SIGNALS_H

#include "io/loop.h"

struct signals {
    uv_signal_t interrupt, terminate, hangup;
    void (*on_stop)(void *context); /* called once */
    void *context;                  /* borrowed */
};

/* Watches until one of them comes; then nothing is watched any more. Keeps the loop running. */
void signals_watch(struct signals *signals, struct loop *loop, void (*on_stop)(void *context),
                   void *context);

#endif

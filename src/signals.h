/* signals.h - what asks a command to stop: SIGINT, SIGTERM, and SIGHUP, as its terminal has gone.
 *
 * SIGPIPE is ignored from then on: writing to who has gone is an error like any other. On the
 * loop's thread. */
#ifndef HEATCAST_SIGNALS_H
#define HEATCAST_SIGNALS_H

#include "io/loop.h"

struct signals {
    uv_signal_t interrupt, terminate, hangup;
    void (*on_stop)(void *context); /* called for each one that comes */
    void *context;                  /* borrowed */
};

/* Watches until signals_unwatch(), and keeps the loop running until then. */
void signals_watch(struct signals *signals, struct loop *loop, void (*on_stop)(void *context),
                   void *context);
/* Whatever comes from now on ends the process at once. */
void signals_unwatch(struct signals *signals);

#endif

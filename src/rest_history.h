/* rest_history.h - REST answers made of stored history: candles and heatmap timeseries.
 *
 * The parameters are read and checked on the main loop's thread; rows, model, JSON and gzip are a
 * store job's. One address may have LIMIT_REQUESTS_PER_ADDRESS of them under way: beyond, 429;
 * when the store's queue is full, 503. */
#ifndef HEATCAST_REST_HISTORY_H
#define HEATCAST_REST_HISTORY_H

#include "engine.h"

struct rest_history;

struct rest_history *rest_history_new(struct engine *engine, struct loop *loop,
                                      struct store *store);
void rest_history_free(struct rest_history *history);

/* GET /prices/klines and GET /liquidations/heatmap-timeseries; both take the request. */
void rest_history_klines(struct rest_history *history, struct site_request *request);
void rest_history_timeseries(struct rest_history *history, struct site_request *request);

#endif

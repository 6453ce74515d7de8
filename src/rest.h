/* rest.h - the REST door: PROTOCOL section 2 (docs/openapi.yaml).
 *
 * Answers what the serve floor forwards: small things at once on the main loop's thread, history by
 * store jobs that compute, encode and compress on a store thread. */
#ifndef HEATCAST_REST_H
#define HEATCAST_REST_H

#include "cluster.h"
#include "engine.h"
#include "upstream.h"

struct rest;

/* `store` is NULL on an edge, `cluster` where there is one server, `upstream` but on an edge. */
struct rest *rest_new(struct engine *engine, struct loop *loop, struct store *store,
                      const struct cluster *cluster, struct upstream *upstream);
void rest_start(struct rest *rest, struct server *server); /* counts messages per minute from now */
void rest_stop(struct rest *rest);
void rest_free(struct rest *rest); /* after the store is closed */

/* server_ops.on_request; context is the struct rest. */
void rest_on_request(void *context, struct site_request *request);

#endif

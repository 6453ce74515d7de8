/* publish.h - POST /publish/SYMBOL: snapshots of somebody else's model, fanned out like ours.
 *
 * Who may ask is the serve floor's affair: a request without the token does not come this far. On
 * the main loop's thread. */
#ifndef HEATCAST_PUBLISH_H
#define HEATCAST_PUBLISH_H

#include "engine.h"

/* Publishes the body of a request that `is_publish` and answers with the version that it became,
 * once the shards have been told; or says what is wrong with it. Takes the request. */
void publish_answer(struct engine *engine, const struct server *server,
                    struct site_request *request);

#endif

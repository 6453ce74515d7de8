/* longpoll.h - the door for who can only ask: GET /heatmap/latest that waits for news.
 *
 * A request that names the version its client has is answered by the next one, or when its wait is
 * over by 204. Meanwhile it is a subscription like any other, so that the hub wakes it and the
 * engine keeps the symbol alive; the connection stays CONN_HTTP, answering. On the shard's thread.
 */
#ifndef HEATCAST_SERVE_LONGPOLL_H
#define HEATCAST_SERVE_LONGPOLL_H

#include "serve/conn.h"

struct longpoll;

/* Answers an ill-formed request; any other waits in conn->http.poll. */
void longpoll_serve(struct conn *conn, const struct http_request *request);
/* There is news: it is queued as the answer. */
void longpoll_answer(struct conn *conn, const struct outgoing *news);
/* The server is stopping: 503, and the end of the connection. */
void longpoll_refuse(struct conn *conn);
/* The connection ends; harmless where nothing waits. */
void longpoll_forget(struct conn *conn);

#endif

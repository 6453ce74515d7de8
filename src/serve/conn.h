/* conn.h - one client: HTTP -> OPEN (a WebSocket) -> CLOSING -> CLOSED.
 *
 * Owns its socket, parser and outbox; one allocation with its handles by value, freed when the
 * socket is closed and no answer is on its way to it. Belongs to its shard's thread. */
#ifndef HEATCAST_SERVE_CONN_H
#define HEATCAST_SERVE_CONN_H

#include <uv.h>

#include "serve/outbox.h"
#include "serve/site.h"
#include "wire/handshake.h"
#include "wire/ws.h"

enum conn_state {
    CONN_HTTP,    /* reading requests, answering them */
    CONN_OPEN,    /* a WebSocket */
    CONN_CLOSING, /* what is queued is written, then FIN, then we wait for the peer's */
    CONN_CLOSED,  /* the handle is closing */
    CONN_STATES,
};

struct conn {
    uv_tcp_t tcp;
    uv_write_t write; /* the one write that libuv finishes for us */
    uv_shutdown_t shutdown;
    struct shard *shard;
    char address[48];       /* the peer's, as text; "" when it went at once */
    struct list in_state;   /* in shard->conns[state] */
    struct list in_flush;   /* in shard->to_flush */
    struct list in_blocked; /* in shard->blocked while the socket refuses bytes */

    struct outbox outbox;
    struct blob *writing; /* reference held while libuv writes its rest; else NULL */
    bool writing_snapshot;

    struct buf head; /* HTTP: bytes of the request head so far; paused: what is to be looked at */
    struct ws ws;    /* OPEN */

    struct subscription **subscriptions; /* owned array of owned ones; free ones have no topic */
    uint16_t subscription_count;

    uint32_t dropped; /* snapshots it missed since its last SLOW_CONSUMER warning */
    uint8_t state;
    bool has_asked;        /* HTTP: its first request is complete */
    uint8_t refs;          /* 1 for the socket, 1 for a request on its way through the engine */
    bool has_place;        /* counts towards the limit on connections */
    bool is_refused;       /* one of those that linger to read their 503 */
    bool is_shut_down;     /* FIN was sent */
    bool is_peer_done;     /* HTTP: the peer's FIN has come; it is not read from any more */
    bool is_answering;     /* HTTP: a request is being answered; the next one waits */
    bool close_after;      /* HTTP: close when the answer is written */
    bool is_paused;        /* OPEN: not read from until all that is queued is written */
    bool is_slow;          /* counted in stats.slow_consumers */
    bool uses_deflate;     /* permessage-deflate with a full window was agreed on */
    uint8_t pings_unheard; /* pings sent since it was last heard */

    int64_t since_ms; /* when the state, or the current request, began */
    int64_t last_received_ms;
    int64_t progress_ms;    /* when the socket last took a byte, of those waiting */
    size_t unwritten;       /* how many libuv still had then */
    size_t unread_size;     /* HTTP: bytes of the answer under way, counted in env->unread */
    int64_t answered_ms;    /* when it was given out */
    int64_t slow_warned_ms; /* when the last SLOW_CONSUMER went out; 0 for never */
    double message_tokens;  /* rate limit: messages it may send now */
    int64_t tokens_ms;
};

/* Accepts from the shard's listener. */
void conn_accept(struct shard *shard);
/* Bytes have come; may be modified in place. */
void conn_receive(struct conn *conn, uint8_t *bytes, size_t size);
/* Writes what the socket takes of what is queued. */
void conn_flush(struct conn *conn);
/* OPEN: receives no more until everything queued is written. What came already waits; the event at
 * hand stays valid. */
void conn_pause(struct conn *conn);

/* Queues bytes or a WebSocket text message; conn_flush() happens before the loop sleeps. Both take
 * what they are given. A client that lets replies pile up is closed. */
void conn_reply(struct conn *conn, struct blob *bytes);
void conn_send_text(struct conn *conn, struct buf *text);

/* It is behind with what its socket refuses, or not any more: for the gauge. */
void conn_set_slow(struct conn *conn, bool is_slow);

/* HTTP: counts the answer of so many bytes as unread until it is written or the connection ends.
 * Returns 0, or the status to answer instead: too much is unread already. */
int conn_owe(struct conn *conn, size_t answer_size) MUST_CHECK;
/* HTTP: the answer is queued; keep the connection for another request, or not. */
void conn_answered(struct conn *conn);
/* HTTP: switches to WebSocket; the 101 is queued. */
void conn_open(struct conn *conn, const struct handshake *handshake);

/* Ends politely: a WebSocket with a close frame, then FIN. */
void conn_close(struct conn *conn, unsigned code, struct str reason);
/* Ends now. */
void conn_destroy(struct conn *conn);
void conn_unref(struct conn *conn);

/* Keeps deadlines; called for every connection that may be past one. */
void conn_check_deadlines(struct conn *conn, int64_t now_ms);

#endif

/* conn.h - one client: HTTP -> OPEN (a WebSocket) or EVENTS (server-sent events) -> CLOSING ->
 * CLOSED.
 *
 * Owns its socket, parser and outbox; one allocation, freed when the socket is closed, the batch of
 * events it may be part of is over, and no answer is on its way to it. Small on purpose: an idle
 * subscriber costs what stands here. Belongs to its shard's thread. */
#ifndef HEATCAST_SERVE_CONN_H
#define HEATCAST_SERVE_CONN_H

#include "base/address.h"
#include "serve/outbox.h"
#include "serve/site.h"
#include "wire/handshake.h"
#include "wire/ws.h"

enum conn_state {
    CONN_HTTP,    /* reading requests, answering them */
    CONN_OPEN,    /* a WebSocket */
    CONN_EVENTS,  /* an endless answer: server-sent events */
    CONN_CLOSING, /* what is queued is written, then FIN, then we wait for the peer's */
    CONN_CLOSED,  /* the socket is closed */
    CONN_STATES,
};

/* What only a connection in CONN_HTTP has. */
struct conn_http {
    struct buf head;    /* bytes of the request so far: its head, and its body if a door reads it */
    size_t unread_size; /* bytes of the answer under way, counted in env->unread */
    int64_t answered_ms;   /* when it was given out; EVENTS: when something last was written */
    struct longpoll *poll; /* owned: the request under way waits for news; else NULL */
    struct address peer;   /* whose address that of a request may not be: a proxy's */
};

/* What only a WebSocket has. */
struct conn_ws {
    struct ws ws;
    struct buf *held;      /* paused: owned; what came and is not looked at yet; else NULL */
    double message_tokens; /* rate limit: messages it may send now */
    int64_t tokens_ms;
};

/* A write that the socket did not take whole. */
struct rest {
    struct outgoing out; /* a reference is held */
    size_t written;      /* bytes of it that are */
    int64_t progress_ms; /* when the socket last took a byte */
};

struct conn {
    struct shard *shard;
    int fd;
    uint8_t state;
    uint8_t interest;      /* what the poller watches the socket for */
    uint8_t refs;          /* 1 for the socket, 1 for a request on its way through the engine */
    uint8_t pings_unheard; /* pings sent since it was last heard */

    bool has_asked : 1;    /* HTTP: its first request is complete */
    bool has_place : 1;    /* counts towards the limit on all connections */
    bool is_counted : 1;   /* counts towards the limit on its address */
    bool is_proxied : 1;   /* its peer is a trusted proxy: its address is a request's */
    bool is_refused : 1;   /* one of those that linger to read their 503 */
    bool is_shut_down : 1; /* FIN was sent */
    bool is_peer_done : 1; /* HTTP: the peer's FIN has come; it is not read from any more */
    bool is_answering : 1; /* HTTP: a request is being answered; the next one waits */
    bool is_continued : 1; /* HTTP: 100 Continue was sent for the request under way */
    bool close_after : 1;  /* HTTP: close when the answer is written */
    bool is_slow : 1;      /* counted in stats.slow_consumers */
    bool is_ws : 1;        /* the union's `ws` is in use */
    bool is_paused : 1;    /* OPEN: not read from until all that is queued is written */
    bool uses_deflate : 1; /* permessage-deflate with a full window was agreed on */

    struct list in_turn; /* in shard->to_flush; blocked while the socket refuses; buried at last */

    struct outbox outbox;
    struct rest *rest; /* owned; NULL while the socket takes all there is */

    struct subscription first;    /* most clients have one */
    struct subscription **others; /* owned array of owned ones; free ones have no topic */
    uint16_t other_count;
    uint32_t dropped; /* snapshots it missed since its last SLOW_CONSUMER warning */

    struct address address; /* the peer's; behind a trusted proxy, the client's */
    struct list in_state;   /* in shard->conns[state] */
    int64_t since_ms;       /* when the state, or the current request, began */
    int64_t last_received_ms;
    int64_t slow_warned_ms; /* when the last SLOW_CONSUMER went out; 0 for never */

    union {
        struct conn_http http;
        struct conn_ws ws;
    };
};

/* A socket that was accepted; takes `fd`. */
void conn_accept(struct shard *shard, int fd, const struct address *address);
/* The poller's word: some of POLL_READ, POLL_WRITE, POLL_HANGUP. */
void conn_ready(struct conn *conn, unsigned events);
/* Writes what the socket takes of what is queued. */
void conn_flush(struct conn *conn);

/* OPEN: receives no more until everything queued is written; pausing twice is harmless. What came
 * already waits; the event at hand stays valid. */
void conn_pause(struct conn *conn);

/* Queues bytes or a WebSocket text message; conn_flush() happens before the loop sleeps. Both take
 * what they are given. A client that lets replies pile up is closed. */
void conn_reply(struct conn *conn, struct blob *bytes);
void conn_send_text(struct conn *conn, struct buf *text);

/* OPEN or EVENTS: queues a warning, as a message or as an event. Takes the text. */
void conn_warn(struct conn *conn, struct buf *text);

/* Can a version be written at once, past the outbox: nothing waits before it? */
bool conn_is_idle(const struct conn *conn);
/* Writes a version that outbox_take() gave. */
void conn_write(struct conn *conn, const struct outgoing *out);
/* A snapshot gave way to a newer one before the socket took it. */
void conn_note_dropped(struct conn *conn);
/* Counts a version that was written, or given out as an HTTP answer. */
void conn_count_version(struct conn *conn, const struct outgoing *out);

/* HTTP: counts the answer of so many bytes as unread until it is written or the connection ends.
 * Returns 0, or the status to answer instead: too much is unread already. */
int conn_owe(struct conn *conn, size_t answer_size) MUST_CHECK;
/* HTTP: the bytes of the next request may be there already: serves it if it is complete. */
void conn_receive_more(struct conn *conn);
/* HTTP: the answer is queued; keep the connection for another request, or not. */
void conn_answered(struct conn *conn);
/* HTTP: switches to WebSocket; the 101 is queued. */
void conn_open(struct conn *conn, const struct handshake *handshake);
/* HTTP: the head of an endless answer is queued; what subscriptions bring follows. */
void conn_begin_events(struct conn *conn);

/* Ends politely: a WebSocket with a close frame, then FIN. */
void conn_close(struct conn *conn, unsigned code, struct str reason);
/* Ends now. */
void conn_destroy(struct conn *conn);
void conn_unref(struct conn *conn);

/* Keeps deadlines; called for every connection that may be past one. */
void conn_check_deadlines(struct conn *conn, int64_t now_ms);
/* After how long a silence the next ping is due, counted from the last life: each connection has a
 * rhythm a little of its own, so that pings of many clients that came at once do not go out at
 * once.
 */
int64_t conn_ping_ms(const struct conn *conn);

#endif

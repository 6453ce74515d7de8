/* load_crowd.h - the load generator's WebSocket clients: many sockets, one epoll, one thread.
 *
 * Reads frames without understanding them: whose last byte came when is all that is noted. */
#ifndef HEATCAST_BENCH_LOAD_CROWD_H
#define HEATCAST_BENCH_LOAD_CROWD_H

#include <netinet/in.h>

#include "base/base.h"
#include "wire/frame.h"

/* What a stalled client's kernel buffers of what it does not read (SO_RCVBUF, which the kernel
 * doubles): so little that what waits, waits at the server. */
#define CROWD_STALLED_RCVBUF 4096
/* The end of a message that is kept, to see which one it was. */
#define CROWD_TAIL_BYTES 128

enum client_state { CLIENT_NONE, CLIENT_CONNECTING, CLIENT_ASKED, CLIENT_OPEN, CLIENT_CLOSED };

struct client {
    int fd;
    uint8_t state; /* enum client_state */
    bool is_stalled;
    bool is_done; /* has the message that crowd_expect() asked for */
    uint8_t header_size;
    uint8_t header[FRAME_HEADER_BYTES_MAX]; /* of the frame that is being read */
    uint64_t left;                          /* bytes of its payload still to come */
    uint64_t message_bytes;                 /* of all frames of the message so far */
    uint32_t message_count;
    int64_t done_ns; /* when the last byte of that message had come */
    struct sockaddr_in address;
    char tail[CROWD_TAIL_BYTES]; /* of the last frame; kept of stalled clients only */
};

/* Servers that one crowd is spread over. */
#define CROWD_PORTS_MAX 16

struct crowd_options {
    uint16_t ports[CROWD_PORTS_MAX]; /* client I goes to the (I mod port_count)th */
    unsigned port_count;
    struct str target;
    struct str subscribe; /* the message sent after the handshake; may be empty */
    bool offers_deflate;
    bool uses_kernel_time;  /* arrival as the kernel stamped it: reading may wait */
    uint64_t message_bytes; /* a message is what has at least so many */
};

struct crowd {
    struct crowd_options options;
    struct client *clients; /* owned */
    unsigned count;
    int poll_fd;
    unsigned pending, open, closed; /* clients between connect and 101; open; lost */
    unsigned done;                  /* have the message */
    uint64_t last_message_bytes;    /* its size on the wire, without headers */
};

void crowd_init(struct crowd *crowd, const struct crowd_options *options, unsigned count,
                unsigned stalled);
/* Resets all connections. */
void crowd_deinit(struct crowd *crowd);

/* Connects and upgrades clients [from, to), some at a time; returns how many could not. */
unsigned crowd_open(struct crowd *crowd, unsigned from, unsigned to);
void crowd_subscribe(struct crowd *crowd, unsigned from, unsigned to);

/* From now on the next message of each client counts, in crowd->done and client->done_ns. */
void crowd_expect(struct crowd *crowd);
/* Handles what is there, waiting at most `wait_ms` for something. A foreign descriptor in poll_fd
 * (data.ptr NULL) is only reported: true. */
bool crowd_pump(struct crowd *crowd, int wait_ms);

/* Stalled clients read from now on, with an ordinary receive buffer. */
void crowd_unstall(struct crowd *crowd);

int64_t crowd_now_ns(const struct crowd *crowd);

#endif

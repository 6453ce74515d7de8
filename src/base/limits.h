/* limits.h - every bound on what a peer or a file can make grow, with its reason.
 *
 * Bounds an operator may move are options (options.h); these are the ones built in. */
#ifndef HEATCAST_BASE_LIMITS_H
#define HEATCAST_BASE_LIMITS_H

/* Symbols: the longest of Binance's is 20 or so ("1000000MOGUSDT", delivery contracts). */
#define LIMIT_SYMBOL_BYTES 32
/* Symbols in all, those of other servers among them; beyond, new ones of theirs are not relayed. */
#define LIMIT_SYMBOLS_RELAYED 4096
/* One subscribe may name this many symbols; each costs a subscription of about 64 bytes. */
#define LIMIT_SYMBOLS_PER_MESSAGE 100
/* A client's subscriptions in all. */
#define LIMIT_SUBSCRIPTIONS_PER_CLIENT 100
/* Replies waiting for a client that reads nothing. From half of them on it is not read from either,
 * so that it cannot ask for more. */
#define LIMIT_REPLIES_QUEUED 64

/* How long a connection may take for its request head, and stay idle between requests. */
#define LIMIT_REQUEST_HEAD_MS 5000
#define LIMIT_KEEP_ALIVE_MS   60000
/* Our ping's rhythm, and the silence after which a peer is dead: three pings unanswered. */
#define LIMIT_PING_MS 20000
#define LIMIT_DEAD_MS 60000
/* Each connection's pings are so much earlier or later: those who came at once are not pinged at
 * once. */
#define LIMIT_PING_JITTER_MS 2000
/* A long poll's wait at most: proxies and clients give up on an answer after a minute or so. */
#define LIMIT_POLL_WAIT_S 60
/* How long the kernel keeps what a client that was cut for taking nothing may still read: the end
 * of its frame, and why. */
#define LIMIT_PARTING_MS 30000
/* Retry-After of 429 and 503. */
#define LIMIT_RETRY_AFTER_S 5
/* Symbols that an error lists before it only says how many more there are. */
#define LIMIT_SYMBOLS_LISTED 50

/* How long we wait for the answer to our close frame (RFC 6455 §7.1.1). */
#define LIMIT_CLOSE_MS 2000

/* Messages a client may send: a bucket of BURST refilled at RATE per second. */
#define LIMIT_MESSAGES_PER_SECOND 20
#define LIMIT_MESSAGES_BURST      40

/* How far ahead of a shard a returning client may be and still be waited for: versions that another
 * shard was quicker to send it. */
#define LIMIT_VERSIONS_AHEAD 16
/* Bytes that one version's differences may take, in all their encodings: beyond, clients that come
 * back from ever other versions are sent the whole, which is there. */
#define LIMIT_DIFFERENCE_BYTES (8 << 20)
/* Differences that a client is sent before it gets the whole again: every 60th is one. */
#define LIMIT_DELTAS_IN_A_ROW 59

/* Levels of one symbol that vanished and are kept for differences: 32 bytes each. Beyond, fewer
 * versions are remembered. */
#define LIMIT_VANISHED_LEVELS 65536

/* Between two SLOW_CONSUMER warnings to one client. */
#define LIMIT_SLOW_WARNING_MS 10000

/* A WebSocket that is cut before this is a short life; so many of them from one address within a
 * minute, and the next one is told that its connection is unstable. */
#define LIMIT_SHORT_LIFE_MS 10000
#define LIMIT_SHORT_LIVES   5

/* One REST answer: levels over all its snapshots (about 50 bytes of JSON each) and rows of
 * candles. More is refused with 422: snapshots and candles before anything is
 * computed, levels as soon as there are too many. */
#define LIMIT_ANSWER_LEVELS    2000000
#define LIMIT_ANSWER_SNAPSHOTS 20000
#define LIMIT_ANSWER_CANDLES   50000
/* The same as a matrix of bytes: rows, of which those farthest from the price are left out beyond,
 * and cells, refused as soon as there are more. While it is made each level costs 5 or 6 bytes, so
 * there are no more of these either. */
#define LIMIT_MATRIX_ROWS  8192
#define LIMIT_MATRIX_CELLS 16777216
/* What the timeseries that are being answered may take together: one takes 100 MB or so at most,
 * but each store thread makes one. Beyond, 503 with Retry-After. */
#define LIMIT_TIMESERIES_BYTES (INT64_C(512) << 20)
/* Columns that one request may name. */
#define LIMIT_COLUMNS_AT 32
/* Bytes of HTTP answers that clients have not read: of all, and of one address; answers up to SMALL
 * always go. An answer must be read at this many bytes a second at least, or is cut. */
#define LIMIT_UNREAD_BYTES             (INT64_C(1) << 30)
#define LIMIT_UNREAD_BYTES_PER_ADDRESS (INT64_C(256) << 20)
#define LIMIT_UNREAD_BYTES_SMALL       (256 << 10)
#define LIMIT_ANSWER_BYTES_PER_SECOND  (64 << 10)

/* What POST /publish takes: levels, and bytes of body (their JSON in its longest form). */
#define LIMIT_PUBLISH_LEVELS 20000
#define LIMIT_PUBLISH_BYTES  2097152

/* What POST /replay takes: bytes of body, and speeds, which are those of --replay-speed too. */
#define LIMIT_REPLAY_BYTES     1024
#define LIMIT_REPLAY_SPEED_MIN 0.001
#define LIMIT_REPLAY_SPEED_MAX 1000000

/* Between two times that one symbol's heatmap is built anew: whoever drags a replay's position
 * costs subscribers an epoch and a whole snapshot this often, and not at every step. */
#define LIMIT_REBUILD_MS 250

/* Redis. How long a connection may take until it is ready; the rhythm of "are you there?", and
 * after how many without an answer it is not; waits between two tries, doubled from the first to
 * the longest; after how long a connection the first is short again. */
#define LIMIT_BUS_CONNECT_MS          2000
#define LIMIT_BUS_BEAT_MS             500
#define LIMIT_BUS_SILENT_BEATS        4
#define LIMIT_BUS_BACKOFF_FIRST_MS    100
#define LIMIT_BUS_BACKOFF_MS          2000
#define LIMIT_BUS_BACKOFF_SENTINEL_MS 500
#define LIMIT_BUS_STEADY_MS           10000
/* Messages that Redis has not answered yet: beyond, versions are left out and the newest follows.
 */
#define LIMIT_BUS_UNANSWERED_BYTES (8 << 20)
/* One snapshot message of another server: bytes, which are all that fits among those, and levels,
 * more than so many bytes have of them as they are written (45 bytes at least). */
#define LIMIT_PEER_BYTES  LIMIT_BUS_UNANSWERED_BYTES
#define LIMIT_PEER_LEVELS 200000
/* How long a lease lasts, and how often it is renewed and asked for: who dies is followed by
 * another within the sum of both. */
#define LIMIT_LEASE_MS       2000
#define LIMIT_LEASE_RENEW_MS 500
/* How long Redis may be away before a server takes it for gone: who leads would have been followed
 * by then. */
#define LIMIT_BUS_GRACE_MS 3000
/* The same of a server that has just started. */
#define LIMIT_BUS_GRACE_FIRST_MS 1000
/* Epochs in each millisecond: servers that begin one at once, as when Redis dies, differ in these.
 */
#define LIMIT_EPOCHS_PER_MS 1024
/* How far ahead of our clock another server's epoch may be. */
#define LIMIT_EPOCH_AHEAD_MS 86400000

/* File descriptors that are not for connections: the database, pipes, what libraries open. */
#define LIMIT_FILES_RESERVED 48
/* Connections refused with 503 that linger to read it; beyond, they are cut at once. */
#define LIMIT_REFUSED_LINGERING 16

/* Nothing is written to a database whose disk has less free than this: DuckDB has been seen to fall
 * over when a commit fails for lack of space. */
#define LIMIT_FREE_MIB   64
#define LIMIT_FREE_BYTES (LIMIT_FREE_MIB << 20)

/* Store jobs waiting; beyond, REST answers 503 with Retry-After. */
#define LIMIT_STORE_JOBS 256
/* REST requests of one address being computed at once; beyond, 429 with Retry-After. */
#define LIMIT_REQUESTS_PER_ADDRESS 16

/* What an edge asks of a full node at once: as many as that one computes for one address
 * (LIMIT_REQUESTS_PER_ADDRESS). More wait, up to so many; beyond, 503 with Retry-After. */
#define LIMIT_FETCHES         16
#define LIMIT_FETCHES_WAITING 256
/* How long connecting may take, and all of it, the wait included. */
#define LIMIT_FETCH_CONNECT_MS 2000
#define LIMIT_FETCH_MS         60000
/* One answer's body: LIMIT_ANSWER_LEVELS of JSON, not compressed, have 100 MB or so; and all bodies
 * that have not come whole yet. */
#define LIMIT_FETCH_BYTES   (INT64_C(128) << 20)
#define LIMIT_FETCHES_BYTES (INT64_C(512) << 20)
/* Proxies that a request may have come by, and bytes of their names: beyond, it goes round. */
#define LIMIT_PROXIES   8
#define LIMIT_VIA_BYTES 1024

/* A dump file, or a member of an archive, unpacked. A year of 1m klines has 60 MB; what a zip
 * archive of 1 MB can unpack to has 1 GB. */
#define LIMIT_DUMP_BYTES INT64_C(1073741824)
/* One of its lines: the longest true ones have about 200 bytes. */
#define LIMIT_DUMP_LINE_BYTES 4096
/* Points of open interest in one file, which are kept to be sorted (40 bytes each): 38 years of 5m.
 * A kline file has no such bound, its rows pass through. */
#define LIMIT_DUMP_POINTS 4000000
/* Symbols in one file of metrics: enough for every contract of an exchange. */
#define LIMIT_DUMP_SYMBOLS 2000
/* Members of one archive: a decade of days, many times over. */
#define LIMIT_ARCHIVE_MEMBERS 100000

#endif

/* options.h - THE table of settings: struct config, the parser, --help, --print-config and the
 * documents all come from it.
 *
 * OPTION(field, type, "flag", "ENVIRONMENT", fallback, min, max, commands, "ARGUMENT", "help")
 *
 * type: BOOL, INT, REAL, TEXT, SECRET (a TEXT that --print-config does not show). min and max bound
 * numbers (a text's are 0, 0: check_texts looks).
 * The environment's names that the original Python design had are kept as they were. */
OPTION(listen, TEXT, "listen", "HEATCAST_LISTEN", "127.0.0.1:8000", 0, 0,
       CMD_SERVE | CMD_EDGE | CMD_ECHO, "HOST:PORT", "address to serve on; port 0 takes a free one")
OPTION(db, TEXT, "db", "HEATCAST_DB", "heatcast.duckdb", 0, 0, CMD_SERVE | CMD_INGEST, "FILE",
       "DuckDB file; made when absent")
OPTION(feed, TEXT, "feed", "HEATCAST_FEED", "none", 0, 0, CMD_SERVE, "none|replay|sim",
       "where new data comes from: the file as it is, its history as live, a simulated market")
OPTION(history, TEXT, "history", "HEATCAST_HISTORY", "30d", 0, 0, CMD_SERVE, "SPAN",
       "how much history a live heatmap is built from: 12h, 30d, 1y")
OPTION(bin, TEXT, "bin", "HEATCAST_BIN", "", 0, 0, CMD_SERVE, "SYMBOL=SIZE,…",
       "bucket sizes of the stream; unset: 1-2-5 x 10^k below price/500")
OPTION(replay_speed, REAL, "replay-speed", "HEATCAST_REPLAY_SPEED", "300", LIMIT_REPLAY_SPEED_MIN,
       LIMIT_REPLAY_SPEED_MAX, CMD_SERVE, "TIMES", "seconds of history per second of replay")
OPTION(replay_from, TEXT, "replay-from", "HEATCAST_REPLAY_FROM", "50%", 0, 0, CMD_SERVE,
       "PART|TIME", "where a replay starts: 50% of each symbol's data, or an ISO time")
OPTION(replay_control, BOOL, "replay-control", "HEATCAST_REPLAY_CONTROL", "true", 0, 1, CMD_SERVE,
       "BOOL", "let anybody who sees the page pause a replay, move it and set its speed")
OPTION(sim_seed, INT, "sim-seed", "HEATCAST_SIM_SEED", "1", 0, 9007199254740992.0, CMD_SERVE, "N",
       "the simulated market's seed: same seed, same market")
OPTION(sim_speed, REAL, "sim-speed", "HEATCAST_SIM_SPEED", "300", 0.001, 1000000, CMD_SERVE,
       "TIMES", "simulated seconds per second; 300 is a 5m candle a second")
OPTION(threads, INT, "threads", "HEATCAST_THREADS", "0", 0, 64, CMD_SERVE | CMD_EDGE | CMD_ECHO,
       "N", "I/O threads; 0 takes as many as the machine has cores")
OPTION(store_threads, INT, "store-threads", "HEATCAST_STORE_THREADS", "3", 1, 64, CMD_SERVE, "N",
       "threads that query DuckDB")
OPTION(web_root, TEXT, "web-root", "HEATCAST_WEB_ROOT", "", 0, 0, CMD_SERVE | CMD_EDGE, "FOLDER",
       "serve the page from this folder instead of from the program")
OPTION(ws_enabled, BOOL, "ws-enabled", "WS_ENABLED", "true", 0, 1, CMD_SERVE | CMD_EDGE, "BOOL",
       "offer /ws/heatmap; false answers it 404")
OPTION(ws_update_interval, REAL, "ws-update-interval", "WS_UPDATE_INTERVAL", "5", 0.05, 3600,
       CMD_SERVE | CMD_EDGE, "SECONDS", "how often live heatmaps are brought up to date")
OPTION(ws_max_connections, INT, "ws-max-connections", "WS_MAX_CONNECTIONS", "0", 0, 10000000,
       CMD_SERVE | CMD_EDGE, "N",
       "connections of all kinds; beyond, 503 with Retry-After; 0: what the file limit allows")
OPTION(ws_max_connections_per_address, INT, "ws-max-connections-per-address",
       "WS_MAX_CONNECTIONS_PER_ADDRESS", "1000", 0, 10000000, CMD_SERVE | CMD_EDGE, "N",
       "the same of one address; 0: no limit; 127.0.0.1 and ::1 (proxies) have none")
OPTION(trusted_proxy, TEXT, "trusted-proxy", "HEATCAST_TRUSTED_PROXY", "", 0, 0,
       CMD_SERVE | CMD_EDGE, "ADDRESS,…",
       "proxies whose X-Forwarded-For is believed: 127.0.0.1, 10.0.0.0/8, fd00::/8")
OPTION(ws_max_message_bytes, INT, "ws-max-message-bytes", "WS_MAX_MESSAGE_BYTES", "4096", 128,
       16777216, CMD_SERVE | CMD_EDGE, "BYTES",
       "longest message a client may send; beyond, close 1009")
OPTION(echo_max_message_bytes, INT, "ws-max-message-bytes", "WS_MAX_MESSAGE_BYTES", "16777216", 128,
       16777216, CMD_ECHO, "BYTES", "longest message that comes back; beyond, close 1009")
OPTION(ws_slow_consumer_disconnect, REAL, "ws-slow-consumer-disconnect",
       "WS_SLOW_CONSUMER_DISCONNECT", "60", 1, 86400, CMD_SERVE | CMD_EDGE, "SECONDS",
       "a client that takes nothing of what waits for it this long is closed with 1013")
OPTION(
    ws_slow_consumer_timeout, REAL, "ws-slow-consumer-timeout", "WS_SLOW_CONSUMER_TIMEOUT", "1", 0,
    86400, CMD_SERVE | CMD_EDGE, "SECONDS",
    "accepted for compatibility: nobody waits for a slow client, so there is nothing to time out")
OPTION(ws_max_queue_size, INT, "ws-max-queue-size", "WS_MAX_QUEUE_SIZE", "1", 1, 1000000,
       CMD_SERVE | CMD_EDGE, "N",
       "accepted for compatibility: a client's queue holds the newest of each symbol, depth 1")
OPTION(ws_drain_seconds, REAL, "ws-drain-seconds", "WS_DRAIN_SECONDS", "10", 0, 3600,
       CMD_SERVE | CMD_EDGE, "SECONDS",
       "over how long a server that is to stop lets its streaming clients go; 0: at once")
OPTION(ws_resume_versions, INT, "ws-resume-versions", "WS_RESUME_VERSIONS", "300", 0, 100000,
       CMD_SERVE | CMD_EDGE, "N",
       "versions of a symbol that a returning client may have missed and be told of")
OPTION(
    publish_token, SECRET, "publish-token", "HEATCAST_PUBLISH_TOKEN", "", 0, 0, CMD_SERVE, "TEXT",
    "who knows it may POST /publish/SYMBOL; 16 characters at least; empty: there is no such door")
OPTION(publish_symbols, TEXT, "publish-symbols", "HEATCAST_PUBLISH_SYMBOLS", "", 0, 0, CMD_SERVE,
       "SYMBOL,…", "what may be published: new symbols, or the database's in place of our model")
OPTION(redis_enabled, BOOL, "redis-enabled", "REDIS_ENABLED", "false", 0, 1, CMD_SERVE, "BOOL",
       "be one of several servers, which share their snapshots by Redis")
OPTION(redis_url, SECRET, "redis-url", "REDIS_URL", "redis://localhost:6379/0", 0, 0,
       CMD_SERVE | CMD_EDGE, "URL",
       "redis://[user:pass@]host[:port][/db], unix:///path, redis+sentinel://host,…/master")
OPTION(redis_channel_prefix, TEXT, "redis-channel-prefix", "REDIS_CHANNEL_PREFIX", "heatmap", 0, 0,
       CMD_SERVE | CMD_EDGE, "TEXT",
       "what its channels and keys begin with; servers with the same one belong together")
OPTION(upstream, SECRET, "upstream", "HEATCAST_UPSTREAM", "", 0, 0, CMD_EDGE, "URL",
       "a full node that is asked for history: http://[user:pass@]host[:port]; empty: 503")
OPTION(
    cors_allowed_origins, TEXT, "cors-allowed-origins", "CORS_ALLOWED_ORIGINS", "", 0, 0,
    CMD_SERVE | CMD_EDGE, "ORIGIN,…",
    "origins that may read REST and open WebSockets, * for all; empty: no CORS headers, no check")
OPTION(skip_bad_rows, BOOL, "skip-bad-rows", "HEATCAST_SKIP_BAD_ROWS", "false", 0, 1, CMD_INGEST,
       "BOOL", "keep a file's good rows and count its bad ones, instead of leaving the file out")
OPTION(tail_table, BOOL, "table", "HEATCAST_TAIL_TABLE", "false", 0, 1, CMD_TAIL, "BOOL",
       "show the biggest levels as a table with bars, instead of messages as lines")
OPTION(tail_top, INT, "top", "HEATCAST_TAIL_TOP", "20", 1, 1000, CMD_TAIL, "N",
       "levels of each symbol in the table")
OPTION(tail_interval, INT, "interval", "HEATCAST_TAIL_INTERVAL", "0", 0, 60, CMD_TAIL, "SECONDS",
       "least time between two snapshots of a symbol; 0 takes every version")
OPTION(tail_count, INT, "count", "HEATCAST_TAIL_COUNT", "0", 0, 9007199254740992.0, CMD_TAIL, "N",
       "end after N snapshots, with status 0; 0 goes on")
OPTION(tail_timeout, REAL, "timeout", "HEATCAST_TAIL_TIMEOUT", "0", 0, 31536000, CMD_TAIL,
       "SECONDS", "end after this time, with status 3; 0 goes on")
OPTION(tail_no_reconnect, BOOL, "no-reconnect", "HEATCAST_TAIL_NO_RECONNECT", "false", 0, 1,
       CMD_TAIL, "BOOL", "end with status 1 when the connection cannot be made or is lost")
OPTION(tail_silence, REAL, "silence", "HEATCAST_TAIL_SILENCE", "60", 1, 86400, CMD_TAIL, "SECONDS",
       "connect anew when nothing came for this long; a ping is sent each third of it")
OPTION(log_level, TEXT, "log-level", "HEATCAST_LOG_LEVEL", "info", 0, 0,
       CMD_SERVE | CMD_EDGE | CMD_INGEST | CMD_ECHO, "LEVEL", "debug, info, warning or error")
OPTION(log_format, TEXT, "log-format", "HEATCAST_LOG_FORMAT", "auto", 0, 0,
       CMD_SERVE | CMD_EDGE | CMD_INGEST | CMD_ECHO, "FORMAT",
       "text, json, or auto: text on a terminal, JSON otherwise")

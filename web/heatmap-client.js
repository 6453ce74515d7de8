/**
 * heatmap-client.js - a client of /ws/heatmap that stays up to date.
 *
 *   const client = new HeatmapWebSocket('ws://localhost:8000/ws/heatmap', { onSnapshot });
 *   client.connect();
 *   client.subscribe(['BTCUSDT'], { updateInterval: 5 });
 *
 * Takes differences from the server and hands on whole states. Reconnects with growing random
 * pauses and goes on from what it has; notices a server that has fallen silent; after too many
 * failed attempts it polls GET /heatmap/latest and goes on trying the WebSocket once a minute. A
 * hidden page asks for less. Runs in browsers and in Node; knows nothing of any page but whether it
 * is hidden.
 *
 * Statuses: connecting, connected, slow (the server skipped snapshots for us in the last seconds),
 * stale (no news reaches the server, since when it says in the detail), disconnected (a retry is
 * due), failed (polling).
 */
import { Poller } from './heatmap-poll.js';
import { advance, isNews, snapshotOf } from './heatmap-state.js';

/**
 * @typedef {import('./heatmap-state.js').Snapshot} Snapshot
 * @typedef {'connecting'|'connected'|'slow'|'stale'|'disconnected'|'failed'} Status
 * @typedef {object} StatusDetail what is going on, and since when
 * @property {number} since Date.now() when the status began
 * @property {number} [retryAt] Date.now() of the next attempt, while one is planned; while connected,
 *   the server has said that it will then restart
 * @property {number} [staleSince] with stale: the time of the server's last news, as Date.now() counts
 * @property {number} attempt failed attempts in a row; 0 after a while of healthy data
 * @property {boolean} polling with failed: whether polls are being answered
 * @property {string} reason why the last connection or attempt ended, or what the server warns of
 * @property {boolean} hidden whether the page is hidden, and less is asked for
 *
 * @typedef {object} WebSocketLike what is used of a WebSocket
 * @property {number} readyState
 * @property {any} onopen
 * @property {any} onmessage
 * @property {any} onerror
 * @property {any} onclose
 * @property {(data: string) => void} send
 * @property {(code?: number) => void} close
 * @property {() => void} [terminate] of `ws`: away with a peer that would not answer a close
 *
 * @typedef {object} PageLike what is used of a browser
 * @property {EventTarget} window
 * @property {EventTarget & {hidden: boolean}} document
 *
 * @typedef {object} Options
 * @property {(snapshot: Snapshot) => void} [onSnapshot] it belongs to the caller
 * @property {(status: Status, detail: StatusDetail) => void} [onStatusChange] also when only the
 *   detail changed
 * @property {(error: any) => void} [onError] the server's `error` messages, socket errors, and what the
 *   other callbacks throw; by default exceptions are written on the console
 * @property {number} [maxReconnectAttempts] failed attempts in a row before polling begins
 * @property {number} [reconnectDelay] ms, the most before the first retry; doubles from one to the next
 * @property {number} [reconnectDelayMax] ms
 * @property {'delta'|'snapshot'} [mode] snapshot: for servers that know only the original protocol
 * @property {PageLike | false} [page] whose events to heed; false: none. By default the browser's
 * @property {number} [retryWhenFailed] ms between WebSocket attempts while polling, on average
 * @property {number} [openTimeout] ms an attempt, or a poll, may take
 * @property {number} [healthyAfter] ms of data after which failed attempts are forgotten
 * @property {number} [pongTimeout] ms of silence after our ping that mean death
 * @property {number} [slowFor] ms that a slow-consumer warning lasts
 * @property {number} [rateLimitPause] ms, the most before a request is repeated that the server ignored
 * @property {number} [mendPause] ms, the most before a whole state that was of no use is asked for again;
 *   doubles from one to the next, up to 16 times
 * @property {number} [hiddenInterval] seconds between snapshots while the page is hidden
 * @property {number} [pollUnit] ms per second of update interval while polling
 * @property {(symbol: string) => string} [pollUrl]
 * @property {new (url: string) => WebSocketLike} [WebSocket]
 * @property {typeof fetch} [fetch]
 * @property {() => number} [random] 0..1
 *
 * @typedef {object} Subscription
 * @property {number | undefined} interval seconds; undefined: the server's own rhythm
 * @property {import('./heatmap-state.js').State | null} state
 * @property {boolean} awaitsWhole deltas are of no use until a snapshot comes
 * @property {boolean} answered something came of it since it was last asked for
 * @property {number} mends how often the whole was asked for since all was well
 * @property {number} mendedAt performance.now() of the last of them
 */

const OPEN = 1; /* WebSocket.OPEN */
/* Of one request: 20 symbols of the longest names, with what we have of them, stay below the 4096
 * bytes that a server takes. */
const SYMBOLS_MAX = 20;
const INTERVAL_DEFAULT = 5; /* seconds between polls where the server would choose */
const INTERVAL_MAX = 60;
const PROBE_TIMEOUT = 5000;
const RESTART_PAUSE = 250; /* ms, the most before we come back to a server that restarts, */
const RESTART_AGAIN = 1000; /* unless it said so less than this ago */
const MEND_PAUSES = 16; /* of mendPause, at most */
const NOTHING = { prices: [], long: [], short: [] };

export class HeatmapWebSocket {
  /** @type {WebSocketLike | null} */
  #ws = null;
  #wanted = false; /* between connect() and disconnect() */
  #heardOfServer = false; /* on this connection */
  #lastHeard = 0;
  #pongDue = 0;
  #reason = '';
  /** @type {number | undefined} performance.now() of when to come back, as the server that is stopping told */
  #toldReturn;
  #staleSince = 0;
  #restartedAt = -Infinity; /* performance.now() of when a server last closed us to restart */
  #hidden = false;
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  #requests = 0;
  /** @type {Map<number, string[]>} requests that the server has not acknowledged, and their symbols */
  #pending = new Map();
  #complaining = false; /* onError is being told */
  #poller;
  #keepaliveMs = 0;
  /** @type {Record<string, ReturnType<typeof setTimeout>>} at most one of each name */
  #timers = {};

  /**
   * @param {string} url
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    this.url = url;
    this.onSnapshot = options.onSnapshot ?? (() => {});
    this.onStatusChange = options.onStatusChange ?? (() => {});
    this.onError = options.onError ?? logException;
    this.maxReconnectAttempts = options.maxReconnectAttempts ?? 5;
    this.reconnectDelay = options.reconnectDelay ?? 2000;
    this.reconnectDelayMax = options.reconnectDelayMax ?? 32_000;
    this.mode = options.mode ?? 'delta';
    this.page = options.page ?? pageOfBrowser();
    this.retryWhenFailed = options.retryWhenFailed ?? 60_000;
    this.openTimeout = options.openTimeout ?? 10_000;
    this.healthyAfter = options.healthyAfter ?? 30_000;
    this.pongTimeout = options.pongTimeout ?? 10_000;
    this.slowFor = options.slowFor ?? 10_000;
    this.rateLimitPause = options.rateLimitPause ?? 2000;
    this.mendPause = options.mendPause ?? 500;
    this.hiddenInterval = options.hiddenInterval ?? INTERVAL_MAX;
    this.pollUnit = options.pollUnit ?? 1000;
    this.pollUrl = options.pollUrl ?? ((symbol) => latestUrl(url, symbol));
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.fetch = options.fetch ?? globalThis.fetch?.bind(globalThis);
    this.random = options.random ?? Math.random;
    this.#poller = new Poller({
      fetch: this.fetch,
      url: (symbol) => this.pollUrl(symbol),
      pause: (symbol) => this.#pollPause(symbol),
      pauseMax: this.retryWhenFailed,
      timeout: this.openTimeout,
      onAnswered: () => this.#setStatus('failed', { retryAt: this.detail.retryAt }),
      onMessage: (message) => this.#take(message, true),
      onError: (error) => this.#complain(error),
    });

    /** @type {Status} */
    this.status = 'disconnected';
    /** @type {StatusDetail} */
    this.detail = { since: Date.now(), attempt: 0, polling: false, reason: '', hidden: false };
    this.reconnectAttempts = 0;
  }

  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#reason = '';
    this.reconnectAttempts = 0;
    this.#heedPage();
    if (!this.#keepaliveMs) this.startKeepalive();
    this.#open();
  }

  /** Close for good; connect() begins anew, and every symbol with a whole snapshot. */
  disconnect() {
    this.#wanted = false;
    this.stopKeepalive();
    this.#ignorePage();
    this.#poller.stop();
    for (const name of Object.keys(this.#timers)) this.#cancel(name);
    for (const kept of this.#subscriptions.values()) kept.state = null;
    this.#release()?.close(1000);
    this.#reason = 'closed by the caller';
    this.#setStatus('disconnected');
  }

  /**
   * Remembered across reconnects; may be called before the connection is open. The newest snapshot
   * comes at once. Subscribing again changes the interval.
   * @param {string[]} symbols
   * @param {{updateInterval?: number}} [options] seconds; 0 is every version
   */
  subscribe(symbols, { updateInterval } = {}) {
    for (const symbol of symbols) {
      this.#cancel(`mend ${symbol}`);
      this.#subscriptions.set(symbol, newSubscription(updateInterval));
    }
    this.#sendSubscribe(symbols);
    this.#poller.ask(symbols);
  }

  /** @param {string[]} symbols */
  unsubscribe(symbols) {
    for (const symbol of symbols) {
      this.#cancel(`mend ${symbol}`);
      this.#subscriptions.delete(symbol);
      this.#poller.forget(symbol);
    }
    this.#sendUnsubscribe(symbols);
  }

  /**
   * @param {object} message
   * @returns {boolean} whether there was a connection to send it on
   */
  send(message) {
    if (!this.#ws || this.#ws.readyState !== OPEN) return false;
    this.#ws.send(JSON.stringify(message));
    return true;
  }

  /**
   * Look after the connection: a server that was silent for `ms` is pinged, one that does not
   * answer is given up without waiting for its close. connect() does this by itself.
   * @param {number} [ms]
   */
  startKeepalive(ms = 15_000) {
    this.#keepaliveMs = ms;
    this.#watch();
  }

  stopKeepalive() {
    this.#keepaliveMs = 0;
    this.#cancel('watch');
  }

  /** Something happened (wake-up, network back): try now, or check that the connection lives. */
  probe() {
    if (!this.#wanted) return;
    if (this.#timers.retry) this.#open();
    else this.#ping(Math.min(this.pongTimeout, PROBE_TIMEOUT));
    this.#poller.ask(this.#subscriptions.keys());
  }

  /* The life of a connection. */

  #open() {
    this.#cancel('retry');
    this.#heardOfServer = false;
    this.#toldReturn = undefined;
    let ws;
    try {
      ws = new this.WebSocket(this.url);
    } catch (error) {
      this.#lost('no WebSocket can be made');
      this.#complain(error);
      return;
    }
    this.#ws = ws;
    ws.onopen = () => this.#opened();
    ws.onmessage = (/** @type {any} */ event) => this.#received(event.data);
    ws.onerror = (/** @type {any} */ event) => this.#complain(event);
    ws.onclose = (/** @type {any} */ event) => this.#closed(event);
    this.#after('open', this.openTimeout, () => this.#lost(`no connection within ${this.openTimeout} ms`));
    if (!this.#poller.isActive) this.#setStatus('connecting');
  }

  #opened() {
    this.#cancel('open');
    this.#lastHeard = performance.now();
    this.#pending.clear();
    this.#sendSubscribe([...this.#subscriptions.keys()]);
    /* Polls are worth more than a socket that was opened and stays silent. */
    if (this.#poller.isActive) this.#ping(this.pongTimeout);
    else this.#connected();
  }

  #connected() {
    this.#reason = '';
    this.#setStatus('connected');
  }

  /** @param {any} text */
  #received(text) {
    const ws = this.#ws;
    this.#lastHeard = performance.now();
    this.#cancel('pong');
    if (!this.#heardOfServer) this.#heardFirst();
    if (this.#ws !== ws) return; /* the caller left when it was told */
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      this.#complain(error);
      return;
    }
    this.#heed(message);
  }

  #heardFirst() {
    this.#heardOfServer = true;
    /* A server that accepts and closes at once must still meet growing pauses. */
    this.#after('healthy', this.healthyAfter, () => (this.reconnectAttempts = 0));
    if (!this.#poller.isActive) return;
    this.#poller.stop();
    this.#connected();
  }

  /** @param {any} message */
  #heed(message) {
    switch (message?.type) {
      case 'snapshot':
      case 'delta':
        this.#take(message, false);
        break;
      case 'subscribed':
      case 'unsubscribed':
        this.#pending.delete(message.id);
        break;
      case 'warning':
        this.#warned(message);
        break;
      case 'error':
        if (message.code === 'RATE_LIMITED') this.#limited();
        this.#complain(message);
        break;
    }
  }

  /** @param {any} warning */
  #warned({ code, message, reconnect_in_ms, since }) {
    const reason = `${code}: ${message ?? ''}`;
    if (code === 'SLOW_CONSUMER') {
      this.#after('slow', this.slowFor, () => this.#setStatus('connected'));
      this.#setStatus('slow', { reason });
    } else if (code === 'SERVER_SHUTDOWN') {
      /* It closes us then, and another one takes us. */
      const told = reconnect_in_ms >= 0;
      if (told) this.#toldReturn = performance.now() + reconnect_in_ms;
      this.#setStatus(this.status, { reason, retryAt: told ? Date.now() + reconnect_in_ms : undefined });
    } else if (code === 'STALE') {
      this.#cancel('slow');
      this.#staleSince = Date.parse(since) || Date.now();
      this.#setStatus('stale', { reason });
    } else if (code === 'CONNECTION_UNSTABLE') {
      /* Others of our address were cut: should this one be, it was not the first. */
      this.reconnectAttempts = Math.max(this.reconnectAttempts, 1);
      this.#setStatus(this.status, { reason });
    }
  }

  /** @param {{code?: number, reason?: any}} event */
  #closed({ code = 1006, reason }) {
    const text = String(reason ?? '');
    /* A server that is stopping says how long to wait: "... reconnect in 1200 ms". */
    const told = /(\d+) ?ms/.exec(text);
    if (told) this.#toldReturn = performance.now() + Number(told[1]);
    this.#lost(`${code} ${text}`.trim(), code);
  }

  /**
   * The connection or the attempt is over: plan the next.
   * @param {string} reason
   * @param {number} [code]
   */
  #lost(reason, code) {
    const ws = this.#release();
    if (ws?.terminate) ws.terminate(); /* a close handshake with a dead peer may take minutes */
    else ws?.close();
    for (const name of Object.keys(this.#timers)) if (name !== 'watch') this.#cancel(name);
    if (!this.#wanted) return;

    this.#reason = reason;
    if (code === 1012 && !this.#poller.isActive && this.#mayReturnAtOnce()) {
      this.#retry('disconnected', this.random() * RESTART_PAUSE);
      return;
    }
    this.reconnectAttempts++;
    const failed = this.reconnectAttempts > this.maxReconnectAttempts;
    const delay = failed ? this.retryWhenFailed * (0.75 + this.random() / 2) : this.#backoff(code);
    if (failed) this.#startPolling();
    this.#retry(failed ? 'failed' : 'disconnected', delay);
  }

  /** @param {Status} status @param {number} delay */
  #retry(status, delay) {
    this.#after('retry', delay, () => this.#open());
    this.#setStatus(status, { retryAt: Date.now() + delay });
  }

  /**
   * A server that restarts closes its clients one after the other, and another one is there: that is
   * no failure. One that does so again and again meets growing pauses.
   */
  #mayReturnAtOnce() {
    const before = this.#restartedAt;
    this.#restartedAt = performance.now();
    return this.#restartedAt - before >= RESTART_AGAIN;
  }

  /**
   * As long as the server told, or anything up to a bound that doubles: clients that were cut off
   * together do not come back together. Who was told to try again later (1013) does not try at once.
   * @param {number | undefined} code
   */
  #backoff(code) {
    if (this.#toldReturn !== undefined) {
      return Math.min(Math.max(this.#toldReturn - performance.now(), 0), this.reconnectDelayMax);
    }
    const most = Math.min(this.reconnectDelay * 2 ** (this.reconnectAttempts - 1), this.reconnectDelayMax);
    const least = code === 1013 ? most / 2 : 0;
    return least + this.random() * (most - least);
  }

  /** The socket, which we hear no more of. */
  #release() {
    const ws = this.#ws;
    this.#ws = null;
    if (!ws) return null;
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.onerror = () => {};
    return ws;
  }

  /* Is the server there? Browsers do not show its pings to scripts, so silence is ended by ours. */

  #watch() {
    const quiet = performance.now() - this.#lastHeard;
    const due = quiet >= this.#keepaliveMs;
    if (due) this.#ping(this.pongTimeout);
    this.#after('watch', due ? this.#keepaliveMs : this.#keepaliveMs - quiet, () => this.#watch());
  }

  /** @param {number} timeout */
  #ping(timeout) {
    const due = performance.now() + timeout;
    if (this.#timers.pong && this.#pongDue <= due) return;
    if (!this.send({ action: 'ping' })) return;
    this.#pongDue = due;
    this.#after('pong', timeout, () => this.#missed(timeout));
  }

  /** @param {number} timeout */
  #missed(timeout) {
    /* A timer that comes far too late has slept, and the answer may lie behind it: ask again. */
    if (performance.now() > this.#pongDue + timeout / 2) this.#ping(timeout);
    else this.#lost(`no answer within ${timeout} ms`);
  }

  /* Subscriptions and what they bring. */

  /**
   * Ask for these, from where we are: one request per distinct update interval.
   * @param {string[]} symbols
   */
  #sendSubscribe(symbols) {
    /** @type {Map<number | undefined, string[]>} */
    const byInterval = new Map();
    for (const symbol of symbols) {
      /** @type {Subscription} */ (this.#subscriptions.get(symbol)).answered = false;
      const interval = this.#intervalOf(symbol);
      byInterval.set(interval, [...(byInterval.get(interval) ?? []), symbol]);
    }
    for (const [interval, those] of byInterval) {
      for (const some of portions(those)) this.#request('subscribe', some, this.#wishes(some, interval));
    }
  }

  /** @param {string[]} symbols */
  #sendUnsubscribe(symbols) {
    for (const some of portions(symbols)) this.#request('unsubscribe', some, {});
  }

  /** @param {string} action @param {string[]} symbols @param {object} wishes */
  #request(action, symbols, wishes) {
    if (this.mode === 'snapshot') {
      this.send({ action, symbols, ...wishes });
      return;
    }
    const id = ++this.#requests;
    if (this.send({ action, symbols, ...wishes, id })) this.#pending.set(id, symbols);
  }

  /** @param {string[]} symbols @param {number | undefined} interval */
  #wishes(symbols, interval) {
    const wishes = interval === undefined ? {} : { update_interval: interval };
    if (this.mode === 'snapshot') return wishes;
    /** @type {Record<string, number>} */
    const since = {};
    /** @type {Record<string, string>} */
    const epoch = {};
    for (const symbol of symbols) {
      const kept = /** @type {Subscription} */ (this.#subscriptions.get(symbol));
      const { seq, epoch: begun } = kept.state?.message ?? {};
      kept.awaitsWhole ||= begun === undefined;
      if (kept.awaitsWhole) continue;
      since[symbol] = seq;
      epoch[symbol] = begun;
    }
    const had = Object.keys(since).length > 0 ? { since, epoch } : {};
    return { ...wishes, mode: 'delta', format: 'columns', ...had };
  }

  /** @param {string} symbol @returns {number | undefined} seconds */
  #intervalOf(symbol) {
    const interval = this.#subscriptions.get(symbol)?.interval;
    return this.#hidden ? Math.max(interval ?? 0, this.hiddenInterval) : interval;
  }

  /** @param {any} message snapshot or delta @param {boolean} polled */
  #take(message, polled) {
    const kept = this.#subscriptions.get(message.symbol);
    if (!kept) return; /* sent before the server heard that we left */
    const raw = this.mode === 'snapshot';
    let next;
    try {
      next = raw ? { message, columns: NOTHING } : advance(kept.state, message);
    } catch (error) {
      if (!polled) this.#mend(kept, message);
      this.#complain(error);
      return;
    }
    if (!next) {
      if (!polled) this.#mend(kept, message);
      return;
    }
    const isNew = isNews(kept.state?.message, message, polled);
    if (isNew || !polled) Object.assign(kept, { state: next, awaitsWhole: false });
    if (!polled) this.#answered(kept);
    if (isNew) this.#tell(() => this.onSnapshot(raw ? message : snapshotOf(next)));
  }

  /** Who asks is answered with what there is; what comes after that is news. @param {Subscription} kept */
  #answered(kept) {
    if (kept.answered && this.status === 'stale') this.#connected();
    kept.answered = true;
  }

  /**
   * A message that is of no use. A delta that is older than what we have crossed a request of ours;
   * after any other only the whole helps.
   * @param {Subscription} kept
   * @param {any} message
   */
  #mend(kept, message) {
    const had = kept.state?.message;
    const isOld = had?.epoch === message.epoch && message.seq <= had?.seq;
    if (message.type === 'delta' && (kept.awaitsWhole || isOld)) return;
    kept.awaitsWhole = true;
    this.#askWhole(kept, message.symbol);
  }

  /**
   * At once; but a server that needs it again and again would be asked without end.
   * @param {Subscription} kept
   * @param {string} symbol
   */
  #askWhole(kept, symbol) {
    const name = `mend ${symbol}`;
    if (this.#timers[name]) return;
    if (performance.now() - kept.mendedAt > this.healthyAfter) kept.mends = 0;
    const ask = () => {
      if (!kept.awaitsWhole) return; /* it came by itself */
      kept.mendedAt = performance.now();
      this.#sendSubscribe([symbol]);
    };
    const most = this.mendPause * Math.min(2 ** (kept.mends - 1), MEND_PAUSES);
    if (kept.mends++ === 0) ask();
    else this.#after(name, most * (0.5 + this.random() / 2), ask);
  }

  /** The server ignored a request of ours; which one shows by what it acknowledges. */
  #limited() {
    if (this.#pending.size === 0 || this.#timers.resend) return;
    const pause = this.rateLimitPause * (0.5 + this.random() / 2);
    this.#after('resend', pause, () => this.#resend());
  }

  #resend() {
    const symbols = [...new Set([...this.#pending.values()].flat())];
    this.#pending.clear();
    this.#sendSubscribe(symbols.filter((symbol) => this.#subscriptions.has(symbol)));
    this.#sendUnsubscribe(symbols.filter((symbol) => !this.#subscriptions.has(symbol)));
  }

  /* Polling, while no WebSocket is to be had. */

  #startPolling() {
    if (this.#poller.isActive) return;
    this.#poller.start();
    this.#poller.ask(this.#subscriptions.keys());
  }

  /** @param {string} symbol @returns {number} ms */
  #pollPause(symbol) {
    const seconds = this.#intervalOf(symbol) ?? INTERVAL_DEFAULT;
    return Math.min(Math.max(seconds, 1), INTERVAL_MAX) * this.pollUnit;
  }

  /* The page that it lives in, where there is one. */

  #heedPage() {
    if (!this.page) return;
    this.#hidden = this.page.document.hidden;
    this.page.window.addEventListener('online', this.#onPage);
    this.page.window.addEventListener('pageshow', this.#onPage);
    this.page.document.addEventListener('visibilitychange', this.#onPage);
  }

  #ignorePage() {
    if (!this.page) return;
    this.page.window.removeEventListener('online', this.#onPage);
    this.page.window.removeEventListener('pageshow', this.#onPage);
    this.page.document.removeEventListener('visibilitychange', this.#onPage);
  }

  #onPage = () => {
    const hidden = this.page ? this.page.document.hidden : false;
    const turned = hidden !== this.#hidden;
    this.#hidden = hidden;
    if (turned) {
      this.#sendSubscribe([...this.#subscriptions.keys()]);
      this.#setStatus(this.status, { retryAt: this.detail.retryAt, reason: this.detail.reason });
    }
    if (!turned || !hidden) this.probe();
  };

  /**
   * @param {Status} status
   * @param {{retryAt?: number, reason?: string}} [more]
   */
  #setStatus(status, { retryAt, reason = this.#reason } = {}) {
    const detail = {
      since: status === this.status ? this.detail.since : Date.now(),
      attempt: this.reconnectAttempts,
      polling: this.#poller.isAnswered,
      reason,
      hidden: this.#hidden,
    };
    this.status = status;
    this.detail = {
      ...detail,
      ...(retryAt === undefined ? {} : { retryAt }),
      ...(status === 'stale' ? { staleSince: this.#staleSince } : {}),
    };
    this.#tell(() => this.onStatusChange(status, this.detail));
  }

  /** What a callback throws ends nothing of ours. @param {() => void} callback */
  #tell(callback) {
    try {
      callback();
    } catch (error) {
      this.#complain(error);
    }
  }

  /**
   * To onError; what goes wrong while that is told is only written down, as it could go wrong forever.
   * @param {any} error
   */
  #complain(error) {
    if (this.#complaining) {
      console.error(error);
      return;
    }
    this.#complaining = true;
    try {
      this.onError(error);
    } catch (fault) {
      console.error(fault);
    }
    this.#complaining = false;
  }

  /** @param {string} name @param {number} ms @param {() => void} run */
  #after(name, ms, run) {
    this.#cancel(name);
    this.#timers[name] = setTimeout(() => {
      delete this.#timers[name];
      run();
    }, ms);
  }

  /** @param {string} name */
  #cancel(name) {
    clearTimeout(this.#timers[name]);
    delete this.#timers[name];
  }
}

/** @param {number | undefined} interval @returns {Subscription} */
function newSubscription(interval) {
  return { interval, state: null, awaitsWhole: false, answered: false, mends: 0, mendedAt: 0 };
}

/** @param {any} error */
function logException(error) {
  if (error instanceof Error) console.error(error);
}

/** @param {string[]} symbols @returns {string[][]} */
function portions(symbols) {
  const count = Math.ceil(symbols.length / SYMBOLS_MAX);
  return Array.from({ length: count }, (_, i) => symbols.slice(i * SYMBOLS_MAX, (i + 1) * SYMBOLS_MAX));
}

/** @returns {PageLike | false} */
function pageOfBrowser() {
  return typeof document === 'undefined' ? false : { window: globalThis, document };
}

/** @param {string} wsUrl @param {string} symbol */
function latestUrl(wsUrl, symbol) {
  const url = new URL(wsUrl, globalThis.location?.href);
  url.protocol = url.protocol === 'wss:' || url.protocol === 'https:' ? 'https:' : 'http:';
  url.pathname = url.pathname.replace(/\/ws\/heatmap$/, '/heatmap/latest');
  url.search = new URLSearchParams({ symbol }).toString();
  return url.href;
}

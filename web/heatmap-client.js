/**
 * heatmap-client.js - a client of /ws/heatmap that stays connected.
 *
 *   const client = new HeatmapWebSocket('ws://localhost:8000/ws/heatmap', { onSnapshot });
 *   client.connect();
 *   client.subscribe(['BTCUSDT'], { updateInterval: 5 });
 *
 * Reconnects with growing, jittered pauses and subscribes again by itself; notices a connection
 * that has died silently; after too many failed attempts it polls GET /heatmap/latest and goes on
 * trying the WebSocket once a minute. Runs in browsers and in Node; knows nothing of the page.
 *
 * Statuses: connecting, connected, slow (the server dropped snapshots for us in the last seconds),
 * disconnected (a retry is due), failed (polling).
 */

/**
 * @typedef {'connecting'|'connected'|'slow'|'disconnected'|'failed'} Status
 * @typedef {{type: 'snapshot', symbol: string, timestamp: string, seq?: number, epoch?: string,
 *   data: {levels: {price: number, long_density: number, short_density: number}[],
 *   current_price: number, price_bin_size?: number,
 *   positions_created?: number, positions_consumed?: number}}} Snapshot
 * @typedef {{retryAt?: number, polling?: boolean}} StatusDetail retryAt: Date.now() of the next
 *   attempt; polling: with failed, whether the last poll was answered
 * @typedef {object} Options
 * @property {(message: Snapshot) => void} [onSnapshot]
 * @property {(status: Status, detail: StatusDetail) => void} [onStatusChange]
 * @property {(error: any) => void} [onError] the server's `error` messages, socket errors
 * @property {number} [maxReconnectAttempts] failed attempts in a row before polling begins
 * @property {number} [reconnectDelay] ms before the first retry; doubles from one to the next
 * @property {number} [reconnectDelayMax] ms
 * @property {number} [retryWhenFailed] ms between WebSocket attempts while polling
 * @property {number} [openTimeout] ms an attempt may take
 * @property {number} [healthyAfter] ms a connection must last to count as success
 * @property {number} [pongTimeout] ms of silence after our ping that mean death
 * @property {number} [slowFor] ms that a slow-consumer warning lasts
 * @property {number} [pollUnit] ms per second of update interval while polling
 * @property {(symbol: string) => string} [pollUrl]
 * @property {typeof WebSocket} [WebSocket]
 * @property {typeof fetch} [fetch]
 * @property {() => number} [random] 0..1
 */

const OPEN = 1; /* WebSocket.OPEN */

export class HeatmapWebSocket {
  /**
   * @param {string} url
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    this.url = url;
    this.onSnapshot = options.onSnapshot ?? (() => {});
    this.onStatusChange = options.onStatusChange ?? (() => {});
    this.onError = options.onError ?? (() => {});
    this.maxReconnectAttempts = options.maxReconnectAttempts ?? 5;
    this.reconnectDelay = options.reconnectDelay ?? 2000;
    this.reconnectDelayMax = options.reconnectDelayMax ?? 30_000;
    this.retryWhenFailed = options.retryWhenFailed ?? 60_000;
    this.openTimeout = options.openTimeout ?? 10_000;
    this.healthyAfter = options.healthyAfter ?? 5_000;
    this.pongTimeout = options.pongTimeout ?? 10_000;
    this.slowFor = options.slowFor ?? 10_000;
    this.pollUnit = options.pollUnit ?? 1000;
    this.pollUrl = options.pollUrl ?? ((symbol) => latestUrl(url, symbol));
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.fetch = options.fetch ?? globalThis.fetch?.bind(globalThis);
    this.random = options.random ?? Math.random;

    /** @type {WebSocket | null} */
    this.ws = null;
    /** @type {Status} */
    this.status = 'disconnected';
    this.reconnectAttempts = 0;
    /** @type {Map<string, number | undefined>} symbol to update interval, seconds */
    this.subscriptions = new Map();
    this.wanted = false; /* between connect() and disconnect() */
    this.lastHeard = 0;
    this.polling = false;
    this.pollAnswered = true;
    /** @type {Map<string, string>} symbol to the version seen last, so that a poll tells only news */
    this.seen = new Map();
    /** @type {Record<string, ReturnType<typeof setTimeout> | undefined>} at most one of each name */
    this.timers = {};
  }

  connect() {
    if (this.wanted) return;
    this.wanted = true;
    this.reconnectAttempts = 0;
    if (!this.keepalive) this.startKeepalive();
    this.#open();
  }

  /** Close for good; connect() begins anew. */
  disconnect() {
    this.wanted = false;
    this.stopKeepalive();
    this.#stopPolling();
    for (const name of Object.keys(this.timers)) this.#cancel(name);
    this.#release(1000);
    this.#setStatus('disconnected', {});
  }

  /**
   * Remembered across reconnects; may be called before the connection is open. Subscribing again
   * changes the interval.
   * @param {string[]} symbols
   * @param {{updateInterval?: number}} [options] seconds
   */
  subscribe(symbols, { updateInterval } = {}) {
    for (const symbol of symbols) {
      this.subscriptions.set(symbol, updateInterval);
      this.seen.delete(symbol);
    }
    this.#sendSubscribe(symbols, updateInterval);
    if (this.polling) this.#poll();
  }

  /** @param {string[]} symbols */
  unsubscribe(symbols) {
    for (const symbol of symbols) {
      this.subscriptions.delete(symbol);
      this.seen.delete(symbol);
    }
    this.send({ action: 'unsubscribe', symbols });
  }

  /**
   * @param {object} message
   * @returns {boolean} whether there was a connection to send it on
   */
  send(message) {
    if (!this.ws || this.ws.readyState !== OPEN) return false;
    this.ws.send(JSON.stringify(message));
    return true;
  }

  /**
   * Look after the connection every `ms`: a silent one is pinged, one that does not answer is
   * given up without waiting for its close. connect() does this by itself.
   * @param {number} [ms]
   */
  startKeepalive(ms = 15_000) {
    this.stopKeepalive();
    this.keepalive = setInterval(() => {
      if (Date.now() - this.lastHeard >= ms) this.#ping(this.pongTimeout);
    }, ms);
  }

  stopKeepalive() {
    clearInterval(this.keepalive);
    this.keepalive = undefined;
  }

  /** Something happened (wake-up, network back): try now, or check that the connection lives. */
  probe() {
    if (!this.wanted) return;
    if (this.timers.retry) {
      this.#cancel('retry');
      this.#open();
    } else {
      this.#ping(Math.min(this.pongTimeout, 5000));
    }
  }

  #open() {
    this.#release(1000);
    if (!this.polling) this.#setStatus('connecting', {});
    let ws;
    try {
      ws = new this.WebSocket(this.url);
    } catch (error) {
      this.onError(error);
      this.#lost('');
      return;
    }
    this.ws = ws;
    ws.onopen = () => this.#opened();
    ws.onmessage = (event) => this.#received(event.data);
    ws.onerror = (event) => this.onError(event);
    ws.onclose = (event) => this.#lost(event.reason);
    this.#after('open', this.openTimeout, () => this.#lost(''));
  }

  #opened() {
    this.#cancel('open');
    this.lastHeard = Date.now();
    /* A server that accepts and closes at once must still meet growing pauses. */
    this.#after('healthy', this.healthyAfter, () => (this.reconnectAttempts = 0));
    this.#stopPolling();
    this.#setStatus('connected', {});
    this.#resubscribe();
  }

  /** One message per distinct update interval. */
  #resubscribe() {
    /** @type {Map<number | undefined, string[]>} */
    const byInterval = new Map();
    for (const [symbol, interval] of this.subscriptions) {
      byInterval.set(interval, [...(byInterval.get(interval) ?? []), symbol]);
    }
    for (const [interval, symbols] of byInterval) this.#sendSubscribe(symbols, interval);
  }

  /** @param {string[]} symbols @param {number | undefined} interval */
  #sendSubscribe(symbols, interval) {
    const message = { action: 'subscribe', symbols };
    this.send(interval === undefined ? message : { ...message, update_interval: interval });
  }

  /** @param {any} text */
  #received(text) {
    this.lastHeard = Date.now();
    this.#cancel('pong');
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      this.onError(error);
      return;
    }
    switch (message?.type) {
      case 'snapshot':
        this.seen.set(message.symbol, version(message));
        this.onSnapshot(message);
        break;
      case 'warning':
        if (message.code === 'SLOW_CONSUMER') this.#slow();
        break;
      case 'error':
        this.onError(message);
        break;
    }
  }

  #slow() {
    this.#setStatus('slow', {});
    this.#after('slow', this.slowFor, () => this.#setStatus('connected', {}));
  }

  /** @param {number} timeout */
  #ping(timeout) {
    if (this.timers.pong || !this.send({ action: 'ping' })) return;
    this.#after('pong', timeout, () => this.#lost(''));
  }

  /** The connection or the attempt is over: plan the next. @param {string} reason */
  #lost(reason) {
    this.#release(1000);
    for (const name of ['open', 'healthy', 'pong', 'slow']) this.#cancel(name);
    if (!this.wanted) return;

    this.reconnectAttempts++;
    const failed = this.reconnectAttempts > this.maxReconnectAttempts;
    const delay = failed ? this.#jitter(this.retryWhenFailed) : this.#backoff(reason);
    this.#after('retry', delay, () => this.#open());
    if (failed) {
      if (!this.polling) this.#startPolling();
    } else {
      this.#setStatus('disconnected', { retryAt: Date.now() + delay });
    }
  }

  /**
   * A server that is going down says in its close reason how long to wait ("... 1200 ms").
   * @param {string} reason
   */
  #backoff(reason) {
    const told = /(\d+) ?ms/.exec(reason ?? '');
    if (told) return Math.min(Number(told[1]), this.reconnectDelayMax);
    const delay = this.reconnectDelay * 2 ** (this.reconnectAttempts - 1);
    return this.#jitter(Math.min(delay, this.reconnectDelayMax));
  }

  /** Half fixed, half random: clients that were cut off together do not come back together. */
  #jitter(/** @type {number} */ ms) {
    return ms * (0.5 + this.random() / 2);
  }

  /** Let go of the socket at once; a close handshake with a dead peer may take minutes. */
  #release(/** @type {number} */ code) {
    const ws = this.ws;
    if (!ws) return;
    this.ws = null;
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.onerror = () => {};
    if (ws.readyState <= OPEN) ws.close(code);
  }

  #startPolling() {
    this.polling = true;
    this.pollAnswered = true;
    this.#setStatus('failed', { polling: true });
    this.#poll();
  }

  #stopPolling() {
    this.polling = false;
    this.#cancel('poll');
  }

  async #poll() {
    if (!this.fetch) return;
    this.#cancel('poll');
    const round = (this.pollRound = {}); /* a later #poll() takes over from this one */
    const results = await Promise.all([...this.subscriptions.keys()].map((s) => this.#pollSymbol(s)));
    if (!this.polling || this.pollRound !== round) return;
    const answered = results.every(Boolean);
    if (answered !== this.pollAnswered) {
      this.pollAnswered = answered;
      this.#setStatus('failed', { polling: answered });
    }
    const seconds = Math.min(...[...this.subscriptions.values()].map((s) => s ?? 5), 60);
    this.#after('poll', Math.max(seconds, 1) * this.pollUnit, () => this.#poll());
  }

  /** @param {string} symbol @returns {Promise<boolean>} whether the server answered */
  async #pollSymbol(symbol) {
    try {
      const response = await this.fetch(this.pollUrl(symbol), { cache: 'no-cache' });
      if (!response.ok) return response.status === 404; /* no data yet is an answer */
      const message = await response.json();
      const news = version(message) !== this.seen.get(symbol);
      if (this.polling && news && this.subscriptions.has(symbol)) {
        this.seen.set(symbol, version(message));
        this.onSnapshot(message);
      }
      return true;
    } catch {
      return false;
    }
  }

  /** @param {Status} status @param {StatusDetail} detail */
  #setStatus(status, detail) {
    this.status = status;
    this.onStatusChange(status, detail);
  }

  /** @param {string} name @param {number} ms @param {() => void} run */
  #after(name, ms, run) {
    this.#cancel(name);
    this.timers[name] = setTimeout(() => {
      this.timers[name] = undefined;
      run();
    }, ms);
  }

  /** @param {string} name */
  #cancel(name) {
    clearTimeout(this.timers[name]);
    this.timers[name] = undefined;
  }
}

/** @param {Snapshot} message */
function version(message) {
  return `${message.epoch}:${message.seq}:${message.timestamp}`;
}

/** @param {string} wsUrl @param {string} symbol */
function latestUrl(wsUrl, symbol) {
  const url = new URL(wsUrl);
  url.protocol = url.protocol === 'wss:' ? 'https:' : 'http:';
  url.pathname = url.pathname.replace(/\/ws\/heatmap$/, '/heatmap/latest');
  url.search = new URLSearchParams({ symbol }).toString();
  return url.href;
}

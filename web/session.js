/**
 * session.js - one symbol in one time window: history from REST, then the live stream on top.
 *
 * Owns the HeatStore. Snapshots that come while history is loading wait for it; columns that were
 * missed (the machine slept, the socket was gone) look like the last known one until they have been
 * asked for; a new epoch (the server
 * restarted, a replay began anew) begins the history anew. Knows neither socket nor page.
 *
 * The model's state depends on the interval it is reckoned at. So a snapshot becomes a column only
 * where the chart's interval is the stream's; in wider ones a snapshot means that the newest
 * columns are asked for again, and until the answer comes the last state is carried on.
 */
import { HeatStore } from './heat-store.js';
import { INTERVALS, WINDOWS, RestError, coarser, intervalFor, parseTime } from './rest.js';

/**
 * @typedef {import('./heatmap-client.js').Snapshot} Snapshot
 * @typedef {object} Options
 * @property {typeof import('./rest.js').getHistory} getHistory
 * @property {typeof import('./rest.js').getCandles} getCandles
 * @property {(store: HeatStore) => void} onStore a new store, with its history
 * @property {(column: number) => void} onColumn this column's cells or candle changed
 * @property {(error: any) => void} onError loading failed; load() may be called again
 * @property {() => number} [now] ms
 * @property {number} [pause] ms between requests of the same kind
 */

/** So many times a finer interval is given up for a coarser one when the server says "too much". */
const COARSER_MAX = 3;

export class HeatSession {
  /** @param {Options} options */
  constructor({ getHistory, getCandles, onStore, onColumn, onError, now = Date.now, pause = 5000 }) {
    this.getHistory = getHistory;
    this.getCandles = getCandles;
    this.onStore = onStore;
    this.onColumn = onColumn;
    this.onError = onError;
    this.now = now;
    this.pause = pause;

    /** @type {import('./rest.js').SymbolInfo} */
    this.info = { symbol: '' };
    this.window = '';
    this.interval = '';
    /** @type {HeatStore | null} null while loading */
    this.store = null;
    /** @type {Snapshot | null} */
    this.latest = null;
    this.clock = NaN; /* time of the newest data */
    this.candlesUntil = NaN; /* candles before this are as the server has them */
    this.columnsUntil = NaN; /* columns before this too */
    this.abort = new AbortController();
    /** @type {Map<string, ReturnType<typeof setTimeout>>} */
    this.timers = new Map();
    /** @type {Map<string, number>} when each kind of request began last */
    this.began = new Map();
  }

  /**
   * Show this symbol and window, from the beginning.
   * @param {import('./rest.js').SymbolInfo} info
   * @param {string} window a key of WINDOWS
   */
  async load(info, window) {
    this.close();
    if (info.symbol !== this.info.symbol) this.latest = null;
    this.info = info;
    this.window = window;
    this.interval = intervalFor(WINDOWS[window], info.interval);
    this.abort = new AbortController();
    this.began.set('load', this.now());
    const { signal } = this.abort;
    try {
      const store = await this.#loadStore(signal);
      if (signal.aborted) return;
      this.store = store;
      this.onStore(store);
      if (this.latest) this.#show(this.latest);
    } catch (error) {
      if (!signal.aborted) this.onError(error);
    }
  }

  /** Stop what is under way. */
  close() {
    this.abort.abort();
    this.store = null;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }

  /**
   * A snapshot came.
   * @param {Snapshot} message
   * @returns {boolean} whether it is of this symbol and well-formed
   */
  apply(message) {
    const time = parseTime(message.timestamp);
    const levels = message.data?.levels;
    if (message.symbol !== this.info.symbol || Number.isNaN(time) || !Array.isArray(levels)) return false;
    const former = this.latest;
    this.latest = message;
    if (!this.store) return true;

    const anew = former && (former.epoch !== message.epoch || time < parseTime(former.timestamp));
    const bin = message.data.price_bin_size;
    if (anew || (bin !== undefined && bin !== this.store.bin)) this.#soon('load', () => this.#reload());
    else if (!this.timers.has('load')) this.#show(message);
    return true;
  }

  #reload() {
    const bin = this.latest?.data.price_bin_size ?? this.info.price_bin_size;
    this.load({ ...this.info, price_bin_size: bin }, this.window);
  }

  /** @param {AbortSignal} signal @returns {Promise<HeatStore>} */
  async #loadStore(signal) {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#loadAt(this.interval, signal);
      } catch (error) {
        const next = coarser(this.interval);
        const tooMuch = error instanceof RestError && error.status === 422;
        if (!tooMuch || !next || tries >= COARSER_MAX) throw error;
        this.interval = next;
      }
    }
  }

  /** @param {string} interval @param {AbortSignal} signal @returns {Promise<HeatStore>} */
  async #loadAt(interval, signal) {
    const { symbol } = this.info;
    const bin = this.info.price_bin_size ?? this.latest?.data.price_bin_size ?? 100;
    const step = INTERVALS[interval];
    const columns = Math.max(Math.round(WINDOWS[this.window].seconds / step), 1);
    const store = new HeatStore({ step, bin, columns });
    const end = [parseTime(this.latest?.timestamp ?? ''), parseTime(this.info.end_time ?? '')].find(
      (time) => !Number.isNaN(time),
    );
    this.clock = end ?? this.now() / 1000;
    const start = store.floor(this.clock) - (columns - 1) * step;

    const [history, candles] = await Promise.all([
      this.getHistory({ symbol, interval, bin, start }, signal),
      this.getCandles({ symbol, interval, start, end: this.clock }, signal),
    ]);
    const times = [...history.slice(0, 1), ...candles.slice(0, 1)].map(({ time }) => time);
    if (this.latest) times.push(parseTime(this.latest.timestamp));
    if (times.length > 0) store.reach(Math.min(...times));
    for (const { time, levels } of history) store.setColumn(time, levels);
    for (const candle of candles) store.setCandle(candle);
    store.settle(0, store.count - 1);
    this.candlesUntil = candles.at(-1)?.time ?? start;
    this.columnsUntil = history.at(-1)?.time ?? start;
    return store;
  }

  /** Put a snapshot on the chart. @param {Snapshot} message */
  #show({ timestamp, data }) {
    const store = /** @type {HeatStore} */ (this.store);
    const time = parseTime(timestamp);
    this.#bridge(store, store.floor(time));
    const column = this.#direct() ? store.setColumn(time, data.levels) : store.carry(time);
    this.clock = Math.max(this.clock, time); /* history may be a moment ahead of the stream */
    if (column < 0) {
      this.#soon('load', () => this.#reload());
      return;
    }
    if (data.current_price > 0) store.touchCandle(time, data.current_price);
    this.onColumn(column);
    if (store.firstHole() >= 0 || !this.#direct()) {
      this.#soon('history', () => this.#refreshHistory(store));
    }
    this.#soon('candles', () => this.#refreshCandles(store));
  }

  /** Carry the last column on up to `time`. @param {HeatStore} store @param {number} time */
  #bridge(store, time) {
    if (store.count === 0) return;
    const first = Math.max(store.end + store.step, time - store.capacity * store.step);
    for (let t = first; t < time; t += store.step) this.onColumn(store.carry(t));
  }

  /** Whether the stream's snapshots are columns of this chart. */
  #direct() {
    return this.info.interval === undefined || this.info.interval === this.interval;
  }

  /** Ask for the columns that were missed, or not to be had from the stream. @param {HeatStore} store */
  async #refreshHistory(store) {
    const { symbol } = this.info;
    const direct = this.#direct();
    const hole = store.firstHole();
    if (direct && hole < 0) return;
    const start = direct ? store.timeOf(hole) : this.columnsUntil;
    const asked = store.end;
    const request = { symbol, interval: this.interval, bin: store.bin, start };
    await this.#quietly(async (signal) => {
      const history = await this.getHistory(request, signal);
      if (this.store !== store) return;
      const streamed = direct ? store.end : Infinity; /* newer than any answer */
      for (const { time, levels } of history) {
        if (time < streamed) this.onColumn(store.setColumn(time, levels));
      }
      this.columnsUntil = history.at(-1)?.time ?? this.columnsUntil;
      if (direct) store.settle(store.columnOf(start), store.columnOf(asked)).forEach(this.onColumn);
    });
  }

  /** Ask for the candles that were only guessed from prices. @param {HeatStore} store */
  async #refreshCandles(store) {
    const { symbol } = this.info;
    const request = { symbol, interval: this.interval, start: this.candlesUntil, end: this.clock };
    await this.#quietly(async (signal) => {
      const candles = await this.getCandles(request, signal);
      if (this.store !== store) return;
      for (const candle of candles) this.onColumn(store.setCandle(candle));
      this.candlesUntil = candles.at(-1)?.time ?? this.candlesUntil;
      const { timestamp, data } = /** @type {Snapshot} */ (this.latest);
      this.onColumn(store.touchCandle(parseTime(timestamp), data.current_price));
    });
  }

  /** A refresh that fails is tried again with the next snapshot. */
  async #quietly(/** @type {(signal: AbortSignal) => Promise<void>} */ refresh) {
    try {
      await refresh(this.abort.signal);
    } catch {
      /* the stream's own status tells of a server that is gone */
    }
  }

  /**
   * Run once, as soon as `pause` has passed since this kind of request was made last.
   * @param {string} kind
   * @param {() => void} run
   */
  #soon(kind, run) {
    if (this.timers.has(kind)) return;
    const since = this.now() - (this.began.get(kind) ?? -Infinity);
    const timer = setTimeout(
      () => {
        this.timers.delete(kind);
        this.began.set(kind, this.now());
        run();
      },
      Math.max(this.pause - since, 0),
    );
    this.timers.set(kind, timer);
  }
}

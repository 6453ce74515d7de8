/**
 * session.js - one symbol in one time window: history from REST, then the live stream on top.
 *
 * Owns the HeatStore. Snapshots that come while history is loading wait for it; columns that were
 * missed (the machine slept, the socket was gone) look like the last known one until they have been
 * asked for; a new epoch (the server restarted, a replay began anew) begins the history anew. Knows
 * neither socket nor page.
 *
 * History comes as a matrix: of its columns only totals are known until the exact one is wanted.
 *
 * The model's state depends on the interval it is reckoned at, and on the leverage weights; not on
 * the bucket, which only says how it is summed. So a snapshot becomes a column only where the
 * chart's interval and weights are the stream's, summed to the bucket shown. Otherwise a snapshot
 * means that the newest columns are asked for again, and until the answer comes the last state is
 * carried on.
 */
import { HeatStore } from './heat-store.js';
import { matrixTime } from './matrix.js';
import * as rest from './rest.js';
import { INTERVALS, WINDOWS, RestError, coarser, intervalFor, parseTime } from './rest.js';

/**
 * @typedef {import('./heatmap-client.js').Snapshot} Snapshot
 * @typedef {import('./matrix.js').Matrix | import('./rest.js').Column[]} History
 * @typedef {object} Choice
 * @property {string} window a key of WINDOWS
 * @property {number} [factor] how many of the stream's buckets one row shows
 * @property {string | null} [weights] leverage weights as REST takes them, null for the stream's own
 * @typedef {object} Options
 * @property {typeof rest.getHistory} [getHistory]
 * @property {typeof rest.getMatrix} [getMatrix]
 * @property {typeof rest.getCandles} [getCandles]
 * @property {(store: HeatStore) => void} onStore a new store, with its history
 * @property {(column: number) => void} onColumn this column's cells or candle changed
 * @property {(error: any) => void} onError loading failed; load() may be called again
 * @property {() => number} [now] ms
 * @property {number} [pause] ms between requests of the same kind
 * @property {number} [spread] ms: reloads that one event asks of many pages begin at random within it
 * @property {number} [ownPause] the same for columns of one's own weights, of which none is live
 */

/** So many times a finer interval is given up for a coarser one when the server says "too much". */
const COARSER_MAX = 3;
/** Up to so many columns are asked for as exact ones. */
const EXACT_SPAN = 32;

export class HeatSession {
  /** @param {Options} options */
  constructor({
    getHistory = rest.getHistory,
    getMatrix = rest.getMatrix,
    getCandles = rest.getCandles,
    onStore,
    onColumn,
    onError,
    now = Date.now,
    pause = 5000,
    spread = 0,
    ownPause = 30_000,
  }) {
    this.getHistory = getHistory;
    this.getMatrix = getMatrix;
    this.getCandles = getCandles;
    this.onStore = onStore;
    this.onColumn = onColumn;
    this.onError = onError;
    this.now = now;
    this.pause = pause;
    this.spread = spread;
    this.ownPause = ownPause;

    /** @type {import('./rest.js').SymbolInfo} */
    this.info = { symbol: '' };
    this.window = '';
    this.factor = 1;
    /** @type {string | null} */
    this.weights = null;
    this.interval = '';
    this.bin = NaN; /* the stream's bucket */
    this.start = NaN; /* of the history, from where the model is run */
    /** @type {HeatStore | null} null while loading */
    this.store = null;
    /** @type {Snapshot | null} */
    this.latest = null;
    this.clock = NaN; /* time of the newest data */
    this.candlesUntil = NaN; /* candles before this are as the server has them */
    this.columnsUntil = NaN; /* columns before this too */
    this.abort = new AbortController();
    /** @type {Map<string, {timer: ReturnType<typeof setTimeout>, due: number}>} */
    this.timers = new Map();
    /** @type {Map<string, number>} when each kind of request began last */
    this.began = new Map();
    this.wanted = NaN; /* time of the column that is wanted exactly */
    /** @type {Promise<void> | null} the request for such a column */
    this.asking = null;
  }

  /**
   * Show this symbol, from the beginning.
   * @param {import('./rest.js').SymbolInfo} info
   * @param {Choice} choice
   */
  async load(info, { window, factor = 1, weights = null }) {
    this.close();
    if (info.symbol !== this.info.symbol) this.latest = null;
    Object.assign(this, { info, window, factor, weights });
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
    for (const { timer } of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.began.delete('history');
  }

  /** Whether what is shown is what the stream says; own weights are reckoned from history only. */
  get isLive() {
    return this.weights === null;
  }

  /**
   * Have long and short of a column, asked of the server where they are not known. One request at a
   * time: of wishes that come meanwhile the last counts.
   * @param {number} c
   * @returns {Promise<boolean>} whether they are known now
   */
  async wantExact(c) {
    const { store } = this;
    if (!store?.isKnown(c)) return false;
    const time = store.timeOf(c);
    const isExact = () => this.store === store && store.isExact(store.columnOf(time));
    if (isExact()) return true;
    this.wanted = time;
    while (this.asking) await this.asking;
    if (this.store === store && this.wanted === time && !isExact()) {
      this.asking = this.#fetchExact(store, time);
      await this.asking;
    }
    return isExact();
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
    if (anew || (bin !== undefined && bin !== this.bin)) this.#soon('load', () => this.#reload());
    else if (!this.timers.has('load')) this.#show(message);
    return true;
  }

  #reload() {
    const { info, window, factor, weights } = this;
    const bin = this.latest?.data.price_bin_size ?? info.price_bin_size;
    this.load({ ...info, price_bin_size: bin }, { window, factor, weights });
  }

  /** What every request for columns of `store` has in common. @param {HeatStore} store */
  #request(store) {
    return { symbol: this.info.symbol, interval: this.interval, bin: store.bin, weights: this.weights };
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
    const step = INTERVALS[interval];
    const columns = Math.max(Math.round(WINDOWS[this.window].seconds / step), 1);
    this.bin = this.info.price_bin_size ?? this.latest?.data.price_bin_size ?? 100;
    const bin = Number((this.bin * this.factor).toPrecision(12)); /* 3 * 0.1 is 0.3 */
    const store = new HeatStore({ step, bin, columns });
    const end = [parseTime(this.latest?.timestamp ?? ''), parseTime(this.info.end_time ?? '')].find(
      (time) => !Number.isNaN(time),
    );
    this.clock = end ?? this.now() / 1000;
    const start = store.floor(this.clock) - (columns - 1) * step;
    this.start = start;

    const [history, candles] = await Promise.all([
      this.getMatrix({ ...this.#request(store), start }, signal),
      this.getCandles({ symbol: this.info.symbol, interval, start, end: this.clock }, signal),
    ]);
    const times = [...timesOf(history).slice(0, 1), ...candles.slice(0, 1).map(({ time }) => time)];
    if (this.latest) times.push(parseTime(this.latest.timestamp));
    if (times.length > 0) store.reach(Math.min(...times));
    put(store, history);
    for (const candle of candles) store.setCandle(candle);
    store.settle(0, store.count - 1);
    this.candlesUntil = candles.at(-1)?.time ?? start;
    this.columnsUntil = timesOf(history).at(-1) ?? start;
    return store;
  }

  /** Put a snapshot on the chart. @param {Snapshot} message */
  #show({ timestamp, data }) {
    const store = /** @type {HeatStore} */ (this.store);
    const time = parseTime(timestamp);
    const isNewColumn = time >= store.end + store.step;
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
      const pause = this.isLive || isNewColumn ? this.pause : this.ownPause;
      this.#soon('history', () => this.#refreshHistory(store), pause);
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
    return this.isLive && (this.info.interval === undefined || this.info.interval === this.interval);
  }

  /** Ask for the columns that were missed, or not to be had from the stream. @param {HeatStore} store */
  async #refreshHistory(store) {
    const direct = this.#direct();
    const hole = store.firstHole();
    if (direct && hole < 0) return;
    const start = direct ? store.timeOf(hole) : this.columnsUntil;
    const asked = store.end;
    const get = asked - start > EXACT_SPAN * store.step ? this.getMatrix : this.getHistory;
    await this.#quietly(async (signal) => {
      const history = await get({ ...this.#request(store), start }, signal);
      if (this.store !== store) return;
      const streamed = direct ? store.end : Infinity; /* newer than any answer */
      put(store, history, streamed).forEach(this.onColumn);
      this.columnsUntil = timesOf(history).at(-1) ?? this.columnsUntil;
      if (direct) store.settle(store.columnOf(start), store.columnOf(asked)).forEach(this.onColumn);
    });
  }

  /** Ask for one column with its sides. @param {HeatStore} store @param {number} time */
  async #fetchExact(store, time) {
    /* A column that the end cuts would be made of a part of its candles. */
    const [start, end] = [Math.min(this.start, time), time + store.step - 1];
    const request = { ...this.#request(store), start, end, at: [time] };
    await this.#quietly(async (signal) => {
      const columns = await this.getHistory(request, signal);
      if (this.store !== store) return;
      const same = columns.filter((column) => column.time === time);
      put(store, same).forEach(this.onColumn);
    });
    this.asking = null;
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
      if (data.current_price > 0) this.onColumn(store.touchCandle(parseTime(timestamp), data.current_price));
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
   * @param {number} [pause]
   */
  #soon(kind, run, pause = this.pause) {
    const now = this.now();
    const spread = kind === 'load' ? Math.random() * this.spread : 0;
    const due = Math.max((this.began.get(kind) ?? -Infinity) + pause, now + spread);
    const waiting = this.timers.get(kind);
    if (waiting && waiting.due <= due) return;
    clearTimeout(waiting?.timer);
    const timer = setTimeout(() => {
      this.timers.delete(kind);
      this.began.set(kind, this.now());
      run();
    }, due - now);
    this.timers.set(kind, { timer, due });
  }
}

/** @param {History} history @returns {number[]} of its columns, ascending */
function timesOf(history) {
  if (Array.isArray(history)) return history.map(({ time }) => time);
  return [...history.known.keys()].filter((i) => history.known[i]).map((i) => matrixTime(history, i));
}

/**
 * @param {HeatStore} store
 * @param {History} history
 * @param {number} [until] columns from this time on are left alone
 * @returns {number[]} the columns that were set
 */
function put(store, history, until = Infinity) {
  if (!Array.isArray(history)) return store.setMatrix(history, until);
  return history.filter(({ time }) => time < until).map(({ time, levels }) => store.setColumn(time, levels));
}

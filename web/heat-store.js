/**
 * heat-store.js - the cells and candles of one chart.
 *
 * A grid: one column per interval of time, one row per price bucket. Columns are counted from the
 * oldest kept, rows from `base`, the absolute bucket of row 0 (price = (base + row) * bin), so a
 * bucket never changes its meaning while the grid grows up or down. Cells lie column by column in
 * typed arrays. Pure: knows no chart and no network. Times are seconds since 1970, UTC.
 */
import { encode } from './palette.js';

/**
 * @typedef {{price: number, long_density: number, short_density: number}} Level
 * @typedef {{time: number, open: number, high: number, low: number, close: number}} Candle
 * @typedef {{time: number, from: number, to: number, long: number, short: number, total: number}} Cell
 */

const NEVER_ASKED = 0;
const FILLED = 1;
const NOTHING_THERE = 2;

/** Spare rows added above and below when the prices outgrow the grid. */
const MARGIN_ROWS = 64;
/** A grid never gets taller than this: levels further away from the others are left out. */
const ROWS_MAX = 8192;

export class HeatStore {
  /**
   * @param {{step: number, bin: number, columns: number}} shape step: seconds per column; bin: price
   *   per row; columns: how many to keep at least
   */
  constructor({ step, bin, columns }) {
    this.step = step;
    this.bin = bin;
    /** Kept between `columns` and a quarter more, so that dropping the oldest is rare. */
    this.columnsKept = Math.max(columns, 16);
    this.capacity = Math.ceil(this.columnsKept * 1.25) + 8;
    this.start = 0; /* time of column 0 */
    this.count = 0; /* columns in use */
    this.base = 0;
    this.rows = 0;
    this.dropped = 0; /* columns dropped so far */
    this.codes = new Uint16Array(0);
    this.long = new Float32Array(0);
    this.short = new Float32Array(0);
    this.filled = new Uint8Array(this.capacity); /* NEVER_ASKED, FILLED or NOTHING_THERE */
    this.candles = new Float64Array(this.capacity * 4).fill(NaN);
    /** Grows whenever the meaning of a column or row index changes. */
    this.layout = 0;
  }

  /** @param {number} time */
  floor(time) {
    return Math.floor(time / this.step) * this.step;
  }

  /** @param {number} time @returns {number} column, -1 when outside */
  columnOf(time) {
    const c = Math.floor((time - this.start) / this.step);
    return this.count > 0 && c >= 0 && c < this.count ? c : -1;
  }

  /** @param {number} c */
  timeOf(c) {
    return this.start + c * this.step;
  }

  /** @param {number} price @returns {number} row, -1 when outside */
  rowOf(price) {
    const r = Math.floor(price / this.bin + 1e-9) - this.base;
    return r >= 0 && r < this.rows ? r : -1;
  }

  /** @param {number} r */
  priceOf(r) {
    return (this.base + r) * this.bin;
  }

  /** Time of the newest column, 0 when there is none. */
  get end() {
    return this.count > 0 ? this.timeOf(this.count - 1) : 0;
  }

  /**
   * Make the column of `time` exist; the first call says where the grid begins.
   * @param {number} time
   * @returns {number} the column, -1 when it is older than the grid
   */
  reach(time) {
    const begin = this.floor(time);
    if (this.count === 0) {
      this.start = begin;
      this.count = 1;
      this.layout++;
      return 0;
    }
    const c = Math.round((begin - this.start) / this.step);
    if (c >= this.capacity) return this.#reachPast(begin, c);
    if (c >= this.count) this.count = c + 1;
    return c < 0 ? -1 : c;
  }

  /**
   * Replace the column of `time` by these levels, making room as needed.
   * @param {number} time
   * @param {Level[]} levels
   * @returns {number} the column, -1 when it is older than the grid
   */
  setColumn(time, levels) {
    const c = this.reach(time);
    if (c < 0) return -1;
    if (levels.length > 0) this.#reachRows(levels);
    this.#clear(c);
    const at = c * this.rows;
    for (const level of levels) {
      const r = Math.round(level.price / this.bin) - this.base;
      if (r < 0 || r >= this.rows) continue;
      this.long[at + r] += level.long_density;
      this.short[at + r] += level.short_density;
      this.codes[at + r] = encode(this.long[at + r] + this.short[at + r]);
    }
    this.filled[c] = FILLED;
    return c;
  }

  /**
   * Make the column of `time` look like the one before until its own cells are known.
   * @param {number} time
   * @returns {number} the column, -1 when it is older than the grid
   */
  carry(time) {
    const c = this.reach(time);
    if (c > 0 && this.filled[c] !== FILLED) {
      for (const cells of [this.codes, this.long, this.short]) {
        cells.copyWithin(c * this.rows, (c - 1) * this.rows, c * this.rows);
      }
    }
    return c;
  }

  /**
   * @param {Candle} candle
   * @returns {number} the column, -1 when it is older than the grid
   */
  setCandle(candle) {
    const c = this.reach(candle.time);
    if (c >= 0) this.candles.set([candle.open, candle.high, candle.low, candle.close], c * 4);
    return c;
  }

  /**
   * The price at `time`: closes its column's candle there, or begins it where the one before ended.
   * @param {number} time
   * @param {number} price
   * @returns {number} the column, -1 when it is older than the grid
   */
  touchCandle(time, price) {
    const c = this.reach(time);
    if (c < 0) return -1;
    const known = this.candle(c);
    const open = known ? known.open : (this.candle(c - 1)?.close ?? price);
    this.candles.set(
      [open, Math.max(known?.high ?? open, price), Math.min(known?.low ?? open, price), price],
      c * 4,
    );
    return c;
  }

  /** @param {number} c @returns {Candle | null} */
  candle(c) {
    if (c < 0 || c >= this.count) return null;
    const [open, high, low, close] = this.candles.subarray(c * 4, c * 4 + 4);
    return Number.isNaN(open) ? null : { time: this.timeOf(c), open, high, low, close };
  }

  /** @param {number} c @param {number} r @returns {Cell | null} what the column says of that price */
  cell(c, r) {
    if (c < 0 || c >= this.count || r < 0 || r >= this.rows || this.filled[c] !== FILLED) return null;
    const long = this.long[c * this.rows + r];
    const short = this.short[c * this.rows + r];
    return {
      time: this.timeOf(c),
      from: this.priceOf(r),
      to: this.priceOf(r + 1),
      long,
      short,
      total: long + short,
    };
  }

  /**
   * The codes of one column, a view, row 0 first.
   * @param {number} c
   */
  column(c) {
    return this.codes.subarray(c * this.rows, (c + 1) * this.rows);
  }

  /** All codes in use, a view. */
  all() {
    return this.codes.subarray(0, this.count * this.rows);
  }

  /** Sums of a column. @param {number} c */
  totals(c) {
    let long = 0;
    let short = 0;
    for (let i = c * this.rows; i < (c + 1) * this.rows; i++) {
      long += this.long[i];
      short += this.short[i];
    }
    return { long, short };
  }

  /**
   * The server was asked for these columns: what is not there now is a gap in its data, and shown
   * as one.
   * @param {number} first
   * @param {number} last
   * @returns {number[]} the columns that turned out empty
   */
  settle(first, last) {
    const gaps = [];
    for (let c = Math.max(first, 0); c <= last && c < this.count; c++) {
      if (this.filled[c] !== NEVER_ASKED) continue;
      this.#clear(c);
      this.filled[c] = NOTHING_THERE;
      gaps.push(c);
    }
    return gaps;
  }

  /** The oldest column that nobody has asked for yet, -1 when there is none. */
  firstHole() {
    const c = this.filled.indexOf(NEVER_ASKED);
    return c < this.count ? c : -1;
  }

  /**
   * The largest levels of a column on both sides of a price, nearest ones first among equals.
   * @param {number} c
   * @param {number} price
   * @param {number} n
   * @returns {{above: Cell[], below: Cell[]}}
   */
  largest(c, price, n) {
    /** @type {Cell[]} */
    const above = [];
    /** @type {Cell[]} */
    const below = [];
    for (let r = 0; r < this.rows; r++) {
      const cell = this.cell(c, r);
      if (cell && cell.total > 0) (cell.from > price ? above : below).push(cell);
    }
    const bySize = (/** @type {Cell} */ a, /** @type {Cell} */ b) => b.total - a.total;
    return { above: above.sort(bySize).slice(0, n), below: below.sort(bySize).slice(0, n) };
  }

  /** @param {number} c */
  #clear(c) {
    for (const cells of [this.codes, this.long, this.short]) {
      cells.fill(0, c * this.rows, (c + 1) * this.rows);
    }
  }

  /** As reach(), for a column past the room: drops the oldest. @param {number} time @param {number} c */
  #reachPast(time, c) {
    const drop = c + 1 - this.columnsKept;
    const keep = Math.max(this.count - drop, 0);
    const move = (/** @type {any} */ array, /** @type {number} */ width, /** @type {number} */ empty) => {
      if (keep > 0) array.copyWithin(0, drop * width, (drop + keep) * width);
      array.fill(empty, keep * width);
    };
    move(this.codes, this.rows, 0);
    move(this.long, this.rows, 0);
    move(this.short, this.rows, 0);
    move(this.filled, 1, NEVER_ASKED);
    move(this.candles, 4, NaN);
    this.start = time - (this.columnsKept - 1) * this.step;
    this.count = this.columnsKept;
    this.dropped += drop;
    this.layout++;
    return this.count - 1;
  }

  /** Make rows for all these levels. @param {Level[]} levels */
  #reachRows(levels) {
    let low = Infinity;
    let high = -Infinity;
    for (const { price } of levels) {
      const bucket = Math.round(price / this.bin);
      if (bucket < low) low = bucket;
      if (bucket > high) high = bucket;
    }
    if (this.rows > 0 && low >= this.base && high < this.base + this.rows) return;

    if (this.rows > 0) {
      low = Math.min(low, this.base);
      high = Math.max(high, this.base + this.rows - 1);
    }
    low = Math.max(low - MARGIN_ROWS, 0);
    high = Math.min(high + MARGIN_ROWS, low + ROWS_MAX - 1);
    this.#resizeRows(low, high - low + 1);
  }

  /** @param {number} base @param {number} rows */
  #resizeRows(base, rows) {
    const shift = this.base - base;
    const kept = Math.min(this.rows, rows - shift);
    const grow = (/** @type {any} */ old) => {
      const array = new old.constructor(this.capacity * rows);
      for (let c = 0; kept > 0 && c < this.count; c++) {
        array.set(old.subarray(c * this.rows, c * this.rows + kept), c * rows + shift);
      }
      return array;
    };
    this.codes = grow(this.codes);
    this.long = grow(this.long);
    this.short = grow(this.short);
    this.base = base;
    this.rows = rows;
    this.layout++;
  }
}

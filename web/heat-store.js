/**
 * heat-store.js - the cells and candles of one chart.
 *
 * A grid: one column per interval of time, one row per price bucket. Columns are counted from the
 * oldest kept, rows from `base`, the absolute bucket of row 0 (price = (base + row) * bin), so a
 * bucket never changes its meaning while the grid grows up or down. Of every cell there is a 16-bit
 * code of its total, column by column in one array. What long and short are is kept of some columns
 * only, the exact ones: those that came as levels, not as a matrix, newest first to stay. Pure:
 * knows no chart and no network. Times are seconds since 1970, UTC.
 */
import { decode, encode } from './density-code.js';
import { matrixTime } from './matrix.js';

/**
 * @typedef {{price: number, long_density: number, short_density: number}} Level
 * @typedef {{time: number, open: number, high: number, low: number, close: number}} Candle
 * @typedef {{time: number, from: number, to: number, long: number, short: number, total: number,
 *   exact: boolean}} Cell long and short are NaN where the column is not exact
 * @typedef {{long: number, short: number, total: number, exact: boolean}} Totals
 * @typedef {{base: number, long: Float32Array, short: Float32Array}} Sides  from bucket `base` on
 */

const NEVER_ASKED = 0;
const FILLED = 1;
const NOTHING_THERE = 2;

/** Spare rows added above and below when the prices outgrow the grid. */
const MARGIN_ROWS = 16;
/** A grid never gets taller than this: levels further away from the others are left out. */
const ROWS_MAX = 8192;
/** So many columns are kept exact: some hundred kB. */
const EXACT_MAX = 256;
/** Prices and buckets are decimals, not whole in binary: what is a hair below a bucket is in it. */
const HAIR = 1e-9;

export class HeatStore {
  /**
   * @param {{step: number, bin: number, columns: number}} shape step: seconds per column; bin: price
   *   per row, levels of finer buckets are summed; columns: how many to keep at least
   */
  constructor({ step, bin, columns }) {
    this.step = step;
    this.bin = bin;
    /** Kept between `columns` and some more, so that dropping the oldest is rare. */
    this.columnsKept = Math.max(columns, 16);
    this.capacity = Math.ceil(this.columnsKept * 1.0625) + 8;
    this.start = 0; /* time of column 0 */
    this.count = 0; /* columns in use */
    this.base = 0;
    this.rows = 0;
    this.codes = new Uint16Array(0);
    /** @type {Map<number, Sides>} by time, the longest known first */
    this.exact = new Map();
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

  /** The absolute bucket that a price lies in. @param {number} price */
  bucketOf(price) {
    const bucket = price / this.bin;
    return Math.floor(bucket + HAIR + bucket * Number.EPSILON * 4);
  }

  /** @param {number} price @returns {number} row, -1 when outside */
  rowOf(price) {
    const r = this.bucketOf(price) - this.base;
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
   * Replace the column of `time` by these levels, making room as needed; it is exact then.
   * @param {number} time
   * @param {Level[]} levels
   * @returns {number} the column, -1 when it is older than the grid
   */
  setColumn(time, levels) {
    const c = this.reach(time);
    if (c < 0) return -1;
    const sides = this.#binned(levels);
    this.codes.fill(0, c * this.rows, (c + 1) * this.rows);
    const at = c * this.rows + sides.base - this.base;
    for (let i = 0; i < sides.long.length; i++) this.codes[at + i] = encode(sides.long[i] + sides.short[i]);
    this.filled[c] = FILLED;
    this.#keep(this.timeOf(c), sides);
    return c;
  }

  /**
   * Replace the columns of a matrix, making room as needed; its gaps stay what they were. Only the
   * totals are known of them then.
   * @param {import('./matrix.js').Matrix} matrix of this step and bucket
   * @param {number} [until] columns from this time on are left alone
   * @returns {number[]} the columns that were set
   */
  setMatrix(matrix, until = Infinity) {
    if (matrix.step !== this.step || Math.abs(matrix.bin / this.bin - 1) > HAIR) {
      throw new Error(`the history is in steps of ${matrix.step} s and buckets of ${matrix.bin}`);
    }
    const wanted = [];
    for (let i = 0; i < matrix.columns; i++) {
      if (matrix.known[i] && matrixTime(matrix, i) < until) wanted.push(i);
    }
    if (wanted.length === 0) return [];
    for (const i of [wanted[0], wanted[wanted.length - 1]]) this.reach(matrixTime(matrix, i));
    const base = this.bucketOf(matrix.priceMin);
    if (matrix.rows > 0) this.#reachRows(base, base + matrix.rows - 1);
    const codes = Uint16Array.from(matrix.scale, encode);
    return wanted.map((i) => this.#setCodes(matrix, i, base, codes)).filter((c) => c >= 0);
  }

  /**
   * Make the column of `time` look like the one before until its own cells are known.
   * @param {number} time
   * @returns {number} the column, -1 when it is older than the grid
   */
  carry(time) {
    const c = this.reach(time);
    if (c > 0 && this.filled[c] !== FILLED) {
      this.codes.copyWithin(c * this.rows, (c - 1) * this.rows, c * this.rows);
      const sides = this.exact.get(this.timeOf(c - 1));
      if (sides) this.#keep(this.timeOf(c), sides);
      else this.exact.delete(this.timeOf(c));
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

  /** @returns {Candle | null} null when there is none at all */
  newestCandle() {
    for (let c = this.count - 1; c >= 0; c--) {
      const candle = this.candle(c);
      if (candle) return candle;
    }
    return null;
  }

  /** @returns {Candle | null} null when there is none at all */
  oldestCandle() {
    for (let c = 0; c < this.count; c++) {
      const candle = this.candle(c);
      if (candle) return candle;
    }
    return null;
  }

  /** Whether the cells of a column are its own, not carried on or missing. @param {number} c */
  isKnown(c) {
    return c >= 0 && c < this.count && this.filled[c] === FILLED;
  }

  /** Whether long and short are known of a column. @param {number} c */
  isExact(c) {
    return this.isKnown(c) && this.exact.has(this.timeOf(c));
  }

  /** @param {number} c @param {number} r @returns {Cell | null} what the column says of that price */
  cell(c, r) {
    if (!this.isKnown(c) || r < 0 || r >= this.rows) return null;
    const sides = this.exact.get(this.timeOf(c));
    const i = this.base + r - (sides?.base ?? 0);
    const side = (/** @type {Float32Array} */ array) => (i >= 0 && i < array.length ? array[i] : 0);
    const long = sides ? side(sides.long) : NaN;
    const short = sides ? side(sides.short) : NaN;
    return {
      time: this.timeOf(c),
      from: this.priceOf(r),
      to: this.priceOf(r + 1),
      long,
      short,
      total: sides ? long + short : decode(this.codes[c * this.rows + r]),
      exact: sides !== undefined,
    };
  }

  /**
   * Long and short of a column, row 0 first, copies; of one that is carried on those of the column
   * it comes from.
   * @param {number} c
   * @returns {{long: Float32Array, short: Float32Array} | null} null when they are not known
   */
  sides(c) {
    const sides = c >= 0 && c < this.count ? this.exact.get(this.timeOf(c)) : undefined;
    if (!sides) return null;
    const rows = (/** @type {Float32Array} */ array) => {
      const all = new Float32Array(this.rows);
      all.set(array, sides.base - this.base); /* a grid never gets smaller */
      return all;
    };
    return { long: rows(sides.long), short: rows(sides.short) };
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

  /** Sums of a column. @param {number} c @returns {Totals} */
  totals(c) {
    const sides = this.sides(c);
    if (!sides) {
      const total = this.column(c).reduce((sum, code) => sum + decode(code), 0);
      return { long: NaN, short: NaN, total, exact: false };
    }
    const [long, short] = [sides.long, sides.short].map((side) => side.reduce((sum, usdt) => sum + usdt, 0));
    return { long, short, total: long + short, exact: this.isExact(c) };
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
      this.codes.fill(0, c * this.rows, (c + 1) * this.rows);
      this.exact.delete(this.timeOf(c));
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

  /** One column of a matrix. @returns {number} the column, -1 when it is older than the grid */
  #setCodes(
    /** @type {import('./matrix.js').Matrix} */ matrix,
    /** @type {number} */ i,
    /** @type {number} */ base,
    /** @type {Uint16Array} */ codes,
  ) {
    const time = matrixTime(matrix, i);
    const c = this.columnOf(time);
    if (c < 0) return -1;
    this.codes.fill(0, c * this.rows, (c + 1) * this.rows);
    const from = Math.max(this.base - base, 0);
    const end = Math.min(this.base + this.rows - base, matrix.rows);
    const at = c * this.rows + base - this.base;
    const cell = i * matrix.rows;
    for (let r = from; r < end; r++) this.codes[at + r] = codes[matrix.cells[cell + r]];
    this.filled[c] = FILLED;
    this.exact.delete(this.timeOf(c));
    return c;
  }

  /** Levels summed by bucket, with room made for them; those beyond the room left out. */
  #binned(/** @type {Level[]} */ levels) {
    const buckets = levels.map(({ price }) => this.bucketOf(price));
    let low = Infinity;
    let high = -Infinity;
    for (const bucket of buckets) {
      if (bucket < low) low = bucket;
      if (bucket > high) high = bucket;
    }
    if (levels.length > 0) this.#reachRows(low, high);
    low = Math.max(low, this.base);
    high = Math.min(high, this.base + this.rows - 1);
    const count = Math.max(high - low + 1, 0);
    const sides = { base: count ? low : this.base, long: new Float32Array(count), short: new Float32Array(count) };
    for (const [k, { long_density, short_density }] of levels.entries()) {
      const i = buckets[k] - low;
      if (i < 0 || i >= count) continue;
      sides.long[i] += long_density;
      sides.short[i] += short_density;
    }
    return sides;
  }

  /** The longest known columns give way, but the newest. @param {number} time @param {Sides} sides */
  #keep(time, sides) {
    this.exact.delete(time);
    this.exact.set(time, sides);
    for (const known of this.exact.keys()) {
      if (this.exact.size <= EXACT_MAX) break;
      if (known !== this.end) this.exact.delete(known);
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
    move(this.filled, 1, NEVER_ASKED);
    move(this.candles, 4, NaN);
    this.start = time - (this.columnsKept - 1) * this.step;
    this.count = this.columnsKept;
    this.layout++;
    for (const known of this.exact.keys()) if (known < this.start) this.exact.delete(known);
    return this.count - 1;
  }

  /** Make rows for these buckets. @param {number} low @param {number} high */
  #reachRows(low, high) {
    const end = this.base + this.rows; /* what there is keeps its place */
    let from = this.rows > 0 && low >= this.base ? this.base : Math.max(low - MARGIN_ROWS, 0);
    let to = this.rows > 0 && high < end ? end : high + MARGIN_ROWS + 1;
    if (to - from > ROWS_MAX) {
      from = Math.max(from, this.rows > 0 ? end - ROWS_MAX : low);
      to = Math.min(to, from + ROWS_MAX);
    }
    if (from !== this.base || to !== end) this.#resizeRows(from, to - from);
  }

  /** @param {number} base @param {number} rows */
  #resizeRows(base, rows) {
    const shift = this.base - base;
    const codes = new Uint16Array(this.capacity * rows);
    for (let c = 0; this.rows > 0 && c < this.count; c++) codes.set(this.column(c), c * rows + shift);
    this.codes = codes;
    this.base = base;
    this.rows = rows;
    this.layout++;
  }
}

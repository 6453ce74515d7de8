/**
 * levels.js - what is reckoned from a column of a HeatStore: sums around a price, how much stands
 * between the price and any other, and which levels the price has swept away. Pure.
 */
import { decode, encode } from './density-code.js';

/**
 * @typedef {import('./heat-store.js').HeatStore} HeatStore
 * @typedef {import('./heat-store.js').Totals & {from: number, to: number}} Band
 * @typedef {{long: Float64Array, short: Float64Array, crossing: number | null}} Balance  row 0 first
 * @typedef {{column: number, row: number, total: number}} Sweep
 */

/**
 * What the buckets hold that lie within `share` of a price, wholly or in part.
 * @param {HeatStore} store
 * @param {number} c
 * @param {number} price
 * @param {number} [share]
 * @returns {Band | null} from, to: the outer ends of those buckets. Null where a cell would be
 */
export function band(store, c, price, share = 0.01) {
  if (!store.isKnown(c)) return null;
  const first = store.bucketOf(price * (1 - share));
  const last = store.bucketOf(price * (1 + share));
  const [low, high] = rowsOf(store, first, last);
  const sides = store.sides(c);
  const total = sides ? NaN : sum(store.column(c), low, high, decode);
  const long = sides ? sum(sides.long, low, high) : NaN;
  const short = sides ? sum(sides.short, low, high) : NaN;
  return {
    from: first * store.bin,
    to: (last + 1) * store.bin,
    long,
    short,
    total: sides ? long + short : total,
    exact: sides !== null,
  };
}

/**
 * What would be liquidated on the way to each row: longs when the price falls to it, shorts when
 * it rises to it.
 * @param {HeatStore} store
 * @param {number} c
 * @returns {Balance | null} crossing: the price where both are equal, the middle where they are so
 *   over a stretch, null where a side is empty. Null when the column's sides are not known
 */
export function balance(store, c) {
  const sides = store.sides(c);
  if (!sides) return null;
  const { rows } = store;
  const long = new Float64Array(rows);
  const short = new Float64Array(rows);
  for (let r = rows - 1, all = 0; r >= 0; r--) long[r] = all += sides.long[r];
  for (let r = 0, all = 0; r < rows; r++) short[r] = all += sides.short[r];
  return { long, short, crossing: crossingOf(store, long, short) };
}

/**
 * Levels that the price took away: in the column before they were there, in this one nothing is
 * left, and its candle touched their bucket.
 * @param {HeatStore} store
 * @param {{first?: number, last?: number, min: number}} range columns, and USDT that a level must
 *   have had
 * @returns {Sweep[]} by column, then row
 */
export function sweeps(store, { first = 0, last = store.count - 1, min }) {
  const found = [];
  for (let c = Math.max(first, 1); c <= last && c < store.count; c++) found.push(...sweepsOf(store, c, min));
  return found;
}

/**
 * Those of one column; costs the rows that its candle touched.
 * @param {HeatStore} store
 * @param {number} c
 * @param {number} min
 * @returns {Sweep[]} by row
 */
export function sweepsOf(store, c, min) {
  const candle = store.candle(c);
  if (!candle || !store.isKnown(c) || !store.isKnown(c - 1)) return [];
  const before = store.column(c - 1);
  const after = store.column(c);
  const least = Math.max(encode(min), 1);
  const [low, high] = rowsOf(store, store.bucketOf(candle.low), store.bucketOf(candle.high));
  const found = [];
  for (let row = low; row <= high; row++) {
    if (after[row] === 0 && before[row] >= least) found.push({ column: c, row, total: decode(before[row]) });
  }
  return found;
}

/** The rows between two buckets, both included. @returns {[number, number]} */
function rowsOf(/** @type {HeatStore} */ store, /** @type {number} */ first, /** @type {number} */ last) {
  return [Math.max(first - store.base, 0), Math.min(last - store.base, store.rows - 1)];
}

/**
 * @param {Float32Array | Uint16Array} values
 * @param {number} first
 * @param {number} last
 * @param {(value: number) => number} [usdt]
 */
function sum(values, first, last, usdt = (value) => value) {
  let all = 0;
  for (let i = first; i <= last; i++) all += usdt(values[i]);
  return all;
}

/**
 * The shorts below a price less the longs above it never fall as the price rises; within a bucket
 * they are taken to rise evenly. So there is one stretch of prices, mostly one price, where that
 * is 0.
 * @param {HeatStore} store
 * @param {Float64Array} long
 * @param {Float64Array} short
 */
function crossingOf(store, long, short) {
  const edges = store.rows;
  if (edges === 0 || long[0] === 0 || short[edges - 1] === 0) return null;
  const excess = (/** @type {number} */ r) => (r > 0 ? short[r - 1] : 0) - (r < edges ? long[r] : 0);
  let r = 0;
  while (excess(r + 1) < 0) r++; /* ends: above all rows there are all shorts and no long */
  const first = r + excess(r) / (excess(r) - excess(r + 1));
  while (excess(r + 1) <= 0) r++;
  const last = excess(r) < 0 ? first : r;
  return ((first + last) / 2 + store.base) * store.bin;
}

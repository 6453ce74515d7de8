import test from 'node:test';
import assert from 'node:assert/strict';
import { HeatStore } from '../heat-store.js';
import { balance, band, sweeps, sweepsOf } from '../levels.js';
import { parseMatrix } from '../matrix.js';
import { decode, encode } from '../density-code.js';
import { matrixBytes, random } from './made.js';

const level = (price, long_density = 0, short_density = 0) => ({ price, long_density, short_density });
const made = (bin = 100) => new HeatStore({ step: 300, bin, columns: 40 });
const near = (found, wanted, text) => assert.ok(Math.abs(found - wanted) <= 1e-6 * Math.abs(wanted) + 1e-9, `${text}: ${found}, not ${wanted}`);

/** Longs below about 100 buckets, shorts above, as the model has them, and some that are not so. */
function randomColumn(store, next, time) {
  const levels = [];
  for (let k = 50; k < 150; k++) {
    if (next() < 0.5) continue;
    const tidy = next() < 0.9;
    const usdt = Math.floor(next() * 1000);
    levels.push(tidy === k < 100 ? level(k * store.bin, usdt) : level(k * store.bin, 0, usdt));
  }
  return store.setColumn(time, levels);
}

test('a band sums the buckets around a price', () => {
  const store = made();
  const c = store.setColumn(0, [level(98900, 1), level(99000, 2), level(100000, 4, 8), level(101000, 0, 16), level(101100, 0, 32)]);
  assert.deepEqual(band(store, c, 100000), { from: 99000, to: 101100, long: 6, short: 24, total: 30, exact: true });
  assert.deepEqual(band(store, c, 100000, 0), { from: 100000, to: 100100, long: 4, short: 8, total: 12, exact: true });
  assert.equal(band(store, c, 100000, 0.5).total, 63);
});

test('a band beside the grid is empty, one of an unknown column is none', () => {
  const store = made();
  const c = store.setColumn(0, [level(98900, 1)]);
  assert.equal(band(store, c, 5000).total, 0);
  assert.equal(band(store, c, 5e6).total, 0);
  assert.equal(band(store, c + 1, 98900), null);
  assert.equal(band(store, store.carry(300), 98900), null);
});

test('a band of an inexact column has its total only', () => {
  const store = made();
  store.setMatrix(parseMatrix(matrixBytes({ columns: 1, rows: 30, start: 0, priceMin: 99000, totals: () => 1000 })));
  const { from, to, long, short, total, exact } = band(store, 0, 100000);
  assert.deepEqual([from, to, long, short, exact], [99000, 101100, NaN, NaN, false]);
  near(total, 21 * decode(store.column(0)[store.rowOf(99500)]), 'total');
});

test('there is no balance where sides are not known', () => {
  const store = made();
  store.setMatrix(parseMatrix(matrixBytes({ start: 0, totals: () => 9 })));
  assert.deepEqual([balance(store, 0), balance(store, 7)], [null, null]);
});

test('a balance sums what stands on the way', () => {
  const next = random(11);
  for (let round = 0; round < 40; round++) {
    const store = made();
    const c = randomColumn(store, next, 0);
    const { long, short } = balance(store, c);
    for (let r = 0; r < store.rows; r++) {
      let [above, below] = [0, 0];
      for (let k = r; k < store.rows; k++) above += store.cell(c, k).long;
      for (let k = 0; k <= r; k++) below += store.cell(c, k).short;
      assert.deepEqual([long[r], short[r]], [above, below], `row ${r}`);
    }
  }
});

/** Shorts below a price less longs above it, a bucket's volume spread evenly over it. */
function excess(store, c, price) {
  let sum = 0;
  for (let r = 0; r < store.rows; r++) {
    const { from, to, long, short } = store.cell(c, r);
    const below = Math.min(Math.max((price - from) / (to - from), 0), 1);
    sum += short * below - long * (1 - below);
  }
  return sum;
}

test('the curves cross where shorts below are as much as longs above', () => {
  const next = random(12);
  for (let round = 0; round < 60; round++) {
    const store = made([100, 0.1, 0.0002][round % 3]);
    const c = randomColumn(store, next, 0);
    const { crossing, long } = balance(store, c);
    const none = 1e-9 * long[0];
    /* Halving finds both ends of the stretch of prices where it is 0. */
    const end = (isPast) => {
      let [low, high] = [0, store.priceOf(store.rows)];
      for (let i = 0; i < 60; i++) {
        const middle = (low + high) / 2;
        if (isPast(excess(store, c, middle))) high = middle;
        else low = middle;
      }
      return low;
    };
    const wanted = (end((e) => e > -none) + end((e) => e > none)) / 2;
    assert.ok(Math.abs(crossing - wanted) < store.bin * 1e-3, `round ${round}: ${crossing}, not ${wanted}`);
  }
});

test('between longs below and shorts above the crossing is the middle', () => {
  const store = made();
  assert.equal(balance(store, store.setColumn(0, [level(900, 5), level(1200, 0, 3)])).crossing, 1100);
  assert.equal(balance(store, store.setColumn(0, [level(900, 5, 5)])).crossing, 950);
  assert.equal(balance(store, store.setColumn(0, [level(900, 6, 2)])).crossing, 975);
});

test('where a side is empty nothing crosses', () => {
  const store = made();
  assert.equal(balance(store, store.setColumn(0, [level(900, 5)])).crossing, null);
  assert.equal(balance(store, store.setColumn(300, [level(900, 0, 5)])).crossing, null);
  assert.deepEqual(balance(made(), 0), null);
  assert.equal(balance(store, store.setColumn(600, [])).crossing, null);
});

/** Columns whose candle takes most of the levels it touches. */
function sweptStore(next, columns = 40) {
  const store = made();
  const standing = new Map();
  for (let c = 0; c < columns; c++) {
    const low = 9000 + Math.floor(next() * 2000);
    const high = low + Math.floor(next() * 500);
    for (const [price] of standing) {
      if (price < high && price + 100 > low && next() < 0.8) standing.delete(price);
      else if (next() < 0.05) standing.delete(price); /* closed, not swept */
    }
    for (let k = 0; k < 5; k++) standing.set(100 * (80 + Math.floor(next() * 40)), Math.floor(next() * 1e6));
    if (next() < 0.1) continue; /* a gap */
    store.setColumn(c * 300, [...standing].map(([price, usdt]) => level(price, usdt)));
    if (next() < 0.9) store.setCandle({ time: c * 300, open: low, high, low, close: high });
  }
  return store;
}

test('swept levels are those that were there, are gone, and were touched', () => {
  const next = random(13);
  let count = 0;
  for (let round = 0; round < 30; round++) {
    const store = sweptStore(next);
    const min = 200_000;
    const wanted = [];
    for (let column = 1; column < store.count; column++) {
      for (let row = 0; row < store.rows; row++) {
        const before = store.cell(column - 1, row);
        const after = store.cell(column, row);
        const candle = store.candle(column);
        if (!before || !after || !candle || after.total > 0 || encode(before.total) < encode(min)) continue;
        if (candle.low < before.to && candle.high >= before.from) {
          wanted.push({ column, row, total: decode(encode(before.total)) });
        }
      }
    }
    assert.deepEqual(sweeps(store, { min }), wanted);
    assert.deepEqual(sweeps(store, { first: 10, last: 19, min }), wanted.filter(({ column }) => column >= 10 && column <= 19));
    assert.deepEqual(sweepsOf(store, 10, min), wanted.filter(({ column }) => column === 10));
    count += wanted.length;
  }
  assert.ok(count > 300, `only ${count} in all`);
});

test('what was only carried on was not there, and is not gone', () => {
  const store = made();
  store.setColumn(0, [level(900, 5e6)]);
  store.carry(300);
  store.setColumn(600, []);
  for (const time of [300, 600]) store.setCandle({ time, open: 900, high: 999, low: 900, close: 900 });
  assert.deepEqual(sweeps(store, { min: 1 }), []);
});

test('the edge of a bucket is touched from above, not from below', () => {
  for (const [low, high, swept] of [[899, 899.9, 0], [899, 900, 1], [999.9, 1100, 1], [1000, 1100, 0]]) {
    const store = made();
    store.setColumn(0, [level(900, 5e6)]);
    store.setColumn(300, []);
    store.setCandle({ time: 300, open: low, high, low, close: high });
    assert.equal(sweeps(store, { min: 1 }).length, swept, `${low} to ${high}`);
  }
});

test('a least of nothing sweeps no empty rows', () => {
  const store = made();
  store.setColumn(0, [level(900, 5e6)]);
  store.setColumn(300, []);
  store.setCandle({ time: 300, open: 500, high: 2000, low: 500, close: 900 });
  assert.equal(sweeps(store, { min: 0 }).length, 1);
});

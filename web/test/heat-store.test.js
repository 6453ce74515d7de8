import test from 'node:test';
import assert from 'node:assert/strict';
import { HeatStore } from '../heat-store.js';
import { encode } from '../palette.js';

const level = (price, long_density = 0, short_density = 0) => ({ price, long_density, short_density });
const made = (shape = {}) => new HeatStore({ step: 300, bin: 100, columns: 20, ...shape });

test('a cell says what its column and bucket hold', () => {
  const store = made();
  const c = store.setColumn(3000, [level(98000, 1.5e6, 2e5), level(98100, 0, 7)]);
  assert.deepEqual(store.cell(c, store.rowOf(98050)), {
    time: 3000,
    from: 98000,
    to: 98100,
    long: 1.5e6,
    short: 2e5,
    total: 1.7e6,
  });
  assert.equal(store.cell(c, store.rowOf(98200)).total, 0);
  assert.equal(store.column(c)[store.rowOf(98000)], encode(1.7e6));
});

test('a time belongs to the column that began at or before it', () => {
  const store = made();
  store.setColumn(3299, [level(100, 1)]);
  assert.equal(store.start, 3000);
  assert.equal(store.setColumn(3300, [level(100, 2)]), 1);
  assert.equal(store.columnOf(3299), 0);
  assert.equal(store.columnOf(3600), -1);
  assert.equal(store.end, 3300);
});

test('a column set again holds only the new levels', () => {
  const store = made();
  store.setColumn(0, [level(1000, 5), level(1100, 6)]);
  store.setColumn(200, [level(1100, 7)]);
  assert.equal(store.count, 1);
  assert.equal(store.cell(0, store.rowOf(1000)).total, 0);
  assert.equal(store.cell(0, store.rowOf(1100)).long, 7);
});

test('rows grow both ways and older columns keep their buckets', () => {
  const store = made();
  store.setColumn(0, [level(50000, 11)]);
  store.setColumn(300, [level(20000, 22)]);
  store.setColumn(600, [level(90000, 33)]);
  const at = (c, price) => store.cell(c, store.rowOf(price)).long;
  assert.deepEqual([at(0, 50000), at(1, 20000), at(2, 90000)], [11, 22, 33]);
  assert.equal(at(1, 50000), 0);
  assert.equal(store.priceOf(store.rowOf(20000)), 20000);
});

test('fractional buckets keep their rows', () => {
  const store = made({ bin: 0.0002 });
  for (let k = 450; k < 550; k++) {
    const price = Number((k * 0.0002).toFixed(4));
    store.setColumn(0, [level(price, 1)]);
    assert.equal(store.cell(0, store.rowOf(price))?.long, 1, `${price}`);
  }
});

test('the oldest columns go when the room is used up', () => {
  const store = made({ columns: 20 });
  for (let i = 0; i < 200; i++) {
    store.setColumn(i * 300, [level(1000, i + 1)]);
    store.setCandle({ time: i * 300, open: i, high: i, low: i, close: i });
  }
  assert.ok(store.count >= 20 && store.count <= store.capacity);
  assert.equal(store.dropped + store.count, 200);
  assert.equal(store.end, 199 * 300);
  for (let c = 0; c < store.count; c++) {
    assert.equal(store.cell(c, store.rowOf(1000)).long, store.dropped + c + 1);
    assert.equal(store.candle(c).open, store.dropped + c);
  }
});

test('a jump far ahead leaves nothing of the old', () => {
  const store = made();
  store.setColumn(0, [level(1000, 1)]);
  store.setColumn(300 * 10_000, [level(1000, 2)]);
  assert.equal(store.count, 20);
  assert.equal(store.cell(19, store.rowOf(1000)).long, 2);
  assert.ok(store.all().filter((code) => code > 0).length === 1);
});

test('a time before the grid is refused', () => {
  const store = made();
  store.setColumn(3000, [level(1000, 1)]);
  assert.equal(store.setColumn(2999, [level(1000, 2)]), -1);
  assert.equal(store.setCandle({ time: 0, open: 1, high: 1, low: 1, close: 1 }), -1);
  assert.equal(store.touchCandle(0, 1), -1);
});

test('a skipped column is a hole until it is filled or settled', () => {
  const store = made();
  store.setColumn(0, [level(1000, 1)]);
  assert.equal(store.firstHole(), -1);
  store.setColumn(1200, [level(1000, 1)]);
  assert.equal(store.firstHole(), 1);
  store.setColumn(300, [level(1000, 1)]);
  assert.equal(store.firstHole(), 2);
  store.carry(600);
  assert.deepEqual(store.settle(1, 4), [2, 3]);
  assert.equal(store.column(2).some(Boolean), false);
  assert.equal(store.firstHole(), -1);
  assert.equal(store.cell(2, store.rowOf(1000)), null);
});

test('a carried column looks like the one before and is not known yet', () => {
  const store = made();
  store.setColumn(0, [level(1000, 9)]);
  const c = store.carry(300);
  assert.deepEqual([...store.column(c)], [...store.column(0)]);
  assert.equal(store.cell(c, store.rowOf(1000)), null);
  store.setColumn(300, []);
  store.carry(300);
  assert.equal(store.cell(c, store.rowOf(1000)).total, 0);
});

test('prices make a candle that opens where the one before closed', () => {
  const store = made();
  store.setCandle({ time: 0, open: 10, high: 12, low: 9, close: 11 });
  store.touchCandle(300, 13);
  store.touchCandle(400, 8);
  store.touchCandle(500, 9);
  assert.deepEqual(store.candle(1), { time: 300, open: 11, high: 13, low: 8, close: 9 });
  store.touchCandle(299, 20);
  assert.deepEqual(store.candle(0), { time: 0, open: 10, high: 20, low: 9, close: 20 });
  assert.equal(store.candle(2), null);
});

test('the largest levels on both sides of the price', () => {
  const store = made();
  const c = store.setColumn(0, [level(900, 5), level(1000, 50), level(1100, 0, 7), level(1200, 0, 70), level(1300, 0, 8)]);
  const { above, below } = store.largest(c, 1050, 2);
  assert.deepEqual(above.map((cell) => cell.from), [1200, 1300]);
  assert.deepEqual(below.map((cell) => cell.from), [1000, 900]);
  assert.deepEqual(store.totals(c), { long: 55, short: 85 });
});

test('a wild level does not take all memory', () => {
  const store = made({ bin: 0.01 });
  const c = store.setColumn(0, [level(100, 5), level(1e9, 6)]);
  assert.ok(store.rows <= 8192);
  assert.equal(store.cell(c, store.rowOf(100)).long, 5);
});

import test from 'node:test';
import assert from 'node:assert/strict';
import { HeatStore } from '../heat-store.js';
import { decode, encode } from '../density-code.js';
import { parseMatrix } from '../matrix.js';
import { matrixBytes, random } from './made.js';

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
    exact: true,
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
  const dropped = store.start / 300;
  assert.equal(dropped + store.count, 200);
  assert.equal(store.end, 199 * 300);
  for (let c = 0; c < store.count; c++) {
    assert.equal(store.cell(c, store.rowOf(1000)).long, dropped + c + 1);
    assert.equal(store.candle(c).open, dropped + c);
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
  assert.equal(store.sides(2), null);
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
  assert.deepEqual(store.totals(c), { long: 55, short: 85, total: 140, exact: true });
});

test('a wild level does not take all memory', () => {
  const store = made({ bin: 0.01 });
  const c = store.setColumn(0, [level(100, 5), level(1e9, 6)]);
  assert.ok(store.rows <= 8192);
  assert.equal(store.cell(c, store.rowOf(100)).long, 5);
});

test('a far level does not push out what there was', () => {
  const store = made({ bin: 0.01 });
  store.setColumn(0, [level(1000, 5)]);
  for (const price of [1e9, 0.01]) store.setColumn(300, [level(1000, 7), level(price, 6)]);
  assert.equal(store.cell(0, store.rowOf(1000)).long, 5);
  assert.equal(store.cell(1, store.rowOf(1000)).long, 7);
  const { layout } = store;
  for (let i = 2; i < 10; i++) store.setColumn(i * 300, [level(1000, 7), level(0.01, 6)]);
  assert.equal(store.layout, layout, 'and is given up once, not again and again');
});

test('finer levels are summed to the bucket shown', () => {
  const next = random(1);
  for (const fine of [100, 0.1, 0.0002, 2.5, 2e-8]) {
    for (const factor of [1, 2, 5, 10, 20]) {
      const bin = Number((fine * factor).toPrecision(12));
      const store = made({ bin });
      const wanted = new Map();
      const levels = [];
      for (let k = 1; k < 3000; k += 1 + Math.floor(next() * 9)) {
        const price = Number((k * fine).toPrecision(12));
        const [long, short] = [Math.floor(next() * 1000), Math.floor(next() * 1000)];
        levels.push(level(price, long, short));
        const sums = wanted.get(Math.floor(k / factor)) ?? [0, 0];
        wanted.set(Math.floor(k / factor), [sums[0] + long, sums[1] + short]);
      }
      const c = store.setColumn(0, levels);
      for (let r = 0; r < store.rows; r++) {
        const { long, short } = store.cell(c, r);
        assert.deepEqual([long, short], wanted.get(store.base + r) ?? [0, 0], `${fine} x ${factor}, row ${r}`);
        assert.equal(store.column(c)[r], encode(long + short));
      }
    }
  }
});

test('a price at the edge of a bucket is in it, however fine the bucket', () => {
  for (const bin of [100, 0.1, 0.01, 0.0002, 2e-8]) {
    const store = made({ bin });
    for (const k of [1, 3, 7, 490, 99_999, 9_800_001, 123_456_789]) {
      assert.equal(store.bucketOf(Number((k * bin).toPrecision(15))), k, `${k} x ${bin}`);
      assert.equal(store.bucketOf((k - 0.001) * bin), k - 1, `below ${k} x ${bin}`);
    }
  }
});

test('a matrix fills its columns; totals are known of them, sides are not', () => {
  const store = made();
  const totals = (c, r) => (r === 1 ? 0 : 1000 * (c + 1) * (r + 1));
  const matrix = parseMatrix(matrixBytes({ columns: 3, rows: 3, priceMin: 500, start: 3000, totals }));
  assert.deepEqual(store.setMatrix(matrix), [0, 1, 2]);
  const cell = store.cell(2, store.rowOf(700));
  assert.deepEqual(
    { ...cell, total: 0 },
    { time: 3600, from: 700, to: 800, long: NaN, short: NaN, total: 0, exact: false },
  );
  assert.ok(Math.abs(cell.total / 9000 - 1) < 0.03, `${cell.total}`);
  assert.equal(encode(cell.total), store.column(2)[store.rowOf(700)]);
  assert.equal(store.cell(2, store.rowOf(600)).total, 0);
  assert.equal(store.isExact(2), false);
  assert.equal(store.sides(2), null);
  const sums = store.totals(2);
  assert.deepEqual({ ...sums, total: 0 }, { long: NaN, short: NaN, total: 0, exact: false });
  assert.ok(Math.abs(sums.total / 12000 - 1) < 0.03, `${sums.total}`);
});

test('every cell of a matrix is the one of its time and price', () => {
  const next = random(2);
  for (let round = 0; round < 20; round++) {
    const columns = 1 + Math.floor(next() * 60);
    const rows = Math.floor(next() * 50);
    const bin = [100, 0.1, 0.0002][round % 3];
    const store = made({ bin, columns: 30 });
    const first = Math.floor(next() * 90);
    store.setColumn(3000, [level(bin * 40, 7)]); /* somewhere before, within or behind it */
    const value = Array.from({ length: columns * rows }, () => (next() < 0.3 ? 0 : 10 ** (1 + 7 * next())));
    const matrix = parseMatrix(
      matrixBytes({ columns, rows, bin, priceMin: first * bin, start: 6000, totals: (c, r) => value[c * rows + r] }),
    );
    store.setMatrix(matrix);
    for (let c = 0; c < columns; c++) {
      const at = store.columnOf(6000 + c * 300);
      assert.equal(at >= 0, c >= columns - store.count, 'the newest are kept');
      for (let r = 0; at >= 0 && r < rows; r++) {
        const cell = store.cell(at, first + r - store.base);
        assert.equal(cell.total, decode(encode(matrix.scale[matrix.cells[c * rows + r]])));
      }
    }
  }
});

test('gaps of a matrix stay what they were', () => {
  const store = made();
  store.setColumn(600, [level(500, 9)]);
  const matrix = parseMatrix(matrixBytes({ columns: 5, rows: 1, start: 0, priceMin: 500, gaps: [[0, 1], [2, 2]], totals: () => 50 }));
  store.setMatrix(matrix);
  assert.equal(store.columnOf(0), -1);
  assert.equal(store.cell(store.columnOf(600), store.rowOf(500)).long, 9);
  assert.equal(store.isKnown(store.columnOf(900)), false);
  assert.equal(store.firstHole(), store.columnOf(900));
  assert.deepEqual(store.settle(0, store.count - 1), [store.columnOf(900)]);
});

test('a matrix replaces exact columns up to a time', () => {
  const store = made();
  for (const time of [0, 300, 600]) store.setColumn(time, [level(500, 9)]);
  const matrix = parseMatrix(matrixBytes({ columns: 3, rows: 1, start: 0, priceMin: 500, totals: () => 50 }));
  assert.deepEqual(store.setMatrix(matrix, 600), [0, 1]);
  assert.deepEqual([0, 1, 2].map((c) => store.isExact(c)), [false, false, true]);
  assert.equal(store.cell(2, store.rowOf(500)).long, 9);
});

test('a matrix without a column or without a level is one', () => {
  const store = made();
  assert.deepEqual(store.setMatrix(parseMatrix(matrixBytes({ columns: 0, rows: 0 }))), []);
  assert.deepEqual(store.setMatrix(parseMatrix(matrixBytes({ columns: 2, rows: 0, start: 300 }))), [0, 1]);
  assert.equal(store.totals(1).total, 0);
});

test('a matrix of another step or bucket is refused', () => {
  const store = made();
  assert.throws(() => store.setMatrix(parseMatrix(matrixBytes({ bin: 50 }))), /buckets of 50/);
  assert.throws(() => store.setMatrix(parseMatrix(matrixBytes({ step: 900 }))), /steps of 900/);
  assert.equal(store.count, 0);
});

test('a column is exact again when its levels come', () => {
  const store = made();
  store.setMatrix(parseMatrix(matrixBytes({ columns: 2, rows: 2, start: 0, priceMin: 500, totals: () => 50 })));
  store.setColumn(0, [level(600, 40, 2)]);
  assert.deepEqual([store.isExact(0), store.isExact(1)], [true, false]);
  assert.equal(store.cell(0, store.rowOf(600)).total, 42);
  assert.equal(store.cell(0, store.rowOf(500)).total, 0, 'and holds nothing of before');
});

test('sides keep their rows when the grid grows', () => {
  const store = made();
  store.setColumn(0, [level(50000, 11, 3)]);
  store.setColumn(300, [level(20000, 22)]);
  store.setColumn(600, [level(90000, 33)]);
  const { long, short } = store.sides(0);
  assert.equal(long.length, store.rows);
  const filled = (side) => [...side.keys()].filter((r) => side[r] > 0).map((r) => [store.priceOf(r), side[r]]);
  assert.deepEqual([filled(long), filled(short)], [[[50000, 11]], [[50000, 3]]]);
  assert.deepEqual(filled(store.sides(2).long), [[90000, 33]]);
});

test('a carried column has the sides of the one before, and is not exact', () => {
  const store = made();
  store.setColumn(0, [level(1000, 9, 1)]);
  const c = store.carry(300);
  assert.equal(store.isExact(c), false);
  assert.deepEqual(store.totals(c), { long: 9, short: 1, total: 10, exact: false });
  store.setMatrix(parseMatrix(matrixBytes({ columns: 1, rows: 1, start: 0, priceMin: 1000, totals: () => 50 })));
  store.carry(300);
  assert.equal(store.sides(c), null);
});

test('so many exact columns are kept, the newest always', () => {
  const store = made({ columns: 1000 });
  store.setColumn(999 * 300, [level(1000, 1)]);
  store.setColumn(1999 * 300, [level(1000, 2)]);
  for (let i = 1000; i < 1900; i++) store.setColumn(i * 300, [level(1000, 3)]);
  assert.equal(store.exact.size, 256);
  assert.equal(store.isExact(store.count - 1), true);
  assert.equal(store.isExact(store.columnOf(1899 * 300)), true);
  assert.equal(store.isExact(store.columnOf(1000 * 300)), false);
  assert.equal(store.cell(store.columnOf(1000 * 300), store.rowOf(1000)).total, decode(encode(3)));
});

test('columns that go take their sides along', () => {
  const store = made({ columns: 20 });
  for (let i = 0; i < 100; i++) store.setColumn(i * 300, [level(1000, i)]);
  assert.deepEqual([...store.exact.keys()].sort((a, b) => a - b), Array.from({ length: store.count }, (_, c) => store.timeOf(c)));
});

test('whatever comes in whatever order, a column is what was set last', () => {
  const next = random(3);
  for (let round = 0; round < 30; round++) {
    const store = made({ columns: 20 });
    const wanted = new Map();
    let newest = 100;
    for (let i = 0; i < 150; i++) {
      newest += Math.floor(next() * 3);
      const time = (newest - Math.floor(next() * 10)) * 300;
      const price = 100 * (500 + Math.floor((next() - 0.5) * 2 * i));
      const usdt = 1 + Math.floor(next() * 1e6);
      if (next() < 0.3) {
        const matrix = { columns: 1, rows: 1, start: time, priceMin: price, totals: () => usdt };
        if (store.setMatrix(parseMatrix(matrixBytes(matrix))).length) wanted.set(time, [price, NaN]);
      } else if (store.setColumn(time, [level(price, usdt)]) >= 0) wanted.set(time, [price, usdt]);
    }
    for (let c = 0; c < store.count; c++) {
      const cells = Array.from({ length: store.rows }, (_, r) => store.cell(c, r)).filter((cell) => cell?.total > 0);
      const found = cells.map(({ from, long }) => [from, long])[0];
      assert.deepEqual(found, wanted.get(store.timeOf(c)), `round ${round}, column ${c}`);
      const codes = Array.from({ length: store.rows }, (_, r) => encode(store.cell(c, r)?.total ?? 0));
      assert.deepEqual([...store.column(c)], codes);
    }
  }
});

test('the newest and the oldest candle are found past columns without one', () => {
  const store = made();
  assert.deepEqual([store.newestCandle(), store.oldestCandle()], [null, null]);
  store.setColumn(0, [level(1000, 1)]);
  store.setColumn(1500, [level(1000, 1)]);
  assert.deepEqual([store.newestCandle(), store.oldestCandle()], [null, null]);
  const [older, newer] = [300, 900].map((time) => ({ time, open: 1, high: 4, low: 0.5, close: time }));
  store.setCandle(older);
  assert.deepEqual([store.newestCandle(), store.oldestCandle()], [older, older]);
  store.setCandle(newer);
  assert.deepEqual([store.newestCandle(), store.oldestCandle()], [newer, older]);
});

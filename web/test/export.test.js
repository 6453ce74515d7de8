import test from 'node:test';
import assert from 'node:assert/strict';
import { csvOf, fileName } from '../export.js';
import { HeatStore } from '../heat-store.js';

const T = Date.UTC(2025, 11, 29, 10) / 1000;

/** A store of these cells, column by column. @param {any[][]} columns @param {number} bin */
function storeOf(columns, bin) {
  return {
    count: columns.length,
    rows: Math.max(...columns.map((cells) => cells.length)),
    bin,
    cell: (/** @type {number} */ c, /** @type {number} */ r) =>
      columns[c][r] && { time: T + 300 * c, from: r * bin, to: (r + 1) * bin, exact: true, ...columns[c][r] },
  };
}

test('a line per cell that holds something, oldest first', () => {
  const store = new HeatStore({ step: 300, bin: 100, columns: 2 });
  store.setColumn(T, [
    { price: 98100, long_density: 0, short_density: 812.345 },
    { price: 98000, long_density: 1_500_000, short_density: 0.5 },
  ]);
  store.setColumn(T + 300, [{ price: 98000, long_density: 1_500_000, short_density: 0 }]);
  assert.deepEqual(csvOf(store, { symbol: 'BTCUSDT' }).split('\n'), [
    'symbol,time,price,bucket,long,short,total,exact',
    'BTCUSDT,2025-12-29T10:00:00Z,98000,100,1500000,0.5,1500000.5,true',
    'BTCUSDT,2025-12-29T10:00:00Z,98100,100,0,812.34,812.34,true',
    'BTCUSDT,2025-12-29T10:05:00Z,98000,100,1500000,0,1500000,true',
    '',
  ]);
});

test('what is roughly known is said with three digits, and without sides', () => {
  const rough = { long: NaN, short: NaN, total: 123456.789, exact: false };
  const [, line] = csvOf(storeOf([[rough]], 5), { symbol: 'ETHUSDT' }).split('\n');
  assert.equal(line, 'ETHUSDT,2025-12-29T10:00:00Z,0,5,,,123000,false');
});

test('prices have the digits of their bucket, never an exponent', () => {
  const cell = { long: 1, short: 0, total: 1 };
  const prices = (/** @type {number} */ bin) =>
    csvOf(storeOf([[null, cell, null, cell]], bin), { symbol: 'X' })
      .split('\n')
      .slice(1, 3)
      .map((line) => line.split(',').slice(2, 4).join(' '));
  assert.deepEqual(prices(0.0002), ['0.0002 0.0002', '0.0006 0.0002']);
  assert.deepEqual(prices(2e-7), ['0.0000002 0.0000002', '0.0000006 0.0000002']);
  assert.deepEqual(prices(0.1), ['0.1 0.1', '0.3 0.1']);
  assert.deepEqual(prices(100), ['100 100', '300 100']);
});

test('gaps and empty cells are left out', () => {
  const store = storeOf([[null, { long: 0, short: 0, total: 0 }], []], 1);
  assert.equal(csvOf(store, { symbol: 'X' }), 'symbol,time,price,bucket,long,short,total,exact\n');
});

test('a symbol cannot break out of its field', () => {
  const store = storeOf([[{ long: 1, short: 0, total: 1 }]], 1);
  assert.match(csvOf(store, { symbol: 'A,"B' }), /\n"A,""B",2025/);
});

test('file names have no signs that a system could mind', () => {
  assert.equal(fileName('BTCUSDT', '48h', 'csv'), 'heatcast-BTCUSDT-48h.csv');
  assert.equal(fileName('../a b', '', 'png'), 'heatcast-.._a_b.png');
});

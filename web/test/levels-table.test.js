import test from 'node:test';
import assert from 'node:assert/strict';
import { HeatStore } from '../heat-store.js';
import { biggest } from '../levels-table.js';

const thin = (text) => text.replaceAll('\u2009', ' ');

function storeOf(levels) {
  const store = new HeatStore({ step: 300, bin: 10, columns: 16 });
  store.setColumn(300, levels.map(([price, long, short]) => ({ price, long_density: long, short_density: short })));
  return store;
}

test('five on each side, by price, with their sums and distances', () => {
  const levels = [];
  for (let i = 1; i <= 8; i++) levels.push([1000 - 10 * i, 1e6 * i, 0], [1000 + 10 * i, 0, 2e6 * i]);
  const { rows, above, below } = biggest(storeOf(levels.sort((a, b) => a[0] - b[0])), 1000);
  assert.deepEqual(rows.map(({ cells }) => thin(cells[0])), ['1 080', '1 070', '1 060', '1 050', '1 040', '960', '950', '940', '930', '920']);
  assert.deepEqual(rows[0].cells.slice(1), ['+8.50 %', '0', '16.0 M']);
  assert.deepEqual(rows[9].cells.slice(1), ['−7.50 %', '8.00 M', '0']);
  assert.equal(rows[0].share, 1);
  assert.equal(rows[9].share, 0.5);
  assert.equal(thin(above), '16.0 M USDT at 1 080');
  assert.equal(thin(below), '8.00 M USDT at 920');
});

test('nothing is said to be nothing', () => {
  const { rows, above, below } = biggest(storeOf([[1010, 0, 5]]), 1000);
  assert.equal(rows.length, 1);
  assert.equal(above, '5.00 USDT at 1\u2009010');
  assert.equal(below, 'none');
});

import test from 'node:test';
import assert from 'node:assert/strict';
import { advance, isNews, snapshotOf } from '../heatmap-state.js';

const level = (price, long_density, short_density) => ({ price, long_density, short_density });
const message = (type, more, data) => ({
  type,
  symbol: 'BTCUSDT',
  timestamp: '2025-12-29T10:00:00Z',
  seq: 1841,
  epoch: 'mwsk3xuz',
  ...more,
  data: { levels: [], current_price: 98450, positions_created: 5, positions_consumed: 2, price_bin_size: 100, ...data },
});
const SNAPSHOT = message('snapshot', {}, {
  levels: [
    level(98000, 1500000, 200000.25),
    level(98100, 0, 75000),
    level(98200, 310000, 0),
    level(98300, 420000.5, 0),
    level(98400, 99.99, 0),
  ],
});
const change = (levels, more = {}) =>
  message('delta', { timestamp: '2025-12-29T10:05:00Z', seq: 1842, prev: 1841, ...more }, { levels, current_price: 98520 });
/* docs/protocol.md has these three. */
const AFTER = message('snapshot', { timestamp: '2025-12-29T10:05:00Z', seq: 1842 }, {
  current_price: 98520,
  levels: [
    level(98000, 1500000, 200000.25),
    level(98200, 310000, 0),
    level(98300, 400000, 0),
    level(98400, 99.99, 0),
    level(98700, 0, 12500),
  ],
});

test('a delta makes the next state, byte for byte, as levels and as columns', () => {
  for (const levels of [
    [level(98100, 0, 0), level(98300, 400000, 0), level(98700, 0, 12500)],
    { prices: [98100, 2, 4], long: [0, 400000, 0], short: [0, 0, 12500] },
  ]) {
    const state = advance(advance(null, SNAPSHOT), change(levels));
    assert.equal(JSON.stringify(snapshotOf(state)), JSON.stringify(AFTER));
  }
});

test('a delta may begin below, end above, and name what is not there', () => {
  const levels = { prices: [97900, 3, 6], long: [7, 0, 8], short: [0, 0, 0] };
  const { data } = snapshotOf(advance(advance(null, SNAPSHOT), change(levels)));
  assert.deepEqual(data.levels.map(({ price }) => price), [97900, 98000, 98100, 98300, 98400, 98800]);
  const empty = advance(advance(null, message('snapshot', {}, {})), change({ prices: [97900, 1], long: [0, 5], short: [0, 0] }));
  assert.deepEqual(snapshotOf(empty).data.levels, [level(98000, 5, 0)]);
});

test('a delta that does not belong to the state gives none', () => {
  const state = advance(null, SNAPSHOT);
  assert.equal(advance(null, change([])), null);
  assert.equal(advance(state, change([], { prev: 1840 })), null);
  assert.equal(advance(state, change([], { epoch: 'other' })), null);
  assert.ok(advance(state, change([])));
});

test('prices of columns are the numbers that their decimals mean', () => {
  for (const [bin, digits] of [[0.0002, 4], [0.05, 2], [1e-7, 7], [2.5, 1], [5, 0], [100, 0]]) {
    const first = Number((bin * 317).toFixed(digits));
    const prices = [first, ...Array(999).fill(1)];
    const zeros = prices.map(() => 1);
    const state = advance(null, message('snapshot', {}, { price_bin_size: bin, levels: { prices, long: zeros, short: zeros } }));
    snapshotOf(state).data.levels.forEach(({ price }, i) => {
      assert.equal(price, Number((bin * (317 + i)).toFixed(digits)));
    });
  }
});

test('no levels at all are levels too', () => {
  const none = { prices: [], long: [], short: [] };
  assert.deepEqual(snapshotOf(advance(null, message('snapshot', {}, { levels: none }))).data.levels, []);
});

test('what was handed out can be kept, and even changed', () => {
  const state = advance(null, SNAPSHOT);
  const first = snapshotOf(state);
  first.data.levels.reverse()[0].price = -1;
  first.data.current_price = -1;
  assert.deepEqual(snapshotOf(state), SNAPSHOT);
  const kept = JSON.stringify(snapshotOf(state));
  advance(state, change([level(98000, 0, 0)]));
  assert.equal(JSON.stringify(snapshotOf(state)), kept);
});

test('the same version is no news, and a poll that was overtaken neither', () => {
  const of = (seq, more = {}) => message('snapshot', { seq, ...more }, {});
  assert.equal(isNews(null, of(5), true), true);
  assert.equal(isNews(of(5), of(6), true), true);
  assert.equal(isNews(of(5), of(5), true), false);
  assert.equal(isNews(of(5), of(5), false), false);
  assert.equal(isNews(of(5), of(4), true), false);
  assert.equal(isNews(of(5), of(4, { epoch: 'new' }), true), true);
  assert.equal(isNews(of(5), of(5, { resumed: false }), false), false, 'a poll was quicker');
  assert.equal(isNews(of(5), of(6, { resumed: false }), false), true);
});

test('without versions a socket is believed, and of polls the time decides', () => {
  const at = (timestamp) => message('snapshot', { seq: undefined, epoch: undefined, timestamp }, {});
  assert.equal(isNews(at('a'), at('a'), false), true);
  assert.equal(isNews(at('a'), at('a'), true), false);
  assert.equal(isNews(at('a'), at('b'), true), true);
});

test('columns that are not all as long as each other are none', () => {
  const whole = { prices: [100, 1], long: [1, 2], short: [3, 4] };
  for (const broken of [{ long: [1] }, { short: [3, 4, 5] }, { prices: [100] }, { prices: [] }, { long: undefined }, { short: 'ab' }]) {
    const levels = { ...whole, ...broken };
    assert.throws(() => advance(null, message('snapshot', {}, { levels })), /columns/, JSON.stringify(levels));
    assert.throws(() => advance(advance(null, SNAPSHOT), change(levels)), /columns/);
  }
  assert.equal(snapshotOf(advance(null, message('snapshot', {}, { levels: whole }))).data.levels.length, 2);
});

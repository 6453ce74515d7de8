import test from 'node:test';
import assert from 'node:assert/strict';
import { HeatStore } from '../heat-store.js';
import { fakeChart, fakeDocument, fakePane } from './fakes.js';

fakeDocument();
const { ProfileOverlay, SweepOverlay, apart, areaWidth, barsOf, newestExact, rowsInSight } = await import(
  '../overlays.js'
);

const level = (price, long_density, short_density) => ({ price, long_density, short_density });

/** Longs below 1000, shorts above; the price rises through a short level in the last column. */
function made() {
  const store = new HeatStore({ step: 300, bin: 10, columns: 20 });
  const levels = [level(900, 4e6, 0), level(950, 1e6, 0), level(1050, 0, 2e6), level(1100, 0, 6e6)];
  for (let c = 0; c < 5; c++) {
    store.setColumn(c * 300, c < 4 ? levels : levels.filter(({ price }) => price !== 1050));
    store.setCandle({ time: c * 300, open: 1000, high: c < 4 ? 1010 : 1060, low: 990, close: 1005 });
  }
  return store;
}

/** An overlay of this kind on a pane of 600 x 400 CSS pixels, 10 for a row. */
function attached(Overlay, store, ratio = 1) {
  const overlay = new Overlay();
  const { chart, series } = fakeChart({ wide: 20, perPrice: 1, left: 0, top: 1200 });
  overlay.attached({ chart, series, requestUpdate() {} });
  const pane = fakePane({ width: 600, height: 400, ratio });
  if (overlay.setStore) overlay.setStore(store);
  else overlay.store = store;
  return { overlay, pane, calls: (name) => pane.calls.filter(([called]) => called === name) };
}

test('the profile has a share of the pane, neither too little nor too much', () => {
  assert.equal(areaWidth(326), 56);
  assert.equal(areaWidth(1000), 130);
  assert.equal(areaWidth(4000), 170);
});

test('a bar stands for the largest of the rows it covers', () => {
  const long = Float32Array.of(1, 0, 5, 0, 0, 0, 2);
  const short = Float32Array.of(0, 3, 0, 4, 0, 0, 0);
  assert.deepEqual(barsOf({ long, short }, { first: 1, end: 7 }, 2), [
    { first: 0, end: 2, long: 0, short: 3 },
    { first: 2, end: 4, long: 5, short: 0 },
    { first: 6, end: 8, long: 2, short: 0 },
  ]);
  assert.equal(barsOf({ long, short }, { first: 2, end: 3 }, 1).length, 1);
});

test('rows in sight end at the edges of the pane and of the grid', () => {
  const store = made();
  const y = (price) => 1200 - price;
  const rows = rowsInSight(store, y, 400);
  assert.deepEqual(rows, { first: store.rowOf(800), end: store.rowOf(1200) });
  const near = rowsInSight(store, (price) => (1000 - price) * 10 + 200, 400);
  assert.deepEqual(near, { first: store.rowOf(980), end: store.rowOf(1020) });
  const none = rowsInSight(store, (price) => 9000 - price, 400);
  assert.equal(none.first, none.end);
});

test('marks that would touch a larger one, or lie outside, are left out', () => {
  const at = (x, y) => ({ x, y });
  const marks = [at(50, 50), at(55, 55), at(50, 70), at(-1, 20), at(20, 101)];
  assert.deepEqual(apart(marks, { width: 100, height: 100 }), [at(50, 50), at(50, 70)]);
  const many = Array.from({ length: 500 }, (_, i) => at((i % 50) * 20, Math.floor(i / 50) * 20));
  assert.equal(apart(many, { width: 1000, height: 200 }).length, 80);
});

test('the newest exact column is found behind those that are only carried on', () => {
  const store = made();
  assert.equal(newestExact(store), 4);
  store.carry(5 * 300);
  store.carry(6 * 300);
  assert.equal(newestExact(store), 4);
  const known = { count: 5, isKnown: () => true, isExact: (c) => c === 2 };
  assert.equal(newestExact(known), 2);
  assert.equal(newestExact(new HeatStore({ step: 300, bin: 10, columns: 20 })), -1);
});

test('bars reach as far from the right edge as their levels are large', () => {
  const { overlay, pane, calls } = attached(ProfileOverlay, made(), 2);
  overlay.show({ profile: true, curves: false });
  overlay.draw(pane.target);
  const bars = calls('rect').map(([, x, , width]) => ({ x, width, right: x + width }));
  assert.deepEqual([...new Set(bars.map(({ right }) => right))], [1200]);
  const full = Math.max(...bars.map(({ width }) => width));
  assert.ok(full <= areaWidth(600) * 2 && full > areaWidth(600) * 1.8);
  const shares = bars.map(({ width }) => Math.round((width / full) * 6));
  assert.deepEqual(shares, [4, 1, 6]); /* longs, then shorts, from the lowest price on */
  assert.equal(calls('lineTo').length, 0);
});

test('shorts of a level lie beyond its longs', () => {
  const store = new HeatStore({ step: 300, bin: 10, columns: 20 });
  store.setColumn(0, [level(1000, 3e6, 1e6)]);
  const { overlay, pane, calls } = attached(ProfileOverlay, store);
  overlay.show({ profile: true, curves: false });
  overlay.draw(pane.target);
  const [long, short] = calls('rect').map(([, x, , width]) => ({ x, width }));
  assert.equal(long.x + long.width, 600);
  assert.equal(short.x + short.width, long.x);
  assert.ok(Math.abs(long.width / short.width - 3) < 0.2);
});

test('the price where longs and shorts meet is marked, on the axis too', () => {
  const { overlay, pane, calls } = attached(ProfileOverlay, made());
  overlay.show({ profile: false, curves: true });
  overlay.draw(pane.target);
  const [label] = overlay.priceAxisViews();
  assert.ok(label.visible());
  const { crossing } = overlay.balance;
  assert.ok(crossing > 960 && crossing < 1100);
  assert.equal(label.text(), crossing.toFixed(1));
  assert.ok(Math.abs(label.coordinate() - (1200 - crossing)) < 1e-9);
  const line = calls('moveTo').at(-1);
  assert.deepEqual(line.slice(1), [600 - areaWidth(600), Math.round(1200 - crossing) + 0.5]);
  assert.equal(calls('rect').length, 0);
});

test('without its curves the crossing is not marked', () => {
  const { overlay, pane } = attached(ProfileOverlay, made());
  overlay.show({ profile: false, curves: false });
  overlay.draw(pane.target);
  assert.equal(overlay.priceAxisViews()[0].visible(), false);
  assert.deepEqual(pane.calls, []);
});

test('without an exact column there is no profile', () => {
  const store = new HeatStore({ step: 300, bin: 10, columns: 20 });
  store.setCandle({ time: 0, open: 1000, high: 1010, low: 990, close: 1005 });
  const { overlay, pane } = attached(ProfileOverlay, store);
  overlay.show({ profile: true, curves: true });
  overlay.draw(pane.target);
  assert.deepEqual(pane.calls, []);
});

test('a large level that the price took is marked where it was', () => {
  const { overlay, pane, calls } = attached(SweepOverlay, made());
  overlay.refresh(4e6);
  overlay.draw(pane.target);
  assert.equal(overlay.found.length, 1);
  assert.equal(overlay.found[0].column, 4);
  const [[, x, y]] = calls('arc');
  assert.deepEqual([x, y], [90, 145]);
});

test('small levels and hidden marks are not drawn', () => {
  const { overlay, pane } = attached(SweepOverlay, made());
  overlay.refresh(40e6);
  overlay.draw(pane.target);
  assert.deepEqual(overlay.found, []);
  overlay.show(false);
  overlay.refresh(4e6);
  pane.calls.length = 0;
  overlay.draw(pane.target);
  assert.deepEqual(pane.calls, []);
  overlay.show(true);
  assert.equal(overlay.found.length, 1);
});

test('marks follow the columns that changed as if all were looked at anew', () => {
  const store = made();
  const { overlay } = attached(SweepOverlay, store);
  overlay.refresh(4e6);
  const taken = store.setColumn(5 * 300, [level(900, 4e6, 0)]);
  store.setCandle({ time: 5 * 300, open: 1005, high: 1120, low: 940, close: 1100 });
  overlay.columnChanged(taken);
  overlay.refresh(4e6);
  const anew = attached(SweepOverlay, store).overlay;
  anew.refresh(4e6);
  assert.deepEqual(overlay.found, anew.found);
  assert.equal(overlay.found.length, 3);
});

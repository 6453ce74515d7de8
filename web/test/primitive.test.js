import test from 'node:test';
import assert from 'node:assert/strict';
import { HeatStore } from '../heat-store.js';
import { Primitive, priceToY } from '../primitive.js';
import { fakeChart, fakePane } from './fakes.js';

const VIEW = { wide: 10, perPrice: 0.08, left: 5, top: 9000 };

function made() {
  const store = new HeatStore({ step: 300, bin: 100, columns: 20 });
  store.setColumn(0, [{ price: 5000, long_density: 1e6, short_density: 0 }]);
  return store;
}

test('prices go to y in device pixels', () => {
  const { series } = fakeChart(VIEW);
  assert.ok(Math.abs(priceToY(series, made(), 2)(8000) - 160) < 1e-9);
});

test('a primitive is seen on its layer, and asks its chart for a repaint', () => {
  const primitive = new Primitive('bottom');
  primitive.requestUpdate();
  let asked = 0;
  primitive.attached({ ...fakeChart(VIEW), requestUpdate: () => asked++ });
  const [view] = primitive.paneViews();
  assert.deepEqual([view.zOrder(), view.renderer()], ['bottom', primitive]);
  primitive.requestUpdate();
  assert.equal(asked, 1);
  assert.equal(primitive.xOf(2), 30);
});

test('what is not attached has no places', () => {
  assert.throws(() => new Primitive('normal').xOf(0), /attached/);
});

test('columns of a chart that has none are nowhere', () => {
  const primitive = new Primitive('normal');
  primitive.attached({ chart: { timeScale: () => ({ logicalToCoordinate: () => null }) } });
  assert.equal(primitive.xOf(0), NaN);
});

test('only what holds something is painted', () => {
  const primitive = new Primitive('normal');
  const { target } = fakePane({ width: 600, height: 400, ratio: 2 });
  const painted = () => {
    const calls = [];
    primitive.paintOn(target, (store, { horizontalPixelRatio }) => calls.push([store, horizontalPixelRatio]));
    return calls;
  };
  assert.deepEqual(painted(), []);
  primitive.store = new HeatStore({ step: 300, bin: 100, columns: 20 });
  assert.deepEqual(painted(), []);
  primitive.store.setCandle({ time: 0, open: 1, high: 1, low: 1, close: 1 });
  assert.deepEqual(painted(), [], 'no row');
  primitive.store = made();
  assert.deepEqual(painted(), [[primitive.store, 2]]);
});

import test from 'node:test';
import assert from 'node:assert/strict';
import { HeatStore } from '../heat-store.js';
import { decode } from '../density-code.js';
import { colour, position, stretch } from '../palette.js';
import { fakeChart, fakeDocument, fakePane } from './fakes.js';

fakeDocument();
const { HeatPrimitive, poolFor, poolRows } = await import('../heat-primitive.js');

/** A store whose cells all differ, with candles. */
function made({ columns = 40, rows = 30, start = 3000, bin = 100, base = 50 } = {}) {
  const store = new HeatStore({ step: 300, bin, columns });
  for (let c = 0; c < columns; c++) {
    store.setColumn(start + c * 300, levels(c, rows, bin, base));
    store.setCandle({ time: start + c * 300, open: 6000, high: 6100, low: 5900, close: 6050 });
  }
  return store;
}

function levels(c, rows, bin, base) {
  return Array.from({ length: rows }, (_, r) => ({
    price: (base + r) * bin,
    long_density: 1000 * 1.5 ** ((c * 7 + r * 13) % 25),
    short_density: 0,
  }));
}

/** A primitive on a chart where a column takes `wide` and a row `high` CSS pixels. */
function attached(store, { wide = 10, high = 8, ratio = 1, left = 5.3 } = {}) {
  const heat = new HeatPrimitive();
  const chart = fakeChart({ wide, perPrice: high / store.bin, left, top: store.priceOf(store.rows) });
  heat.attached({ chart: chart.chart, series: chart.series, requestUpdate() {} });
  heat.setStore(store);
  const pane = fakePane({ width: 600, height: 500, ratio });
  return { heat, pane, chart, paint: () => heat.draw(pane.target) };
}

/** Every cell in sight has, where cellXY says, the colour that cellColour says. */
function assertCells({ heat, pane }) {
  let seen = 0;
  for (let c = 0; c < heat.store.count; c++) {
    for (let r = 0; r < heat.store.rows; r++) {
      const { x, y } = heat.cellXY(c, r);
      const pixel = pane.at(x, y);
      if (!pixel) continue;
      assert.deepEqual(pixel, heat.cellColour(c, r), `column ${c}, row ${r} at ${x} ${y}`);
      seen++;
    }
  }
  assert.ok(seen > 100, `${seen} cells in sight`);
}

test('a cell is painted in the colour of its density', () => {
  const drawn = attached(made());
  drawn.paint();
  const { heat } = drawn;
  for (const [c, price] of [[0, 5000], [3, 5600], [39, 7900]]) {
    const row = heat.store.rowOf(price);
    const wanted = colour('purple', position(decode(heat.store.column(c)[row]), heat.scale));
    heat.cellColour(c, row).forEach((v, k) => assert.ok(Math.abs(v - wanted[k]) <= 3));
  }
  assertCells(drawn);
});

const ZOOMS = [
  { wide: 10, high: 8 },
  { wide: 1.7, high: 1.6 },
  { wide: 0.9, high: 8 },
  { wide: 0.34, high: 0.7, ratio: 2 },
  { wide: 0.3, high: 0.4 },
  { wide: 0.07, high: 1.3, ratio: 1.25 },
];
for (const zoom of ZOOMS) {
  test(`cells are where and what is said at ${JSON.stringify(zoom)}`, () => {
    for (const start of [0, 300, 2100, 9300]) {
      const drawn = attached(made({ columns: 500, base: 37, start }), { ...zoom, left: -3.21 });
      drawn.paint();
      assertCells(drawn);
    }
  });
}

test('every palette, scale, theme and threshold is painted as cellColour says', () => {
  const drawn = attached(made());
  for (const paint of [
    { palette: 'viridis', kind: 'linear', low: 0.2, high: 0.8, theme: 'dark' },
    { palette: 'cividis', kind: 'percentile', low: 0, high: 0.5, theme: 'light' },
    { palette: 'purple', kind: 'log', low: 0.5, high: 1, theme: 'light' },
  ]) {
    drawn.heat.setPaint(paint);
    drawn.paint();
    assertCells(drawn);
    const row = drawn.heat.store.rowOf(5600);
    const usdt = decode(drawn.heat.store.column(5)[row]);
    const t = stretch(position(usdt, drawn.heat.scale), paint);
    const wanted = colour(paint.palette, t, paint.theme);
    drawn.heat.cellColour(5, row).forEach((v, k) => assert.ok(Math.abs(v - wanted[k]) <= 3, paint.palette));
  }
});

test('a lone bright cell is still seen among those that share its pixel', () => {
  const store = made({ columns: 64, rows: 1 });
  store.setColumn(3000 + 17 * 300, [{ price: 5200, long_density: 9e9, short_density: 0 }]);
  const drawn = attached(store, { wide: 0.2, high: 0.5 });
  drawn.paint();
  assert.ok(drawn.heat.pool.columns === 8 && drawn.heat.pool.rows === 4);
  const { x, y } = drawn.heat.cellXY(17, store.rowOf(5200));
  assert.deepEqual(drawn.pane.at(x, y), colour('purple', 1));
});

for (const zoom of [{ wide: 10, high: 8 }, { wide: 0.3, high: 0.5 }]) {
  test(`a changed column is repainted, and nothing else is, at ${JSON.stringify(zoom)}`, () => {
    const drawn = attached(made(), zoom);
    drawn.paint();
    drawn.heat.context.puts.length = 0;
    drawn.heat.store.setColumn(3000 + 39 * 300, levels(3, 30, 100, 50));
    drawn.heat.columnChanged(39);
    drawn.heat.refresh();
    drawn.paint();
    assert.deepEqual(drawn.heat.context.puts, [1]);
    assertCells(drawn);
  });
}

test('a new column is painted beside the others', () => {
  const drawn = attached(made(), { wide: 6 });
  drawn.paint();
  drawn.heat.columnChanged(drawn.heat.store.setColumn(3000 + 40 * 300, levels(11, 30, 100, 50)));
  drawn.heat.refresh();
  drawn.paint();
  assert.equal(drawn.heat.store.count, 41);
  assertCells(drawn);
});

test('columns dropped and rows added are followed', () => {
  const drawn = attached(made({ columns: 48 }), { wide: 0.4, high: 1 });
  drawn.paint();
  const { store } = drawn.heat;
  for (let c = 48; c < 130; c++) {
    drawn.heat.columnChanged(store.setColumn(3000 + c * 300, levels(c, 30, 100, c < 100 ? 50 : -20 + c)));
    drawn.heat.refresh();
    if (c % 5 === 0) drawn.paint();
  }
  assert.ok(store.start > 3000);
  drawn.paint();
  assertCells(drawn);
});

test('columns that share a pixel still do when older ones were dropped', () => {
  const drawn = attached(made({ columns: 96, rows: 4 }), { wide: 0.3, high: 8 });
  drawn.heat.setPaint({ kind: 'linear' });
  drawn.paint();
  const { store } = drawn.heat;
  const seen = () => {
    const row = store.rowOf(5100);
    return Array.from({ length: 24 }, (_, i) => drawn.heat.cellColour(store.columnOf(3000 + (20 + i) * 300), row));
  };
  const before = seen();
  for (let c = 96; store.start === 3000; c++) drawn.heat.columnChanged(store.setColumn(3000 + c * 300, levels(c, 4, 100, 50)));
  drawn.heat.refresh();
  drawn.paint();
  const dropped = (store.start - 3000) / 300;
  assert.ok(dropped % 4 !== 0 && drawn.heat.pool.columns === 4, `${dropped} dropped`);
  assert.deepEqual(seen(), before);
});

test('zooming chooses how many cells share a pixel', () => {
  const drawn = attached(made({ columns: 400 }));
  drawn.paint();
  assert.deepEqual(drawn.heat.pool, { columns: 1, rows: 1 });
  drawn.chart.zoomTo({ wide: 0.2 });
  drawn.paint();
  assert.deepEqual(drawn.heat.pool, { columns: 8, rows: 1 });
  assertCells(drawn);
  drawn.chart.zoomTo({ wide: 4 });
  drawn.paint();
  assert.deepEqual(drawn.heat.pool, { columns: 1, rows: 1 });
  assertCells(drawn);
});

test('before it was painted a cell is where the axes say', () => {
  const { heat } = attached(made(), { wide: 10, high: 8, left: 5 });
  assert.deepEqual(heat.cellXY(2, heat.store.rows - 1), { x: 30, y: 4 });
});

test('an empty store is no trouble', () => {
  const drawn = attached(new HeatStore({ step: 300, bin: 100, columns: 20 }));
  drawn.paint();
  assert.equal(drawn.pane.at(10, 10), null);
});

test('what shares a pixel is at least as large as asked, and no larger than needed', () => {
  for (const [size, least, pool] of [[2, 1.5, 1], [1.5, 1.5, 1], [1.4, 1.5, 2], [0.2, 1, 8], [0.25, 1, 4], [0, 1, 1], [1e-9, 1, 1024]]) {
    assert.equal(poolFor(size, least), pool, `${size}`);
  }
});

test('rows are pooled from a multiple of the pool on', () => {
  const into = new Uint16Array(3);
  poolRows(Uint16Array.of(5, 9, 1, 2, 7), 4, 3, into);
  assert.deepEqual([...into], [5, 9, 0]);
});

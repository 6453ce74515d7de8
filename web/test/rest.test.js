import test from 'node:test';
import assert from 'node:assert/strict';
import {
  INTERVALS,
  RestError,
  WINDOWS,
  coarser,
  formatTime,
  getCandles,
  getHealth,
  getHistory,
  getMatrix,
  getSymbols,
  intervalFor,
  setReplay,
} from '../rest.js';
import { matrixBytes } from './made.js';

/** Answer every fetch with this; returns the addresses asked for. */
function answering(t, body, status = 200) {
  const asked = [];
  const isJson = typeof body !== 'string' && !(body instanceof Uint8Array);
  const headers = { 'content-type': body instanceof Uint8Array ? 'application/octet-stream' : 'application/json' };
  t.mock.method(globalThis, 'fetch', async (url) => {
    asked.push(url);
    return new Response(isJson ? JSON.stringify(body) : body, { status, headers });
  });
  return asked;
}

const queryOf = (url) => Object.fromEntries(new URLSearchParams(url.split('?')[1]));

test('history asks for the warm-up and the bucket of the stream', async (t) => {
  const levels = [{ price: 100, long_density: 1, short_density: 2 }];
  const asked = answering(t, { data: [{ timestamp: '2025-12-20T10:05:00Z', levels }], meta: {} });
  const rows = await getHistory({ symbol: 'BTCUSDT', interval: '5m', bin: 100, start: 1766225100 });
  assert.deepEqual(rows, [{ time: 1766225100, levels }]);
  const [path, query] = asked[0].split('?');
  assert.equal(path, 'liquidations/heatmap-timeseries');
  assert.deepEqual(Object.fromEntries(new URLSearchParams(query)), {
    symbol: 'BTCUSDT',
    start_time: '2025-12-20T10:05:00Z',
    interval: '5m',
    price_bin_size: '100',
    warmup: 'stream',
  });
});

test('candles come with their times in seconds', async (t) => {
  const asked = answering(t, {
    data: [{ timestamp: '2025-12-20T10:05:00.000Z', open: 1, high: 2, low: 0.5, close: 1.5, volume: 9 }],
  });
  const candles = await getCandles({ symbol: 'X', interval: '1h', start: 0, end: 3600 });
  assert.deepEqual(candles, [{ time: 1766225100, open: 1, high: 2, low: 0.5, close: 1.5 }]);
  assert.match(asked[0], /start_time=1970-01-01T00%3A00%3A00Z&end_time=1970-01-01T01%3A00%3A00Z/);
});

test('candles come as columns where the server knows them', async (t) => {
  const columns = { time: [1766225100, 300, 600], open: [1, 2, 3], high: [4, 5, 6], low: [0.5, 1, 2], close: [2, 3, 4] };
  const asked = answering(t, { columns });
  assert.deepEqual(await getCandles({ symbol: 'X', interval: '5m', start: 0, end: 1 }), [
    { time: 1766225100, open: 1, high: 4, low: 0.5, close: 2 },
    { time: 1766225400, open: 2, high: 5, low: 1, close: 3 },
    { time: 1766226000, open: 3, high: 6, low: 2, close: 4 },
  ]);
  assert.match(asked[0], /format=columns/);
});

test('no data is an answer', async (t) => {
  answering(t, { detail: 'no data' }, 404);
  assert.deepEqual(await getHistory({ symbol: 'X', interval: '5m', start: 0 }), []);
  assert.deepEqual(await getCandles({ symbol: 'X', interval: '5m', start: 0, end: 1 }), []);
});

test('an error carries the status and what the server says of it', async (t) => {
  answering(t, { detail: 'unknown symbol X' }, 400);
  await assert.rejects(getHistory({ symbol: 'X', interval: '5m', start: 0 }), (error) => {
    assert.ok(error instanceof RestError);
    assert.deepEqual([error.status, error.message], [400, 'unknown symbol X']);
    return true;
  });
});

test('an answer that is not JSON is an error with its status', async (t) => {
  answering(t, '<html>', 502);
  await assert.rejects(getSymbols(), { status: 502, message: 'HTTP 502' });
});

test('an answer that is cut off is an error, not an empty one', async (t) => {
  const whole = JSON.stringify({ data: [{ timestamp: '1970-01-01T00:05:00Z', levels: [] }] });
  const asked = answering(t, whole.slice(0, -9));
  const request = { symbol: 'X', interval: '5m', start: 0, end: 300 };
  for (const ask of [getHistory, getMatrix, getCandles, getSymbols, setReplay]) {
    await assert.rejects(ask(request), { status: 200, message: 'the answer is cut off or no JSON' }, ask.name);
  }
  assert.equal(asked.length, 5);
  assert.deepEqual(await getHealth(), {});
});

test('symbols and health of a server that tells less are empty', async (t) => {
  answering(t, {});
  assert.deepEqual(await getSymbols(), []);
  answering(t, 'x', 500);
  assert.deepEqual(await getHealth(), {});
});

test('a server that does not answer is an error of status 0', async (t) => {
  t.mock.method(globalThis, 'fetch', async () => {
    throw new TypeError('fetch failed');
  });
  await assert.rejects(getSymbols(), { status: 0 });
  assert.deepEqual(await getHealth(), {});
});

test('columns are never finer than what is stored', () => {
  assert.equal(intervalFor({ interval: '5m' }, '1h'), '1h');
  assert.equal(intervalFor({ interval: '4h' }, '1h'), '4h');
  assert.equal(intervalFor({ interval: '5m' }, undefined), '5m');
  assert.equal(intervalFor({ interval: '5m' }, '1m'), '5m');
  assert.equal(coarser('5m'), '15m');
  assert.equal(coarser('1d'), null);
  assert.equal(formatTime(0), '1970-01-01T00:00:00Z');
});

test('single columns and own weights are asked for by name', async (t) => {
  const asked = answering(t, { data: [] });
  await getHistory({ symbol: 'X', interval: '5m', start: 0, end: 900, weights: '5:1,10:0', at: [300, 900] });
  const { leverage_weights, columns_at, end_time } = queryOf(asked[0]);
  assert.deepEqual(
    [leverage_weights, columns_at, end_time],
    ['5:1,10:0', '1970-01-01T00:05:00Z,1970-01-01T00:15:00Z', '1970-01-01T00:15:00Z'],
  );
  await getHistory({ symbol: 'X', interval: '5m', start: 0, weights: null });
  assert.equal(asked[1].includes('weights'), false);
});

test('history comes as a matrix', async (t) => {
  const asked = answering(t, matrixBytes({ columns: 2, rows: 3, start: 600, totals: () => 50 }));
  const matrix = await getMatrix({ symbol: 'X', interval: '5m', bin: 100, start: 600 });
  assert.deepEqual([matrix.columns, matrix.rows, matrix.start, matrix.bin], [2, 3, 600, 100]);
  assert.deepEqual(queryOf(asked[0]), {
    symbol: 'X',
    start_time: '1970-01-01T00:10:00Z',
    interval: '5m',
    price_bin_size: '100',
    warmup: 'stream',
    format: 'matrix',
  });
});

test('a server that knows no matrix gives columns', async (t) => {
  const levels = [{ price: 100, long_density: 1, short_density: 2 }];
  answering(t, { data: [{ timestamp: '1970-01-01T00:05:00Z', levels }] });
  assert.deepEqual(await getMatrix({ symbol: 'X', interval: '5m', start: 0 }), [{ time: 300, levels }]);
});

test('no matrix is no columns; other errors are told', async (t) => {
  answering(t, { detail: 'no data' }, 404);
  assert.deepEqual(await getMatrix({ symbol: 'X', interval: '5m', start: 0 }), []);
  answering(t, { detail: 'too much' }, 422);
  await assert.rejects(getMatrix({ symbol: 'X', interval: '5m', start: 0 }), { status: 422, message: 'too much' });
  answering(t, matrixBytes({ columns: 2, rows: 3 }).slice(0, -1));
  await assert.rejects(getMatrix({ symbol: 'X', interval: '5m', start: 0 }), /5 cells/);
});

test('every window has some hundred columns up to those of a week', () => {
  for (const [name, { seconds, interval }] of Object.entries(WINDOWS)) {
    const columns = seconds / INTERVALS[interval];
    assert.ok(columns >= 144 && columns <= 2016, `${name}: ${columns}`);
  }
});

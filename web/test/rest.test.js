import test from 'node:test';
import assert from 'node:assert/strict';
import { RestError, coarser, formatTime, getCandles, getHealth, getHistory, getSymbols, intervalFor } from '../rest.js';

/** Answer every fetch with this; returns the addresses asked for. */
function answering(t, body, status = 200) {
  const asked = [];
  t.mock.method(globalThis, 'fetch', async (url) => {
    asked.push(url);
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
  });
  return asked;
}

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

import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeatSession } from '../session.js';
import { parseMatrix } from '../matrix.js';
import { RestError, formatTime } from '../rest.js';
import { matrixBytes } from './made.js';

const NOW = Date.UTC(2025, 11, 20, 10, 0) / 1000;
const level = (long_density) => ({ price: 98000, long_density, short_density: 0 });

/** A server whose state at any time is its number of intervals since 1970. */
function fakeServer({ step = 300, until = NOW, missing = [], knowsMatrix = false } = {}) {
  const server = { step, until, historyAsked: [], matrixAsked: [], candlesAsked: [], fail: null };
  const times = (start, end) => {
    const all = [];
    for (let t = Math.ceil(start / server.step) * server.step; t <= end; t += server.step) all.push(t);
    return all.filter((t) => !missing.includes(t));
  };
  server.getHistory = async (request) => {
    server.historyAsked.push(request);
    if (server.fail) throw server.fail;
    const all = times(request.start, Math.min(request.end ?? Infinity, server.until));
    return all
      .filter((time) => !request.at || request.at.includes(time))
      .map((time) => ({ time, levels: [level(time / 300)] }));
  };
  server.getMatrix = async (request) => {
    server.matrixAsked.push(request);
    if (!knowsMatrix) return server.getHistory(request);
    if (server.fail) throw server.fail;
    const all = times(request.start, server.until);
    const columns = all.length && (all.at(-1) - all[0]) / server.step + 1;
    const has = (c) => all.includes(all[0] + c * server.step);
    const gaps = Array.from({ length: columns }, (_, c) => [c, 1]).filter(([c]) => !has(c));
    const totals = (c) => (has(c) ? (all[0] + c * server.step) / 300 : 0);
    const shape = { start: all[0], step: server.step, columns, rows: columns && 1, priceMin: 98000, bin: request.bin };
    return parseMatrix(matrixBytes({ ...shape, gaps, totals }));
  };
  server.getCandles = async ({ start, end }) => {
    server.candlesAsked.push({ start, end });
    return times(start, Math.min(end, server.until)).map((time) => ({ time, open: 1, high: 3, low: 0.5, close: 2 }));
  };
  return server;
}

function session(t, server) {
  const seen = { stores: 0, columns: [], errors: [] };
  const made = new HeatSession({
    getHistory: server.getHistory,
    getMatrix: server.getMatrix,
    getCandles: server.getCandles,
    onStore: () => seen.stores++,
    onColumn: (c) => seen.columns.push(c),
    onError: (error) => seen.errors.push(error),
    pause: 20,
    ownPause: 500,
  });
  t.after(() => made.close());
  return [made, seen];
}

const BTC = { symbol: 'BTCUSDT', price_bin_size: 100, interval: '5m', end_time: formatTime(NOW) };

function snapshot(time, { epoch = 'a', density = time / 300, price = 5, symbol = 'BTCUSDT', bin = 100 } = {}) {
  const data = { levels: [level(density)], current_price: price, price_bin_size: bin };
  return { type: 'snapshot', symbol, timestamp: formatTime(time), epoch, seq: time, data };
}

const density = ({ store }, c) => store.cell(c, store.rowOf(98000))?.long;

test('a window is loaded up to the newest data', async (t) => {
  const server = fakeServer();
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h' });
  assert.equal(seen.stores, 1);
  assert.deepEqual([s.store.count, s.store.end], [144, NOW]);
  assert.equal(density(s, 143), NOW / 300);
  assert.deepEqual(s.store.candle(0), { time: s.store.start, open: 1, high: 3, low: 0.5, close: 2 });
  assert.equal(server.historyAsked[0].interval, '5m');
  assert.equal(server.historyAsked[0].bin, 100);
});

test('a snapshot becomes the column of its time, and its price the candle', async (t) => {
  const [s, seen] = session(t, fakeServer());
  await s.load(BTC, { window: '12h' });
  assert.equal(s.apply(snapshot(NOW + 300, { density: 77 })), true);
  assert.deepEqual(seen.columns, [144]);
  assert.equal(density(s, 144), 77);
  assert.deepEqual(s.store.candle(144), { time: NOW + 300, open: 2, high: 5, low: 2, close: 5 });
});

test('a snapshot that came while loading is shown after', async (t) => {
  const [s] = session(t, fakeServer());
  const loading = s.load(BTC, { window: '12h' });
  s.apply(snapshot(NOW + 300, { density: 77 }));
  await loading;
  assert.equal(density(s, 144), 77);
});

test('snapshots of other symbols and ill-formed ones are refused', async (t) => {
  const [s] = session(t, fakeServer());
  await s.load(BTC, { window: '12h' });
  assert.equal(s.apply(snapshot(NOW, { symbol: 'ETHUSDT' })), false);
  assert.equal(s.apply({ ...snapshot(NOW), timestamp: 'soon' }), false);
  assert.equal(s.apply({ ...snapshot(NOW), data: {} }), false);
  assert.equal(s.store.count, 144);
});

test('missed columns are asked for again', async (t) => {
  const server = fakeServer();
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h' });
  server.until = NOW + 1500;
  s.apply(snapshot(NOW + 1500));
  assert.equal(density(s, 145), undefined);
  assert.deepEqual([...s.store.column(145)], [...s.store.column(143)], 'carried on until then');
  assert.ok(seen.columns.includes(145), 'and painted');
  await sleep(60);
  assert.equal(server.historyAsked.at(-1).start, NOW + 300);
  for (let c = 144; c < 149; c++) assert.equal(density(s, c), NOW / 300 + c - 143);
  assert.equal(s.store.candle(145).close, 2);
  assert.equal(s.store.candle(148).close, 5, 'the stream is newer than the candle');
});

test('a snapshot a moment older than the history asks for nothing backwards', async (t) => {
  const server = fakeServer();
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h' });
  s.apply(snapshot(NOW - 300));
  await sleep(60);
  assert.equal(seen.stores, 1);
  assert.ok(server.candlesAsked.length > 1);
  for (const { start, end } of server.candlesAsked) assert.ok(start <= end);
});

test('what the server does not have is asked for once', async (t) => {
  const server = fakeServer({ missing: [NOW + 300] });
  const [s] = session(t, server);
  await s.load(BTC, { window: '12h' });
  for (let i = 2; i < 6; i++) {
    server.until = NOW + i * 300;
    s.apply(snapshot(server.until));
    await sleep(40);
  }
  assert.equal(server.historyAsked.length, 2);
});

test('a new epoch begins the history anew, at the new clock', async (t) => {
  const server = fakeServer();
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h' });
  s.apply(snapshot(NOW + 300));
  server.until = NOW - 86400;
  s.apply(snapshot(NOW - 86400, { epoch: 'b' }));
  await sleep(60);
  assert.equal(seen.stores, 2);
  assert.equal(s.store.end, NOW - 86400);
  s.apply(snapshot(NOW - 86400 + 300, { epoch: 'b' }));
  await sleep(60);
  assert.equal(seen.stores, 2);
});

test('a clock that goes back begins the history anew', async (t) => {
  const [s, seen] = session(t, fakeServer());
  await s.load(BTC, { window: '12h' });
  s.apply(snapshot(NOW + 300));
  s.apply(snapshot(NOW - 300));
  await sleep(60);
  assert.equal(seen.stores, 2);
});

test('another bucket size begins the history anew with it', async (t) => {
  const server = fakeServer();
  const [s] = session(t, server);
  await s.load(BTC, { window: '12h' });
  s.apply(snapshot(NOW + 300, { bin: 50 }));
  await sleep(60);
  assert.equal(server.historyAsked.at(-1).bin, 50);
  assert.equal(s.store.bin, 50);
});

test('in a wider interval than the stream has, columns come from REST only', async (t) => {
  const server = fakeServer({ step: 900 });
  const [s] = session(t, server);
  await s.load(BTC, { window: '14d' });
  assert.equal(server.historyAsked[0].interval, '15m');
  server.until = NOW + 900;
  s.apply(snapshot(NOW + 900, { density: 77 }));
  const c = s.store.count - 1;
  assert.equal(s.store.codes[c * s.store.rows + s.store.rowOf(98000)], s.store.column(c - 1)[s.store.rowOf(98000)]);
  await sleep(60);
  assert.equal(density(s, c), (NOW + 900) / 300);
  assert.equal(server.historyAsked.at(-1).start, NOW);
});

test('too many levels: the next coarser interval is tried', async (t) => {
  const server = fakeServer();
  const answer = server.getHistory;
  server.getHistory = async (request) => {
    server.step = { '5m': 300, '15m': 900, '30m': 1800 }[request.interval];
    if (request.interval !== '30m') throw new RestError(422, 'too many levels');
    return answer(request);
  };
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h' });
  assert.deepEqual(seen.errors, []);
  assert.equal(s.interval, '30m');
  assert.equal(s.store.count, 24);
});

test('other errors are told, and loading again works', async (t) => {
  const server = fakeServer();
  const [s, seen] = session(t, server);
  server.fail = new RestError(503, 'busy');
  await s.load(BTC, { window: '12h' });
  assert.equal(seen.errors[0].message, 'busy');
  assert.equal(s.store, null);
  server.fail = null;
  await s.load(BTC, { window: '12h' });
  assert.equal(s.store.count, 144);
});

test('a choice made while loading wins', async (t) => {
  const [s, seen] = session(t, fakeServer());
  await Promise.all([s.load(BTC, { window: '24h' }), s.load(BTC, { window: '12h' })]);
  assert.equal(seen.stores, 1);
  assert.equal(s.store.count, 144);
});

test('a symbol without data has an empty store', async (t) => {
  const [s, seen] = session(t, fakeServer({ until: 0 }));
  await s.load({ symbol: 'NEWUSDT', end_time: formatTime(NOW), price_bin_size: 1 }, { window: '12h' });
  assert.equal(s.store.count, 0);
  assert.equal(seen.errors.length, 0);
});

test('a history of totals is shown, and the newest column is the stream\'s', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '7d' });
  assert.deepEqual(seen.errors, []);
  assert.deepEqual([s.store.count, s.store.end, server.historyAsked.length], [2016, NOW, 0]);
  assert.equal(s.store.firstHole(), -1);
  const { long, total } = s.store.cell(7, s.store.rowOf(98000));
  assert.ok(Number.isNaN(long) && Math.abs(total / (s.store.timeOf(7) / 300) - 1) < 0.05);
  s.apply(snapshot(NOW, { density: 77 }));
  assert.equal(density(s, 2015), 77);
  assert.deepEqual([s.store.isExact(2015), s.store.isExact(2014)], [true, false]);
});

test('gaps in a history of totals are gaps', async (t) => {
  const server = fakeServer({ knowsMatrix: true, missing: [NOW - 600, NOW - 300] });
  const [s] = session(t, server);
  await s.load(BTC, { window: '12h' });
  const known = [3, 2, 1, 0].map((back) => s.store.isKnown(s.store.columnOf(NOW - back * 300)));
  assert.deepEqual(known, [true, false, false, true]);
  assert.equal(s.store.firstHole(), -1);
});

test('the exact column is fetched once, as the history was reckoned', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h', factor: 2, weights: '5:1' });
  assert.equal(await s.wantExact(100), true);
  const time = s.store.timeOf(100);
  assert.equal(density(s, 100), time / 300);
  assert.deepEqual(seen.columns, [100]);
  assert.deepEqual(server.historyAsked, [
    { symbol: 'BTCUSDT', interval: '5m', bin: 200, weights: '5:1', start: s.store.start, end: time + 299, at: [time] },
  ]);
  assert.equal(await s.wantExact(100), true);
  assert.equal(server.historyAsked.length, 1);
});

test('of exact columns wanted meanwhile the last is fetched', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const answer = server.getHistory;
  server.getHistory = async (request) => {
    await sleep(20);
    return answer(request);
  };
  const [s] = session(t, server);
  await s.load(BTC, { window: '12h' });
  const answers = await Promise.all([10, 11, 12, 13, 10, 13].map((c) => s.wantExact(c)));
  assert.deepEqual(answers, [true, false, false, true, true, true]);
  assert.deepEqual(server.historyAsked.map(({ at }) => s.store.columnOf(at[0])), [10, 13]);
});

test('there is no exact column of what is not there', async (t) => {
  const server = fakeServer({ knowsMatrix: true, missing: [NOW - 300] });
  const [s] = session(t, server);
  assert.equal(await s.wantExact(3), false);
  await s.load(BTC, { window: '12h' });
  const wanted = [-1, s.store.count, s.store.columnOf(NOW - 300)];
  assert.deepEqual(await Promise.all(wanted.map((c) => s.wantExact(c))), [false, false, false]);
  assert.equal(server.historyAsked.length, 0);
  server.fail = new RestError(503, 'busy');
  assert.equal(await s.wantExact(3), false);
  server.fail = null;
  assert.equal(await s.wantExact(3), true);
});

test('of a server that gives all columns only the one wanted is taken', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const answer = server.getHistory;
  server.getHistory = (request) => answer({ ...request, at: undefined });
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h' });
  assert.equal(await s.wantExact(50), true);
  assert.deepEqual(seen.columns, [50]);
});

test('an exact column that comes after another choice is dropped', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h' });
  const wanted = s.wantExact(3);
  await s.load(BTC, { window: '24h' });
  assert.equal(await wanted, false);
  assert.deepEqual(seen.columns, []);
  assert.equal(await s.wantExact(3), true);
});

test('several buckets of the stream make one row', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h', factor: 5 });
  assert.deepEqual([server.matrixAsked[0].bin, s.store.bin], [500, 500]);
  const message = snapshot(NOW);
  message.data.levels = [97900, 98000, 98400, 98500].map((price, i) => ({ price, long_density: 10 ** i, short_density: 1 }));
  s.apply(message);
  const sums = [97500, 98000, 98500].map((price) => s.store.cell(143, s.store.rowOf(price)));
  assert.deepEqual(sums.map(({ long, short }) => [long, short]), [[1, 1], [110, 2], [1000, 1]]);
  await sleep(60);
  assert.equal(seen.stores, 1, 'the stream still has its own bucket');
});

test('a decimal bucket times a factor is a decimal', async (t) => {
  const [s] = session(t, fakeServer());
  await s.load({ ...BTC, price_bin_size: 0.1 }, { window: '12h', factor: 3 });
  assert.equal(s.store.bin, 0.3);
});

test('a bucket that is first heard of from the stream begins the history anew', async (t) => {
  const [s, seen] = session(t, fakeServer());
  await s.load({ symbol: 'BTCUSDT', end_time: formatTime(NOW) }, { window: '12h' });
  s.apply(snapshot(NOW, { bin: 50 }));
  await sleep(60);
  assert.deepEqual([seen.stores, s.store.bin], [2, 50]);
});

test('with own weights levels come from history only', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const [s] = session(t, server);
  await s.load(BTC, { window: '12h', weights: '5:50,10:50' });
  assert.deepEqual([server.matrixAsked[0].weights, s.isLive], ['5:50,10:50', false]);
  s.apply(snapshot(NOW, { density: 77, price: 9 }));
  assert.notEqual(density(s, 143), 77);
  assert.equal(s.store.candle(143).close, 9);
  await sleep(60);
  assert.deepEqual([server.historyAsked.length, server.historyAsked[0].weights], [1, '5:50,10:50']);
  assert.equal(density(s, 143), NOW / 300);

  s.apply(snapshot(NOW, { density: 78 }));
  await sleep(60);
  assert.equal(server.historyAsked.length, 1, 'not before its pause is over');
  server.until = NOW + 300;
  s.apply(snapshot(NOW + 300, { density: 79 }));
  assert.equal(density(s, 144), undefined);
  await sleep(60);
  assert.equal(server.historyAsked.length, 2, 'but for a new column');
  assert.equal(density(s, 144), NOW / 300 + 1);
  await sleep(500);
  s.apply(snapshot(NOW + 300, { density: 80 }));
  await sleep(60);
  assert.equal(server.historyAsked.length, 3);

  await s.load(BTC, { window: '12h', weights: '5:40,10:60' });
  s.apply(snapshot(NOW + 300, { density: 81 }));
  await sleep(60);
  assert.equal(server.historyAsked.at(-1).weights, '5:40,10:60', 'and at once for other weights');
});

test('another epoch keeps bucket and weights', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const [s] = session(t, server);
  await s.load(BTC, { window: '12h', factor: 2, weights: '5:1' });
  s.apply(snapshot(NOW));
  s.apply(snapshot(NOW, { epoch: 'b' }));
  await sleep(60);
  assert.equal(server.matrixAsked.length, 2);
  assert.deepEqual([s.store.bin, s.weights, s.window], [200, '5:1', '12h']);
  await s.load(BTC, { window: '12h' });
  assert.deepEqual([s.store.bin, s.weights, s.isLive], [100, null, true]);
});

test('many missed columns are asked for as a matrix, few as exact ones', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '24h' });
  server.until = NOW + 300 * 20;
  s.apply(snapshot(server.until));
  await sleep(60);
  assert.deepEqual([server.matrixAsked.length, server.historyAsked.length], [1, 1]);
  assert.equal(s.store.isExact(s.store.columnOf(NOW + 300)), true);
  const first = server.until + 300;
  server.until = NOW + 300 * 100;
  s.apply(snapshot(server.until, { density: 77 }));
  seen.columns.length = 0;
  await sleep(60);
  assert.deepEqual([server.matrixAsked.length, server.historyAsked.length], [2, 1]);
  assert.equal(server.matrixAsked[1].start, first);
  assert.equal(s.store.isExact(s.store.columnOf(first)), false);
  assert.ok(seen.columns.includes(s.store.columnOf(first)));
  assert.equal(s.store.firstHole(), -1);
  assert.equal(density(s, s.store.count - 1), 77, 'the stream is newer');
});

test('too many cells for a matrix: the next coarser interval is tried', async (t) => {
  const server = fakeServer({ knowsMatrix: true });
  const answer = server.getMatrix;
  server.getMatrix = async (request) => {
    server.step = request.interval === '15m' ? 900 : 300;
    if (request.interval !== '15m') throw new RestError(422, 'too many cells');
    return answer(request);
  };
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '7d' });
  assert.deepEqual([seen.errors, s.interval, s.store.count], [[], '15m', 672]);
});

test('a history that cannot be read is told', async (t) => {
  const server = fakeServer();
  server.getMatrix = async () => parseMatrix(matrixBytes({ columns: 3, rows: 3 }).slice(0, -1));
  const [s, seen] = session(t, server);
  await s.load(BTC, { window: '12h' });
  assert.match(seen.errors[0].message, /8 cells/);
});

import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeatSession } from '../session.js';
import { RestError, formatTime } from '../rest.js';

const NOW = Date.UTC(2025, 11, 20, 10, 0) / 1000;
const level = (long_density) => ({ price: 98000, long_density, short_density: 0 });

/** A server whose state at any time is its number of intervals since 1970. */
function fakeServer({ step = 300, until = NOW, missing = [] } = {}) {
  const server = { step, until, historyAsked: [], candlesAsked: [], fail: null };
  const times = (start, end) => {
    const all = [];
    for (let t = Math.ceil(start / server.step) * server.step; t <= end; t += server.step) all.push(t);
    return all.filter((t) => !missing.includes(t));
  };
  server.getHistory = async (request) => {
    server.historyAsked.push(request);
    if (server.fail) throw server.fail;
    return times(request.start, server.until).map((time) => ({ time, levels: [level(time / 300)] }));
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
    getCandles: server.getCandles,
    onStore: () => seen.stores++,
    onColumn: (c) => seen.columns.push(c),
    onError: (error) => seen.errors.push(error),
    pause: 20,
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
  await s.load(BTC, '12h');
  assert.equal(seen.stores, 1);
  assert.deepEqual([s.store.count, s.store.end], [144, NOW]);
  assert.equal(density(s, 143), NOW / 300);
  assert.deepEqual(s.store.candle(0), { time: s.store.start, open: 1, high: 3, low: 0.5, close: 2 });
  assert.equal(server.historyAsked[0].interval, '5m');
  assert.equal(server.historyAsked[0].bin, 100);
});

test('a snapshot becomes the column of its time, and its price the candle', async (t) => {
  const [s, seen] = session(t, fakeServer());
  await s.load(BTC, '12h');
  assert.equal(s.apply(snapshot(NOW + 300, { density: 77 })), true);
  assert.deepEqual(seen.columns, [144]);
  assert.equal(density(s, 144), 77);
  assert.deepEqual(s.store.candle(144), { time: NOW + 300, open: 2, high: 5, low: 2, close: 5 });
});

test('a snapshot that came while loading is shown after', async (t) => {
  const [s] = session(t, fakeServer());
  const loading = s.load(BTC, '12h');
  s.apply(snapshot(NOW + 300, { density: 77 }));
  await loading;
  assert.equal(density(s, 144), 77);
});

test('snapshots of other symbols and ill-formed ones are refused', async (t) => {
  const [s] = session(t, fakeServer());
  await s.load(BTC, '12h');
  assert.equal(s.apply(snapshot(NOW, { symbol: 'ETHUSDT' })), false);
  assert.equal(s.apply({ ...snapshot(NOW), timestamp: 'soon' }), false);
  assert.equal(s.apply({ ...snapshot(NOW), data: {} }), false);
  assert.equal(s.store.count, 144);
});

test('missed columns are asked for again', async (t) => {
  const server = fakeServer();
  const [s, seen] = session(t, server);
  await s.load(BTC, '12h');
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
  await s.load(BTC, '12h');
  s.apply(snapshot(NOW - 300));
  await sleep(60);
  assert.equal(seen.stores, 1);
  assert.ok(server.candlesAsked.length > 1);
  for (const { start, end } of server.candlesAsked) assert.ok(start <= end);
});

test('what the server does not have is asked for once', async (t) => {
  const server = fakeServer({ missing: [NOW + 300] });
  const [s] = session(t, server);
  await s.load(BTC, '12h');
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
  await s.load(BTC, '12h');
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
  await s.load(BTC, '12h');
  s.apply(snapshot(NOW + 300));
  s.apply(snapshot(NOW - 300));
  await sleep(60);
  assert.equal(seen.stores, 2);
});

test('another bucket size begins the history anew with it', async (t) => {
  const server = fakeServer();
  const [s] = session(t, server);
  await s.load(BTC, '12h');
  s.apply(snapshot(NOW + 300, { bin: 50 }));
  await sleep(60);
  assert.equal(server.historyAsked.at(-1).bin, 50);
  assert.equal(s.store.bin, 50);
});

test('in a wider interval than the stream has, columns come from REST only', async (t) => {
  const server = fakeServer({ step: 900 });
  const [s] = session(t, server);
  await s.load(BTC, '48h');
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
  await s.load(BTC, '12h');
  assert.deepEqual(seen.errors, []);
  assert.equal(s.interval, '30m');
  assert.equal(s.store.count, 24);
});

test('other errors are told, and loading again works', async (t) => {
  const server = fakeServer();
  const [s, seen] = session(t, server);
  server.fail = new RestError(503, 'busy');
  await s.load(BTC, '12h');
  assert.equal(seen.errors[0].message, 'busy');
  assert.equal(s.store, null);
  server.fail = null;
  await s.load(BTC, '12h');
  assert.equal(s.store.count, 144);
});

test('a choice made while loading wins', async (t) => {
  const [s, seen] = session(t, fakeServer());
  await Promise.all([s.load(BTC, '24h'), s.load(BTC, '12h')]);
  assert.equal(seen.stores, 1);
  assert.equal(s.store.count, 144);
});

test('a symbol without data has an empty store', async (t) => {
  const [s, seen] = session(t, fakeServer({ until: 0 }));
  await s.load({ symbol: 'NEWUSDT', end_time: formatTime(NOW), price_bin_size: 1 }, '12h');
  assert.equal(s.store.count, 0);
  assert.equal(seen.errors.length, 0);
});

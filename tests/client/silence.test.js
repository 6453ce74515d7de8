/** Servers that fall silent, stop, or find us slow: real ones, behind a proxy of ours. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertNewest, assertRising, startClient, startProxy, startServer, until } from './support.js';

const publish = (server, n) => server.publish(92000 + n, [[90000, n, 0], [90100, 5, 5]]);

async function startAll(t, { flags = [], ...options } = {}) {
  const server = await startServer(t, '--publish-symbols', 'MINE', ...flags);
  const proxy = await startProxy(t, server);
  await publish(server, 1);
  const [client, seen] = startClient(t, proxy.url, { maxReconnectAttempts: 1000, ...options });
  client.subscribe(['MINE'], { updateInterval: 0 });
  await until(() => seen.snapshots.length === 1, 'the first snapshot');
  return { server, proxy, client, seen };
}

test('a server that hangs is noticed although its socket is open', async (t) => {
  const { server, proxy, client, seen } = await startAll(t);
  client.startKeepalive(100);
  server.stop();
  const open = proxy.openSockets;
  await until(() => client.status === 'disconnected', 'the loss');
  assert.equal(open, 1);
  assert.match(client.detail.reason, /no answer within/);
  await until(() => /no connection within/.test(client.detail.reason), 'an attempt that hangs too');
  server.goOn();
  await until(() => client.status === 'connected', 'the return');
  await publish(server, 2);
  await assertNewest(server, seen);
  assertRising(seen.snapshots);
});

test('a quiet market is not taken for a silent server', async (t) => {
  const { server, proxy, client, seen } = await startAll(t);
  client.startKeepalive(20);
  const before = (await server.stats()).messages_received;
  await until(async () => (await server.stats()).messages_received >= before + 10, 'ten pings');
  assert.deepEqual(seen.statuses, ['connecting', 'connected']);
  assert.equal(proxy.connections, 1);
});

test('a network that swallows everything is noticed and gone round', async (t) => {
  const { server, proxy, client, seen } = await startAll(t);
  client.startKeepalive(100);
  proxy.swallow();
  await publish(server, 2);
  await assertNewest(server, seen);
  assert.ok(seen.details.some(({ reason }) => /no answer within/.test(reason)));
  assert.equal(client.status, 'connected');
  assertRising(seen.snapshots);
});

test('attempts that lead nowhere are given up', async (t) => {
  const { server, proxy, client, seen } = await startAll(t);
  proxy.swallows = true;
  proxy.cut();
  await until(() => seen.details.some(({ reason }) => /no connection within/.test(reason)), 'giving up');
  proxy.swallows = false;
  await publish(server, 2);
  await until(() => client.status === 'connected', 'the return');
  await assertNewest(server, seen);
});

test('a server that stops tells how long to wait, and is believed', async (t) => {
  const { server, client, seen } = await startAll(t, { reconnectDelayMax: 60_000 });
  await server.end('SIGTERM');
  await until(() => seen.statuses.includes('disconnected'), 'the close');
  const { reason, since, retryAt } = seen.details[seen.statuses.indexOf('disconnected')];
  const [, told] = /^1001 .* reconnect in (\d+) ms$/.exec(reason);
  assert.ok(Math.abs(retryAt - since - Number(told)) < 50, `${retryAt - since} instead of ${told}`);
  await server.start();
  await publish(server, 1);
  client.probe();
  await assertNewest(server, seen);
  assert.equal(seen.snapshots.at(-1).resumed, false);
});

/** Versions so long that sockets fill up, until the server skips some. */
async function publishTooMuch(server) {
  const before = (await server.stats()).snapshots_dropped;
  for (let n = 1; (await server.stats()).snapshots_dropped === before; n++) {
    await server.publish(92000, Array.from({ length: 20_000 }, (_, i) => [100 * (i + 1), 1234567.89 + n, n / 100]));
  }
}

test('who reads too slowly is told so, for a while, and has the newest', async (t) => {
  const { server, proxy, client, seen } = await startAll(t, { slowFor: 300 });
  proxy.stall();
  await publishTooMuch(server);
  proxy.flow();
  await until(() => client.status === 'slow', 'the warning');
  assert.match(client.detail.reason, /^SLOW_CONSUMER: .*skipped/);
  await until(() => client.status === 'connected', 'its end');
  await publish(server, 2);
  await assertNewest(server, seen);
  assertRising(seen.snapshots);
});

test('who was closed for not reading at all does not come back at once', async (t) => {
  const { server, proxy, client, seen } = await startAll(t, {
    flags: ['--ws-slow-consumer-disconnect', '1'],
    reconnectDelay: 1000,
    reconnectDelayMax: 1000,
    random: () => 0,
  });
  proxy.stall();
  await publishTooMuch(server);
  await until(async () => (await server.stats()).closes_1013 === 1, 'the close');
  proxy.flow();
  await until(() => seen.statuses.includes('disconnected'), 'the close here');
  const { reason, since, retryAt } = seen.details[seen.statuses.indexOf('disconnected')];
  assert.match(reason, /^1013/);
  assert.ok(Math.abs(retryAt - since - 500) < 50, `${retryAt - since}`);
  await until(() => client.status === 'connected', 'the return');
  await publish(server, 2);
  await assertNewest(server, seen);
  assertRising(seen.snapshots);
});

test('requests that were too many at once are repeated until all are kept', async (t) => {
  const symbols = Array.from({ length: 90 }, (_, i) => `S${i}`);
  const server = await startServer(t, '--publish-symbols', symbols.join(','));
  for (const symbol of symbols) await server.publish(5, [[5, 1, 0]], { symbol, bin: 1 });
  const proxy = await startProxy(t, server);
  const [client, seen] = startClient(t, proxy.url);
  await until(() => client.status === 'connected', 'a connection');
  for (const symbol of symbols) client.subscribe([symbol], { updateInterval: 0 });
  client.unsubscribe(['S0']); /* which was subscribed to, while this is ignored */
  await until(() => seen.snapshots.length >= 89, 'all snapshots');
  assert.ok(seen.errors.some(({ code }) => code === 'RATE_LIMITED'));
  await until(async () => Object.keys((await server.stats()).subscriptions_by_symbol).length === 89, 'the farewell');
  assertRising(seen.snapshots);
  assert.equal(proxy.connections, 1);
});

test('subscriptions beyond what the server allows are told, and not asked for again and again', async (t) => {
  const symbols = Array.from({ length: 101 }, (_, i) => `S${i}`);
  const server = await startServer(t, '--publish-symbols', symbols.join(','));
  const [client, seen] = startClient(t, `ws://127.0.0.1:${server.port}/ws/heatmap`, { rateLimitPause: 20 });
  client.subscribe(symbols);
  await until(() => seen.errors.length === 1, 'the error');
  await sleep(200);
  assert.deepEqual(seen.errors.map(({ code }) => code), ['RATE_LIMITED']);
});

test('an unstable network is told', async (t) => {
  const { server, proxy, client, seen } = await startAll(t);
  for (let cuts = 1; cuts <= 5; cuts++) {
    const { connections } = proxy;
    proxy.cut();
    await until(() => proxy.connections > connections && client.status === 'connected', 'the return');
  }
  await until(() => /^CONNECTION_UNSTABLE/.test(client.detail.reason), 'the warning');
  assert.equal(client.status, 'connected');
  await publish(server, 2);
  await assertNewest(server, seen);
});

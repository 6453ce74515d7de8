/** When no WebSocket is to be had: polling, and back, with a real server. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { assertNewest, assertRising, startClient, startProxy, startServer, until } from './support.js';

const publish = (server, n) => server.publish(92000 + n, [[90000, n, 0], [90100, 5, 5]]);

async function startAll(t, options = {}) {
  const server = await startServer(t, '--publish-symbols', 'MINE');
  const proxy = await startProxy(t, server);
  await publish(server, 1);
  const [client, seen] = startClient(t, proxy.url, { maxReconnectAttempts: 2, ...options });
  client.subscribe(['MINE'], { updateInterval: 1 });
  await until(() => seen.snapshots.length === 1, 'the first snapshot');
  return { server, proxy, client, seen };
}

/** WebSockets are refused, HTTP is not. */
async function fallBack({ proxy, client }) {
  proxy.refusesUpgrades = true;
  proxy.cut();
  await until(() => client.status === 'failed' && client.detail.polling, 'polling');
}

test('it polls while WebSockets are refused, and returns without a gap or a duplicate', async (t) => {
  const all = await startAll(t);
  const { server, proxy, client, seen } = all;
  await fallBack(all);
  assert.ok(client.detail.retryAt > Date.now() - 1000);
  for (let n = 2; n <= 4; n++) {
    await publish(server, n);
    await assertNewest(server, seen);
  }
  proxy.refusesUpgrades = false;
  await until(() => client.status === 'connected', 'the return');
  await until(async () => (await server.stats()).resumes_current === 1, 'going on from what was polled');
  await publish(server, 5);
  await assertNewest(server, seen);
  assert.deepEqual(seen.snapshots.map(({ seq }) => seq), [1, 2, 3, 4, 5]);
  assert.ok(seen.snapshots.every(({ resumed }) => resumed === undefined));
  proxy.polled.length = 0;
  for (const n of [6, 7]) {
    await publish(server, n);
    await assertNewest(server, seen); /* at most one a second: polls would be many */
  }
  assert.deepEqual(proxy.polled, []);
});

test('it goes on polling while a WebSocket opens and stays silent', async (t) => {
  const all = await startAll(t);
  const { server, proxy, client, seen } = all;
  await fallBack(all);
  proxy.swallowsAfterUpgrade = true;
  proxy.refusesUpgrades = false;
  for (let n = 2; n <= 5; n++) {
    const attempts = client.detail.attempt;
    await until(() => client.detail.attempt > attempts, 'another attempt in vain');
    await publish(server, n);
    await assertNewest(server, seen);
    assert.equal(client.status, 'failed');
  }
  assert.match(client.detail.reason, /no answer within/);
  proxy.swallowsAfterUpgrade = false;
  await until(() => client.status === 'connected', 'the return');
  assertRising(seen.snapshots);
});

test('a server that was killed is offline; started again, it is resumed by the WebSocket', async (t) => {
  const { server, client, seen } = await startAll(t);
  await server.end('SIGKILL');
  await until(() => client.status === 'failed', 'giving up');
  await until(() => seen.details.filter((_, i) => seen.statuses[i] === 'failed').length >= 2, 'attempts while failed');
  assert.equal(client.detail.polling, false);
  await server.start();
  await publish(server, 1);
  await until(() => client.status === 'connected', 'the return');
  await assertNewest(server, seen);
  await publish(server, 2);
  await assertNewest(server, seen);
  assertRising(seen.snapshots);
});

test('a server that hangs is offline; when it goes on, so does the client', async (t) => {
  const { server, client, seen } = await startAll(t);
  client.startKeepalive(100);
  server.stop();
  await until(() => client.status === 'failed', 'giving up');
  assert.equal(client.detail.polling, false);
  server.goOn();
  await until(() => client.status === 'connected', 'the return');
  await publish(server, 2);
  await assertNewest(server, seen);
  assertRising(seen.snapshots);
});

test('what is subscribed to while it polls is polled too, and what is not, not', async (t) => {
  const server = await startServer(t, '--feed', 'sim', '--sim-speed', '6000', '--ws-update-interval', '0.1');
  const proxy = await startProxy(t, server);
  proxy.refusesUpgrades = true;
  const [client, seen] = startClient(t, proxy.url, { maxReconnectAttempts: 0 });
  client.subscribe(['BTCUSDT'], { updateInterval: 1 });
  await until(() => seen.snapshots.length > 2, 'polled snapshots');
  client.subscribe(['ETHUSDT'], { updateInterval: 1 });
  client.unsubscribe(['BTCUSDT']);
  seen.snapshots.length = 0;
  await until(() => seen.snapshots.length > 2, 'others');
  assert.ok(seen.snapshots.every(({ symbol }) => symbol === 'ETHUSDT'));
  assert.ok(proxy.polled.slice(-3).every((symbol) => symbol === 'ETHUSDT'), `${proxy.polled}`);
  assertRising(seen.snapshots);
});

test('failed attempts are forgotten only after a while of data', async (t) => {
  const { proxy, client, seen } = await startAll(t, { healthyAfter: 400, maxReconnectAttempts: 5 });
  for (let cuts = 1; cuts <= 3; cuts++) {
    const { connections } = proxy;
    proxy.cut();
    await until(() => proxy.connections > connections && client.status === 'connected', 'the return');
    assert.equal(client.detail.attempt, cuts, `${seen.statuses}`);
  }
  await until(() => client.reconnectAttempts === 0, 'forgiveness');
  assert.equal(client.status, 'connected');
});

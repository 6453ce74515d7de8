/** Servers that restart, and clients that follow: real ones, behind a proxy of ours. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { assertNewest, assertRising, startClient, startProxy, startServer, until } from './support.js';

const publish = (server, n) => server.publish(92000 + n, [[90000, n, 0], [90100, 5, 5]]);
const start = (t, ...flags) => startServer(t, '--publish-symbols', 'MINE', ...flags);

test('clients of a server that restarts are at another one as soon as they are let go', async (t) => {
  const [first, second] = [await start(t, '--ws-drain-seconds', '2'), await start(t)];
  const proxy = await startProxy(t, first);
  for (const server of [first, second]) await publish(server, 1);
  const patient = { reconnectDelay: 60_000, reconnectDelayMax: 60_000, openTimeout: 20_000 };
  const all = Array.from({ length: 12 }, () => startClient(t, proxy.url, patient));
  for (const [client] of all) client.subscribe(['MINE'], { updateInterval: 0 });
  await until(() => all.every(([, seen]) => seen.snapshots.length === 1), 'the first snapshots');

  proxy.target = second;
  const ended = first.end('SIGTERM');
  await until(() => all.every(([, { details }]) => details.some(({ reason }) => /SERVER_SHUTDOWN/.test(reason))), 'the warnings');
  await publish(first, 2);
  await ended;
  await publish(second, 2);
  for (const [client, seen] of all) {
    await assertNewest(second, seen);
    assertRising(seen.snapshots);
    assert.ok(seen.snapshots.filter(({ epoch }) => epoch === seen.snapshots[0].epoch).length <= 2);
    assert.deepEqual(seen.statuses.slice(2), ['connected', 'disconnected', 'connecting', 'connected']);
    const lost = seen.details[3];
    assert.ok(lost.retryAt - lost.since <= 255 && /^1012/.test(lost.reason));
    assert.equal(client.reconnectAttempts, 0);
  }
  const times = all.map(([, { details }]) => details[2].retryAt).sort((a, b) => a - b);
  assert.ok(times.at(-1) - times[0] > 500, 'spread over the time');
});

test('one that restarts alone is found again', async (t) => {
  const server = await start(t, '--ws-drain-seconds', '0.5');
  const proxy = await startProxy(t, server);
  await publish(server, 1);
  const [client, seen] = startClient(t, proxy.url, { maxReconnectAttempts: 1000 });
  client.subscribe(['MINE'], { updateInterval: 0 });
  await until(() => seen.snapshots.length === 1, 'the first snapshot');
  await server.end('SIGTERM');
  assert.ok(seen.details.some(({ reason }) => /^1012/.test(reason)));
  await server.start();
  await publish(server, 2);
  await assertNewest(server, seen);
  assert.equal(seen.snapshots.at(-1).resumed, false);
});

/** What callers do while they are being told something: leave, and throw. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fakeSockets, makeClient, snapshot, until } from './client.js';

const SLOW = { type: 'warning', code: 'SLOW_CONSUMER', message: '' };
const answerOf = (message) => ({ ok: true, status: 200, headers: new Headers(), json: async () => message });

/** A client that leaves when it is told what `isLast` waits for, as soon as the sockets fail or speak. */
function startLeaving(t, isLast, options = {}) {
  const { FakeSocket, sockets } = fakeSockets();
  const [client, seen] = makeClient(t, 'ws://server/ws/heatmap', { WebSocket: FakeSocket, ...options });
  const tell = client.onStatusChange;
  client.onStatusChange = (status, detail) => {
    tell(status, detail);
    if (isLast(status, detail)) client.disconnect();
  };
  client.subscribe(['MINE'], { updateInterval: 1 });
  client.connect();
  return { client, seen, sockets };
}

/** A second life would begin where the first one ended, were anything of it left. */
function assertForgotten(client, sockets) {
  client.onStatusChange = () => {};
  client.connect();
  sockets.at(-1).open();
  const [{ since }] = sockets.at(-1).said;
  assert.equal(since, undefined);
}

test('who leaves when told to be slow is not called connected later', async (t) => {
  const { seen, sockets } = startLeaving(t, (status) => status === 'slow', { slowFor: 20 });
  sockets[0].open();
  sockets[0].say(SLOW);
  await sleep(60);
  assert.deepEqual(seen.statuses, ['connecting', 'connected', 'slow', 'disconnected']);
});

test('who leaves when the socket is back has no snapshot after that', async (t) => {
  const { client, seen, sockets } = startLeaving(t, (status) => status === 'connected', {
    maxReconnectAttempts: 0,
    retryWhenFailed: 20,
    fetch: async () => answerOf(null),
  });
  sockets[0].fail();
  await until(() => sockets.length === 2, 'the next attempt');
  sockets[1].open();
  sockets[1].say(snapshot('MINE', 1));
  assert.equal(client.status, 'disconnected');
  assert.deepEqual(seen.snapshots, []);
  assertForgotten(client, sockets);
});

test('who leaves when a poll is answered has no snapshot after that', async (t) => {
  const { client, seen, sockets } = startLeaving(t, (_, { polling }) => polling, {
    maxReconnectAttempts: 0,
    fetch: async () => answerOf(snapshot('MINE', 1)),
  });
  sockets[0].fail();
  await until(() => client.status === 'disconnected', 'leaving');
  await sleep(20);
  assert.deepEqual(seen.snapshots, []);
  assertForgotten(client, sockets);
});

test('who leaves and comes back is told nothing of the connection before', async (t) => {
  const { client, seen, sockets } = startLeaving(t, () => false, {
    maxReconnectAttempts: 0,
    retryWhenFailed: 20,
    fetch: async () => answerOf(null),
  });
  sockets[0].fail();
  await until(() => sockets.length === 2, 'the next attempt');
  sockets[1].open();
  client.onStatusChange = (status) => {
    if (status !== 'connected') return;
    client.onStatusChange = () => {};
    client.disconnect();
    client.connect();
  };
  sockets[1].say(snapshot('MINE', 1));
  assert.equal(sockets.length, 3);
  assert.deepEqual(seen.snapshots, []);
});

/** What servers may do wrong, and what crosses on the way. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { answerOf, fakeSockets, makeClient, snapshot, until } from './client.js';

/** A client of a server that the test speaks for, connected and subscribed. */
function start(t, options = {}) {
  const { FakeSocket, sockets } = fakeSockets();
  const [client, seen] = makeClient(t, 'ws://server/ws/heatmap', { WebSocket: FakeSocket, ...options });
  client.subscribe(['MINE'], { updateInterval: 1 });
  client.connect();
  return { client, seen, sockets };
}

test('what was polled is not handed on again by the socket that says it leaves a gap', async (t) => {
  const { seen, sockets } = start(t, {
    maxReconnectAttempts: 0,
    retryWhenFailed: 20,
    fetch: async () => answerOf(snapshot('MINE', 1, 'new')),
  });
  sockets[0].open();
  sockets[0].say(snapshot('MINE', 5, 'old'));
  sockets[0].fail();
  await until(() => sockets.length === 2, 'the next attempt');
  sockets[1].open();
  await until(() => seen.snapshots.length === 2, 'what was polled');
  sockets[1].say({ ...snapshot('MINE', 1, 'new'), resumed: false });
  sockets[1].say({ ...snapshot('MINE', 2, 'new'), type: 'delta', prev: 1 });
  assert.deepEqual(seen.snapshots.map(({ epoch, seq }) => `${epoch} ${seq}`), ['old 5', 'new 1', 'new 2']);
});

/** What callers do while they are being told something: leave, and throw. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerOf, fakeSockets, makeClient, snapshot, until } from './client.js';

const SLOW = { type: 'warning', code: 'SLOW_CONSUMER', message: '' };

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

const fault = new Error('a fault of the caller');
const throws = () => {
  throw fault;
};

/** A client that polls at once, answered with one version after the other; what it asked for. */
function startPolling(t, options) {
  const { FakeSocket, sockets } = fakeSockets();
  const asked = [];
  const [client, seen] = makeClient(t, 'ws://server/ws/heatmap', {
    WebSocket: FakeSocket,
    maxReconnectAttempts: 0,
    pollUnit: 5,
    fetch: async (url) => answerOf(snapshot('MINE', asked.push(url))),
    ...options,
  });
  client.subscribe(['MINE'], { updateInterval: 1 });
  client.connect();
  sockets[0].fail();
  return { client, seen, asked };
}

for (const callback of ['onSnapshot', 'onStatusChange']) {
  test(`polling goes on when ${callback} throws, and onError is told`, async (t) => {
    const { seen, asked } = startPolling(t, { [callback]: throws });
    await until(() => asked.length >= 5, 'polls');
    assert.ok(seen.errors.length > 1);
    assert.ok(seen.errors.every((error) => error === fault));
  });
}

test('polling goes on when onError throws too, which is said on the console', async (t) => {
  const { mock } = t.mock.method(console, 'error', () => {});
  const { asked } = startPolling(t, { onSnapshot: throws, onError: throws });
  await until(() => asked.length >= 5, 'polls');
  assert.ok(mock.calls.every((call) => call.arguments[0] === fault));
  assert.ok(mock.calls.length > 1);
});

test('polling goes on when no address can be made, and onError is told', async (t) => {
  const { seen } = startPolling(t, { pollUrl: throws });
  await until(() => seen.errors.length >= 5, 'attempts');
  assert.ok(seen.errors.every((error) => error === fault));
});

test('polling ends when a caller leaves because no address can be made', async (t) => {
  const asked = [];
  const { client } = startPolling(t, {
    pollUrl: (symbol) => {
      asked.push(symbol);
      throw fault;
    },
    onError: () => client.disconnect(),
  });
  await until(() => client.status === 'disconnected', 'leaving');
  await sleep(30);
  assert.deepEqual(asked, ['MINE']);
});

test('a connection outlives a caller that throws', async (t) => {
  const { FakeSocket, sockets } = fakeSockets();
  const told = [];
  const [client, seen] = makeClient(t, 'ws://server/ws/heatmap', {
    WebSocket: FakeSocket,
    onSnapshot: ({ seq }) => {
      told.push(seq);
      throw fault;
    },
    onStatusChange: throws,
  });
  client.subscribe(['MINE']);
  client.connect();
  const [ws] = sockets;
  ws.open();
  for (const message of [snapshot('MINE', 1), SLOW, { ...snapshot('MINE', 2), type: 'delta', prev: 1 }]) ws.say(message);
  assert.deepEqual(told, [1, 2]);
  assert.deepEqual(seen.errors, [fault, fault, fault, fault, fault]);
});

test('a caller that leaves because of its own faults meets each of them once', async (t) => {
  const { mock } = t.mock.method(console, 'error', () => {});
  const { FakeSocket } = fakeSockets();
  const errors = [];
  const [client] = makeClient(t, 'ws://server/ws/heatmap', {
    WebSocket: FakeSocket,
    onStatusChange: throws,
    onError: (error) => {
      errors.push(error);
      client.disconnect();
    },
  });
  client.connect();
  assert.deepEqual(errors, [fault]);
  assert.deepEqual(mock.calls.map((call) => call.arguments[0]), [fault]);
  assert.equal(client.status, 'disconnected');
});

test('without onError a caller finds its faults on the console, and nothing else there', async (t) => {
  const { mock } = t.mock.method(console, 'error', () => {});
  const { FakeSocket, sockets } = fakeSockets();
  const [client] = makeClient(t, 'ws://server/ws/heatmap', {
    WebSocket: FakeSocket,
    onSnapshot: throws,
    onError: undefined,
  });
  client.subscribe(['MINE']);
  client.connect();
  sockets[0].open();
  sockets[0].say({ type: 'error', code: 'INVALID_SYMBOL', message: 'no X' });
  sockets[0].say(snapshot('MINE', 1));
  assert.deepEqual(mock.calls.map((call) => call.arguments[0]), [fault]);
});

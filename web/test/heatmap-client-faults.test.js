/** What servers may do wrong, and what crosses on the way. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
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

const delta = (prev, seq) => ({ ...snapshot('MINE', seq), type: 'delta', prev });
/** Levels of which one has no densities. */
const broken = (seq) => ({
  ...snapshot('MINE', seq),
  data: { levels: { prices: [1, 1], long: [5], short: [5] }, current_price: 1, price_bin_size: 1 },
});
/** How often the whole was asked for, on this connection. */
const requests = ({ said }) => said.filter(({ action, since }) => action === 'subscribe' && !since).length;

test('a whole that cannot be read is asked for again, and a difference too', (t) => {
  const { seen, sockets: [ws] } = start(t);
  ws.open();
  ws.say(broken(1));
  assert.equal(requests(ws), 2);
  assert.match(String(seen.errors[0]), /columns/);
  ws.say(snapshot('MINE', 1));
  ws.say({ ...broken(2), type: 'delta', prev: 1 });
  ws.say(delta(2, 3)); /* the whole is on its way, or will be asked for */
  assert.deepEqual(seen.snapshots.map(({ seq }) => seq), [1]);
  assert.equal(seen.errors.length, 2);
});

/** The server answers each request for the whole with `messages`; the times between requests, in ms. */
async function pausesUntil(t, count, messages, options) {
  const { client, seen, sockets: [ws] } = start(t, { mendPause: 20, ...options });
  const times = [];
  const { send } = ws;
  ws.send = (text) => {
    send.call(ws, text);
    times.push(performance.now());
    setImmediate(() => messages(times.length).forEach((message) => ws.say(message)));
  };
  ws.open();
  await until(() => times.length >= count, 'requests');
  const pauses = times.slice(1).map((time, i) => time - times[i]);
  return { client, seen, ws, pauses };
}

for (const [what, answer] of [
  ['differences never fit', () => [snapshot('MINE', 1), delta(2, 3)]],
  ['wholes cannot be read', () => [broken(1), broken(2), broken(3)]],
  ['differences fit but for the last', () => [snapshot('MINE', 1), delta(1, 2), delta(2, 3), delta(4, 5)]],
]) {
  test(`a server whose ${what} is asked for the whole ever more seldom`, async (t) => {
    const { pauses } = await pausesUntil(t, 6, answer);
    [0, 20, 40, 80, 160].forEach((least, i) => assert.ok(pauses[i] > least - 5, `${pauses}`));
  });
}

test('a stream of wholes that cannot be read does not put off asking', async (t) => {
  const { sockets: [ws] } = start(t, { mendPause: 20 });
  ws.open();
  const stream = setInterval(() => ws.say(broken(1)), 5);
  t.after(() => clearInterval(stream));
  await until(() => requests(ws) >= 4, 'requests');
});

test('after a while of differences that fit the whole is asked for at once again', async (t) => {
  const { ws } = await pausesUntil(t, 4, (n) => (n < 4 ? [snapshot('MINE', n), delta(9, 10)] : [snapshot('MINE', 4)]), {
    healthyAfter: 100,
  });
  await sleep(150);
  ws.say(delta(4, 5));
  ws.say(delta(9, 10));
  assert.equal(requests(ws), 5);
});

test('nothing is asked for that has come meanwhile, or is no longer wanted', async (t) => {
  for (const end of ['whole', 'unsubscribe']) {
    const { client, seen, ws } = await pausesUntil(t, 2, (n) => (n > 2 ? [] : [snapshot('MINE', n), delta(9, 10)]));
    await until(() => seen.snapshots.length === 2, 'the second fault');
    if (end === 'whole') ws.say(snapshot('MINE', 3));
    else client.unsubscribe(['MINE']);
    const { length } = ws.said;
    await sleep(60);
    assert.equal(ws.said.length, length, end);
  }
});

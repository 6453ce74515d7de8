import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeClient, snapshot, until } from './client.js';

const { WebSocket, WebSocketServer } = createRequire(new URL('../../tests/package.json', import.meta.url))('ws');

/** A server that notes what clients say, and can be stopped and started again on its port. */
async function startServer(t, { answer = () => {} } = {}) {
  const server = { said: [], polls: [], latest: null, refuse: false, sockets: new Set(), port: 0 };
  server.start = async () => {
    server.http = http.createServer((request, response) => {
      server.polls.push(request.url);
      if (!server.latest) response.writeHead(server.latestStatus ?? 404);
      response.end(server.latest ? JSON.stringify(server.latest) : '{"detail":"no data"}');
    });
    const wss = new WebSocketServer({ noServer: true });
    server.http.on('upgrade', (request, socket, head) => {
      if (server.refuse) {
        socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        return;
      }
      wss.handleUpgrade(request, socket, head, (ws) => {
        server.sockets.add(ws);
        ws.on('close', () => server.sockets.delete(ws));
        ws.on('message', (text) => {
          const message = JSON.parse(text);
          server.said.push(message);
          answer(ws, message);
        });
      });
    });
    server.http.listen(server.port, '127.0.0.1');
    await once(server.http, 'listening');
    server.port = server.http.address().port;
    server.url = `ws://127.0.0.1:${server.port}/ws/heatmap`;
  };
  server.stop = async () => {
    for (const ws of server.sockets) ws.terminate();
    server.http.closeAllConnections();
    server.http.close();
    await once(server.http, 'close');
  };
  await server.start();
  t.after(() => server.stop().catch(() => {}));
  return server;
}

const startClient = (t, url, options = {}) =>
  makeClient(t, url, {
    WebSocket,
    reconnectDelay: 10,
    retryWhenFailed: 60_000,
    healthyAfter: 20,
    pollUnit: 20,
    ...options,
  });

/** What the client asks for, to which requests add a number. */
const wish = (symbols, more = {}) => ({ action: 'subscribe', symbols, ...more, mode: 'delta', format: 'columns' });
const unnumbered = ({ id, ...request }) => (assert.equal(typeof id, 'number'), request);
const acknowledge = (ws, { id }) => id && ws.send(JSON.stringify({ type: 'subscribed', id, symbols: [] }));

test('it connects, subscribes and hands on snapshots', async (t) => {
  const server = await startServer(t, {
    answer: (ws, { action, symbols }) => {
      if (action === 'subscribe') ws.send(JSON.stringify(snapshot(symbols[0], 1)));
    },
  });
  const [client, seen] = startClient(t, server.url);
  client.connect();
  client.subscribe(['BTCUSDT'], { updateInterval: 2 });
  await until(() => seen.snapshots.length === 1, 'a snapshot');
  assert.deepEqual(server.said.map(unnumbered), [wish(['BTCUSDT'], { update_interval: 2 })]);
  assert.deepEqual(seen.statuses, ['connecting', 'connected']);
  assert.equal(seen.snapshots[0].symbol, 'BTCUSDT');
});

test('without an interval the server chooses it', async (t) => {
  const server = await startServer(t);
  const [client] = startClient(t, server.url);
  client.connect();
  client.subscribe(['BTCUSDT']);
  await until(() => server.said.length === 1, 'a subscription');
  assert.deepEqual(unnumbered(server.said[0]), wish(['BTCUSDT']));
});

test('after a cut it reconnects and subscribes again to what it still wants', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url);
  client.connect();
  client.subscribe(['BTCUSDT', 'ETHUSDT'], { updateInterval: 1 });
  client.subscribe(['SOLUSDT']);
  client.unsubscribe(['ETHUSDT']);
  await until(() => server.said.length === 2, 'subscriptions');
  server.said.length = 0;
  for (const ws of server.sockets) ws.terminate();
  await until(() => server.said.length === 2, 'subscriptions again');
  assert.deepEqual(server.said.map(unnumbered), [wish(['BTCUSDT'], { update_interval: 1 }), wish(['SOLUSDT'])]);
  assert.deepEqual(seen.statuses, ['connecting', 'connected', 'disconnected', 'connecting', 'connected']);
  assert.ok(seen.details[2].retryAt > Date.now() - 5000);
});

test('pauses are anything up to a bound that doubles', async (t) => {
  const server = await startServer(t);
  server.refuse = true;
  for (const random of [1, 0.5, 0.25]) {
    const pauses = [];
    const [client] = startClient(t, server.url, {
      reconnectDelay: 40,
      reconnectDelayMax: 200,
      maxReconnectAttempts: 4,
      random: () => random,
      onStatusChange: (status, { retryAt }) => status === 'disconnected' && pauses.push(retryAt - Date.now()),
    });
    client.connect();
    await until(() => client.status === 'failed', 'giving up');
    client.disconnect();
    [40, 80, 160, 200].forEach((most, i) => assert.ok(Math.abs(pauses[i] - most * random) <= 5, `${pauses}`));
  }
});

test('by default the bounds are 2, 4, 8, 16 and 32 s, and then it polls', async (t) => {
  const server = await startServer(t);
  server.refuse = true;
  const bounds = [];
  const [client] = startClient(t, server.url, {
    reconnectDelay: undefined,
    onStatusChange: (status, { retryAt }) => {
      if (status !== 'disconnected') return;
      bounds.push(Math.round((retryAt - Date.now()) / 1000));
      setImmediate(() => client.probe());
    },
  });
  client.connect();
  await until(() => client.status === 'failed', 'giving up');
  client.disconnect();
  assert.deepEqual(bounds.slice(0, 5), [2, 4, 8, 16, 32]);
});

test('a server that accepts and closes at once meets growing pauses too', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url, { maxReconnectAttempts: 3 });
  const closing = setInterval(() => {
    for (const ws of server.sockets) ws.close(1013);
  }, 2);
  t.after(() => clearInterval(closing));
  client.connect();
  await until(() => seen.statuses.includes('failed'), 'giving up');
});

test('the pause that a closing server names is kept', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url);
  client.connect();
  await until(() => server.sockets.size === 1, 'a connection');
  const before = Date.now();
  for (const ws of server.sockets) ws.close(1001, 'shutting down, reconnect in 250 ms');
  await until(() => seen.statuses.includes('disconnected'), 'the close');
  assert.ok(Math.abs(seen.details.at(-1).retryAt - before - 250) < 100);
});

test('after too many failures it polls, tells only news, and returns to the socket', async (t) => {
  const server = await startServer(t, { answer: acknowledge });
  server.refuse = true;
  server.latest = snapshot('BTCUSDT', 1);
  const [client, seen] = startClient(t, server.url, { maxReconnectAttempts: 2, retryWhenFailed: 300 });
  client.connect();
  client.subscribe(['BTCUSDT'], { updateInterval: 1 });
  await until(() => server.polls.length >= 3, 'polls');
  assert.equal(server.polls[0], '/heatmap/latest?symbol=BTCUSDT');
  assert.equal(seen.statuses.at(-1), 'failed');
  assert.equal(seen.details.at(-1).polling, true);
  assert.equal(seen.snapshots.length, 1);
  server.latest = snapshot('BTCUSDT', 2);
  await until(() => seen.snapshots.length === 2, 'news');
  server.refuse = false;
  await until(() => client.status === 'connected', 'the socket again');
  const polls = server.polls.length;
  await sleep(80);
  assert.ok(server.polls.length <= polls + 1, 'polling ends');
  assert.deepEqual(
    unnumbered(server.said.find(({ action }) => action === 'subscribe')),
    { ...wish(['BTCUSDT'], { update_interval: 1 }), since: { BTCUSDT: 2 }, epoch: { BTCUSDT: 'a' } },
  );
});

test('a server that is gone altogether is told apart from one that is polled', async (t) => {
  const server = await startServer(t, { answer: acknowledge });
  server.refuse = true;
  server.latest = snapshot('BTCUSDT', 1);
  const [client, seen] = startClient(t, server.url, { maxReconnectAttempts: 1, retryWhenFailed: 200 });
  client.connect();
  client.subscribe(['BTCUSDT'], { updateInterval: 1 });
  await until(() => client.detail.polling, 'answered polls');
  await server.stop();
  await until(() => !client.detail.polling, 'unanswered polls');
  assert.ok(seen.statuses.slice(-2).every((status) => status === 'failed'));
  server.refuse = false;
  await server.start();
  await until(() => client.status === 'connected', 'a connection again');
});

test('a silent connection is pinged, and given up when no answer comes', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url, { pongTimeout: 40 });
  client.connect();
  client.startKeepalive(30);
  await until(() => server.said.some(({ action }) => action === 'ping'), 'a ping');
  await until(() => seen.statuses.includes('disconnected'), 'giving up');
  await until(() => server.sockets.size >= 1 && client.status === 'connected', 'a new connection');
});

test('a connection that answers its pings is kept', async (t) => {
  const server = await startServer(t, {
    answer: (ws, { action }) => action === 'ping' && ws.send('{"type":"pong"}'),
  });
  const [client, seen] = startClient(t, server.url, { pongTimeout: 40 });
  client.connect();
  client.startKeepalive(20);
  await until(() => server.said.length >= 4, 'pings');
  assert.ok(!seen.statuses.includes('disconnected'));
});

test('a probe in a pause tries at once', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url, { reconnectDelay: 60_000, reconnectDelayMax: 60_000 });
  client.connect();
  await until(() => client.status === 'connected', 'a connection');
  for (const ws of server.sockets) ws.terminate();
  await until(() => client.status === 'disconnected', 'the cut');
  client.probe();
  await until(() => client.status === 'connected', 'a connection at once');
  assert.equal(seen.errors.length, 0);
});

test('a slow-consumer warning shows for a while', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url, { slowFor: 50 });
  client.connect();
  await until(() => server.sockets.size === 1, 'a connection');
  for (const ws of server.sockets) ws.send('{"type":"warning","code":"SLOW_CONSUMER","dropped_messages":3}');
  await until(() => client.status === 'slow', 'slow');
  await until(() => client.status === 'connected', 'connected');
  assert.deepEqual(seen.statuses, ['connecting', 'connected', 'slow', 'connected']);
});

test('errors and broken messages are told and the connection goes on', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url);
  client.connect();
  client.subscribe(['BTCUSDT']);
  await until(() => server.said.length === 1, 'a connection');
  for (const ws of server.sockets) {
    ws.send('{"type":"error","code":"INVALID_SYMBOL","message":"no X"}');
    ws.send('{"type":');
    ws.send('null');
    ws.send('{"type":"something new"}');
    ws.send('{"type":"snapshot","symbol":"BTCUSDT","data":7}');
    ws.send(JSON.stringify(snapshot('BTCUSDT', 1)));
  }
  await until(() => seen.snapshots.length === 1, 'the snapshot');
  assert.equal(seen.errors.length, 3);
  assert.equal(seen.errors[0].code, 'INVALID_SYMBOL');
  assert.equal(client.status, 'connected');
});

test('disconnect is final until connect', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url);
  client.connect();
  await until(() => client.status === 'connected', 'a connection');
  client.disconnect();
  await until(() => server.sockets.size === 0, 'the close');
  await sleep(60);
  assert.equal(server.sockets.size, 0);
  assert.equal(seen.statuses.at(-1), 'disconnected');
  client.connect();
  await until(() => client.status === 'connected', 'a connection');
});

test('the original protocol needs nothing of ours, and its messages are handed on as they are', async (t) => {
  const messages = ['10:00', '10:05', '10:05'].map((time) => ({
    type: 'snapshot',
    symbol: 'BTCUSDT',
    timestamp: `2025-12-29T${time}:00Z`,
    data: { levels: [{ price: 2, long_density: 1, short_density: 0, note: 'x' }], current_price: 1 },
  }));
  const server = await startServer(t, {
    answer: (ws, { action }) => action === 'subscribe' && messages.forEach((m) => ws.send(JSON.stringify(m))),
  });
  const [client, seen] = startClient(t, server.url, { mode: 'snapshot' });
  client.subscribe(['BTCUSDT'], { updateInterval: 5 });
  client.connect();
  await until(() => seen.snapshots.length === 3, 'snapshots');
  assert.deepEqual(seen.snapshots, messages);
  for (const ws of server.sockets) ws.terminate();
  await until(() => seen.snapshots.length === 6, 'snapshots again');
  client.unsubscribe(['BTCUSDT']);
  await until(() => server.said.length === 3, 'the farewell');
  const subscribe = { action: 'subscribe', symbols: ['BTCUSDT'], update_interval: 5 };
  assert.deepEqual(server.said, [subscribe, subscribe, { action: 'unsubscribe', symbols: ['BTCUSDT'] }]);
  assert.deepEqual(seen.errors, []);
});

test('a delta of an unknown version or epoch makes it ask for the whole, once', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url);
  client.connect();
  client.subscribe(['BTCUSDT']);
  await until(() => server.said.length === 1, 'a subscription');
  const [ws] = server.sockets;
  const send = (message) => ws.send(JSON.stringify(message));
  const delta = (prev, seq, epoch = 'a') => ({ ...snapshot('BTCUSDT', seq, epoch), type: 'delta', prev });
  for (const [gap, whole] of [[delta(7, 8), snapshot('BTCUSDT', 8)], [delta(8, 9, 'b'), snapshot('BTCUSDT', 9, 'b')]]) {
    send(snapshot('BTCUSDT', 5));
    server.said.length = seen.snapshots.length = 0;
    send(gap);
    send({ ...gap, prev: gap.seq, seq: gap.seq + 1 }); /* the whole is already on its way */
    await until(() => server.said.length === 1, 'the request');
    assert.deepEqual(unnumbered(server.said[0]), wish(['BTCUSDT']));
    send(whole);
    await until(() => seen.snapshots.at(-1)?.seq === whole.seq, 'the whole');
    assert.equal(server.said.length, 1);
  }
});

test('a delta that crossed a request of ours is passed over', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url);
  client.connect();
  client.subscribe(['BTCUSDT']);
  await until(() => server.said.length === 1, 'a subscription');
  const [ws] = server.sockets;
  for (const message of [
    snapshot('BTCUSDT', 6),
    { ...snapshot('BTCUSDT', 6), type: 'delta', prev: 5 },
    { ...snapshot('BTCUSDT', 7), type: 'delta', prev: 6 },
  ]) {
    ws.send(JSON.stringify(message));
  }
  await until(() => seen.snapshots.at(-1)?.seq === 7, 'the newest');
  assert.deepEqual(seen.snapshots.map(({ seq }) => seq), [6, 7]);
  assert.equal(server.said.length, 1);
});

test('a request stays below the 4096 bytes that a server takes', async (t) => {
  const server = await startServer(t, {
    answer: (ws, { symbols }) => {
      for (const symbol of symbols) ws.send(JSON.stringify(snapshot(symbol, Number.MAX_SAFE_INTEGER, 'abcdefghijklm')));
    },
  });
  const [client, seen] = startClient(t, server.url);
  const symbols = Array.from({ length: 100 }, (_, i) => String(i).padStart(32, 'X'));
  client.subscribe(symbols, { updateInterval: 60 });
  client.connect();
  await until(() => seen.snapshots.length === 100, 'snapshots');
  server.said.length = 0;
  for (const ws of server.sockets) ws.terminate();
  await until(() => server.said.length === 5, 'subscriptions again');
  for (const request of server.said) {
    assert.equal(Object.keys(request.since).length, request.symbols.length);
    assert.ok(JSON.stringify(request).length < 4096, JSON.stringify(request).length);
  }
  assert.deepEqual(server.said.flatMap((request) => request.symbols), symbols);
});

/** A client of a server that has said that it will stop. */
async function startWarned(t, server, reconnect_in_ms) {
  const [client, seen] = startClient(t, server.url, { reconnectDelay: 20_000, reconnectDelayMax: 60_000 });
  client.connect();
  await until(() => server.sockets.size === 1, 'a connection');
  for (const ws of server.sockets) {
    ws.send(JSON.stringify({ type: 'warning', code: 'SERVER_SHUTDOWN', message: 'Going down.', reconnect_in_ms }));
  }
  await until(() => /SERVER_SHUTDOWN/.test(client.detail.reason), 'the warning');
  return [client, seen];
}

test('a server that restarts is come back to at once, and that is no failure', async (t) => {
  const server = await startServer(t);
  const [client, seen] = await startWarned(t, server, 30_000);
  assert.equal(client.status, 'connected');
  assert.ok(Math.abs(client.detail.retryAt - Date.now() - 30_000) < 1000);
  for (const ws of server.sockets) ws.close(1012);
  await until(() => client.status === 'disconnected', 'the close');
  assert.ok(client.detail.retryAt - client.detail.since <= 255);
  assert.equal(client.detail.attempt, 0);
  assert.equal(client.detail.reason, '1012');
  await until(() => client.status === 'connected', 'a connection again');
  assert.deepEqual(seen.statuses, ['connecting', 'connected', 'connected', 'disconnected', 'connecting', 'connected']);
});

test('one that restarts again and again meets growing pauses', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url, { reconnectDelay: 20_000, reconnectDelayMax: 60_000 });
  client.connect();
  for (let i = 0; i < 2; i++) {
    await until(() => client.status === 'connected' && server.sockets.size === 1, 'a connection');
    for (const ws of server.sockets) ws.close(1012);
    await until(() => seen.statuses.filter((status) => status === 'disconnected').length > i, 'the close');
  }
  assert.equal(client.detail.attempt, 1);
  assert.ok(client.detail.retryAt - client.detail.since > 19_000);
});

test('one that stops before it said is come back to when it said', async (t) => {
  const server = await startServer(t);
  const [client] = await startWarned(t, server, 30_000);
  for (const ws of server.sockets) ws.terminate();
  await until(() => client.status === 'disconnected', 'the end');
  assert.ok(Math.abs(client.detail.retryAt - client.detail.since - 30_000) < 1000);
});

test('a server without news says since when, until there is news', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url);
  client.subscribe(['BTCUSDT']);
  client.connect();
  await until(() => server.said.length === 1, 'a subscription');
  const [ws] = server.sockets;
  const since = '2025-12-29T10:00:00.123Z';
  ws.send(JSON.stringify({ type: 'warning', code: 'STALE', message: 'No news.', since }));
  ws.send(JSON.stringify(snapshot('BTCUSDT', 5))); /* what the server has, to who asked for it */
  await until(() => seen.snapshots.length === 1, 'the answer');
  assert.equal(client.status, 'stale');
  assert.equal(client.detail.staleSince, Date.parse(since));
  assert.equal(client.detail.reason, 'STALE: No news.');
  ws.send(JSON.stringify(snapshot('BTCUSDT', 6)));
  await until(() => client.status === 'connected', 'news');
  assert.equal(client.detail.staleSince, undefined);
  assert.deepEqual(seen.statuses, ['connecting', 'connected', 'stale', 'connected']);
});

test('who is slow no more is not said to have news', async (t) => {
  const server = await startServer(t);
  const [client] = startClient(t, server.url, { slowFor: 10 });
  client.connect();
  await until(() => server.sockets.size === 1, 'a connection');
  const [ws] = server.sockets;
  ws.send('{"type":"warning","code":"SLOW_CONSUMER","dropped_messages":3}');
  ws.send('{"type":"warning","code":"STALE","since":"who knows"}');
  await until(() => client.status === 'stale', 'the warning');
  await sleep(50);
  assert.equal(client.status, 'stale');
  assert.ok(Math.abs(client.detail.staleSince - Date.now()) < 10_000);
});

test('who is told to try again later does not try at once', async (t) => {
  const server = await startServer(t);
  for (const [code, pause] of [[1013, 500], [1012, 0]]) {
    const [client, seen] = startClient(t, server.url, { reconnectDelay: 1000, random: () => 0 });
    client.connect();
    await until(() => server.sockets.size === 1, 'a connection');
    for (const ws of server.sockets) ws.close(code);
    await until(() => seen.statuses.includes('disconnected'), 'the close');
    const { since, retryAt } = seen.details[seen.statuses.indexOf('disconnected')];
    client.disconnect();
    assert.ok(Math.abs(retryAt - since - pause) < 50);
    await until(() => server.sockets.size === 0, 'the end');
  }
});

test('an unstable network is told, and the next pause is a longer one', async (t) => {
  const server = await startServer(t);
  const [client] = startClient(t, server.url, { reconnectDelay: 1000, healthyAfter: 60_000 });
  client.connect();
  await until(() => server.sockets.size === 1, 'a connection');
  for (const ws of server.sockets) ws.send('{"type":"warning","code":"CONNECTION_UNSTABLE","message":"5 were cut."}');
  await until(() => client.detail.reason === 'CONNECTION_UNSTABLE: 5 were cut.', 'the warning');
  for (const ws of server.sockets) ws.terminate();
  await until(() => client.status === 'disconnected', 'the cut');
  assert.ok(Math.abs(client.detail.retryAt - Date.now() - 2000) < 100);
});

test('failed attempts are forgotten only after a while of data', async (t) => {
  const server = await startServer(t);
  const [client] = startClient(t, server.url, { healthyAfter: 80 });
  client.connect();
  await until(() => client.status === 'connected', 'a connection');
  for (const ws of server.sockets) ws.terminate();
  await until(() => client.status === 'disconnected', 'the cut');
  await until(() => client.status === 'connected', 'a connection again');
  await sleep(160);
  assert.equal(client.reconnectAttempts, 1, 'an open socket alone is no data');
  for (const ws of server.sockets) ws.send('{"type":"pong"}');
  await until(() => client.reconnectAttempts === 0, 'forgiveness');
});

test('a timer that slept asks again before it gives up', async (t) => {
  const server = await startServer(t, {
    answer: (ws, { action }) => action === 'ping' && ws.send('{"type":"pong"}'),
  });
  const [client, seen] = startClient(t, server.url, { pongTimeout: 60 });
  client.connect();
  await until(() => client.status === 'connected', 'a connection');
  client.probe();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200); /* all stands still, as in a frozen tab */
  await until(() => server.said.length === 2, 'the second ping');
  await sleep(100);
  assert.ok(!seen.statuses.includes('disconnected'));
});

test('a caller may give up whatever it is told', async (t) => {
  const server = await startServer(t);
  for (const last of ['connecting', 'connected', 'disconnected']) {
    const statuses = [];
    const [client] = startClient(t, server.url, {
      onStatusChange: (status) => {
        statuses.push(status);
        if (status === last && statuses.indexOf(last) === statuses.length - 1) client.disconnect();
      },
    });
    client.connect();
    if (last === 'disconnected') {
      await until(() => server.sockets.size === 1, 'a connection');
      for (const ws of server.sockets) ws.terminate();
    }
    await until(() => statuses.includes(last), last);
    await sleep(60);
    assert.equal(statuses.at(-1), 'disconnected');
    assert.equal(statuses.filter((status) => status === 'connecting').length, 1);
    assert.equal(server.sockets.size, 0);
  }
});

test('statuses say since when', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url, { maxReconnectAttempts: 1 });
  server.refuse = true;
  const before = Date.now();
  client.connect();
  client.subscribe(['BTCUSDT']);
  await until(() => client.detail.polling, 'polls');
  const failed = seen.details.filter((_, i) => seen.statuses[i] === 'failed');
  assert.ok(failed.length > 1);
  assert.ok(failed.every(({ since }) => since === failed[0].since), 'the same status goes on');
  assert.ok(failed[0].since >= before && failed[0].since <= Date.now());
  assert.ok(failed.every(({ retryAt }) => retryAt > Date.now()));
  assert.equal(client.detail.attempt, 2);
  assert.match(client.detail.reason, /1006/);
});

test('a poll that hangs is given up, and one may tell how long to wait', async (t) => {
  const calls = [];
  const [client] = startClient(t, 'ws://127.0.0.1:1/ws/heatmap', {
    maxReconnectAttempts: 0,
    openTimeout: 30,
    fetch: (url, { signal }) => {
      calls.push(Date.now());
      if (calls.length > 1) return Promise.resolve(new Response('{}', { status: 503, headers: { 'Retry-After': '9' } }));
      return new Promise((_, reject) => signal.addEventListener('abort', reject));
    },
  });
  client.connect();
  client.subscribe(['BTCUSDT'], { updateInterval: 1 });
  await until(() => calls.length === 2, 'the second poll');
  await sleep(200);
  assert.equal(calls.length, 2);
});

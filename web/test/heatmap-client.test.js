import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeatmapWebSocket } from '../heatmap-client.js';

const { WebSocket, WebSocketServer } = createRequire(new URL('../../tests/package.json', import.meta.url))('ws');

const snapshot = (symbol, seq, epoch = 'a') => ({
  type: 'snapshot',
  symbol,
  timestamp: '2025-12-29T10:00:00Z',
  seq,
  epoch,
  data: { levels: [], current_price: 1, price_bin_size: 1 },
});

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

function startClient(t, url, options = {}) {
  const seen = { statuses: [], details: [], snapshots: [], errors: [] };
  const client = new HeatmapWebSocket(url, {
    WebSocket,
    reconnectDelay: 10,
    retryWhenFailed: 60_000,
    healthyAfter: 20,
    pollUnit: 20,
    random: () => 1,
    onSnapshot: (message) => seen.snapshots.push(message),
    onStatusChange: (status, detail) => {
      seen.statuses.push(status);
      seen.details.push(detail);
    },
    onError: (error) => seen.errors.push(error),
    ...options,
  });
  t.after(() => client.disconnect());
  return [client, seen];
}

async function until(condition, what) {
  for (let i = 0; i < 400; i++) {
    if (condition()) return;
    await sleep(5);
  }
  assert.fail(`did not come: ${what}`);
}

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
  assert.deepEqual(server.said, [{ action: 'subscribe', symbols: ['BTCUSDT'], update_interval: 2 }]);
  assert.deepEqual(seen.statuses, ['connecting', 'connected']);
  assert.equal(seen.snapshots[0].symbol, 'BTCUSDT');
});

test('without an interval the server chooses it', async (t) => {
  const server = await startServer(t);
  const [client] = startClient(t, server.url);
  client.connect();
  client.subscribe(['BTCUSDT']);
  await until(() => server.said.length === 1, 'a subscription');
  assert.deepEqual(server.said[0], { action: 'subscribe', symbols: ['BTCUSDT'] });
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
  assert.deepEqual(server.said, [
    { action: 'subscribe', symbols: ['BTCUSDT'], update_interval: 1 },
    { action: 'subscribe', symbols: ['SOLUSDT'] },
  ]);
  assert.deepEqual(seen.statuses, ['connecting', 'connected', 'disconnected', 'connecting', 'connected']);
  assert.ok(seen.details[2].retryAt > Date.now() - 5000);
});

test('pauses double, and differ from client to client', async (t) => {
  const server = await startServer(t);
  server.refuse = true;
  for (const [random, expected] of [[1, [40, 80, 160]], [0, [20, 40, 80]]]) {
    const [client, seen] = startClient(t, server.url, {
      reconnectDelay: 40,
      maxReconnectAttempts: 3,
      random: () => random,
    });
    const pauses = [];
    client.onStatusChange = (status, { retryAt }) => {
      if (status === 'disconnected') pauses.push(retryAt - Date.now());
      if (status === 'failed') seen.statuses.push('failed');
    };
    client.connect();
    await until(() => seen.statuses.includes('failed'), 'giving up');
    client.disconnect();
    expected.forEach((pause, i) => assert.ok(Math.abs(pauses[i] - pause) <= 5, `${pauses}`));
  }
});

test('a server that accepts and closes at once meets growing pauses too', async (t) => {
  const server = await startServer(t);
  const [client, seen] = startClient(t, server.url, { healthyAfter: 10_000, maxReconnectAttempts: 3 });
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
  const server = await startServer(t);
  server.refuse = true;
  server.latest = snapshot('BTCUSDT', 1);
  const [client, seen] = startClient(t, server.url, { maxReconnectAttempts: 2, retryWhenFailed: 300 });
  client.connect();
  client.subscribe(['BTCUSDT'], { updateInterval: 1 });
  await until(() => server.polls.length >= 3, 'polls');
  assert.equal(server.polls[0], '/heatmap/latest?symbol=BTCUSDT');
  assert.equal(seen.statuses.at(-1), 'failed');
  assert.deepEqual(seen.details.at(-1), { polling: true });
  assert.equal(seen.snapshots.length, 1);
  server.latest = snapshot('BTCUSDT', 2);
  await until(() => seen.snapshots.length === 2, 'news');
  server.refuse = false;
  await until(() => client.status === 'connected', 'the socket again');
  const polls = server.polls.length;
  await sleep(80);
  assert.ok(server.polls.length <= polls + 1, 'polling ends');
  assert.deepEqual(server.said.at(-1), { action: 'subscribe', symbols: ['BTCUSDT'], update_interval: 1 });
});

test('a server that is gone altogether is told apart from one that is polled', async (t) => {
  const server = await startServer(t);
  server.latest = snapshot('BTCUSDT', 1);
  const [client, seen] = startClient(t, server.url, { maxReconnectAttempts: 1, retryWhenFailed: 200 });
  client.connect();
  client.subscribe(['BTCUSDT'], { updateInterval: 1 });
  await until(() => client.status === 'connected', 'a connection');
  await server.stop();
  await until(() => seen.details.some(({ polling }) => polling === false), 'unanswered polls');
  assert.equal(client.status, 'failed');
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
  await until(() => server.sockets.size === 1, 'a connection');
  for (const ws of server.sockets) {
    ws.send('{"type":"error","code":"INVALID_SYMBOL","message":"no X"}');
    ws.send('{"type":');
    ws.send('null');
    ws.send('{"type":"something new"}');
    ws.send(JSON.stringify(snapshot('BTCUSDT', 1)));
  }
  await until(() => seen.snapshots.length === 1, 'the snapshot');
  assert.equal(seen.errors.length, 2);
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

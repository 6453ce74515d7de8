/**
 * What the client's tests stand on: a real server that can be killed, stopped and started again,
 * and a TCP proxy that can cut, stall, swallow and refuse.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { makeClient, until as untilWithin } from '../../web/test/client.js';

const PROGRAM = process.env.HEATCAST ?? fileURLToPath(new URL('../../build/release/heatcast', import.meta.url));
/* A sanitizer build is several times slower. */
const SLACK = { asan: 3, tsan: 6 }[process.env.MODE] ?? 1;
const PATIENCE = 20_000 * SLACK;
const TOKEN = 'only-for-the-tests-of-the-client';

/** Settings of whoever runs the tests must not reach the servers under test. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(HEATCAST_|WS_|REDIS_|CORS_)/.test(name)),
);
environment.WS_DRAIN_SECONDS = '0'; /* a flag says otherwise */

/** The first true value of the condition. */
export const until = (condition, what) => untilWithin(condition, what, PATIENCE);

/** A `heatcast serve`, on the port that it had before if it is started again. */
export class Server {
  constructor(flags) {
    this.flags = flags;
    this.port = 0;
  }

  async start() {
    const flags = ['--listen', `127.0.0.1:${this.port}`, '--publish-token', TOKEN, ...this.flags];
    this.process = spawn(PROGRAM, ['serve', ...flags], { env: environment, stdio: ['ignore', 'pipe', 'ignore'] });
    this.ended = once(this.process, 'exit');
    const [line] = await Promise.race([once(createInterface(this.process.stdout), 'line'), this.ended]);
    this.port = Number(/:(\d+)\/$/.exec(line)[1]);
  }

  /** @param {NodeJS.Signals} signal */
  async end(signal = 'SIGTERM') {
    this.process.kill(signal);
    await this.ended;
  }

  /** As a machine that hangs: its connections stay, nothing answers. */
  stop() {
    this.process.kill('SIGSTOP');
  }

  goOn() {
    this.process.kill('SIGCONT');
  }

  /** @returns {Promise<{status: number, text: string}>} over a connection of its own */
  async request(path, { method = 'GET', body, headers = {} } = {}) {
    const request = http.request({ port: this.port, host: '127.0.0.1', path, method, headers, agent: false });
    request.end(body);
    const [response] = await once(request, 'response');
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    return { status: response.statusCode, text };
  }

  /** A version of MINE, or of another symbol: levels are [price, long, short]. */
  async publish(price, levels, { symbol = 'MINE', bin = 100 } = {}) {
    const rows = levels.map(([at, long, short]) => ({ price: at, long_density: long, short_density: short }));
    const body = JSON.stringify({ levels: rows, current_price: price, price_bin_size: bin });
    const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Length': Buffer.byteLength(body) };
    const { status, text } = await this.request(`/publish/${symbol}`, { method: 'POST', body, headers });
    assert.equal(status, 200, text);
    return JSON.parse(text);
  }

  async latest(symbol = 'MINE') {
    return (await this.request(`/heatmap/latest?symbol=${symbol}`)).text;
  }

  async stats() {
    return JSON.parse((await this.request('/ws/stats')).text);
  }
}

export async function startServer(t, ...flags) {
  const folder = await mkdtemp(join(tmpdir(), 'heatcast-client-'));
  const server = new Server(['--db', join(folder, 'test.duckdb'), ...flags]);
  t.after(async () => {
    server.goOn();
    await server.end('SIGKILL');
    await rm(folder, { recursive: true });
  });
  await server.start();
  return server;
}

/** Stands between the client and the server's port. */
class Proxy {
  /** @type {Set<{client: net.Socket, server: net.Socket, isUpgrade: boolean, isHole: boolean}>} */
  pairs = new Set();
  refuses = false; /* connections are reset */
  refusesUpgrades = false; /* HTTP passes, WebSockets are answered 503 */
  swallows = false; /* new connections are accepted, and lead nowhere */
  swallowsAfterUpgrade = false; /* the handshake passes, and nothing after it */
  framesToDrop = 0; /* of those that the server sends next */
  connections = 0;
  /** @type {string[]} symbols, in the order in which they were polled */
  polled = [];

  constructor(target) {
    this.target = target;
    this.listener = net.createServer((client) => this.accept(client));
  }

  accept(client) {
    this.connections++;
    client.on('error', () => {});
    if (this.refuses) {
      client.destroy();
      return;
    }
    const server = net.connect(this.target.port, '127.0.0.1');
    const pair = { client, server, isUpgrade: false, isHole: this.swallows };
    this.pairs.add(pair);
    server.on('error', () => client.destroy());
    server.on('close', () => pair.isHole || client.end());
    client.on('close', () => {
      server.destroy();
      this.pairs.delete(pair);
    });
    client.on('data', (bytes) => this.fromClient(pair, bytes));
    server.on('data', (bytes) => this.fromServer(pair, bytes));
  }

  fromClient(pair, bytes) {
    if (pair.isHole) return;
    const [, symbol] = /^GET \/heatmap\/latest\?symbol=(\w+)/.exec(bytes.toString('latin1')) ?? [];
    if (symbol) this.polled.push(symbol);
    if (bytes.includes('GET /ws/heatmap')) {
      pair.isUpgrade = true;
      if (this.refusesUpgrades) {
        pair.client.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        return;
      }
    }
    pair.server.write(bytes);
  }

  fromServer(pair, bytes) {
    if (pair.isHole) return;
    pair.client.write(this.framesToDrop > 0 ? this.withoutFrames(bytes) : bytes);
    if (pair.isUpgrade && this.swallowsAfterUpgrade) pair.isHole = true;
  }

  /** The bytes begin and end with a frame, which is so on loopback when the server sends one by one. */
  withoutFrames(bytes) {
    const kept = [];
    for (let at = 0, next; at < bytes.length; at = next) {
      const short = bytes[at + 1] & 127;
      next = at + (short < 126 ? 2 + short : 4 + bytes.readUInt16BE(at + 2));
      if (this.framesToDrop > 0) this.framesToDrop--;
      else kept.push(bytes.subarray(at, next));
    }
    return Buffer.concat(kept);
  }

  get url() {
    return `ws://127.0.0.1:${this.listener.address().port}/ws/heatmap`;
  }

  get openSockets() {
    return [...this.pairs].filter(({ isUpgrade }) => isUpgrade).length;
  }

  /** All connections end without a word. */
  cut() {
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** All connections stay open, and nothing that is sent arrives. */
  swallow() {
    for (const pair of this.pairs) pair.isHole = true;
  }

  /** Nobody reads what the server sends, until it flows again. */
  stall() {
    for (const { server } of this.pairs) server.pause();
  }

  flow() {
    for (const { server } of this.pairs) server.resume();
  }
}

export async function startProxy(t, target) {
  const proxy = new Proxy(target);
  proxy.listener.listen(0, '127.0.0.1');
  await once(proxy.listener, 'listening');
  t.after(() => {
    proxy.cut();
    proxy.listener.close();
  });
  return proxy;
}

/** No deflate: snapshots are as long as they look. */
class PlainWebSocket extends WebSocket {
  constructor(url) {
    super(url, { perMessageDeflate: false });
  }
}

/** A client whose times are short, connecting, and what it was told. */
export function startClient(t, url, options = {}) {
  const [client, seen] = makeClient(t, url, {
    WebSocket: PlainWebSocket,
    reconnectDelay: 20,
    reconnectDelayMax: 100,
    retryWhenFailed: 200,
    openTimeout: 400 * SLACK,
    pongTimeout: 400 * SLACK,
    slowFor: 100,
    rateLimitPause: 500,
    pollUnit: 30,
    ...options,
  });
  client.connect();
  return [client, seen];
}

/** Is this how a version went by, and nothing twice? */
export function assertRising(snapshots) {
  const last = new Map();
  for (const { symbol, epoch, seq } of snapshots) {
    const key = `${symbol} ${epoch}`;
    assert.ok(seq > (last.get(key) ?? 0), `${key}: ${seq} after ${last.get(key)}`);
    last.set(key, seq);
  }
}

/** A snapshot's text as it would be for whoever has never been away. */
export function plainText({ resumed, ...snapshot }) {
  return JSON.stringify(snapshot);
}

/** The newest that the client handed on is, byte for byte, the newest that the server has. */
export async function assertNewest(server, seen, symbol = 'MINE') {
  const text = await server.latest(symbol);
  const { epoch, seq } = JSON.parse(text);
  const had = await until(
    () => seen.snapshots.findLast((s) => s.symbol === symbol && s.epoch === epoch && s.seq === seq),
    `${symbol} ${epoch}:${seq}`,
  );
  assert.equal(plainText(had), text);
}

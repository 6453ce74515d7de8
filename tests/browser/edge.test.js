/**
 * The page of an edge: history comes from a full node, the stream by way of Redis.
 *
 *   node --test tests/browser/edge.test.js
 *
 * HEATCAST and CHROMIUM name program and browser; Redis is what scripts/setup test has put at hand.
 */
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chartShown, close, complaints, open, statusIs, symbols, updated } from './page.js';
import { redis, relay, serve } from './support.mjs';

let folder;
let bus;
let full;
let edge;
let page;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heatcast-edge-'));
  bus = await redis(folder);
  const market = ['--db', join(folder, 'sim.duckdb'), '--feed', 'sim', '--sim-speed', '1200', '--ws-update-interval', '0.25'];
  full = await serve(market, { REDIS_ENABLED: 'true', REDIS_URL: bus.url });
  edge = await relay(['--upstream', full.url], { REDIS_URL: bus.url });
  page = await open({ url: edge.url, hash: '#window=24h' });
});

after(async () => {
  await close();
  await edge?.stop();
  await full?.stop();
  await bus?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('it shows the history of the full node', { timeout: 120_000 }, async () => {
  await chartShown(page);
  const all = await (await fetch(new URL('symbols', full.url))).json();
  assert.deepEqual(
    await symbols(page),
    all.symbols.map(({ symbol }) => symbol),
  );
  const { upstream_fetches_answered } = await (await fetch(new URL('ws/stats', edge.url))).json();
  assert.ok(upstream_fetches_answered >= 3, 'symbols, candles and heatmap were fetched');
});

test('it goes on live with what Redis brings', { timeout: 120_000 }, async () => {
  await statusIs('live', page);
  await updated(page, 4);
});

test('it can be opened anew when columns have come since', { timeout: 120_000 }, async () => {
  const before = await page.evaluate(() => globalThis.heatcast.panes[0].store.count);
  await page.waitForFunction((count) => globalThis.heatcast.panes[0].store.count > count, before);
  await page.reload();
  await chartShown(page);
  await updated(page, 2);
  assert.deepEqual(complaints, []);
});

test('without Redis it says that, and not that nobody publishes', { timeout: 120_000 }, async () => {
  const alone = await relay([], { REDIS_URL: 'redis://127.0.0.1:1' });
  try {
    const its = await open({ url: alone.url });
    await its.getByText('cannot reach its Redis').waitFor();
  } finally {
    await alone.stop();
  }
});

test('before any full node it says what is missing, and goes on when there is one', { timeout: 120_000 }, async () => {
  const env = { REDIS_URL: bus.url, REDIS_CHANNEL_PREFIX: 'young' };
  const young = await relay([], env);
  let first;
  try {
    const its = await open({ url: young.url });
    await its.getByText('No data yet').waitFor();
    await its.getByText('relays what full nodes publish, and none has yet').waitFor();
    const db = join(folder, 'young.duckdb');
    first = await serve(['--db', db, '--feed', 'sim', '--sim-speed', '1200'], { ...env, REDIS_ENABLED: 'true' });
    await statusIs('live', its);
    assert.ok((await symbols(its)).includes('BTCUSDT'));
  } finally {
    await first?.stop();
    await young.stop();
  }
});

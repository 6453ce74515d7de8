/**
 * The page behind nginx, in front of two full nodes: the one it sits on dies, and the picture goes on.
 *
 *   node --test tests/browser/nginx.test.js
 *
 * HEATCAST, CHROMIUM and PYTHON name programs; Redis and nginx are what scripts/setup test has put at hand.
 */
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chartShown, close, complaints, open, statusIs, updated } from './page.js';
import { nginx, redis, serve } from './support.mjs';

let folder;
let bus;
let nodes;
let site;
let page;

const node = (name) =>
  serve(['--db', join(folder, name), '--feed', 'sim', '--sim-speed', '1200', '--ws-update-interval', '0.25'], {
    REDIS_ENABLED: 'true',
    REDIS_URL: bus.url,
    HEATCAST_TRUSTED_PROXY: '127.0.0.1',
  });

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heatcast-nginx-'));
  bus = await redis(folder);
  nodes = [await node('one.duckdb'), await node('two.duckdb')];
  site = await nginx(join(folder, 'nginx'), ...nodes.map(({ url }) => url));
  /* The connection that is cut is no fault of the page. */
  page = await open({ url: site.url, hash: '#window=24h', mayFail: /\/ws\/heatmap$/ });
});

after(async () => {
  await close();
  await site?.stop();
  for (const each of nodes ?? []) await each.stop().catch(() => {});
  await bus?.stop();
  await rm(folder, { recursive: true, force: true });
});

const websockets = async ({ url }) => (await (await fetch(new URL('ws/stats', url))).json()).websockets;
const shown = () => page.evaluate(() => globalThis.heatcast.panes[0].store?.count);

test('it shows history and goes on live', { timeout: 120_000 }, async () => {
  await chartShown(page);
  await statusIs('live', page);
  await updated(page, 3);
});

test('the node it sits on is killed, and the picture goes on', { timeout: 120_000 }, async () => {
  const counts = await Promise.all(nodes.map(websockets));
  assert.deepEqual([...counts].sort(), [0, 1]);
  const sitsOn = nodes[counts.indexOf(1)];
  const columns = await shown();
  await sitsOn.kill();
  nodes = nodes.filter((each) => each !== sitsOn);
  await page.waitForFunction((before) => globalThis.heatcast.panes[0].store?.count > before + 1, columns);
  await statusIs('live', page);
  await updated(page, 3);
  assert.equal(await websockets(nodes[0]), 1);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  assert.deepEqual(complaints, []);
});

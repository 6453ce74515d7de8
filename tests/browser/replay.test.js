/**
 * A replay, from its bar on the page to a real server's clock, and back to bar and chart.
 *
 *   node --test tests/browser/replay.test.js
 *
 * HEATCAST and CHROMIUM name program and browser.
 */
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chartShown, close, complaints, open, statusIs } from './page.js';
import { makeMarket, serve } from './support.mjs';

const HOUR = 3600;
const DAY = 24 * HOUR;
/** The clock goes on while a busy machine looks; what is wrong is a day off. */
const NEAR = 3 * HOUR;

let folder;
let server;
let page;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heatcast-replay-'));
  const db = join(folder, 'replay.duckdb');
  await makeMarket(db);
  server = await serve(['--db', db, '--feed', 'replay', '--replay-speed', '60', '--ws-update-interval', '0.25']);
  page = await open({ url: server.url, hash: '#window=24h', prepare: noteRequests });
  await chartShown(page);
});

after(async () => {
  await close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What the page asks of its stream is in globalThis.requests. */
const noteRequests = (target) =>
  target.addInitScript(() => {
    globalThis.requests = [];
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (text) {
      globalThis.requests.push(JSON.parse(text));
      send.call(this, text);
    };
  });

/** The last subscription is one of so many seconds. */
const subscribedEvery = (seconds) =>
  page.waitForFunction((wanted) => {
    const { update_interval } = globalThis.requests.filter(({ action }) => action === 'subscribe').at(-1);
    return update_interval === wanted;
  }, seconds);

/** What the server tells now, and what it tells the page when that asks again. */
const replay = async () => (await (await fetch(new URL('health', server.url))).json()).replay;
const replayToPage = async () => (await (await page.waitForResponse(/\/health$/)).json()).replay;

const bar = () => page.getByRole('group', { name: 'Replay', exact: true });
const button = (name) => bar().getByRole('button', { name });
const slider = () => bar().getByRole('slider', { name: 'Replay position' });
const speed = () => bar().getByLabel('Replay speed');
const seconds = (time) => Date.parse(time) / 1000;

test('the bar shows the server’s replay', async () => {
  await bar().waitFor();
  const { start, end, position } = await replay();
  const [least, most] = await slider().evaluate((input) => [Number(input.min), Number(input.max)]);
  assert.deepEqual([least, most], [seconds(start), seconds(end)]);
  assert.ok(Math.abs(Number(await slider().inputValue()) - seconds(position)) < NEAR);
  assert.equal(await speed().inputValue(), '60');
  await statusIs('live', page);
});

test('the button stops the market’s clock, a key lets it go on', async () => {
  await button('Pause').click();
  await button('Play').waitFor();
  const { paused, position } = await replay();
  assert.equal(paused, true);
  assert.equal((await replayToPage()).position, position);
  await button('Play').waitFor();
  await page.locator('.chart').focus();
  await page.keyboard.press('Space');
  await button('Pause').waitFor();
  assert.equal((await replay()).paused, false);
  assert.notEqual((await replayToPage()).position, position);
});

test('a day forth and back, chart and bar follow', async () => {
  for (const [key, days] of [['PageUp', 1], ['PageDown', -1]]) {
    const wanted = Number(await slider().inputValue()) + days * DAY;
    await slider().press(key);
    await page.waitForFunction(
      ([time, near]) => {
        const { store, panes } = globalThis.heatcast;
        return store && [store.end, panes[0].time].every((at) => Math.abs(at - time) < near);
      },
      [wanted, NEAR],
    );
    await chartShown(page);
    assert.ok(Math.abs(seconds((await replay()).position) - wanted) < NEAR, key);
    await page.waitForFunction(
      ([time, near]) => Math.abs(document.querySelector('.replay-slider').valueAsNumber - time) < near,
      [wanted, NEAR],
    );
    const holes = await page.evaluate(() => {
      const { store } = globalThis.heatcast;
      return Array.from({ length: store.count }, (_, c) => c).filter((c) => !store.candle(c)).length;
    });
    assert.ok(holes <= 1, `${holes} columns without a candle after ${key}`);
  }
});

test('a new speed is the server’s, and the page asks for every version where a second is many columns', async () => {
  await subscribedEvery(1);
  await speed().selectOption('3600');
  await subscribedEvery(0);
  assert.equal((await replay()).speed, 3600);
  assert.equal((await replayToPage()).speed, 3600);
  assert.equal(await speed().inputValue(), '3600');
  const end = await page.evaluate(() => globalThis.heatcast.store.end);
  await page.waitForFunction((time) => globalThis.heatcast.store?.end > time, end + HOUR);
  await speed().selectOption('60');
  await subscribedEvery(1);
  assert.equal((await replay()).speed, 60);
});

test('nobody complained', () => assert.deepEqual(complaints, []));

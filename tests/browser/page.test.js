/**
 * The page in a real browser, against a real server.
 *
 *   HEATCAST_URL=http://127.0.0.1:8000/ node --test tests/browser/page.test.js
 *
 * The server must have at least one symbol and a feed that changes every few seconds. CHROMIUM
 * names the browser, by default /usr/bin/chromium.
 */
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';
import { colour, decode, encode, position } from '../../web/palette.js';

const BASE = process.env.HEATCAST_URL ?? 'http://127.0.0.1:8000/';
const PATIENCE = 15_000;
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser;
let page;
let complaints; /* errors of the page and its requests, over all tests */

/** A new page at BASE + hash that notes what goes wrong. */
async function open({ viewport = { width: 1280, height: 800 }, hash = '', prepare, ...options } = {}) {
  const context = await browser.newContext({ viewport, ...options });
  const opened = await context.newPage();
  opened.setDefaultTimeout(PATIENCE);
  opened.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  opened.on('pageerror', (error) => complaints.push(String(error)));
  opened.on('response', (response) => response.status() >= 400 && complaints.push(`${response.status()} ${response.url()}`));
  await prepare?.(opened);
  await opened.goto(BASE + hash);
  return opened;
}

const chartShown = (target = page) =>
  target.waitForFunction(() => globalThis.heatcast?.store?.count > 1 && document.getElementById('message').hidden);
const statusIs = (wanted, target = page) =>
  target.waitForFunction((status) => globalThis.heatcast?.status() === status, wanted);
const updates = (target = page) => target.evaluate(() => globalThis.heatcast.updates);
const updated = (since, target = page) =>
  target.waitForFunction((n) => globalThis.heatcast.updates > n, since, { timeout: 2 * PATIENCE });

/** Colours at points of a screenshot, read by a browser since it knows PNG. */
async function coloursAt(png, points) {
  const blank = await browser.newPage();
  try {
    return await blank.evaluate(
      async ([base64, at]) => {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
        const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
        context.drawImage(image, 0, 0);
        return at.map(({ x, y }) => [...context.getImageData(Math.floor(x), Math.floor(y), 1, 1).data.subarray(0, 3)]);
      },
      [png.toString('base64'), points],
    );
  } finally {
    await blank.close();
  }
}

/** Cells in sight, spread over the chart, clear of candles, price line and the words above. */
const cellsInSight = (target = page) =>
  target.evaluate(() => {
    const { store, cellXY } = globalThis.heatcast;
    const pane = document.querySelector('#chart canvas').getBoundingClientRect();
    const words = document.getElementById('readout').getBoundingClientRect();
    const last = store.candle(store.count - 1);
    const inside = ({ x, y }) =>
      x > pane.left + 60 && x < pane.right - 10 && y > words.bottom + 10 && y < pane.bottom - 50;
    const found = [];
    for (let c = 1; c < store.count - 1; c += 7) {
      const candle = store.candle(c);
      if (!candle) continue;
      for (let r = c % 3; r < store.rows; r += 3) {
        const cell = store.cell(c, r);
        const at = cell && cellXY(c, r);
        if (!at || !inside(at)) continue;
        const above = (price) => cell.from > price + store.bin * 2;
        const below = (price) => cell.to < price - store.bin * 2;
        if ((above(candle.high) || below(candle.low)) && (above(last.close) || below(last.close))) {
          found.push({ time: cell.time, total: cell.total, ...at });
        }
      }
    }
    return found;
  });

/** What all cells' places and colours depend on. */
const geometry = (target = page) =>
  target.evaluate(() => {
    const { store, cellXY, scale, updates } = globalThis.heatcast;
    return { scale, is: JSON.stringify([updates, store.layout, store.count, cellXY(0, 0), cellXY(1, 1), scale]) };
  });

/** The cells in sight and a screenshot that no update came between. */
async function still(target = page) {
  for (let tries = 0; tries < 30; tries++) {
    const former = await geometry(target);
    const cells = await cellsInSight(target);
    const png = await target.screenshot();
    if ((await geometry(target)).is === former.is) return { cells, png, scale: former.scale };
  }
  assert.fail('updates come too fast for a still picture');
}

/** Every known cell has the colour that its density has on the palette. */
async function assertColours(target = page) {
  const { cells, scale, png } = await still(target);
  const filled = cells.filter(({ total }) => total > 0);
  assert.ok(filled.length > 50, `only ${filled.length} filled cells in sight`);
  const some = cells.filter((_, i) => i % Math.ceil(cells.length / 400) === 0);
  const seen = await coloursAt(png, some);
  const wrong = some.filter(({ total }, i) => {
    const wanted = colour(position(decode(encode(total)), scale));
    return wanted.some((channel, k) => Math.abs(channel - seen[i][k]) > 3);
  });
  assert.ok(wrong.length <= some.length * 0.01, `${wrong.length} of ${some.length}, first ${JSON.stringify(wrong[0])}`);
}

before(async () => {
  complaints = [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
  page = await open();
});

after(() => browser?.close());

test('the chart appears', async () => {
  await chartShown();
  const box = await page.locator('#chart canvas').first().boundingBox();
  assert.ok(box.width > 800 && box.height > 400, JSON.stringify(box));
});

test('there are cells and candles in it', async () => {
  const { filled, candles, count } = await page.evaluate(() => {
    const { store } = globalThis.heatcast;
    let candles = 0;
    for (let c = 0; c < store.count; c++) if (store.candle(c)) candles++;
    return { filled: store.all().filter((code) => code > 0).length, candles, count: store.count };
  });
  assert.ok(filled > count, `${filled} cells in ${count} columns`);
  assert.ok(candles > count / 2, `${candles} candles in ${count} columns`);
});

test('the status is live', () => statusIs('live'));

test('known cells have the colour of their density', () => assertColours());

test('a live update changes store and picture', async () => {
  const chart = page.locator('#chart');
  const state = () =>
    page.evaluate(() => {
      const { store } = globalThis.heatcast;
      return JSON.stringify([store.end, [...store.column(store.count - 1)], store.candle(store.count - 1)]);
    });
  const formerState = await state();
  const formerPicture = await chart.screenshot();
  await updated(await updates());
  await page.waitForFunction((former) => {
    const { store } = globalThis.heatcast;
    const now = [store.end, [...store.column(store.count - 1)], store.candle(store.count - 1)];
    return JSON.stringify(now) !== former;
  }, formerState);
  for (let tries = 0; tries < 40; tries++) {
    if (!(await chart.screenshot()).equals(formerPicture)) return;
    await page.waitForTimeout(250);
  }
  assert.fail('the picture stayed the same');
});

test('cells still have their colours after live updates', async () => {
  await updated((await updates()) + 1);
  await assertColours();
});

test('the crosshair reads out the cell under it', async () => {
  const { cells } = await still();
  const { x, y } = cells.filter(({ total }) => total > 0).at(-1);
  await page.mouse.move(x, y);
  await page.locator('#readout').getByText('bucket').waitFor();
  const text = await page.locator('#readout').innerText();
  assert.match(text, /^\d{4}-\d\d-\d\d \d\d:\d\d UTC\s+O\s/);
  assert.match(text, /bucket\s[\s\S]*long\s[\s\S]*short\s[\s\S]*total\s/);
  /* The chart may have moved on below it; price buckets stay. */
  const bucket = await page.evaluate((wanted) => {
    const { store, cellXY } = globalThis.heatcast;
    const away = (r) => Math.abs(cellXY(0, r).y - wanted);
    let nearest = 0;
    for (let r = 1; r < store.rows; r++) if (away(r) < away(nearest)) nearest = r;
    return store.priceOf(nearest);
  }, y);
  assert.equal(Number(/bucket\s+([\d.\u2009]+)/.exec(text)[1].replaceAll('\u2009', '')), bucket);
  await page.mouse.move(5, 5);
});

test('simulated and replayed data are called so', async () => {
  const health = await page.evaluate(() => fetch('health').then((response) => response.json()));
  const notice = page.locator('#notice');
  if (health.simulated || health.feed === 'sim') assert.match(await notice.innerText(), /^Simulated market/);
  else if (health.feed === 'replay') assert.match(await notice.innerText(), /^Replay/);
});

test('the chart library is credited as its licence asks', async () => {
  const notice = await readFile(new URL('../../web/NOTICE-lightweight-charts', import.meta.url), 'utf8');
  const credit = await page.locator('#credit').innerText();
  assert.equal(credit.replace(/\s+/g, ' ').trim(), notice.replace(/\s+/g, ' ').trim());
  assert.equal(await page.locator('footer a[href="https://www.tradingview.com/"]').count(), 1);
  const logo = page.locator('#tv-attr-logo');
  assert.match(await logo.getAttribute('href'), /^https:\/\/www\.tradingview\.com\//);
  assert.ok(await logo.isVisible());
  for (const [path, words] of [
    ['NOTICE-lightweight-charts', 'TradingView'],
    ['vendor/lightweight-charts-LICENSE', 'Apache License'],
    ['vendor/lightweight-charts.mjs', '@license'],
  ]) {
    const text = await page.evaluate((p) => fetch(p).then((response) => response.text()), path);
    assert.ok(text.includes(words), path);
  }
});

test('another window is shown', async () => {
  await page.getByRole('button', { name: '14d', exact: true }).click();
  await page.waitForFunction(() => globalThis.heatcast.store?.step >= 900);
  await chartShown();
  assert.match(page.url(), /window=14d/);
  assert.equal(await page.locator('#windows [aria-pressed=true]').innerText(), '14d');
});

test('another symbol is shown, live', async (t) => {
  const symbols = await page.locator('#symbol option:enabled').evaluateAll((all) => all.map(({ value }) => value));
  if (symbols.length < 2) return t.skip('the server has one symbol');
  await page.locator('#symbol').selectOption(symbols[1]);
  await chartShown();
  await statusIs('live');
  await updated(await updates());
  await page.waitForFunction((symbol) => document.title.includes(symbol), symbols[1]);
  assert.match(page.url(), new RegExp(`symbol=${symbols[1]}`));
});

test('after missed columns every candle still stands at its time', async () => {
  let late = 0; /* seconds that the stream's clock is put forward */
  const gap = await open({
    prepare: (target) =>
      target.routeWebSocket(/\/ws\/heatmap$/, (socket) => {
        const server = socket.connectToServer();
        server.onMessage((text) => {
          const message = JSON.parse(text);
          if (message.type === 'snapshot') {
            message.timestamp = new Date(Date.parse(message.timestamp) + late * 1000).toISOString();
          }
          socket.send(JSON.stringify(message));
        });
      }),
  });
  await chartShown(gap);
  await updated(0, gap);
  for (const path of ['heatmap-timeseries', 'klines']) {
    await gap.route(new RegExp(path), (route) => route.fulfill({ json: { data: [] } }));
  }
  const before = await gap.evaluate(() => globalThis.heatcast.store.end);
  late = 10 * (await gap.evaluate(() => globalThis.heatcast.store.step));
  await gap.waitForFunction((time) => globalThis.heatcast.store?.end > time, before + late - 1, { timeout: 2 * PATIENCE });
  /* The newest column is in the store a frame before it is on the chart; a column that is told wrong
   * stays wrong. */
  await gap.waitForFunction(() => {
    const { chart, store } = globalThis.heatcast;
    const columns = Array.from({ length: store.count }, (_, c) => c);
    return columns.every((c) => chart.timeScale().timeToIndex(store.timeOf(c)) === c);
  });
  await gap.context().close();
});

test('a cut connection comes back by itself', async () => {
  const sockets = [];
  const cut = await open({
    prepare: (target) =>
      target.routeWebSocket(/\/ws\/heatmap$/, (socket) => {
        socket.connectToServer();
        sockets.push(socket);
      }),
  });
  await chartShown(cut);
  await statusIs('live', cut);
  await sockets[0].close({ code: 1012, reason: 'cut by the test' });
  await statusIs('reconnecting', cut);
  assert.match(await cut.locator('#status').innerText(), /^reconnecting/);
  await statusIs('live', cut);
  assert.equal(sockets.length, 2);
  await updated(await updates(cut), cut);
  await cut.context().close();
});

test('it fits a phone', async () => {
  const phone = await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true });
  await chartShown(phone);
  await statusIs('live', phone);
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(wide, 390);
  const box = await phone.locator('#chart').boundingBox();
  assert.ok(box.height > 400, JSON.stringify(box));
  for (const id of ['symbol', 'windows', 'status', 'freshness', 'legend', 'credit']) {
    const { x, y, width, height } = await phone.locator(`#${id}`).boundingBox();
    assert.ok(x >= 0 && y >= 0 && x + width <= 390 && y + height <= 844, id);
  }
  await phone.context().close();
});

test('nobody complained', () => assert.deepEqual(complaints, []));

test('a server that stands still is not called live', { skip: !process.env.HEATCAST_PID && 'HEATCAST_PID is not set' }, async () => {
  const pid = Number(process.env.HEATCAST_PID);
  await statusIs('live');
  process.kill(pid, 'SIGSTOP');
  try {
    await statusIs('stale');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await statusIs('live');
});

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
import { decode, encode } from '../../web/density-code.js';
import { colour, position, stretch } from '../../web/palette.js';
import { usdt } from '../../web/format.js';
import { chartShown, change, close, complaints, drawn, gateOf, hurry, open, statusIs, updated } from './page.js';

let page;
let gate; /* before its stream */

/** Colours at points of a screenshot, read by a browser since it knows PNG. */
async function coloursAt(png, points) {
  const blank = await page.context().newPage();
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
const cellsInSight = () =>
  page.evaluate(() => {
    const { store, cellXY, panes } = globalThis.heatcast;
    const pane = document.querySelector('.chart canvas').getBoundingClientRect();
    const words = document.querySelector('.readout').getBoundingClientRect();
    const last = panes[0].lastPrice;
    const inside = ({ x, y }) =>
      x > pane.left + 60 && x < pane.right - 10 - pane.width / 5 && y > Math.max(words.bottom, pane.top) + 10 && y < pane.bottom - 50;
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
        if ((above(candle.high) || below(candle.low)) && (above(last) || below(last))) {
          found.push({ time: cell.time, total: cell.total, ...at });
        }
      }
    }
    return found;
  });

/** What all cells' places and colours depend on. */
const geometry = () =>
  page.evaluate(() => {
    const { store, cellXY, scale, updates } = globalThis.heatcast;
    return { scale, is: JSON.stringify([updates, store.layout, store.count, cellXY(0, 0), cellXY(1, 1), scale]) };
  });

/** Hand `use` the cells in sight and a screenshot of them; until it ends no update comes. */
async function whileStill(use) {
  gate.isShut = true;
  try {
    for (let tries = 0; tries < 30; tries++) {
      const former = await geometry();
      const cells = await cellsInSight();
      const png = await page.screenshot();
      if ((await geometry()).is === former.is) return await use({ cells, png, scale: former.scale });
    }
    assert.fail('the picture does not come to rest');
  } finally {
    gate.open();
  }
}

/** Every known cell has the colour that its density has on the palette. */
const assertColours = () => whileStill(assertColoursOf);

async function assertColoursOf({ cells, scale, png }) {
  const { palette, low, high, theme } = await page.evaluate(() => globalThis.heatcast.settings);
  const filled = cells.filter(({ total }) => total > 0);
  assert.ok(filled.length > 50, `only ${filled.length} filled cells in sight`);
  const some = cells.filter((_, i) => i % Math.ceil(cells.length / 400) === 0);
  const seen = await coloursAt(png, some);
  const wrong = some.filter(({ total }, i) => {
    const place = stretch(position(decode(encode(total)), scale), { low, high });
    return colour(palette, place, theme).some((channel, k) => Math.abs(channel - seen[i][k]) > 4);
  });
  assert.ok(wrong.length <= some.length * 0.01, `${wrong.length} of ${some.length}, first ${JSON.stringify(wrong[0])}`);
}

before(async () => {
  page = await open({
    hash: '#window=12h&profile=0', /* broad columns, and nothing that lies over them */
    prepare: async (target) => (gate = await gateOf(target)),
  });
});

after(close);

test('the chart appears', async () => {
  await chartShown(page);
  const box = await page.locator('.chart canvas').first().boundingBox();
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

test('the status is live', () => statusIs('live', page));

test('known cells have the colour of their density', () => assertColours());

test('a live update changes store and picture', async () => {
  const chart = page.locator('.chart');
  const state = () =>
    page.evaluate(() => {
      const { store } = globalThis.heatcast;
      return JSON.stringify([store.end, [...store.column(store.count - 1)], store.candle(store.count - 1)]);
    });
  const formerState = await state();
  const formerPicture = await chart.screenshot();
  await updated(page);
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
  await updated(page, 2);
  await assertColours();
});

/* Nothing comes meanwhile: the chart would move on below the crosshair. */
test('the crosshair reads out the cell under it, exactly as REST has it', () => whileStill(assertReadout));

async function assertReadout({ cells }) {
  const filled = cells.filter(({ total }) => total > 0);
  const { x, y } = filled[filled.length >> 1];
  await page.mouse.move(x, y);
  const readout = page.locator('.readout');
  await page.waitForFunction(() => {
    const text = document.querySelector('.readout').innerText;
    return /bucket/.test(text) && !text.includes('≈'); /* the column's exact numbers have come */
  });
  const text = (await readout.innerText()).replace(/\s+/g, ' ');
  const [, time, bucket, long, short, total] =
    /^(\d{4}-\d\d-\d\d \d\d:\d\d) UTC O .* bucket ([\d .]+) – .*? long (.*?) short (.*?) total (.*?) ±1 % long/.exec(text) ??
    assert.fail(text);
  const price = Number(bucket.replaceAll(' ', ''));
  const level = await page.evaluate(
    async ({ time, price }) => {
      const { store, panes } = globalThis.heatcast;
      const at = `${time.replace(' ', 'T')}:00Z`;
      const query = new URLSearchParams({
        symbol: panes[0].symbol,
        interval: panes[0].session.interval,
        price_bin_size: store.bin,
        start_time: new Date(panes[0].session.start * 1000).toISOString(),
        end_time: at,
        warmup: 'stream',
      });
      const { data } = await (await fetch(`liquidations/heatmap-timeseries?${query}`)).json();
      const { levels } = data.find(({ timestamp }) => timestamp === at);
      return levels.find((one) => Math.abs(one.price - price) < store.bin / 2);
    },
    { time, price },
  );
  assert.equal(long, usdt(level.long_density));
  assert.equal(short, usdt(level.short_density));
  assert.equal(total, usdt(level.long_density + level.short_density));
  await page.mouse.move(5, 5);
}

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
  await page.waitForFunction(() => globalThis.heatcast.panes[0].session.window === '14d');
  await chartShown(page);
  assert.match(page.url(), /window=14d/);
  assert.equal(await page.locator('#windows [aria-pressed=true]').innerText(), '14d');
  await page.getByRole('button', { name: '12h', exact: true }).click(); /* its columns are the stream's */
  await page.waitForFunction(() => globalThis.heatcast.panes[0].session.window === '12h');
  await chartShown(page);
});

test('palettes, scales, thresholds and themes colour the cells as they say', async () => {
  for (const settings of [
    { palette: 'viridis' },
    { palette: 'cividis', scale: 'linear' },
    { palette: 'purple', scale: 'percentile', low: 0.3, high: 0.9 },
    { theme: 'light', scale: 'log', low: 0.1, high: 0.8 },
  ]) {
    await change(settings, page);
    await drawn(page);
    await assertColours();
  }
  await change({ palette: 'purple', scale: 'log', low: 0, high: 1, theme: 'dark' }, page);
});

test('a coarser bucket sums the finer ones', async () => {
  const fine = await page.evaluate(() => globalThis.heatcast.store.bin);
  await change({ factor: 5 }, page);
  await page.waitForFunction((bin) => globalThis.heatcast.store?.bin === bin, fine * 5);
  await chartShown(page);
  await updated(page);
  /* At the same moment of a market that goes on: the pane's latest snapshot, summed either way. */
  const { shown, wanted } = await page.evaluate(() => {
    const { store, panes } = globalThis.heatcast;
    const { data } = panes[0].session.latest;
    const rows = new Map();
    for (const { price, long_density: long, short_density: short } of data.levels) {
      const bucket = Math.floor(price / store.bin + 1e-9);
      rows.set(bucket, (rows.get(bucket) ?? 0) + long + short);
    }
    const shown = [];
    for (let r = 0; r < store.rows; r++) {
      const cell = store.cell(store.count - 1, r);
      if (cell?.total > 0) shown.push([store.base + r, cell.total]);
    }
    return { shown, wanted: [...rows].sort((a, b) => a[0] - b[0]) };
  });
  assert.ok(shown.length > 3);
  assert.deepEqual(shown.map(([row]) => row), wanted.map(([row]) => row));
  /* The store's sums are of single precision. */
  for (const [i, [row, total]] of shown.entries()) {
    assert.ok(Math.abs(total / wanted[i][1] - 1) < 1e-6, `row ${row}: ${total}, not ${wanted[i][1]}`);
  }
  await change({ factor: 1 }, page);
  await chartShown(page);
});

test('another symbol is shown, live', async (t) => {
  const symbols = await page.evaluate(() => fetch('symbols').then(async (response) => (await response.json()).symbols.map((s) => s.symbol)));
  if (symbols.length < 2) return t.skip('the server has one symbol');
  const box = page.getByRole('combobox', { name: 'Market' });
  await box.click();
  await box.fill(symbols[1].slice(0, 3));
  await page.getByRole('option', { name: symbols[1] }).click();
  await page.waitForFunction((symbol) => globalThis.heatcast.panes[0].symbol === symbol, symbols[1]);
  await chartShown(page);
  await statusIs('live', page);
  await updated(page);
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
          if (message.timestamp) message.timestamp = new Date(Date.parse(message.timestamp) + late * 1000).toISOString();
          socket.send(JSON.stringify(message));
        });
      }),
  });
  await chartShown(gap);
  await updated(gap);
  /* History that came later would have all columns told anew, whatever was told before. */
  await gap.route(/heatmap-timeseries/, () => {});
  await gap.route(/klines/, (route) => route.fulfill({ json: { data: [] } }));
  const before = await gap.evaluate(() => globalThis.heatcast.store.end);
  late = 10 * (await gap.evaluate(() => globalThis.heatcast.store.step));
  /* Candles of columns that came are known; of nine that never did there are none. */
  await gap.waitForFunction((time) => {
    const { store } = globalThis.heatcast;
    if (!store) return false;
    const times = Array.from({ length: store.count }, (_, c) => store.timeOf(c)).filter((of) => of > time);
    return times.filter((of) => !store.candle(store.columnOf(of))).length >= 9;
  }, before);
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
  await cut.evaluate(() => {
    const badge = document.getElementById('status');
    globalThis.seen = [];
    new MutationObserver(() => globalThis.seen.push(badge.innerText)).observe(badge, { attributes: true, subtree: true, childList: true });
  });
  await sockets[0].close({ code: 1012, reason: 'cut by the test' });
  await cut.waitForFunction(() => globalThis.seen.some((text) => text.startsWith('reconnecting')));
  await statusIs('live', cut);
  assert.equal(sockets.length, 2);
  await updated(cut);
  await cut.context().close();
});

test('a history that cannot be had is asked for again, without a click', async () => {
  let asked = 0;
  const failing = await open({
    mayFail: /heatmap-timeseries/,
    prepare: async (target) => {
      await hurry(target);
      await target.addInitScript(() => {
        globalThis.said = new Set();
        const note = () => globalThis.said.add(document.querySelector('.message strong')?.textContent);
        new MutationObserver(note).observe(document, { subtree: true, childList: true });
      });
      await target.route(/heatmap-timeseries/, (route) =>
        asked++ === 0 ? route.fulfill({ status: 500, json: { detail: 'out of luck' } }) : route.continue(),
      );
    },
  });
  await chartShown(failing);
  assert.ok(await failing.evaluate(() => globalThis.said.has('History cannot be loaded')));
  await statusIs('live', failing);
  await updated(failing);
  await failing.context().close();
});

test('it fits a phone', async () => {
  const phone = await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true });
  await chartShown(phone);
  await statusIs('live', phone);
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(wide, 390);
  const box = await phone.locator('.chart').boundingBox();
  assert.ok(box.height > 400, JSON.stringify(box));
  for (const place of ['.market', '#windows', '#status', '#more', '.legend', '#credit']) {
    const { x, y, width, height } = await phone.locator(place).boundingBox();
    assert.ok(x >= 0 && y >= 0 && x + width <= 390 && y + height <= 844, place);
  }
  await phone.context().close();
});

test('a server that stands still is not called live', { skip: !process.env.HEATCAST_PID && 'HEATCAST_PID is not set' }, async () => {
  const pid = Number(process.env.HEATCAST_PID);
  await statusIs('live', page);
  process.kill(pid, 'SIGSTOP');
  try {
    await statusIs('stale', page);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await statusIs('live', page);
});

test('a server without news is called stale, with the time of its last, until there is news', async () => {
  await statusIs('live', page);
  gate.isShut = true;
  gate.say({ type: 'warning', code: 'STALE', message: 'No news.', since: '2025-12-29T10:00:07.123Z' });
  await statusIs('stale', page);
  await page.waitForFunction(
    (text) => document.querySelector('#status span').textContent === text,
    'stale: relay has no news since 2025-12-29 10:00 UTC',
  );
  gate.open();
  await statusIs('live', page);
});

test('nobody complained', () => assert.deepEqual(complaints, []));

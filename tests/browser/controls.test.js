/**
 * What the page's buttons, keys and address do, in a real browser against a real server.
 *
 *   HEATCAST_URL=http://127.0.0.1:8000/ node --test tests/browser/controls.test.js
 *
 * The server must have at least two symbols and a feed that changes every few seconds.
 */
import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { chartShown, change, close, complaints, drawn, gateOf, hurry, open, settings, statusIs, symbols, updated } from './page.js';

let page;
let gate; /* before its stream */

before(async () => {
  /* Without motion the chart is where it goes to at once. */
  page = await open({ reducedMotion: 'reduce', prepare: async (target) => (gate = await gateOf(target)) });
  await chartShown(page);
});

afterEach(() => gate.open());
after(close);

const focusChart = (target = page) => target.locator('.chart').first().focus();

test('two and four markets are shown at once, each live', async () => {
  const all = await symbols(page);
  for (const panes of [2, 4]) {
    await page.getByRole('button', { name: String(panes), exact: true }).click();
    await chartShown(page);
    const shown = await page.evaluate(() => globalThis.heatcast.panes.map(({ symbol }) => symbol));
    assert.equal(shown.length, panes);
    assert.equal(new Set(shown).size, Math.min(panes, all.length));
    const since = Date.now();
    await page.waitForFunction((time) => globalThis.heatcast.panes.every(({ heardAt }) => heardAt > time), since);
    const boxes = await page.locator('.pane').evaluateAll((found) => found.map((pane) => pane.getBoundingClientRect().toJSON()));
    for (const [i, a] of boxes.entries()) {
      assert.ok(a.width > 300 && a.height > 200, JSON.stringify(a));
      for (const b of boxes.slice(i + 1)) assert.ok(a.right <= b.left || a.bottom <= b.top, 'panes overlap');
    }
  }
  await page.getByRole('button', { name: '1', exact: true }).click();
  await chartShown(page);
  assert.deepEqual(await page.evaluate(() => globalThis.heatcast.panes.length), 1);
});

test('keys change what is shown', async () => {
  await focusChart();
  const keys = [
    ['s', 'scale'], ['c', 'palette'], ['p', 'profile'], ['u', 'curves'], ['m', 'sweeps'], ['l', 'levels'], ['t', 'theme'], [']', 'low'],
  ];
  for (const [key, name] of keys) {
    const before = (await settings(page))[name];
    await page.keyboard.press(key);
    assert.notEqual((await settings(page))[name], before, key);
  }
  await page.keyboard.press('3');
  assert.equal((await settings(page)).window, '48h');
  await chartShown(page);
});

test('arrows move the crosshair, and the readout follows', async () => {
  await focusChart();
  await page.keyboard.press('ArrowLeft');
  const readout = () => page.locator('.readout').innerText();
  const time = (text) => Date.parse(`${/\d{4}-\d\d-\d\d \d\d:\d\d/.exec(text)[0].replace(' ', 'T')}:00Z`);
  const first = time(await readout());
  for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowLeft');
  const step = await page.evaluate(() => globalThis.heatcast.store.step);
  assert.equal(time(await readout()), first - 5 * step * 1000);
});

test('zoom, pan and reset by keys', async () => {
  gate.isShut = true; /* each new column would move the chart on */
  await focusChart();
  const pressed = async (...keys) => {
    for (const key of keys) {
      await page.keyboard.press(key);
      await drawn(page);
    }
    return page.evaluate(() => {
      const { chart, store } = globalThis.heatcast;
      return { ...chart.timeScale().getVisibleLogicalRange(), newest: store.count - 1 };
    });
  };
  const all = await pressed('0');
  const zoomed = await pressed('+', '+', '+', '+');
  assert.ok(zoomed.to - zoomed.from < (all.to - all.from) / 2, JSON.stringify([all, zoomed]));
  const panned = await pressed('Shift+ArrowLeft');
  assert.ok(panned.from < zoomed.from - 5, JSON.stringify([zoomed, panned]));
  const oldest = await pressed('Home');
  assert.ok(oldest.from < 5 && oldest.to < oldest.newest - 5, JSON.stringify(oldest));
  const newest = await pressed('End');
  assert.ok(newest.to >= newest.newest && newest.from > 5, JSON.stringify(newest));
  const reset = await pressed('0');
  assert.ok(reset.from < 5 && reset.to >= reset.newest, JSON.stringify(reset));
});

test('an upright drag and Shift with up move the prices, a level drag does not', async () => {
  const prices = () => page.evaluate(() => globalThis.heatcast.chart.priceScale('right').getVisibleRange());
  const isAuto = () => page.evaluate(() => globalThis.heatcast.chart.priceScale('right').options().autoScale);
  const { x, y, width, height } = await page.locator('.chart').first().boundingBox();
  const drag = async (dx, dy) => {
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.down();
    for (let step = 1; step <= 10; step++) await page.mouse.move(x + width / 2 + (dx * step) / 10, y + height / 2 + (dy * step) / 10);
    await page.mouse.up();
  };
  await page.keyboard.press('0');
  await page.waitForFunction(() => globalThis.heatcast.chart.priceScale('right').options().autoScale);
  await drag(60, 3);
  assert.equal(await isAuto(), true);
  const before = await prices();
  await drag(3, 100);
  assert.equal(await isAuto(), false);
  const dragged = await prices();
  assert.ok(dragged.from > before.from && dragged.to > before.to, JSON.stringify([before, dragged]));
  await focusChart();
  await page.keyboard.press('Shift+ArrowUp');
  await page.waitForFunction((from) => globalThis.heatcast.chart.priceScale('right').getVisibleRange().from > from, dragged.from);
  await page.keyboard.press('0');
});

test('help lists the keys and closes by Escape', async () => {
  await focusChart();
  await page.keyboard.press('?');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  assert.match(await dialog.innerText(), /crosshair/i);
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
});

test('the address holds the whole state', async () => {
  await change({ window: '24h', palette: 'viridis', scale: 'linear', low: 0.1, high: 0.9, factor: 2, profile: false, curves: true, levels: true }, page);
  const hash = new URL(page.url()).hash;
  const former = await settings(page);
  const other = await open({ hash });
  await chartShown(other);
  assert.deepEqual(await settings(other), former);
  assert.ok(await other.locator('#levels').isVisible());
  await other.evaluate(() => (location.hash = '#window=12h&theme=light'));
  await other.waitForFunction(() => globalThis.heatcast.settings.window === '12h');
  assert.equal(await other.evaluate(() => document.documentElement.dataset.theme), 'light');
  await other.context().close();
});

test('the ten biggest levels are a table', async () => {
  await chartShown(page);
  await page.locator('#table tbody tr').first().waitFor();
  const { shown, wanted } = await page.evaluate(() => ({
    shown: [...document.querySelectorAll('#table tbody tr')].map((row) => [row.className, ...[...row.cells].map((cell) => cell.innerText)]),
    wanted: globalThis.heatcast.panes[0].levels.rows.map(({ side, cells }) => [side, ...cells]),
  }));
  assert.deepEqual(shown, wanted);
  assert.equal(shown.length, 10);
});

test('an own leverage mix is asked of the server, and said to be no stream', async () => {
  const asked = [];
  page.on('request', (request) => asked.push(decodeURIComponent(request.url())));
  await change({ weights: '5:0,10:0,25:0,50:0,100:1' }, page);
  await chartShown(page);
  assert.ok(asked.some((url) => url.includes('leverage_weights=5:0,10:0,25:0,50:0,100:1')), asked.join('\n'));
  const said = page.locator('.notes', { hasText: 'Own leverage mix' });
  await said.waitFor();
  await page.getByRole('button', { name: /Leverage/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: /reset|stream/i }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Apply' }).click();
  await page.waitForFunction(() => globalThis.heatcast.settings.weights === null);
  await said.waitFor({ state: 'detached' });
  await chartShown(page);
});

test('the picture and the levels can be saved', async () => {
  const download = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
    return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
  };
  const png = await download('PNG');
  assert.match(png.name, /^heatcast-.*\.png$/);
  assert.deepEqual([...png.bytes.subarray(1, 4)], [...Buffer.from('PNG')]);
  assert.ok(png.bytes.length > 5000, String(png.bytes.length));
  const csv = await download('CSV');
  const [head, ...lines] = csv.bytes.toString().trimEnd().split('\n');
  assert.equal(head, 'symbol,time,price,bucket,long,short,total,exact');
  assert.ok(lines.length > 50 && lines.every((line) => line.split(',').length === 8));
});

test('polls while the stream is gone, and comes back to it', async () => {
  let isCut = false;
  const cut = await open({
    prepare: async (target) => {
      await hurry(target);
      await target.routeWebSocket(/\/ws\/heatmap$/, (socket) => {
        if (isCut) socket.close({ code: 1012, reason: 'cut by the test' });
        else target.lastSocket = (socket.connectToServer(), socket);
      });
    },
  });
  await chartShown(cut);
  await statusIs('live', cut);
  isCut = true;
  await cut.lastSocket.close({ code: 1012, reason: 'cut by the test' });
  await statusIs('polling', cut);
  await updated(cut);
  isCut = false;
  await statusIs('live', cut);
  await updated(cut);
  await cut.context().close();
});

test('a server that began anew is told, and its history loaded again', async () => {
  let epoch = null;
  const anew = await open({
    prepare: (target) =>
      target.routeWebSocket(/\/ws\/heatmap$/, (socket) => {
        const server = socket.connectToServer();
        server.onMessage((text) => {
          const message = JSON.parse(text);
          if (message.epoch && epoch) message.epoch = epoch;
          socket.send(JSON.stringify(message));
        });
      }),
  });
  await chartShown(anew);
  await updated(anew);
  await anew.evaluate(() => (globalThis.formerStore = globalThis.heatcast.store));
  epoch = 'zzzzzzzz';
  await anew.locator('#news').getByText('began anew').waitFor(); /* for some seconds only */
  await anew.waitForFunction(() => globalThis.heatcast.store && globalThis.heatcast.store !== globalThis.formerStore);
  await chartShown(anew);
  await anew.context().close();
});

test('a market that the server has not any more is said to be gone', async () => {
  const gone = await open();
  await chartShown(gone);
  const symbol = await gone.evaluate(() => globalThis.heatcast.panes[0].symbol);
  await gone.route(/\/symbols$/, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    body.symbols = body.symbols.filter((one) => one.symbol !== symbol);
    await route.fulfill({ json: body });
  });
  await gone.evaluate(() => globalThis.heatcast.refresh());
  await gone.locator('.message').getByText(`${symbol} is gone`).waitFor();
  await gone.context().close();
});

test('nobody complained', () => assert.deepEqual(complaints, []));

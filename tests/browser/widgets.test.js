/**
 * The page's controls by themselves in a real browser: mouse, finger, keys, and what they tell a
 * screen reader.
 *
 *   HEATCAST_URL=http://127.0.0.1:8000/ node --test tests/browser/widgets.test.js
 *
 * A server that runs gives the files. CHROMIUM names the browser, by default /usr/bin/chromium.
 */
import test, { after, before, beforeEach } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const BASE = process.env.HEATCAST_URL ?? 'http://127.0.0.1:8000/';
const PATIENCE = 10_000;
const MODULES = ['range-slider', 'symbol-picker', 'dialogs', 'replay-bar', 'keyboard', 'export'];
const T = Date.UTC(2025, 11, 20, 10) / 1000;
const DAY = 86400;

const HARNESS = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>controls</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="style.css">
<link rel="stylesheet" href="widgets.css"></head>
<body><div id="place" style="padding: 40px"></div></body>
</html>`;

let browser;
let page;
let complaints; /* errors of the page, over all tests */

/** A page that has nothing but the controls' modules, as globalThis.modules. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 900, height: 700 }, ...options });
  const opened = await context.newPage();
  opened.setDefaultTimeout(PATIENCE);
  opened.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  opened.on('pageerror', (error) => complaints.push(String(error)));
  await opened.route(`${BASE}controls`, (route) => route.fulfill({ contentType: 'text/html', body: HARNESS }));
  await opened.goto(`${BASE}controls`);
  await opened.evaluate(async (names) => {
    const modules = await Promise.all(names.map((name) => import(`./${name}.js`)));
    globalThis.modules = Object.assign({}, ...modules);
    globalThis.place = document.getElementById('place');
    globalThis.calls = [];
    globalThis.called =
      (name) =>
      (...args) =>
        globalThis.calls.push([name, ...args]);
  }, MODULES);
  return opened;
}

/** What the callbacks were called with since the last time. */
const calls = (target = page) => target.evaluate(() => globalThis.calls.splice(0));

/** The fields that a screen reader gets of an element. */
const aria = (locator, ...names) =>
  locator.evaluate((element, wanted) => wanted.map((name) => element.getAttribute(`aria-${name}`)), names);

before(async () => {
  complaints = [];
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  page = await open();
});

after(() => browser?.close());

beforeEach(() =>
  page.evaluate(() => {
    for (const dialog of document.querySelectorAll('dialog')) dialog.remove();
    globalThis.place.replaceChildren();
    globalThis.place.style.padding = '40px';
    globalThis.calls.length = 0;
  }),
);

/* The slider with two handles. */

async function showRange(target = page, low = 0.2, high = 0.8) {
  await target.evaluate(
    ([from, to]) => {
      const { modules, place, called } = globalThis;
      const format = (value) => `${Math.round(value * 100)} k`;
      globalThis.range = modules.rangeSlider(place, { label: 'Threshold', low: from, high: to, format, onInput: called('input') });
    },
    [low, high],
  );
  return ['Threshold from', 'Threshold to'].map((name) => target.getByRole('slider', { name }));
}

test('a range tells its handles, their values and their limits', async () => {
  const [low, high] = await showRange();
  const fields = ['valuemin', 'valuemax', 'valuenow', 'valuetext', 'orientation'];
  assert.deepEqual(await aria(low, ...fields), ['0', '0.79', '0.2', '20 k', 'horizontal']);
  assert.deepEqual(await aria(high, ...fields), ['0.21', '1', '0.8', '80 k', 'horizontal']);
  assert.equal(await page.getByRole('group', { name: 'Threshold' }).count(), 1);
});

test('keys move a handle by a step, a page, and to the end', async () => {
  const [low, high] = await showRange();
  await low.focus();
  for (const key of ['ArrowRight', 'ArrowUp', 'ArrowLeft', 'ArrowDown', 'PageUp', 'PageDown', 'Home']) await page.keyboard.press(key);
  assert.deepEqual(
    (await calls()).map(([, from]) => from),
    [0.21, 0.22, 0.21, 0.2, 0.3, 0.2, 0],
  );
  await page.keyboard.press('Tab');
  assert.ok(await high.evaluate((element) => element === document.activeElement));
  await page.keyboard.press('End');
  assert.deepEqual(await calls(), [['input', 0, 1]]);
});

test('a key that changes nothing is no change', async () => {
  const [low] = await showRange(page, 0, 1);
  await low.press('ArrowLeft');
  assert.deepEqual(await calls(), []);
});

test('handles do not cross, by keys', async () => {
  const [low, high] = await showRange();
  await low.press('End');
  assert.deepEqual(await calls(), [['input', 0.79, 0.8]]);
  await high.press('Home');
  await high.press('PageDown');
  assert.deepEqual(await calls(), []);
  assert.deepEqual(await aria(high, 'valuemin', 'valuenow'), ['0.8', '0.8']);
});

/** A point of the track, 0..1 from its left end. */
async function onTrack(part, target = page) {
  const { x, y, width, height } = await target.locator('.range-track').boundingBox();
  return [x + width * part, y + height / 2];
}

test('the mouse drags the nearest handle, and none through the other', async () => {
  const [low, high] = await showRange();
  await page.mouse.move(...(await onTrack(0.25)));
  await page.mouse.down();
  assert.ok(await low.evaluate((element) => element === document.activeElement));
  await page.mouse.move(...(await onTrack(0.5)), { steps: 3 });
  await page.mouse.move(...(await onTrack(1.5)));
  await page.mouse.up();
  const moved = await calls();
  assert.deepEqual(moved.at(-1), ['input', 0.79, 0.8]);
  assert.ok(moved.every(([, from, to]) => from < to && to === 0.8));
  await page.mouse.move(...(await onTrack(0.1)));
  assert.deepEqual(await calls(), [], 'after letting go nothing moves');
  await page.mouse.click(...(await onTrack(0.998)));
  assert.deepEqual(await calls(), [['input', 0.79, 1]]);
  assert.equal((await aria(high, 'valuenow'))[0], '1');
});

test('only the main button drags', async () => {
  await showRange();
  await page.mouse.click(...(await onTrack(0.5)), { button: 'right' });
  assert.deepEqual(await calls(), []);
});

test('a finger drags a handle', async () => {
  const phone = await open({ viewport: { width: 390, height: 700 }, hasTouch: true, isMobile: true });
  await showRange(phone);
  const session = await phone.context().newCDPSession(phone);
  const touch = async (type, part) => {
    const [x, y] = await onTrack(part, phone);
    await session.send('Input.dispatchTouchEvent', { type, touchPoints: type === 'touchEnd' ? [] : [{ x, y }] });
  };
  await touch('touchStart', 0.8);
  for (const part of [0.75, 0.7, 0.65, 0.6]) await touch('touchMove', part);
  await touch('touchEnd', 0.6);
  const moved = await calls(phone);
  assert.equal(moved.at(-1)[1], 0.2);
  assert.ok(Math.abs(moved.at(-1)[2] - 0.6) < 0.02, JSON.stringify(moved));
  await phone.context().close();
});

test('a range that is set shows it, and calls nobody', async () => {
  const [low, high] = await showRange();
  await page.evaluate(() => globalThis.range.set(0.4, 0.5));
  assert.deepEqual([...(await aria(low, 'valuenow')), ...(await aria(high, 'valuenow'))], ['0.4', '0.5']);
  await page.evaluate(() => globalThis.range.set(0.7, 0.1));
  assert.deepEqual([...(await aria(low, 'valuenow')), ...(await aria(high, 'valuenow'))], ['0.7', '0.71']);
  assert.deepEqual(await calls(), []);
});

/* The list of markets. */

const ENTRIES = [
  { symbol: 'ADAUSDT' },
  { symbol: 'BTCUSDT', note: '98 450.5' },
  { symbol: 'ETHBTC', note: 'no candles stored', disabled: true },
  { symbol: 'ETHUSDT' },
];

async function showPicker(entries = ENTRIES, value = 'BTCUSDT', target = page) {
  await target.evaluate(
    ([all, picked]) => {
      const { modules, place, called } = globalThis;
      globalThis.picker = modules.symbolPicker(place, { label: 'Market', onPick: called('pick') });
      globalThis.picker.setSymbols(all);
      globalThis.picker.setValue(picked);
    },
    [entries, value],
  );
  return target.getByRole('combobox', { name: 'Market' });
}

/** What the list shows, and the entry that Enter would pick. */
const listed = (target = page) =>
  target.evaluate(() => {
    const input = document.querySelector('[role=combobox]');
    const options = [...document.querySelectorAll('[role=option]')].filter((option) => option.checkVisibility());
    const active = document.getElementById(input.getAttribute('aria-activedescendant'));
    const name = (option) => option?.querySelector('.picker-symbol').textContent;
    return { all: options.map(name), active: name(active), expanded: input.getAttribute('aria-expanded') };
  });

test('a click opens the list of all markets at the one that is shown', async () => {
  const input = await showPicker();
  assert.deepEqual(await listed(), { all: [], active: undefined, expanded: 'false' });
  await input.click();
  const all = ENTRIES.map(({ symbol }) => symbol);
  assert.deepEqual(await listed(), { all, active: 'BTCUSDT', expanded: 'true' });
  assert.equal(await page.getByRole('listbox', { name: 'Market' }).count(), 1);
  const [controls, autocomplete] = await aria(input, 'controls', 'autocomplete');
  assert.equal(await page.locator(`#${controls}`).getAttribute('role'), 'listbox');
  assert.equal(autocomplete, 'list');
  assert.equal(await page.getByRole('option', { selected: true }).innerText(), 'BTCUSDT\n98 450.5');
});

test('typing filters, Enter picks the first that can be had', async () => {
  const input = await showPicker();
  await input.click();
  await page.keyboard.type('eth');
  assert.deepEqual(await listed(), { all: ['ETHBTC', 'ETHUSDT'], active: 'ETHUSDT', expanded: 'true' });
  assert.equal(await page.locator('.symbol-picker').getByRole('status').innerText(), '2 markets');
  await page.keyboard.press('Enter');
  assert.deepEqual(await calls(), [['pick', 'ETHUSDT']]);
  assert.equal(await input.inputValue(), 'ETHUSDT');
  assert.equal((await listed()).expanded, 'false');
});

test('arrows go round the list, pages to its ends', async () => {
  const input = await showPicker();
  await input.focus();
  const passed = [];
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowUp', 'PageUp', 'PageDown']) {
    await page.keyboard.press(key);
    passed.push((await listed()).active);
  }
  assert.deepEqual(passed, ['BTCUSDT', 'ETHBTC', 'ETHUSDT', 'ADAUSDT', 'ETHUSDT', 'ADAUSDT', 'ETHUSDT']);
  await page.keyboard.press('Enter');
  assert.deepEqual(await calls(), [['pick', 'ETHUSDT']]);
});

test('a market that cannot be had says why, and is not picked', async () => {
  const input = await showPicker();
  await input.click();
  const option = page.getByRole('option', { name: 'ETHBTC' });
  assert.deepEqual([await option.innerText(), ...(await aria(option, 'disabled'))], ['ETHBTC\nno candles stored', 'true']);
  await option.click({ force: true });
  await page.keyboard.press('ArrowDown');
  assert.equal((await listed()).active, 'ETHBTC');
  await page.keyboard.press('Enter');
  assert.deepEqual(await calls(), []);
  assert.equal((await listed()).expanded, 'true');
});

test('a click picks, and the focus stays in the field', async () => {
  const input = await showPicker();
  await input.click();
  await page.getByRole('option', { name: 'ADAUSDT' }).click();
  assert.deepEqual(await calls(), [['pick', 'ADAUSDT']]);
  assert.ok(await input.evaluate((element) => element === document.activeElement));
});

test('Escape, Tab and a click elsewhere leave the market as it was', async () => {
  const input = await showPicker();
  for (const leave of [() => page.keyboard.press('Escape'), () => page.keyboard.press('Tab'), () => page.mouse.click(700, 600)]) {
    await input.click();
    await page.keyboard.type('ada');
    await leave();
    assert.equal(await input.inputValue(), 'BTCUSDT');
    assert.equal((await listed()).expanded, 'false');
  }
  assert.deepEqual(await calls(), []);
});

test('the market that is shown is not picked anew', async () => {
  await (await showPicker()).click();
  await page.keyboard.press('Enter');
  assert.deepEqual(await calls(), []);
});

test('what does not exist is said', async () => {
  await (await showPicker()).click();
  await page.keyboard.type('doge');
  assert.equal(await page.getByText('No such market').isVisible(), true);
  assert.equal(await page.locator('.symbol-picker').getByRole('status').innerText(), '0 markets');
  await page.keyboard.press('Enter');
  assert.deepEqual(await calls(), []);
});

test('a search goes on while markets and the choice change', async () => {
  const input = await showPicker();
  await input.click();
  await page.keyboard.type('x');
  await page.evaluate(() => {
    globalThis.picker.setSymbols([{ symbol: 'XRPUSDT' }, { symbol: 'ADAUSDT' }]);
    globalThis.picker.setValue('ADAUSDT');
  });
  assert.equal(await input.inputValue(), 'x');
  assert.deepEqual((await listed()).all, ['XRPUSDT']);
  await page.keyboard.press('Escape');
  assert.equal(await input.inputValue(), 'ADAUSDT');
});

test('one market is a list too, and a thousand are', async () => {
  let input = await showPicker([{ symbol: 'BTCUSDT' }]);
  await input.click();
  await page.keyboard.press('ArrowDown');
  assert.deepEqual(await listed(), { all: ['BTCUSDT'], active: 'BTCUSDT', expanded: 'true' });
  await page.evaluate(() => globalThis.place.replaceChildren());

  const many = Array.from({ length: 1000 }, (_, i) => ({ symbol: `M${String(i).padStart(3, '0')}USDT` }));
  input = await showPicker(many, 'M500USDT');
  await input.click();
  const { y, height } = await page.getByRole('option', { selected: true }).boundingBox();
  const box = await page.locator('.picker-popup').boundingBox();
  assert.ok(y >= box.y && y + height <= box.y + box.height && box.y + box.height <= 700, 'the picked one is in sight');
  await page.keyboard.type('99');
  assert.equal((await listed()).all.length, 19);
});

test('the list stays inside the window, wherever the field is', async () => {
  const many = Array.from({ length: 100 }, (_, i) => ({ symbol: `M${i}USDT` }));
  for (const [top, above] of [[100, false], [400, false], [640, true]]) {
    await page.evaluate((y) => {
      globalThis.place.replaceChildren();
      globalThis.place.style.paddingTop = `${y}px`;
    }, top);
    const input = await showPicker(many, 'M50USDT');
    await input.click();
    const field = await input.boundingBox();
    const list = await page.locator('.picker-popup').boundingBox();
    assert.ok(list.y >= 0 && list.y + list.height <= 700 && list.height > 150, JSON.stringify([top, list]));
    assert.ok(above ? list.y + list.height < field.y : list.y > field.y + field.height, `${top} ${above}`);
    const { y, height } = await page.getByRole('option', { selected: true }).boundingBox();
    assert.ok(y >= list.y && y + height <= list.y + list.height);
  }
});

test('names are text, not markup', async () => {
  await (await showPicker([{ symbol: '<b>X</b>', note: '<img src=x>' }], '')).click();
  assert.equal(await page.getByRole('option').innerText(), '<b>X</b>\n<img src=x>');
  assert.equal(await page.locator('#place b, #place img').count(), 0);
});

test('the search can be begun from outside', async () => {
  await showPicker();
  await page.evaluate(() => globalThis.picker.focus());
  await page.keyboard.type('ada');
  await page.keyboard.press('Enter');
  assert.deepEqual(await calls(), [['pick', 'ADAUSDT']]);
});

/* Dialogs. */

const dialogGone = () => page.locator('dialog').waitFor({ state: 'detached' });

test('the help has every key in a table', async () => {
  await page.evaluate(() => globalThis.modules.openHelp(globalThis.modules.KEYS) && null);
  const dialog = page.getByRole('dialog', { name: 'Keyboard' });
  const shown = await dialog.getByRole('row').evaluateAll((rows) =>
    rows.map((row) => [row.querySelector('th').textContent, row.querySelector('td').textContent]),
  );
  const keys = await page.evaluate(() => globalThis.modules.KEYS.map(({ key, label }) => [key, label]));
  assert.deepEqual(shown, keys);
  await page.keyboard.press('Escape');
  await dialogGone();
});

test('a dialog closes with its button and beside it, and gives the focus back', async () => {
  for (const close of [() => page.getByRole('button', { name: 'Close' }).click(), () => page.mouse.click(5, 5)]) {
    await showPicker();
    await page.locator('[role=combobox]').focus();
    await page.evaluate(() => globalThis.modules.openHelp(globalThis.modules.KEYS) && null);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Close');
    await close();
    await dialogGone();
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('role')), 'combobox');
    await page.evaluate(() => globalThis.place.replaceChildren());
  }
});

async function showWeights(weights = null) {
  await page.evaluate((given) => {
    globalThis.modules.editWeights({ weights: given, onApply: globalThis.called('apply') });
  }, weights);
  return page.getByRole('dialog', { name: 'Leverage weights' });
}
const shares = () => page.locator('.weights-share').allInnerTexts();
const button = (name) => page.getByRole('button', { name });

test('five weights show their shares while they change', async () => {
  const dialog = await showWeights();
  const sliders = dialog.getByRole('slider');
  assert.equal(await sliders.count(), 5);
  assert.deepEqual(await shares(), ['15 %', '30 %', '25 %', '20 %', '10 %']);
  const five = dialog.getByRole('slider', { name: '5×', exact: true });
  await five.press('End');
  assert.deepEqual(await shares(), ['54.1 %', '16.2 %', '13.5 %', '10.8 %', '5.4 %']);
  assert.deepEqual(await aria(five, 'valuetext'), ['100, share 54.1 %']);
  await button('Apply').click();
  assert.deepEqual(await calls(), [['apply', '5:100,10:30,25:25,50:20,100:10']]);
  await dialogGone();
});

test('weights of one’s own are shown again, and reset to the stream’s', async () => {
  await showWeights('5:1,10:1');
  assert.deepEqual(await shares(), ['50 %', '50 %', '0 %', '0 %', '0 %']);
  await button('Reset to the stream’s mix').click();
  assert.deepEqual(await shares(), ['15 %', '30 %', '25 %', '20 %', '10 %']);
  await button('Apply').click();
  assert.deepEqual(await calls(), [['apply', null]]);
});

test('weights that no slider reaches keep their shares', async () => {
  await showWeights('5:4000,10:1000');
  assert.deepEqual(await shares(), ['80 %', '20 %', '0 %', '0 %', '0 %']);
});

test('weights that are all 0 cannot be applied', async () => {
  await showWeights('100:1');
  await page.getByRole('slider', { name: '100×' }).press('Home');
  assert.equal(await page.getByRole('alert').innerText(), 'At least one weight must be above 0.');
  assert.equal(await button('Apply').isDisabled(), true);
  await page.getByRole('slider', { name: '5×', exact: true }).press('ArrowRight');
  assert.equal(await button('Apply').isEnabled(), true);
  assert.deepEqual(await shares(), ['100 %', '0 %', '0 %', '0 %', '0 %']);
});

test('cancelled weights change nothing', async () => {
  for (const leave of [() => button('Cancel').click(), () => page.keyboard.press('Escape'), () => page.mouse.click(5, 5)]) {
    const dialog = await showWeights();
    await dialog.getByRole('slider').first().press('End');
    await leave();
    await dialogGone();
  }
  assert.deepEqual(await calls(), []);
});

test('the weights say that the live stream keeps its mix', async () => {
  const text = await (await showWeights()).innerText();
  assert.match(text, /history only\. The live stream keeps the default mix: 5× 15 %, 10× 30 %, 25× 25 %, 50× 20 %, 100× 10 %/);
});

/* The replay. */

const REPLAY = { start: T, end: T + 10 * DAY, position: T + 5 * DAY, speed: 60, paused: false, control: true };

async function showReplay(replay = {}, target = page) {
  await target.evaluate(
    (state) => {
      const { modules, place, called } = globalThis;
      const options = { onSpeed: called('speed'), onPosition: called('position'), onPause: called('pause') };
      globalThis.replay = modules.replayBar(place, options);
      globalThis.replay.set(state);
    },
    { ...REPLAY, ...replay },
  );
  return target.getByRole('slider', { name: 'Replay position' });
}
const setReplay = (replay, target = page) =>
  target.evaluate((state) => globalThis.replay.set(state), { ...REPLAY, ...replay });

/** A page whose clock only moves when it is told to: nothing depends on how fast the test is. */
async function stopped() {
  const target = await open();
  await target.clock.install({ time: 0 });
  await target.clock.pauseAt(1000);
  return target;
}
const RESTED = 500; /* ms after which a handle has come to rest */

test('a replay shows where it is, how fast, and its span', async () => {
  const slider = await showReplay();
  assert.deepEqual(await aria(slider, 'valuetext'), ['2025-12-25 10:00 UTC']);
  assert.equal(await page.locator('.replay-time').innerText(), '2025-12-25 10:00 UTC');
  assert.deepEqual(await page.locator('.replay-end').allInnerTexts(), ['2025-12-20', '2025-12-30']);
  assert.equal(Number(await slider.inputValue()), REPLAY.position);
  assert.equal(await page.getByLabel('Replay speed').inputValue(), '60');
});

test('times may be as the server writes them', async () => {
  const slider = await showReplay({ start: '2025-12-20T00:00:00Z', end: '2025-12-22T00:00:00Z', position: '2025-12-21T06:05:00Z' });
  assert.deepEqual(await aria(slider, 'valuetext'), ['2025-12-21 06:05 UTC']);
});

test('without control a replay is told as text only', async () => {
  await showReplay({ control: false, speed: 7 });
  assert.equal(await page.locator('.replay-bar').innerText(), 'Replay 7× · 2025-12-25 10:00 UTC');
  assert.equal(await page.locator('.replay-bar').getByRole('slider').count(), 0);
  assert.equal(await page.locator('.replay-bar').getByRole('button').count(), 0);
  await setReplay({ control: false, paused: true });
  assert.equal(await page.locator('.replay-bar').innerText(), 'Replay paused · 2025-12-25 10:00 UTC');
});

test('the button pauses what plays and plays what is paused', async () => {
  await showReplay();
  await button('Pause').click();
  assert.deepEqual(await calls(), [['pause', true]]);
  await setReplay({ paused: true });
  await button('Play').click();
  assert.deepEqual(await calls(), [['pause', false]]);
});

test('speeds go from 1 to 3600, and the present one is among them', async () => {
  await showReplay({ speed: 45 });
  const select = page.getByLabel('Replay speed');
  const offered = await select.locator('option').evaluateAll((all) => all.map(({ value }) => Number(value)));
  assert.deepEqual([offered[0], offered.at(-1), offered.includes(45)], [1, 3600, true]);
  assert.deepEqual(offered, [...offered].sort((a, b) => a - b));
  await select.selectOption('3600');
  assert.deepEqual(await calls(), [['speed', 3600]]);
  await setReplay({ speed: 3600 });
  assert.equal(await select.inputValue(), '3600');
  assert.equal(await select.locator('option[value="45"]').count(), 0);
});

test('a position is chosen once the handle rests, by keys', async () => {
  const target = await stopped();
  const slider = await showReplay({}, target);
  await slider.focus();
  for (const key of ['ArrowRight', 'ArrowRight', 'PageDown']) {
    await target.keyboard.press(key);
    await target.clock.runFor(RESTED / 2);
  }
  await setReplay({ position: T + 300 }, target);
  assert.equal(Number(await slider.inputValue()), T + 4 * DAY + 600, 'the stream does not pull the handle away');
  assert.deepEqual(await aria(slider, 'valuetext'), ['2025-12-24 10:10 UTC']);
  assert.deepEqual(await calls(target), []);
  await target.clock.runFor(RESTED);
  assert.deepEqual(await calls(target), [['position', T + 4 * DAY + 600]]);
  await setReplay({ position: T + 300 }, target);
  assert.equal(Number(await slider.inputValue()), T + 300);
  await target.context().close();
});

test('a position is chosen with the mouse', async () => {
  const target = await stopped();
  const slider = await showReplay({}, target);
  const { x, y, width, height } = await slider.boundingBox();
  await target.mouse.move(x + width / 2, y + height / 2);
  await target.mouse.down();
  await target.mouse.move(x + width, y + height / 2, { steps: 4 });
  await target.mouse.up();
  await target.clock.runFor(RESTED);
  assert.deepEqual(await calls(target), [['position', REPLAY.end]]);
  await target.context().close();
});

test('a replay bar that is gone calls nobody', async () => {
  const target = await stopped();
  const slider = await showReplay({}, target);
  await slider.press('ArrowRight');
  await target.evaluate(() => globalThis.replay.destroy());
  await target.clock.runFor(RESTED);
  assert.equal(await target.locator('.replay-bar').count(), 0);
  assert.deepEqual(await calls(target), []);
  await target.context().close();
});

/* Keys. */

async function listenToKeys(markup = '') {
  await page.evaluate((html) => {
    const { modules, place, called } = globalThis;
    place.innerHTML = html;
    const names = modules.KEYS.map(({ action }) => action).filter((action) => action !== 'oldest');
    globalThis.keys?.destroy();
    globalThis.keys = modules.onKey(Object.fromEntries(names.map((name) => [name, called(name)])));
    document.body.focus();
  }, markup);
}

test('keys call their handlers, as long as they are listened to', async () => {
  await listenToKeys();
  for (const key of ['ArrowUp', 'Shift+ArrowLeft', '+', '3', ']', 's', 'Space', '?', 'Escape', 'Home', 'Control+c']) {
    await page.keyboard.press(key);
  }
  assert.deepEqual(await calls(), [
    ['crosshair', 0, 1],
    ['pan', -1, 0],
    ['zoom', 1.25],
    ['window', 3],
    ['threshold', 1],
    ['scale'],
    ['pause'],
    ['help'],
    ['close'],
  ]);
  await page.evaluate(() => globalThis.keys.destroy());
  await page.keyboard.press('s');
  assert.deepEqual(await calls(), []);
});

test('what is typed into a field is no command', async () => {
  await listenToKeys('<input><textarea></textarea><select><option>a</select><p contenteditable>x</p>');
  for (const field of ['input', 'textarea', 'select', 'p']) {
    await page.locator(`#place ${field}`).focus();
    await page.keyboard.press('s');
    await page.keyboard.press('ArrowLeft');
  }
  assert.deepEqual(await calls(), []);
});

test('controls keep the keys that they use', async () => {
  await listenToKeys('<button>x</button><input type="range"><input type="checkbox">');
  for (const field of ['button', '[type=range]', '[type=checkbox]']) {
    await page.locator(`#place ${field}`).focus();
    await page.keyboard.press('Space');
    await page.keyboard.press('s');
  }
  await page.locator('[type=range]').focus();
  await page.keyboard.press('ArrowLeft');
  assert.deepEqual(await calls(), [['scale'], ['scale'], ['scale']]);
});

test('the handles of a range keep theirs', async () => {
  await listenToKeys();
  const [low] = await showRange();
  await low.press('ArrowLeft');
  await low.press('c');
  assert.deepEqual(await calls(), [['input', 0.19, 0.8], ['palette']]);
});

test('nothing behind a dialog hears keys', async () => {
  await listenToKeys();
  await showWeights();
  await page.getByRole('button', { name: 'Cancel' }).focus();
  for (const key of ['s', 'ArrowLeft', '?']) await page.keyboard.press(key);
  await page.keyboard.press('Escape');
  assert.deepEqual(await calls(), []);
  await page.keyboard.press('s');
  assert.deepEqual(await calls(), [['scale']]);
});

/* Files. */

test('a canvas becomes a PNG file of its size', async () => {
  const download = page.waitForEvent('download');
  await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 30, height: 20 });
    globalThis.modules.save('heatcast-X-24h.png', await globalThis.modules.pngOf(canvas));
  });
  const file = await download;
  assert.equal(file.suggestedFilename(), 'heatcast-X-24h.png');
  const bytes = await readFile(await file.path());
  assert.equal(bytes.subarray(1, 4).toString(), 'PNG');
  assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)], [30, 20]);
});

test('a canvas that is no picture is an error', async () => {
  const failed = page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 0, height: 0 });
    return globalThis.modules.pngOf(canvas);
  });
  await assert.rejects(failed, /cannot make a picture/);
});

/* All of them. */

for (const [pointer, least, options] of [
  ['mouse', 24, {}],
  ['finger', 40, { hasTouch: true, isMobile: true, viewport: { width: 390, height: 700 } }],
]) {
  test(`nothing to aim at is too small for a ${pointer}`, async () => {
    const target = await open(options);
    await showRange(target);
    await (await showPicker(ENTRIES, 'BTCUSDT', target)).click();
    await target.evaluate((state) => globalThis.modules.replayBar(globalThis.place, {}).set(state), REPLAY);
    const small = () =>
      target.evaluate((size) => {
        const all = [...document.querySelectorAll('button, input, select, [role=slider], [role=option]')];
        const seen = all.filter((element) => element.checkVisibility());
        const boxes = seen.map((element) => [element.outerHTML, element.getBoundingClientRect()]);
        return boxes.filter(([, { width, height }]) => width < size || height < size).map(([html]) => html);
      }, least);
    assert.deepEqual(await small(), []);
    await target.evaluate(() => globalThis.modules.editWeights({ weights: null, onApply: () => {} }) && null);
    assert.deepEqual(await small(), []);
    const wide = await target.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.equal(wide[0], wide[1], 'nothing is wider than the screen');
    await target.context().close();
  });
}

test('who wants no motion sees none', async () => {
  const still = await open({ reducedMotion: 'reduce' });
  await showRange(still);
  const moving = await still.evaluate(() =>
    [...document.querySelectorAll('#place *')].filter((element) =>
      ['', '::before', '::after'].some((part) => getComputedStyle(element, part || null).transitionDuration !== '0s'),
    ).length,
  );
  assert.equal(moving, 0);
  await still.context().close();
});

test('no control complained', () => assert.deepEqual(complaints, []));

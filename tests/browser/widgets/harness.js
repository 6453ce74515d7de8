/**
 * A page with nothing on it but the controls' modules, for the tests of each control. Whoever imports
 * this has it as `page`, empty before every test; a test fails by an error on any page.
 */
import { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { BASE, close, complaints, open as openPage } from '../page.js';

const MODULES = ['range-slider', 'symbol-picker', 'dialogs', 'replay-bar', 'keyboard', 'export'];

const HTML = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>controls</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="style.css">
<link rel="stylesheet" href="widgets.css"></head>
<body><div id="place" style="padding: 40px"></div></body>
</html>`;

/** @type {import('playwright-core').Page} */
export let page;

/** Another such page: the modules are globalThis.modules. @param {object} [options] of its context */
export async function open(options = {}) {
  const url = `${BASE}controls`;
  const opened = await openPage({
    url,
    viewport: { width: 900, height: 700 },
    prepare: (target) => target.route(url, (route) => route.fulfill({ contentType: 'text/html', body: HTML })),
    ...options,
  });
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

before(async () => {
  page = await open();
});

after(close);

afterEach(async () => {
  await page.evaluate(() => {
    for (const dialog of document.querySelectorAll('dialog')) dialog.remove();
    globalThis.place.replaceChildren();
    globalThis.place.style.padding = '40px';
    globalThis.calls.length = 0;
  });
  assert.deepEqual(complaints.splice(0), []);
});

/** What the callbacks were called with since the last time. */
export const calls = (target = page) => target.evaluate(() => globalThis.calls.splice(0));

/** The fields that a screen reader gets of an element. */
export const aria = (locator, ...names) =>
  locator.evaluate((element, wanted) => wanted.map((name) => element.getAttribute(`aria-${name}`)), names);

export const button = (name) => page.getByRole('button', { name });

/* Each control, shown. */

export async function showRange(target = page, low = 0.2, high = 0.8) {
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

export const ENTRIES = [
  { symbol: 'ADAUSDT' },
  { symbol: 'BTCUSDT', note: '98 450.5' },
  { symbol: 'ETHBTC', note: 'no candles stored', disabled: true },
  { symbol: 'ETHUSDT' },
];

export async function showPicker(entries = ENTRIES, value = 'BTCUSDT', target = page) {
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

export async function showWeights(weights = null) {
  await page.evaluate((given) => {
    globalThis.modules.editWeights({ weights: given, onApply: globalThis.called('apply') });
  }, weights);
  return page.getByRole('dialog', { name: 'Leverage weights' });
}

export const T = Date.UTC(2025, 11, 20, 10) / 1000;
export const DAY = 86400;
export const REPLAY = { start: T, end: T + 10 * DAY, position: T + 5 * DAY, speed: 60, paused: false, control: true };

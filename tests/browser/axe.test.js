/**
 * axe-core looks for faults of accessibility in the real page.
 *
 *   HEATCAST_URL=http://127.0.0.1:8000/ node --test tests/browser/axe.test.js
 *
 * The server must have a symbol with data. CHROMIUM names the browser, by default /usr/bin/chromium.
 */
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import axe from 'axe-core';
import { chartShown, close, open } from './page.js';

const GRAVE = ['serious', 'critical'];
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

after(close);

/** Hand a page that shows its chart to `use`. */
async function onPage(options, use) {
  const page = await open(options);
  try {
    await chartShown(page);
    await use(page);
  } finally {
    await page.context().close();
  }
}

/** What axe finds, a line for each grave fault with the elements that have it. */
async function faults(page) {
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  assert.ok(passes.length > 10, `only ${passes.length} rules had something to look at`);
  return violations
    .filter(({ impact }) => GRAVE.includes(impact))
    .map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}

test('axe sees a fault where there is one', () =>
  onPage(DESKTOP, async (page) => {
    await page.evaluate(() => document.querySelector('main').append(document.createElement('button')));
    assert.match((await faults(page)).join('\n'), /^button-name /m);
  }));

/** What to look at: a name, how the page is opened, and what is done to it then. */
const VIEWS = [
  ['the page', DESKTOP],
  ['four panes, all there is to show', { ...DESKTOP, hash: '#panes=4&curves=1&sweeps=1&levels=1' }],
  ['the same in the light', { ...DESKTOP, hash: '#panes=4&curves=1&sweeps=1&levels=1&theme=light' }],
  ['a choice of markets', DESKTOP, (page) => press(page.getByRole('combobox', { name: 'Market' }), page.getByRole('listbox'))],
  ['the help on keys', DESKTOP, openHelp],
  ['the help on keys in the light', { ...DESKTOP, hash: '#theme=light' }, openHelp],
  ['the leverage weights', DESKTOP, (page) => press(page.getByRole('button', { name: 'Leverage' }), page.getByRole('dialog'))],
  ['a phone', PHONE],
  ['the options on a phone', PHONE, (page) => press(page.getByRole('button', { name: 'Options' }), page.locator('#toolbar'))],
];

/** Press `button`, and wait until what it opens is there. */
async function press(button, opened) {
  assert.ok(!(await opened.isVisible()));
  await button.click();
  await opened.waitFor();
}

async function openHelp(page) {
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
}

for (const [name, options, act] of VIEWS) {
  test(`no grave fault: ${name}`, () =>
    onPage(options, async (page) => {
      await act?.(page);
      assert.deepEqual(await faults(page), []);
    }));
}

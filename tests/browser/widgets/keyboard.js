/**
 * Keys: who gets which.
 */
import test from 'node:test';
import assert from 'node:assert/strict';
import { calls, page, showRange, showWeights } from './harness.js';

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

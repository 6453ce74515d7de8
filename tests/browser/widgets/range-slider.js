/**
 * The slider with two handles: mouse, finger, keys, and what it tells a screen reader.
 */
import test from 'node:test';
import assert from 'node:assert/strict';
import { aria, calls, open, page, showRange } from './harness.js';

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

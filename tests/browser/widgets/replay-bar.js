/**
 * The bar of a replay by itself; ../replay.test.js has the page's, with a server.
 */
import test from 'node:test';
import assert from 'node:assert/strict';
import { DAY, REPLAY, T, aria, button, calls, open, page } from './harness.js';

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

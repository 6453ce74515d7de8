/**
 * What holds for all controls.
 */
import test from 'node:test';
import assert from 'node:assert/strict';
import { ENTRIES, REPLAY, open, showPicker, showRange } from './harness.js';

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

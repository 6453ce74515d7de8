/**
 * The help and the leverage weights.
 */
import test from 'node:test';
import assert from 'node:assert/strict';
import { aria, button, calls, page, showPicker, showWeights } from './harness.js';

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

const shares = () => page.locator('.weights-share').allInnerTexts();
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

/**
 * The list of markets: mouse, keys, and what it tells a screen reader.
 */
import test from 'node:test';
import assert from 'node:assert/strict';
import { ENTRIES, aria, calls, page, showPicker } from './harness.js';

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

test('an open list stays whole, and its cursor where it is, while markets change', async () => {
  const input = await showPicker([{ symbol: 'ADAUSDT' }, { symbol: 'BTCUSDT' }, { symbol: 'XRPUSDT' }], 'BTCUSDT');
  await input.click();
  await page.keyboard.press('ArrowDown');
  await page.evaluate(() => globalThis.picker.setSymbols(['AAAUSDT', 'ADAUSDT', 'BTCUSDT', 'XRPUSDT'].map((symbol) => ({ symbol }))));
  assert.deepEqual(await listed(), { all: ['AAAUSDT', 'ADAUSDT', 'BTCUSDT', 'XRPUSDT'], active: 'XRPUSDT', expanded: 'true' });
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

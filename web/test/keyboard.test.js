import test from 'node:test';
import assert from 'node:assert/strict';
import { KEYS, meaningOf } from '../keyboard.js';

/** @param {string} key @param {object} [held] */
const meaning = (key, held = {}) => {
  const found = meaningOf({ key, ...held });
  return found && [found.action, ...found.args];
};

test('each key means what the help says', () => {
  assert.deepEqual(
    ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'].map((key) => meaning(key)),
    [
      ['crosshair', -1, 0],
      ['crosshair', 1, 0],
      ['crosshair', 0, 1],
      ['crosshair', 0, -1],
    ],
  );
  assert.deepEqual(meaning('ArrowLeft', { shiftKey: true }), ['pan', -1, 0]);
  assert.deepEqual(meaning('+'), ['zoom', 1.25]);
  assert.deepEqual(meaning('-'), ['zoom', 0.8]);
  assert.deepEqual(meaning('1'), ['window', 1]);
  assert.deepEqual(meaning('9'), ['window', 9]);
  assert.deepEqual(meaning('['), ['threshold', -1]);
  assert.deepEqual(meaning(']'), ['threshold', 1]);
  const others = ['Home', 'End', '0', 's', 'c', 't', 'p', 'u', 'm', 'g', '/', 'w', 'e', 'i', ' ', '?', 'Escape'];
  assert.deepEqual(
    others.map((key) => meaning(key)?.[0]),
    [
      ...['oldest', 'newest', 'reset', 'scale', 'palette', 'theme', 'profile', 'curves', 'sweeps', 'grid', 'search'],
      ...['weights', 'csv', 'image', 'pause', 'help', 'close'],
    ],
  );
});

test('no key has two meanings', () => {
  const keys = KEYS.flatMap(({ on, shift }) => Object.keys(on).map((key) => `${shift ? 'Shift+' : ''}${key}`));
  assert.equal(new Set(keys).size, keys.length);
});

test('the help has a word on each action, once', () => {
  assert.equal(new Set(KEYS.map(({ action }) => action)).size, KEYS.length);
  assert.equal(new Set(KEYS.map(({ label }) => label)).size, KEYS.length);
  for (const row of KEYS) assert.ok(row.group && row.key && row.label && Object.keys(row.on).length, row.action);
});

test('keys with a modifier are the browser’s', () => {
  for (const held of [{ ctrlKey: true }, { altKey: true }, { metaKey: true }]) {
    for (const key of ['c', 's', 'p', '+', '0', 'ArrowLeft', 'Home']) assert.equal(meaning(key, held), null, key);
  }
});

test('signs behind AltGr are signs', () => {
  const held = { ctrlKey: true, altKey: true, getModifierState: (/** @type {string} */ name) => name === 'AltGraph' };
  assert.deepEqual(meaning('[', held), ['threshold', -1]);
});

test('shift makes signs, and no letters or names', () => {
  assert.deepEqual(meaning('?', { shiftKey: true }), ['help']);
  assert.deepEqual(meaning('/', { shiftKey: true }), ['search']);
  assert.deepEqual(meaning('1', { shiftKey: true }), ['window', 1]);
  for (const key of ['S', 'Home', 'Escape', ' ']) assert.equal(meaning(key, { shiftKey: true }), null, key);
});

test('caps lock changes nothing', () => assert.deepEqual(meaning('S'), ['scale']));

test('a key that is held moves on, but does not flicker', () => {
  assert.deepEqual(meaning('ArrowUp', { repeat: true }), ['crosshair', 0, 1]);
  assert.deepEqual(meaning('+', { repeat: true }), ['zoom', 1.25]);
  for (const key of ['t', ' ', '?', 'e']) assert.equal(meaning(key, { repeat: true }), null, key);
});

test('writing signs of several keys is no press of one', () => assert.equal(meaning('s', { isComposing: true }), null));

test('other keys mean nothing', () => {
  for (const key of ['a', 'x', 'F5', 'Tab', 'Enter', 'toString', '__proto__', 'ß', '']) assert.equal(meaning(key), null, key);
});

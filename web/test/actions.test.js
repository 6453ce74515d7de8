import test from 'node:test';
import assert from 'node:assert/strict';
import { keyActions } from '../actions.js';
import { KEYS } from '../keyboard.js';
import { WINDOWS } from '../rest.js';
import { CHOICES, DEFAULTS, FLAGS } from '../settings.js';

const COMMANDS = ['weights', 'csv', 'image', 'reset', 'help', 'pause'];

/** A page that remembers what was called; `press` does a key's action. */
function made(settings = {}) {
  const page = { settings: { ...DEFAULTS, ...settings }, called: [] };
  const called = (name) => (...args) => void page.called.push([name, ...args]);
  const actions = keyActions({
    settings: () => page.settings,
    change: (wanted) => Object.assign(page.settings, wanted),
    pane: () => ({
      store: { count: 500 },
      chart: Object.fromEntries(['moveCrosshair', 'pan', 'zoom', 'toNewest'].map((name) => [name, called(name)])),
      picker: { focus: called('focus') },
    }),
    commands: Object.fromEntries(COMMANDS.map((name) => [name, called(name)])),
  });
  return Object.assign(page, { actions, press: (name, ...args) => actions[name](...args) });
}

test('every key has an action, but Escape, which is the browser’s', () => {
  const { actions } = made();
  const without = KEYS.filter(({ action }) => !actions[action]).map(({ action }) => action);
  assert.deepEqual(without, ['close']);
});

test('the threshold goes by steps, not below nothing and not past the upper end', () => {
  const page = made({ low: 0.1, high: 0.25 });
  const after = (way) => {
    page.press('threshold', way);
    return Number(page.settings.low.toFixed(6));
  };
  assert.deepEqual([1, 1, 1, 1].map(after), [0.15, 0.2, 0.2, 0.2]);
  assert.deepEqual([-1, -1, -1, -1, -1, -1].map(after), [0.15, 0.1, 0.05, 0, 0, 0]);
  assert.equal(page.settings.high, 0.25);
});

test('a range too narrow for a step begins at nothing', () => {
  const page = made({ low: 0.01, high: 0.02 });
  page.press('threshold', 1);
  assert.equal(page.settings.low, 0);
});

test('a figure chooses a window, one beyond the last none', () => {
  const page = made({ window: '7d' });
  const names = Object.keys(WINDOWS);
  page.press('window', 1);
  assert.equal(page.settings.window, names[0]);
  page.press('window', names.length);
  assert.equal(page.settings.window, names.at(-1));
  page.press('window', names.length + 1);
  assert.equal(page.settings.window, names.at(-1));
});

test('choices are gone through, what is shown is turned on and off', () => {
  const page = made();
  for (const [action, name] of [['scale', 'scale'], ['palette', 'palette'], ['theme', 'theme'], ['grid', 'panes']]) {
    const seen = CHOICES[name].map(() => (page.press(action), page.settings[name]));
    assert.deepEqual(seen, [...CHOICES[name].slice(1), CHOICES[name][0]], action);
  }
  for (const name of FLAGS) {
    page.press(name);
    assert.equal(page.settings[name], !DEFAULTS[name], name);
  }
});

test('the chart is moved by columns and parts of its height', () => {
  const page = made();
  page.press('crosshair', -1, 0);
  page.press('pan', 2, -1);
  page.press('zoom', 1.25);
  page.press('oldest');
  page.press('newest');
  page.press('search');
  assert.deepEqual(page.called, [
    ['moveCrosshair', -1, 0], ['pan', 40, -0.1], ['zoom', 1.25], ['pan', -500], ['toNewest'], ['focus'],
  ]);
});

test('commands are handed on', () => {
  const page = made();
  for (const name of COMMANDS) page.press(name);
  assert.deepEqual(page.called, COMMANDS.map((name) => [name]));
});

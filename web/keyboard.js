/**
 * keyboard.js - the page's keys: one table that both the page and its help are made from.
 *
 * Knows names of actions, never what they do.
 */

/**
 * @typedef {object} KeyRow
 * @property {string} group a heading in the help
 * @property {string} key as the help shows it
 * @property {string} label what it does
 * @property {string} action name of the handler
 * @property {Record<string, number[]>} on KeyboardEvent.key to the handler's arguments
 * @property {boolean} [shift] with the shift key held; else without, where that makes a difference
 * @property {boolean} [repeats] goes on while the key is held
 *
 * @typedef {{key: string, shiftKey?: boolean, ctrlKey?: boolean, altKey?: boolean, metaKey?: boolean,
 *   repeat?: boolean, isComposing?: boolean, getModifierState?: (name: string) => boolean}} Press
 * @typedef {Record<string, (...args: any[]) => void>} Handlers by action
 */

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const ZOOM_STEP = 1.25;

/** @type {readonly KeyRow[]} */
export const KEYS = [
  { group: 'Move', key: '← → ↑ ↓', label: 'Move the crosshair', action: 'crosshair', on: ARROWS, repeats: true },
  { group: 'Move', key: 'Shift + arrows', label: 'Move the chart', action: 'pan', on: ARROWS, shift: true, repeats: true },
  {
    group: 'Move',
    key: '+ −',
    label: 'Zoom in, zoom out',
    action: 'zoom',
    on: { '+': [ZOOM_STEP], '=': [ZOOM_STEP], '-': [1 / ZOOM_STEP], _: [1 / ZOOM_STEP] },
    repeats: true,
  },
  { group: 'Move', key: 'Home', label: 'Go to the oldest column', action: 'oldest', on: { Home: [] } },
  { group: 'Move', key: 'End', label: 'Go to the newest column', action: 'newest', on: { End: [] } },
  { group: 'Move', key: '0', label: 'Reset the view', action: 'reset', on: { 0: [] } },
  {
    group: 'Show',
    key: '1 … 9',
    label: 'Choose a time window',
    action: 'window',
    on: Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => [n, [n]])),
  },
  { group: 'Show', key: '/', label: 'Search for a market', action: 'search', on: { '/': [] } },
  { group: 'Show', key: 'g', label: 'One, two or four charts', action: 'grid', on: { g: [] } },
  { group: 'Show', key: 'p', label: 'Volume profile on or off', action: 'profile', on: { p: [] } },
  { group: 'Show', key: 'u', label: 'Cumulative curves on or off', action: 'curves', on: { u: [] } },
  { group: 'Show', key: 'm', label: 'Swept levels on or off', action: 'sweeps', on: { m: [] } },
  { group: 'Show', key: 'l', label: 'Table of the biggest levels on or off', action: 'levels', on: { l: [] } },
  { group: 'Show', key: 'w', label: 'Set leverage weights', action: 'weights', on: { w: [] } },
  { group: 'Colours', key: '[ ]', label: 'Show more or fewer levels', action: 'threshold', on: { '[': [-1], ']': [1] }, repeats: true },
  { group: 'Colours', key: 's', label: 'Next colour scale', action: 'scale', on: { s: [] } },
  { group: 'Colours', key: 'c', label: 'Next palette', action: 'palette', on: { c: [] } },
  { group: 'Colours', key: 't', label: 'Next theme', action: 'theme', on: { t: [] } },
  { group: 'Other', key: 'Space', label: 'Pause or play a replay', action: 'pause', on: { ' ': [] } },
  { group: 'Other', key: 'e', label: 'Save the data as CSV', action: 'csv', on: { e: [] } },
  { group: 'Other', key: 'i', label: 'Save the picture as PNG', action: 'image', on: { i: [] } },
  { group: 'Other', key: '?', label: 'Show this list', action: 'help', on: { '?': [] } },
  { group: 'Other', key: 'Esc', label: 'Close what is open', action: 'close', on: { Escape: [] } },
];

/** Inputs in which keys write nothing. */
const NOT_TYPED_IN = ['button', 'checkbox', 'color', 'file', 'image', 'radio', 'range', 'reset', 'submit'];
const MOVES_A_SLIDER = /^(Arrow|Page|Home$|End$)/;

/**
 * What a key means, were nothing else interested in it.
 * @param {Press} press
 * @returns {{action: string, args: number[]} | null}
 */
export function meaningOf(press) {
  if (!press.key || press.isComposing || isChord(press)) return null; /* a filled-in form presses no key */
  const named = press.key.length > 1 || press.key === ' ';
  const letter = /^\p{L}$/u.test(press.key);
  const key = letter ? press.key.toLowerCase() : press.key; /* caps lock changes nothing */
  /* Which signs need shift depends on the keyboard's language: for them it says nothing. */
  const shift = (named || letter) && press.shiftKey === true;
  const row = KEYS.find((r) => Object.hasOwn(r.on, key) && (r.shift ?? false) === shift);
  if (!row || (press.repeat && !row.repeats)) return null;
  return { action: row.action, args: row.on[key] };
}

/** AltGr, which some keyboards need for brackets, looks like Ctrl and Alt. @param {Press} press */
function isChord(press) {
  if (press.metaKey) return true;
  return Boolean(press.ctrlKey || press.altKey) && !press.getModifierState?.('AltGraph');
}

/**
 * Call the handler of each key that is pressed for the page: not while something is typed or a
 * dialog is open, and not where the focused control uses the key itself.
 * @param {Handlers} handlers an action without one leaves its key to the browser
 * @returns {{destroy: () => void}}
 */
export function onKey(handlers) {
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.defaultPrevented || document.querySelector('dialog[open]')) return;
    const meaning = meaningOf(event);
    const handler = meaning && handlers[meaning.action];
    if (!meaning || !handler || isTaken(event)) return;
    event.preventDefault();
    handler(...meaning.args);
  };
  document.addEventListener('keydown', onKeyDown);
  return { destroy: () => document.removeEventListener('keydown', onKeyDown) };
}

/** Whether the element with the focus has a use for the key. @param {KeyboardEvent} event */
function isTaken({ target, key }) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches('textarea, select')) return true;
  if (target instanceof HTMLInputElement && !NOT_TYPED_IN.includes(target.type)) return true;
  if (target.matches('input[type=range], input[type=radio]') && MOVES_A_SLIDER.test(key)) return true;
  return key === ' ' && target.matches('a, button, input, summary, [role=button]');
}

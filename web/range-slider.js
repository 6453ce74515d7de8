/**
 * range-slider.js - a slider with two handles, for a part of 0..1.
 *
 * Two ARIA sliders in a group. The handles never cross: one that reaches the other stops a step
 * before it.
 */
import { make, setText } from './dom.js';

const STEP = 0.01;
const PAGE = 0.1;

/**
 * @typedef {object} Options
 * @property {string} label
 * @property {number} low 0..1
 * @property {number} high 0..1
 * @property {(value: number) => string} format what a value means, in words
 * @property {(low: number, high: number) => void} onInput the user moved a handle
 */

/**
 * @param {HTMLElement} container
 * @param {Options} options
 * @returns {{set: (low: number, high: number) => void}} set also words the values anew
 */
export function rangeSlider(container, { label, low, high, format, onInput }) {
  const values = [low, high];
  const handles = ['from', 'to'].map((end) => makeHandle(`${label} ${end}`));
  const words = ['range-low', 'range-high'].map((name) => make('span', { class: name, 'aria-hidden': 'true' }));
  const fill = make('div', { class: 'range-fill' });
  const track = make('div', { class: 'range-track' }, fill, ...handles);
  const name = make('span', { 'aria-hidden': 'true' }, label);
  const group = make('div', { class: 'range-slider', role: 'group', 'aria-label': label }, name, words[0], track, words[1]);

  const show = () => {
    fill.style.left = percent(values[0]);
    fill.style.right = percent(1 - values[1]);
    handles.forEach((handle, i) => {
      const [least, most] = limits(values, i);
      handle.style.left = percent(values[i]);
      handle.setAttribute('aria-valuemin', String(least));
      handle.setAttribute('aria-valuemax', String(most));
      handle.setAttribute('aria-valuenow', String(values[i]));
      handle.setAttribute('aria-valuetext', format(values[i]));
      setText(words[i], format(values[i]));
    });
  };
  const move = (/** @type {number} */ i, /** @type {number} */ value) => {
    const next = clamp(rounded(value), ...limits(values, i));
    if (next === values[i]) return;
    values[i] = next;
    show();
    onInput(values[0], values[1]);
  };

  handles.forEach((handle, i) => handle.addEventListener('keydown', (event) => onKeyDown(event, i, values, move)));
  dragBy(track, handles, values, move);
  show();
  container.append(group);
  return {
    set(newLow, newHigh) {
      values[0] = clamp(rounded(newLow), 0, 1 - STEP);
      values[1] = clamp(rounded(newHigh), rounded(values[0] + STEP), 1);
      show();
    },
  };
}

/** @param {string} label */
function makeHandle(label) {
  return make('div', {
    class: 'range-handle',
    role: 'slider',
    tabindex: '0',
    'aria-label': label,
    'aria-orientation': 'horizontal',
  });
}

/** Where handle `i` may be. @param {number[]} values @param {number} i @returns {[number, number]} */
function limits([low, high], i) {
  return i === 0 ? [0, rounded(high - STEP)] : [rounded(low + STEP), 1];
}

/**
 * @param {KeyboardEvent} event
 * @param {number} i
 * @param {number[]} values
 * @param {(i: number, value: number) => void} move
 */
function onKeyDown(event, i, values, move) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const [least, most] = limits(values, i);
  /** @type {Record<string, number>} */
  const targets = {
    ArrowLeft: values[i] - STEP,
    ArrowDown: values[i] - STEP,
    ArrowRight: values[i] + STEP,
    ArrowUp: values[i] + STEP,
    PageDown: values[i] - PAGE,
    PageUp: values[i] + PAGE,
    Home: least,
    End: most,
  };
  if (!(event.key in targets)) return;
  event.preventDefault(); /* nothing scrolls, and the page's own keys keep out */
  move(i, targets[event.key]);
}

/**
 * The nearest handle follows the finger or the mouse, wherever on the track that begins.
 * @param {HTMLElement} track
 * @param {HTMLElement[]} handles
 * @param {number[]} values
 * @param {(i: number, value: number) => void} move
 */
function dragBy(track, handles, values, move) {
  let dragged = -1;
  const at = (/** @type {PointerEvent} */ event) => {
    const { left, width } = track.getBoundingClientRect();
    const part = width > 0 ? (event.clientX - left) / width : 0;
    return Math.round(part / STEP) * STEP;
  };
  track.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || dragged >= 0) return;
    event.preventDefault(); /* no text is selected */
    dragged = nearest(values, at(event));
    track.setPointerCapture(event.pointerId);
    handles[dragged].focus({ preventScroll: true });
    move(dragged, at(event));
  });
  track.addEventListener('pointermove', (event) => {
    if (dragged >= 0 && track.hasPointerCapture(event.pointerId)) move(dragged, at(event));
  });
  track.addEventListener('lostpointercapture', () => (dragged = -1));
}

/** @param {number[]} values @param {number} value */
function nearest([low, high], value) {
  return Math.abs(value - low) < Math.abs(value - high) || value < low ? 0 : 1;
}

/** @param {number} value @param {number} least @param {number} most */
function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

/** To thousandths: 0.1 + 0.2 is to be 0.3. @param {number} value */
function rounded(value) {
  return Math.round(value * 1000) / 1000;
}

/** @param {number} part */
function percent(part) {
  return `${part * 100}%`;
}

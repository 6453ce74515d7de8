/**
 * controls.js - buttons and choices of the page's bars.
 */
import { make } from './dom.js';

/**
 * @param {string} label
 * @param {() => void} onClick
 * @param {Record<string, string | boolean>} [attributes]
 */
export function button(label, onClick, attributes = {}) {
  const made = make('button', { type: 'button', class: 'plain', ...attributes }, label);
  made.addEventListener('click', onClick);
  return made;
}

/**
 * Buttons of which one is pressed.
 * @template {string | number} T
 * @param {HTMLElement} container
 * @param {readonly (readonly [value: T, label: string, title?: string])[]} choices
 * @param {(value: T) => void} onChoose
 * @returns {(value: T) => void} shows which one is chosen
 */
export function segments(container, choices, onChoose) {
  container.classList.add('segments');
  const buttons = choices.map(([value, label, title = false]) =>
    button(label, () => onChoose(value), { class: 'segment', value: String(value), title, 'aria-pressed': 'false' }),
  );
  container.replaceChildren(...buttons);
  return (value) => {
    for (const one of buttons) one.setAttribute('aria-pressed', String(one.value === String(value)));
  };
}

/**
 * @template {string | number} T
 * @param {string} label what the choice is of
 * @param {readonly (readonly [value: T, label: string])[]} choices
 * @param {(value: T) => void} onChoose
 */
export function select(label, choices, onChoose) {
  const options = choices.map(([value, text]) => new Option(text, String(value)));
  const made = make('select', { 'aria-label': label, title: label }, ...options);
  made.addEventListener('change', () => onChoose(choices[made.selectedIndex][0]));
  return made;
}

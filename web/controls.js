/**
 * controls.js - buttons and choices of the page's bars.
 */
import { make } from './dom.js';

/**
 * A button that only looks like one.
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
 * @param {HTMLElement} container
 * @param {[value: string, label: string, title?: string][]} choices
 * @param {(value: string) => void} onChoose
 * @returns {(value: string) => void} shows which one is chosen
 */
export function segments(container, choices, onChoose) {
  container.classList.add('segments');
  const buttons = choices.map(([value, label, title]) =>
    button(label, () => onChoose(value), { class: 'segment', value, title: title ?? false, 'aria-pressed': 'false' }),
  );
  container.replaceChildren(...buttons);
  return (value) => {
    for (const one of buttons) one.setAttribute('aria-pressed', String(one.value === value));
  };
}

/**
 * @param {string} label what the choice is of
 * @param {[value: string, label: string][]} choices
 * @param {(value: string) => void} onChoose
 */
export function select(label, choices, onChoose) {
  const made = make('select', { 'aria-label': label, title: label }, ...choices.map(([value, text]) => new Option(text, value)));
  made.addEventListener('change', () => onChoose(made.value));
  return made;
}

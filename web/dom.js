/**
 * dom.js - making elements without markup, so that no data is ever read as HTML.
 */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean>} [attributes] true is an empty one, false is none
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children);
  return made;
}

/**
 * Change a text only where it differs: what stays the same costs no layout.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Tell the style sheet how far a slider is: not all browsers paint the part before the handle.
 * @param {HTMLInputElement} slider
 */
export function fillTrack(slider) {
  const [least, most] = [Number(slider.min), Number(slider.max)];
  const part = most > least ? (slider.valueAsNumber - least) / (most - least) : 0;
  slider.style.setProperty('--part', String(part));
}

let ids = 0;

/** An id that no other element of the page has. @param {string} name */
export function uniqueId(name) {
  return `${name}-${++ids}`;
}

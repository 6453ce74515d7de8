/**
 * symbol-picker.js - a text field with a list to choose a market from, for one or a thousand.
 *
 * An ARIA 1.2 combobox: the focus stays in the field, aria-activedescendant names the entry that
 * Enter would pick. What is typed is only a search: leaving the field brings back what was picked.
 */
import { make, setText, uniqueId } from './dom.js';

/**
 * @typedef {{symbol: string, note?: string, disabled?: boolean}} Entry note: said beside it
 * @typedef {{entry: Entry, option: HTMLLIElement}} Item
 */

const PAGE = 10;
/** CSS pixels: room for a few entries; with less below the field the list goes above it. */
const ROOM_MIN = 180;
const MARGIN = 12;

/**
 * The entries that a text finds: those that begin with it, then those that have it somewhere.
 * @template {Entry} E
 * @param {readonly E[]} entries
 * @param {string} text
 * @returns {E[]}
 */
export function findSymbols(entries, text) {
  const wanted = text.trim().toUpperCase();
  const place = (/** @type {E} */ { symbol }) => symbol.toUpperCase().indexOf(wanted);
  const begin = entries.filter((entry) => place(entry) === 0);
  return [...begin, ...entries.filter((entry) => place(entry) > 0)];
}

/**
 * @param {HTMLElement} container
 * @param {{label: string, onPick: (symbol: string) => void}} options
 */
export function symbolPicker(container, options) {
  return new SymbolPicker(container, options);
}

class SymbolPicker {
  /**
   * @param {HTMLElement} container
   * @param {{label: string, onPick: (symbol: string) => void}} options
   */
  constructor(container, { label, onPick }) {
    this.onPick = onPick;
    this.value = '';
    /** @type {Item[]} */
    this.items = [];
    /** @type {Item[]} those in the list now */
    this.shown = [];
    this.active = -1; /* index in `shown` */

    this.list = make('ul', { id: uniqueId('picker'), class: 'picker-list', role: 'listbox', 'aria-label': label });
    this.nothing = make('p', { class: 'picker-nothing' }, 'No such market');
    this.popup = make('div', { class: 'picker-popup', hidden: true }, this.list, this.nothing);
    this.count = make('span', { class: 'unseen', role: 'status' });
    this.input = make('input', {
      class: 'picker-input',
      type: 'text',
      role: 'combobox',
      'aria-label': label,
      'aria-autocomplete': 'list',
      'aria-haspopup': 'listbox',
      'aria-controls': this.list.id,
      'aria-expanded': 'false',
      autocomplete: 'off',
      autocapitalize: 'characters',
      spellcheck: 'false',
      enterkeyhint: 'done',
    });
    container.append(make('div', { class: 'symbol-picker' }, this.input, this.popup, this.count));
    this.#listen();
  }

  /** @param {readonly Entry[]} entries in the order to be shown in */
  setSymbols(entries) {
    const active = this.shown[this.active]?.entry.symbol;
    this.items = entries.map((entry) => ({ entry, option: makeOption(entry) }));
    this.#markSelected();
    if (!this.#isOpen()) return;
    if (this.input.value === this.value) this.#show(this.items); /* nothing was typed */
    else this.#filter(this.input.value);
    const at = this.shown.findIndex(({ entry }) => entry.symbol === active);
    if (at >= 0) this.#activate(at);
  }

  /** What is picked; a search that goes on is not disturbed. @param {string} symbol */
  setValue(symbol) {
    this.value = symbol;
    this.#markSelected();
    if (!this.#isOpen()) this.input.value = symbol;
  }

  /** Begin a search. */
  focus() {
    this.input.focus();
    this.#open();
  }

  #listen() {
    const { input, list, popup } = this;
    input.addEventListener('click', () => this.#open());
    input.addEventListener('input', () => this.#filter(input.value));
    input.addEventListener('keydown', (event) => this.#onKeyDown(event));
    input.addEventListener('blur', () => this.#close());
    /* The focus stays in the field; the list can still be scrolled. */
    popup.addEventListener('mousedown', (event) => event.preventDefault());
    list.addEventListener('click', ({ target }) => {
      const option = target instanceof Element && target.closest('[role=option]');
      this.#pick(this.shown.find((item) => item.option === option));
    });
  }

  #isOpen() {
    return !this.popup.hidden;
  }

  /** All entries, the picked one under the cursor. */
  #open() {
    if (this.#isOpen()) return;
    this.input.select();
    this.#show(this.items);
    this.#activate(this.shown.findIndex(({ entry }) => entry.symbol === this.value));
  }

  #close() {
    this.popup.hidden = true;
    this.input.setAttribute('aria-expanded', 'false');
    this.#activate(-1);
    this.input.value = this.value;
    setText(this.count, '');
  }

  /** @param {string} text */
  #filter(text) {
    const byEntry = new Map(this.items.map((item) => [item.entry, item]));
    const entries = findSymbols([...byEntry.keys()], text);
    this.#show(entries.map((entry) => /** @type {Item} */ (byEntry.get(entry))));
    this.#activate(text.trim() ? this.shown.findIndex(({ entry }) => !entry.disabled) : -1);
    setText(this.count, this.shown.length === 1 ? '1 market' : `${this.shown.length} markets`);
  }

  /** @param {Item[]} items */
  #show(items) {
    this.shown = items;
    this.list.replaceChildren(...items.map(({ option }) => option));
    this.list.hidden = items.length === 0;
    this.nothing.hidden = items.length > 0;
    this.popup.hidden = false;
    this.#place();
    this.input.setAttribute('aria-expanded', 'true');
  }

  /** The list ends before the window does, or the keyboard of a telephone begins. */
  #place() {
    const { top, bottom } = this.input.getBoundingClientRect();
    const below = (globalThis.visualViewport?.height ?? innerHeight) - bottom - MARGIN;
    const isAbove = below < ROOM_MIN && top - MARGIN > below;
    this.popup.classList.toggle('picker-above', isAbove);
    this.popup.style.setProperty('--room', `${Math.max(isAbove ? top - MARGIN : below, 0)}px`);
  }

  /** @param {number} index in `shown`, -1 for none */
  #activate(index) {
    for (const { option } of this.items) option.classList.remove('picker-active');
    const option = this.shown[index]?.option;
    this.active = option ? index : -1;
    if (!option) {
      this.input.removeAttribute('aria-activedescendant');
      return;
    }
    option.classList.add('picker-active');
    this.input.setAttribute('aria-activedescendant', option.id);
    option.scrollIntoView({ block: 'nearest' });
  }

  #markSelected() {
    for (const { entry, option } of this.items) option.setAttribute('aria-selected', String(entry.symbol === this.value));
  }

  /** @param {Item | undefined} item one that is disabled stays where it is */
  #pick(item) {
    if (!item || item.entry.disabled) return;
    const { symbol } = item.entry;
    const changed = symbol !== this.value;
    this.setValue(symbol);
    this.#close();
    if (changed) this.onPick(symbol);
  }

  /** @param {KeyboardEvent} event */
  #onKeyDown(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const last = this.shown.length - 1;
    switch (event.key) {
      case 'ArrowDown':
        this.#step(this.active >= last ? 0 : this.active + 1);
        break;
      case 'ArrowUp':
        this.#step(this.active <= 0 ? last : this.active - 1);
        break;
      case 'PageDown':
        this.#step(Math.min(this.active + PAGE, last));
        break;
      case 'PageUp':
        this.#step(Math.max(this.active - PAGE, 0));
        break;
      case 'Enter':
        if (this.#isOpen()) this.#pick(this.shown[this.active]);
        else this.#open();
        break;
      case 'Escape':
        if (this.#isOpen()) this.#close();
        else this.input.blur();
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  /** The first press of an arrow only opens the list. @param {number} index */
  #step(index) {
    if (this.#isOpen()) this.#activate(index);
    else this.#open();
  }
}

/** @param {Entry} entry */
function makeOption({ symbol, note = '', disabled = false }) {
  const option = make('li', { id: uniqueId('picker-option'), class: 'picker-option', role: 'option' });
  option.append(make('span', { class: 'picker-symbol' }, symbol));
  if (note) option.append(' ', make('span', { class: 'picker-note' }, note));
  if (disabled) option.setAttribute('aria-disabled', 'true');
  return option;
}

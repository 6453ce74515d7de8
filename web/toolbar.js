/**
 * toolbar.js - the page's options, and which of them are chosen.
 */
import { PALETTES, densityAt } from './palette.js';
import { WINDOWS } from './rest.js';
import { CHOICES } from './settings.js';
import { make } from './dom.js';
import { button, segments, select } from './controls.js';
import { rangeSlider } from './range-slider.js';
import { binDigits, price, usdt } from './format.js';

/**
 * @typedef {import('./settings.js').Settings} Settings
 * @typedef {(change: Partial<Settings>) => void} Change
 * @typedef {{weights: () => void, csv: () => void, png: () => void, reset: () => void, help: () => void}} Actions
 */

/** @type {[keyof Settings, string, string][]} */
const TOGGLES = [
  ['profile', 'Profile', 'Volume per price of the newest column, at the right'],
  ['curves', 'Curves', 'Longs and shorts summed from the price outwards, and where they balance'],
  ['sweeps', 'Sweeps', 'Marks where big levels were swept'],
  ['levels', 'Levels', 'Table of the ten biggest levels'],
];

export class Toolbar {
  /**
   * @param {{toolbar: HTMLElement, windows: HTMLElement, more: HTMLElement}} places
   * @param {{change: Change, actions: Actions}} handlers
   */
  constructor({ toolbar, windows, more }, { change, actions }) {
    this.showWindow = segments(windows, Object.keys(WINDOWS).map((name) => [name, name]), (window) => change({ window }));
    const panes = make('div', { role: 'group', 'aria-label': 'Panes' });
    this.showPanes = segments(panes, [['1', '1', 'one pane'], ['2', '2', 'two panes'], ['4', '4', 'four panes']], (n) =>
      change({ panes: /** @type {1 | 2 | 4} */ (Number(n)) }),
    );
    const scale = make('div', { role: 'group', 'aria-label': 'Colour scale' });
    this.showScale = segments(
      scale,
      [['linear', 'lin', 'linear scale'], ['log', 'log', 'logarithmic scale'], ['percentile', 'pct', 'percentile scale']],
      (kind) => change({ scale: /** @type {Settings['scale']} */ (kind) }),
    );
    this.bucket = select('Bucket size', CHOICES.factor.map((n) => [String(n), `bucket ×${n}`]), (n) =>
      change({ factor: /** @type {Settings['factor']} */ (Number(n)) }),
    );
    this.palette = select('Palette: Viridis and Cividis are safe for colour-blind eyes', Object.entries(PALETTES).map(([name, { label }]) => [name, label]), (palette) =>
      change({ palette: /** @type {Settings['palette']} */ (palette) }),
    );
    this.theme = select('Theme', CHOICES.theme.map((name) => [name, name]), (theme) =>
      change({ theme: /** @type {Settings['theme']} */ (theme) }),
    );
    const range = make('div', { class: 'threshold' });
    /** @type {import('./palette.js').Scale | null} */
    this.scale = null;
    this.low = 0;
    this.high = 1;
    this.slider = rangeSlider(range, {
      label: 'Intensity',
      low: 0,
      high: 1,
      format: (t) => this.#intensity(t),
      onInput: (low, high) => change({ low, high }),
    });
    this.toggles = TOGGLES.map(([name, label, title]) => {
      const made = button(label, () => change({ [name]: made.getAttribute('aria-pressed') !== 'true' }), { class: 'plain toggle', title });
      return /** @type {const} */ ([name, made]);
    });
    this.weights = button('Leverage…', actions.weights, { title: 'Weights of the leverage tiers' });
    toolbar.replaceChildren(
      panes, this.bucket, scale, this.palette, range,
      make('div', { class: 'toggles', role: 'group', 'aria-label': 'Overlays' }, ...this.toggles.map(([, made]) => made)),
      this.weights,
      button('Reset', actions.reset, { title: 'All columns, prices fitted' }),
      button('PNG', actions.png, { title: 'Save the chart as a picture' }),
      button('CSV', actions.csv, { title: 'Save the levels shown as a table' }),
      this.theme,
      button('?', actions.help, { title: 'Keys', 'aria-label': 'Keyboard help' }),
    );
    more.addEventListener('click', () => {
      const open = toolbar.classList.toggle('open');
      more.setAttribute('aria-expanded', String(open));
    });
  }

  /** @param {Settings} settings */
  show(settings) {
    this.showWindow(settings.window);
    this.showPanes(String(settings.panes));
    this.showScale(settings.scale);
    this.bucket.value = String(settings.factor);
    this.palette.value = settings.palette;
    this.theme.value = settings.theme;
    this.low = settings.low;
    this.high = settings.high;
    this.slider.set(settings.low, settings.high);
    for (const [name, made] of this.toggles) made.setAttribute('aria-pressed', String(Boolean(settings[name])));
    this.weights.classList.toggle('chosen', settings.weights !== null);
  }

  /** @param {number | undefined} bin the bucket of ×1 of the pane in use */
  showBuckets(bin) {
    for (const option of this.bucket.options) {
      const size = bin && bin * Number(option.value);
      option.textContent = size ? `bucket ${price(size, binDigits(size))}` : `bucket ×${option.value}`;
    }
  }

  /** What the slider's handles mean. @param {import('./palette.js').Scale | null} scale of the pane in use */
  showScaleOf(scale) {
    if (scale === this.scale) return;
    this.scale = scale;
    this.slider.set(this.low, this.high);
  }

  #intensity(/** @type {number} */ t) {
    return this.scale ? usdt(densityAt(t, this.scale)) : `${Math.round(t * 100)} %`;
  }
}

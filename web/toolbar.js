/**
 * toolbar.js - the page's options, and which of them are chosen.
 */
import { PALETTES, densityAt } from './palette.js';
import { WINDOWS } from './rest.js';
import { CHOICES, FLAGS } from './settings.js';
import { make } from './dom.js';
import { button, segments, select } from './controls.js';
import { rangeSlider } from './range-slider.js';
import { binDigits, price, usdt } from './format.js';

/**
 * @typedef {import('./settings.js').Settings} Settings
 * @typedef {(change: Partial<Settings>) => void} Change
 * @typedef {Record<'weights' | 'csv' | 'image' | 'reset' | 'help', () => void>} Commands
 */

const PANES = { 1: 'one pane', 2: 'two panes', 4: 'four panes' };
/** @type {Record<Settings['scale'], [label: string, title: string]>} */
const SCALES = { log: ['log', 'logarithmic scale'], linear: ['lin', 'linear scale'], percentile: ['pct', 'percentile scale'] };
const OVERLAYS = {
  profile: ['Profile', 'Volume per price of the newest column, at the right'],
  curves: ['Curves', 'Longs and shorts summed from the price outwards, and where they balance'],
  sweeps: ['Sweeps', 'Marks where big levels were swept'],
  levels: ['Levels', 'Table of the ten biggest levels'],
};

export class Toolbar {
  /**
   * @param {{toolbar: HTMLElement, windows: HTMLElement, more: HTMLElement}} places
   * @param {{change: Change, commands: Commands}} handlers
   */
  constructor({ toolbar, windows, more }, { change, commands }) {
    const group = (/** @type {string} */ label) => make('div', { role: 'group', 'aria-label': label });
    const [panes, scale] = [group('Panes'), group('Colour scale')];
    this.showWindow = segments(windows, Object.keys(WINDOWS).map((name) => [name, name]), (window) => change({ window }));
    this.showPanes = segments(panes, CHOICES.panes.map((n) => [n, String(n), PANES[n]]), (n) => change({ panes: n }));
    this.showScale = segments(scale, CHOICES.scale.map((kind) => [kind, ...SCALES[kind]]), (kind) => change({ scale: kind }));
    this.bucket = select('Bucket size', CHOICES.factor.map((n) => [n, `bucket ×${n}`]), (factor) => change({ factor }));
    this.palette = select(
      'Palette: Viridis and Cividis are safe for colour-blind eyes',
      CHOICES.palette.map((name) => [name, PALETTES[name].label]),
      (palette) => change({ palette }),
    );
    this.theme = select('Theme', CHOICES.theme.map((name) => [name, name]), (theme) => change({ theme }));
    const range = make('div');
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
    this.toggles = FLAGS.map((name) => {
      const [label, title] = OVERLAYS[name];
      const made = button(label, () => change({ [name]: made.getAttribute('aria-pressed') !== 'true' }), { class: 'plain toggle', title });
      return /** @type {const} */ ([name, made]);
    });
    this.weights = button('Leverage…', commands.weights, { title: 'Weights of the leverage tiers' });
    toolbar.replaceChildren(
      panes, this.bucket, scale, this.palette, range,
      make('div', { class: 'toggles', role: 'group', 'aria-label': 'Overlays' }, ...this.toggles.map(([, made]) => made)),
      this.weights,
      button('Reset', commands.reset, { title: 'All columns, prices fitted' }),
      button('PNG', commands.image, { title: 'Save the chart as a picture' }),
      button('CSV', commands.csv, { title: 'Save the levels shown as a table' }),
      this.theme,
      button('?', commands.help, { title: 'Keys', 'aria-label': 'Keyboard help' }),
    );
    more.addEventListener('click', () => {
      const open = toolbar.classList.toggle('open');
      more.setAttribute('aria-expanded', String(open));
    });
  }

  /** @param {Settings} settings */
  show(settings) {
    this.showWindow(settings.window);
    this.showPanes(settings.panes);
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

/**
 * settings.js - what the user chose, as text behind the # of the address.
 *
 * The text is the whole state of the page, to be kept as a bookmark or sent to others. It comes from
 * outside: whatever it says that is not known here counts as not said. Pure.
 */
import { WINDOWS } from './rest.js';

/** What may be chosen, in the order in which keys and menus go through it. */
export const CHOICES = Object.freeze({
  panes: /** @type {const} */ ([1, 2, 4]),
  factor: /** @type {const} */ ([1, 2, 5, 10, 20]), /* the stream's buckets in one of ours */
  scale: /** @type {const} */ (['log', 'linear', 'percentile']),
  palette: /** @type {const} */ (['purple', 'viridis', 'cividis']),
  theme: /** @type {const} */ (['dark', 'light', 'auto']),
});

/** What is shown or not: what is drawn over the heat, and the table of the biggest levels. */
export const FLAGS = Object.freeze(/** @type {const} */ (['profile', 'curves', 'sweeps', 'levels']));

/**
 * @typedef {keyof typeof CHOICES} ChoiceName
 * @typedef {typeof FLAGS[number]} Flag
 * @typedef {{[N in ChoiceName]: typeof CHOICES[N][number]}} Chosen
 * @typedef {object} Free
 * @property {string[]} symbols one per pane; none: the server's first
 * @property {string} window a key of WINDOWS; '': the one that suits the symbol
 * @property {number} low 0..1 of the scale: below nothing is painted
 * @property {number} high 0..1 of the scale: from here on the brightest colour
 * @property {string | null} weights as the server's leverage_weights; null: the stream's mix
 * @typedef {Free & Chosen & Record<Flag, boolean>} Settings
 */

/** @type {Readonly<Settings>} */
export const DEFAULTS = Object.freeze({
  symbols: [],
  panes: 1,
  window: '',
  factor: 1,
  scale: 'log',
  palette: 'purple',
  low: 0,
  high: 1,
  weights: null,
  theme: 'dark',
  profile: true,
  curves: false,
  sweeps: false,
  levels: false,
});

export const TIERS = Object.freeze([5, 10, 25, 50, 100]);
/** Shares of the tiers in the live stream; docs/protocol.md, "The model". */
export const STREAM_MIX = Object.freeze([15, 30, 25, 20, 10]);

const CHOICE_NAMES = /** @type {ChoiceName[]} */ (Object.keys(CHOICES));
const WEIGHT_MAX = 1e9; /* the server's limit */
const SYMBOL = /^[A-Za-z0-9._:-]{1,32}$/;
const SYMBOLS_MAX = 4; /* as many as there can be panes */
/** Thousandths are finer than any screen's slider. */
const PLACES = 1000;

/**
 * The entry after `current`, from the last to the first again.
 * @template T
 * @param {readonly T[]} choices
 * @param {T} current
 * @returns {T}
 */
export function following(choices, current) {
  return choices[(choices.indexOf(current) + 1) % choices.length];
}

/**
 * "5:15,10:30" -> [15, 30, 0, 0, 0]
 * @param {string} text
 * @returns {number[] | null} one per tier; null for what makes no mix
 */
export function parseWeights(text) {
  const weights = TIERS.map(() => 0);
  for (const part of text.split(',')) {
    const pair = /^\s*(\d+)\s*:\s*(\d+(?:\.\d{1,6})?)\s*$/.exec(part);
    const tier = TIERS.indexOf(Number(pair?.[1]));
    if (!pair || tier < 0 || Number(pair[2]) > WEIGHT_MAX) return null;
    weights[tier] = Number(pair[2]);
  }
  return weights.some((weight) => weight > 0) ? weights : null;
}

/** [15, 30, 0, 0, 0] -> "5:15,10:30,25:0,50:0,100:0" @param {readonly number[]} weights */
export function formatWeights(weights) {
  return weights.map((weight, i) => `${TIERS[i]}:${weight}`).join(',');
}

/** What part of the whole each weight is, 0..1. @param {readonly number[]} weights */
export function sharesOf(weights) {
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => (sum > 0 ? weight / sum : 0));
}

/** Whether weights give the mix that the live stream has. @param {readonly number[]} weights */
export function isStreamMix(weights) {
  const wanted = sharesOf(STREAM_MIX);
  return sharesOf(weights).every((share, i) => Math.abs(share - wanted[i]) < 1e-9);
}

/**
 * @param {string} text with or without the #
 * @returns {Settings}
 */
export function parseHash(text) {
  const said = new URLSearchParams(text.replace(/^#/, ''));
  const window = said.get('window') ?? '';
  return {
    symbols: parseSymbols(said.get('symbol') ?? ''),
    window: Object.hasOwn(WINDOWS, window) ? window : DEFAULTS.window,
    ...parseRange(said),
    weights: parseMix(said.get('weights') ?? ''),
    ...parseChosen(said),
    ...parseFlags(said),
  };
}

/**
 * @param {Settings} settings
 * @returns {string} with the #; what is as by default is left out, but for symbols and window
 */
export function formatHash(settings) {
  const said = [
    ['symbol', settings.symbols.join(',')],
    ['window', settings.window],
  ].filter(([, value]) => value !== '');
  for (const name of CHOICE_NAMES) {
    if (settings[name] !== DEFAULTS[name]) said.push([name, String(settings[name])]);
  }
  for (const name of /** @type {const} */ (['low', 'high'])) {
    const value = rounded(settings[name]);
    if (value !== DEFAULTS[name]) said.push([name, String(value)]);
  }
  if (settings.weights !== null) said.push(['weights', settings.weights]);
  for (const name of FLAGS) {
    if (settings[name] !== DEFAULTS[name]) said.push([name, settings[name] ? '1' : '0']);
  }
  return `#${said.map(([name, value]) => `${name}=${escaped(value)}`).join('&')}`;
}

/** Commas and colons mean nothing in a fragment, and read better as they are. @param {string} value */
function escaped(value) {
  return encodeURIComponent(value).replace(/%2C/g, ',').replace(/%3A/g, ':');
}

/** @param {number} value */
function rounded(value) {
  return Math.round(value * PLACES) / PLACES;
}

/** @param {URLSearchParams} said @returns {Chosen} */
function parseChosen(said) {
  const chosen = CHOICE_NAMES.map((name) => {
    /** @type {readonly (string | number)[]} */
    const choices = CHOICES[name];
    return [name, choices.find((choice) => String(choice) === said.get(name)) ?? DEFAULTS[name]];
  });
  return Object.fromEntries(chosen);
}

/** @param {URLSearchParams} said @returns {Record<Flag, boolean>} */
function parseFlags(said) {
  const flags = FLAGS.map((name) => {
    const value = said.get(name);
    return [name, value === '1' || value === '0' ? value === '1' : DEFAULTS[name]];
  });
  return Object.fromEntries(flags);
}

/** @param {string} text */
function parseSymbols(text) {
  const symbols = text.split(',').filter((symbol) => SYMBOL.test(symbol));
  return symbols.slice(0, SYMBOLS_MAX);
}

/** Both ends or none: half a range may be an empty one. @param {URLSearchParams} said */
function parseRange(said) {
  const low = fraction(said.get('low'), DEFAULTS.low);
  const high = fraction(said.get('high'), DEFAULTS.high);
  return low < high ? { low, high } : { low: DEFAULTS.low, high: DEFAULTS.high };
}

/** @param {string | null} text @param {number} otherwise */
function fraction(text, otherwise) {
  const value = text !== null && /^[\d.]+$/.test(text) ? rounded(Number(text)) : NaN;
  return value >= 0 && value <= 1 ? value : otherwise;
}

/** @param {string} text */
function parseMix(text) {
  const weights = parseWeights(text);
  return weights && !isStreamMix(weights) ? formatWeights(weights) : null;
}

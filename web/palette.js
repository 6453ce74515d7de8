/**
 * palette.js - from a density in USDT to a colour.
 *
 * A scale says where between nothing and brightest a density lies, a threshold which part of that is
 * shown, a palette what it looks like; a table of one colour per code of density-code.js, made anew
 * when any of them changes, turns codes into pixels. Pure: knows numbers, never the page.
 */
import { CODES, decode, exactCode } from './density-code.js';

/**
 * @typedef {'linear' | 'log' | 'percentile'} Kind
 * @typedef {'dark' | 'light'} Theme
 * @typedef {{kind?: Kind, cap: number, knee: number, edges?: number[]}} Scale  cap: the density of
 *   the last colour, USDT; knee: below it a logarithmic scale is nearly linear; edges: the densities
 *   at evenly spaced ranks, of a percentile scale. Without a kind it is logarithmic.
 * @typedef {{palette: string, theme: Theme, low: number, high: number}} Paint  low, high: which part
 *   of the scale, 0..1, is stretched over the palette; what is below looks like nothing
 * @typedef {number[]} Stop  place 0..1, red, green, blue
 */

/** What nothing looks like: the chart's background, the same with every palette. */
export const BACKGROUNDS = { dark: '#0f0b1d', light: '#fbfaff' };

/** How much colour the weakest end of a light palette has. */
const PALEST = 0.22;

/** Dark purple to cyan to yellow. */
const PURPLE = stops(
  [0.0, 0x1d1240],
  [0.22, 0x3f2386],
  [0.44, 0x2f5fb3],
  [0.64, 0x16a3b4],
  [0.82, 0x6fdb8a],
  [1.0, 0xfdee3c],
);
/** Of the published tables of viridis and cividis as many colours as it takes to tell no difference. */
const VIRIDIS = stops(
  [0.0, 0x440154],
  [0.125, 0x472d7b],
  [0.25, 0x3b528b],
  [0.375, 0x2c728e],
  [0.5, 0x21918c],
  [0.625, 0x28ae80],
  [0.75, 0x5ec962],
  [0.875, 0xaddc30],
  [1.0, 0xfde725],
);
const CIVIDIS = stops(
  [0.0, 0x00224e],
  [0.111, 0x123570],
  [0.222, 0x3b496c],
  [0.333, 0x575d6d],
  [0.556, 0x8a8678],
  [0.778, 0xc3b369],
  [1.0, 0xfee838],
);

/**
 * Lightness only rises in dark palettes and only falls in light ones, so they read without colour
 * as well.
 * @type {Record<string, {label: string, stops: Stop[], light: Stop[]}>}
 */
export const PALETTES = {
  purple: { label: 'Purple', stops: onDark(PURPLE), light: onLight(PURPLE) },
  viridis: { label: 'Viridis', stops: onDark(VIRIDIS), light: onLight(VIRIDIS) },
  cividis: { label: 'Cividis', stops: onDark(CIVIDIS), light: onLight(CIVIDIS) },
};

/** @type {Paint} */
export const DEFAULT_PAINT = { palette: 'purple', theme: 'dark', low: 0, high: 1 };

/** Ranks that a percentile scale knows the density of, besides 0. */
const RANKS = 64;
/** A percentile scale stays while no rank moved further than this on the palette. */
const RANK_DRIFT = 0.04;
/** The other scales stay while their cap moved less. */
const CAP_DRIFT = 0.15;
const CAP_SHARE = 0.995;
const EMPTY_CAP = 1e6;
/** Steps of colour in a table: more than eyes can tell. */
const SHADES = 512;

/**
 * Where between nothing and the last colour a density lies.
 * @param {number} usdt
 * @param {Scale} scale
 * @returns {number} 0..1
 */
export function position(usdt, { kind, cap, knee, edges }) {
  if (!(usdt > 0)) return 0;
  if (kind === 'percentile' && edges) return rank(usdt, edges);
  return clamp(kind === 'linear' ? usdt / cap : Math.log1p(usdt / knee) / Math.log1p(cap / knee));
}

/**
 * The density at a place between nothing and the last colour: the inverse of position().
 * @param {number} t 0..1
 * @param {Scale} scale
 */
export function densityAt(t, { kind, cap, knee, edges }) {
  if (kind === 'linear') return t * cap;
  if (kind !== 'percentile' || !edges) return knee * Math.expm1(t * Math.log1p(cap / knee));
  const at = clamp(t) * (edges.length - 1);
  const i = Math.min(Math.floor(at), edges.length - 2);
  return edges[i] + (edges[i + 1] - edges[i]) * (at - i);
}

/** @param {number} usdt @param {number[]} edges rising @returns {number} 0..1 */
function rank(usdt, edges) {
  const last = edges.length - 1;
  if (usdt >= edges[last]) return 1;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const mid = (low + high) >> 1;
    if (edges[mid] <= usdt) low = mid;
    else high = mid;
  }
  return (low + (usdt - edges[low]) / (edges[high] - edges[low])) / last;
}

/**
 * Where on the palette a place of the scale is painted.
 * @param {number} t 0..1 on the scale
 * @param {{low: number, high: number}} threshold
 * @returns {number} 0..1 on the palette, 0 for what is not painted
 */
export function stretch(t, { low, high }) {
  return clamp((t - low) / Math.max(high - low, 1e-9));
}

/**
 * @param {string} palette a key of PALETTES, anything else is the first of them
 * @param {number} t 0..1
 * @param {Theme} [theme]
 * @returns {[number, number, number]} red, green, blue 0..255
 */
export function colour(palette, t, theme = 'dark') {
  const { stops: dark, light } = PALETTES[palette] ?? PALETTES.purple;
  return between(theme === 'light' ? light : dark, t);
}

/** The same as CSS has it. @param {string} palette @param {number} t @param {Theme} [theme] */
export function cssColour(palette, t, theme = 'dark') {
  return `rgb(${colour(palette, t, theme).join(' ')})`;
}

/**
 * Fill `table` with the opaque pixel of every code, as ImageData's bytes read as Uint32. A shade
 * is a run of codes, so this takes no longer than filling.
 * @param {Scale} scale
 * @param {Paint} [paint]
 * @param {Uint32Array} [table] CODES long
 */
export function pixelTable(scale, paint = DEFAULT_PAINT, table = new Uint32Array(CODES)) {
  const { low, high } = paint;
  const shades = shadesOf(paint.palette, paint.theme);
  let from = 0;
  for (let shade = 0; shade < SHADES - 1; shade++) {
    const next = densityAt(low + ((high - low) * (shade + 0.5)) / (SHADES - 1), scale);
    const to = Math.min(Math.max(Math.ceil(exactCode(next)), 1), CODES - 1);
    table.fill(shades[shade], from, Math.max(to, from));
    from = Math.max(to, from);
  }
  return table.fill(shades[SHADES - 1], from);
}

/** @type {Map<string, Uint32Array>} */
const SHADES_OF = new Map();

/** @param {string} palette @param {Theme} theme @returns {Uint32Array} pixels, SHADES long */
function shadesOf(palette, theme) {
  const key = `${palette} ${theme}`;
  let pixels = SHADES_OF.get(key);
  if (!pixels) {
    pixels = new Uint32Array(SHADES);
    const bytes = new Uint8Array(pixels.buffer); /* byte order is the machine's, as in ImageData */
    for (let i = 0; i < SHADES; i++) bytes.set([...colour(palette, i / (SHADES - 1), theme), 255], 4 * i);
    SHADES_OF.set(key, pixels);
  }
  return pixels;
}

/** Reused: a quarter of a megabyte at every update would be litter. */
const COUNTS = new Uint32Array(CODES);

/**
 * The scale that suits what is shown: the last colour at the 99.5th percentile of the cells that
 * hold something, or evenly many cells in each part of the palette. Keeps the former scale while it
 * would hardly look different, so that colours do not flicker at each update.
 * @param {Uint16Array} codes
 * @param {Kind} [kind]
 * @param {Scale | null} [former]
 * @returns {Scale} `former` itself when it is kept
 */
export function scaleFor(codes, kind = 'log', former = null) {
  const keep = former && (former.kind ?? 'log') === kind ? former : null;
  COUNTS.fill(0);
  for (let i = 0; i < codes.length; i++) COUNTS[codes[i]]++;
  const total = codes.length - COUNTS[0];
  const cap = total > 0 ? quantile(total, CAP_SHARE) : EMPTY_CAP;
  const scale = { kind, cap, knee: cap / 10 };
  if (total === 0) return keep ?? { ...scale, ...(kind === 'percentile' && { edges: evenly(cap) }) };
  if (kind !== 'percentile') return keep && Math.abs(cap / keep.cap - 1) <= CAP_DRIFT ? keep : scale;

  const edges = quantiles(total);
  const moved = (/** @type {number} */ usdt, /** @type {number} */ i) =>
    Math.abs(rank(usdt, /** @type {number[]} */ (keep?.edges)) - i / RANKS) > RANK_DRIFT;
  return keep?.edges && !edges.some(moved) ? keep : { ...scale, cap: edges[RANKS], edges };
}

/** The density that a share of the counted cells lies below. @param {number} total @param {number} share */
function quantile(total, share) {
  let above = Math.floor(total * (1 - share));
  let code = CODES - 1;
  while (code > 1 && (above -= COUNTS[code]) >= 0) code--;
  return decode(code);
}

/** The densities at evenly spaced ranks of the counted cells, strictly rising. @param {number} total */
function quantiles(total) {
  const edges = [0];
  let below = 0;
  let code = 0;
  for (let i = 1; i <= RANKS; i++) {
    const wanted = (total * CAP_SHARE * i) / RANKS;
    while (code < CODES - 1 && below < wanted) below += COUNTS[++code];
    edges.push(Math.max(decode(code), edges[i - 1] * (1 + 1e-6)));
  }
  return edges;
}

/** @param {number} cap */
function evenly(cap) {
  return Array.from({ length: RANKS + 1 }, (_, i) => (cap * i) / RANKS);
}

/** @param {number} t */
function clamp(t) {
  return Math.min(Math.max(t, 0), 1);
}

/** @param {Stop[]} ramp @param {number} t @returns {[number, number, number]} */
function between(ramp, t) {
  let i = 1;
  while (i < ramp.length - 1 && t > ramp[i][0]) i++;
  const [t0, ...low] = ramp[i - 1];
  const [t1, ...high] = ramp[i];
  const part = clamp((t - t0) / (t1 - t0));
  return /** @type {[number, number, number]} */ (low.map((v, k) => Math.round(v + (high[k] - v) * part)));
}

/** @param {[number, number][]} ramp place, 0xrrggbb @returns {Stop[]} */
function stops(...ramp) {
  return ramp.map(([t, rgb]) => [t, rgb >> 16, (rgb >> 8) & 255, rgb & 255]);
}

/** From the dark background into a ramp that gets lighter. @param {Stop[]} ramp @returns {Stop[]} */
function onDark(ramp) {
  const nothing = stops([0, parseInt(BACKGROUNDS.dark.slice(1), 16)]);
  return [...nothing, ...ramp.map(([t, ...rgb]) => [0.1 + 0.9 * t, ...rgb])];
}

/**
 * From the light background into the same ramp backwards, its beginning made pale: a loud yellow
 * would look like much where there is little.
 * @param {Stop[]} ramp
 * @returns {Stop[]}
 */
function onLight(ramp) {
  const [[, ...nothing]] = stops([0, parseInt(BACKGROUNDS.light.slice(1), 16)]);
  const pale = ramp.map(([t, ...rgb]) => {
    const share = Math.min(PALEST + 1.5 * (1 - t), 1);
    return [0.05 + 0.95 * (1 - t), ...rgb.map((v, k) => Math.round(nothing[k] + (v - nothing[k]) * share))];
  });
  return [[0, ...nothing], ...pale.reverse()];
}

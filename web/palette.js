/**
 * palette.js - from a density in USDT to a colour.
 *
 * A density is kept as a 16-bit logarithmic code; a table of one colour per code, made anew when
 * the scale changes, turns codes into pixels. Pure: knows numbers, never the page.
 */

/** @typedef {{cap: number, knee: number}} Scale  cap: the density of the brightest colour, USDT */

/** Steps of a code per doubling: about 0.02 % of a density. */
const STEPS_PER_OCTAVE = 3000;
/** Densities well below this, USDT, all look like nothing. */
const UNIT = 1000;

export const CODES = 65536;

/** Dark purple to cyan to yellow; lightness only rises, so it reads without colour as well. */
const STOPS = [
  [0.0, 0x0f, 0x0b, 0x1d],
  [0.1, 0x1d, 0x12, 0x40],
  [0.3, 0x3f, 0x23, 0x86],
  [0.5, 0x2f, 0x5f, 0xb3],
  [0.68, 0x16, 0xa3, 0xb4],
  [0.84, 0x6f, 0xdb, 0x8a],
  [1.0, 0xfd, 0xee, 0x3c],
];

/** The colour of nothing: the chart's background. */
export const BACKGROUND = '#0f0b1d';

/**
 * @param {number} usdt density, 0 or more
 * @returns {number} its code, 0 for nothing
 */
export function encode(usdt) {
  if (!(usdt > 0)) return 0;
  const code = Math.round(STEPS_PER_OCTAVE * Math.log2(1 + usdt / UNIT));
  return Math.min(Math.max(code, 1), CODES - 1);
}

/**
 * @param {number} code
 * @returns {number} the density it stands for, USDT
 */
export function decode(code) {
  return UNIT * (2 ** (code / STEPS_PER_OCTAVE) - 1);
}

/**
 * Where on the palette a density lies.
 * @param {number} usdt
 * @param {Scale} scale
 * @returns {number} 0..1
 */
export function position(usdt, { cap, knee }) {
  return Math.min(Math.max(Math.log1p(usdt / knee) / Math.log1p(cap / knee), 0), 1);
}

/**
 * The density at a place of the palette: the inverse of position().
 * @param {number} t 0..1
 * @param {Scale} scale
 */
export function densityAt(t, { cap, knee }) {
  return knee * Math.expm1(t * Math.log1p(cap / knee));
}

/**
 * @param {number} t 0..1
 * @returns {[number, number, number]} red, green, blue 0..255
 */
export function colour(t) {
  let i = 1;
  while (i < STOPS.length - 1 && t > STOPS[i][0]) i++;
  const [t0, ...low] = STOPS[i - 1];
  const [t1, ...high] = STOPS[i];
  const part = Math.min(Math.max((t - t0) / (t1 - t0), 0), 1);
  return /** @type {[number, number, number]} */ (low.map((v, k) => Math.round(v + (high[k] - v) * part)));
}

/**
 * Fill `table` with the opaque pixel of every code, as ImageData's bytes read as Uint32.
 * @param {Scale} scale
 * @param {Uint32Array} [table] CODES long
 */
export function pixelTable(scale, table = new Uint32Array(CODES)) {
  const lut = new Uint32Array(1024);
  const bytes = new Uint8Array(lut.buffer); /* byte order is the machine's, as in ImageData */
  for (let i = 0; i < lut.length; i++) bytes.set([...colour(i / (lut.length - 1)), 255], 4 * i);
  for (let code = 0; code < CODES; code++) {
    table[code] = lut[Math.round(position(decode(code), scale) * (lut.length - 1))];
  }
  return table;
}

/**
 * The scale that suits what is shown: the brightest colour at the 99.5th percentile of the cells
 * that hold something. Keeps the former scale while it is within 15 %, so that colours do not
 * flicker at each update.
 * @param {Uint16Array} codes
 * @param {Scale | null} [former]
 * @returns {Scale} `former` itself when it is kept
 */
export function scaleFor(codes, former = null) {
  const counts = new Uint32Array(CODES);
  let total = 0;
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] !== 0) {
      counts[codes[i]]++;
      total++;
    }
  }
  if (total === 0) return former ?? { cap: 1e6, knee: 1e5 };

  let above = Math.floor(total * 0.005);
  let code = CODES - 1;
  while (code > 1 && (above -= counts[code]) >= 0) code--;
  const cap = decode(code);
  if (former && Math.abs(cap / former.cap - 1) <= 0.15) return former;
  return { cap, knee: cap / 10 };
}

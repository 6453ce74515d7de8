/**
 * density-code.js - a density in USDT as a 16-bit logarithmic code: 0 is nothing, each doubling of
 * what is well above UNIT has as many codes. Pure.
 */

/** Steps of a code per doubling: about 0.02 % of a density. */
const STEPS_PER_OCTAVE = 3000;
/** Densities well below this, USDT, all look like nothing. */
const UNIT = 1000;

export const CODES = 65536;

/**
 * @param {number} usdt density, 0 or more
 * @returns {number} its code, 0 for nothing
 */
export function encode(usdt) {
  if (!(usdt > 0)) return 0;
  return Math.min(Math.max(Math.round(exactCode(usdt)), 1), CODES - 1);
}

/**
 * @param {number} code
 * @returns {number} the density it stands for, USDT
 */
export function decode(code) {
  return UNIT * (2 ** (code / STEPS_PER_OCTAVE) - 1);
}

/** The code before it is rounded and bounded. @param {number} usdt */
export function exactCode(usdt) {
  return STEPS_PER_OCTAVE * Math.log2(1 + usdt / UNIT);
}

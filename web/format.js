/**
 * format.js - numbers and times as the page shows them. Pure.
 */

const GROUPS = new Map(); /* one formatter per count of digits */

/** 98450.5 -> "98 450.5", thousands apart by thin spaces. @param {number} value @param {number} digits */
export function price(value, digits) {
  let format = GROUPS.get(digits);
  if (!format) {
    format = new Intl.NumberFormat('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits });
    GROUPS.set(digits, format);
  }
  return format.format(value).replaceAll(',', '\u2009');
}

/** 12345678 -> "12.3 M". @param {number} value */
export function usdt(value) {
  for (const [unit, name] of /** @type {const} */ ([[1e12, 'T'], [1e9, 'bn'], [1e6, 'M'], [1e3, 'k']])) {
    if (value >= unit * 0.9995) return `${(value / unit).toPrecision(3)} ${name}`;
  }
  return value === 0 ? '0' : value.toFixed(value < 10 ? 2 : 0);
}

/** 1766225100 -> "2025-12-20 10:05 UTC". @param {number} time seconds since 1970 */
export function clock(time) {
  const date = new Date(time * 1000);
  if (Number.isNaN(date.getTime())) return 'unknown time'; /* a server may say anything */
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** 75 -> "1 min". @param {number} seconds */
export function count(seconds) {
  const s = Math.max(Math.round(seconds), 0);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

/** How many digits after the point the prices of such buckets need. @param {number} bin */
export function binDigits(bin) {
  const [mantissa, exponent = '0'] = String(Number(bin.toPrecision(12))).split('e'); /* 5 * 0.07 is 0.35 */
  const decimals = mantissa.split('.')[1]?.length ?? 0;
  return Math.max(decimals - Number(exponent), 0);
}

/**
 * export.js - what is shown, as files: cells as CSV, the chart as PNG.
 */
import { binDigits } from './format.js';
import { formatTime } from './rest.js';

const FIELDS = 'symbol,time,price,bucket,long,short,total,exact';
/** The steps of what is not exact are about 6 % apart. */
const ROUGH_DIGITS = 3;
/** Some browsers read the file only after a question to the user. */
const KEEP_MS = 60_000;

/**
 * One line per cell that holds something, oldest column first, lowest price first. `price` is the
 * lower end of the bucket. Of cells that are only roughly known, long and short are empty.
 * @param {Pick<import('./heat-store.js').HeatStore, 'count' | 'rows' | 'bin' | 'cell'>} store
 * @param {{symbol: string}} of
 */
export function csvOf(store, { symbol }) {
  const digits = binDigits(store.bin);
  const bucket = plain(store.bin, digits);
  const lines = [FIELDS];
  for (let c = 0; c < store.count; c++) {
    for (let r = 0; r < store.rows; r++) {
      const cell = store.cell(c, r);
      if (!cell || !(cell.total > 0)) continue;
      const { exact } = cell;
      const sums = exact ? [cell.long, cell.short, cell.total].map((sum) => plain(sum, 2)) : ['', '', rough(cell.total)];
      lines.push([quoted(symbol), formatTime(cell.time), plain(cell.from, digits), bucket, ...sums, exact].join(','));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** @param {string} symbol @param {string} window @param {string} extension without the dot */
export function fileName(symbol, window, extension) {
  const safe = [symbol, window].map((part) => part.replace(/[^A-Za-z0-9._-]+/g, '_'));
  return `heatcast-${safe.filter(Boolean).join('-')}.${extension}`;
}

/** Give the user a file. @param {string} name @param {Blob} blob */
export function save(name, blob) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_MS);
}

/** Of a caption's line, CSS pixels. */
const LINE = 26;

/**
 * The same picture with a line of words below: seen elsewhere, it still says what it is of, and whose
 * chart drew it.
 * @param {HTMLCanvasElement} canvas
 * @param {{left: string, right: string, colour: string, background: string, font: string}} caption
 */
export function captioned(canvas, { left, right, colour, background, font }) {
  const ratio = globalThis.devicePixelRatio || 1;
  const made = document.createElement('canvas');
  made.width = canvas.width;
  made.height = canvas.height + Math.round(LINE * ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (made.getContext('2d'));
  context.fillStyle = background;
  context.fillRect(0, 0, made.width, made.height);
  context.drawImage(canvas, 0, 0);
  context.fillStyle = colour;
  context.font = `${Math.round(12 * ratio)}px ${font}`;
  context.textBaseline = 'middle';
  const y = canvas.height + (LINE / 2) * ratio;
  context.fillText(left, 10 * ratio, y);
  context.textAlign = 'right';
  context.fillText(right, made.width - 10 * ratio, y);
  return made;
}

/** @param {HTMLCanvasElement} canvas @returns {Promise<Blob>} */
export function pngOf(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob) resolve(blob);
      else reject(new Error('the browser cannot make a picture of this size'));
    }, 'image/png');
  });
}

/** Never 1e-7, no zeros at the end. @param {number} value @param {number} digits */
function plain(value, digits) {
  const text = value.toFixed(digits);
  return digits > 0 ? text.replace(/\.?0+$/, '') : text;
}

/** @param {number} value */
function rough(value) {
  return plain(Number(value.toPrecision(ROUGH_DIGITS)), 2);
}

/** RFC 4180 §2: a field with a comma, a quote or a line break is quoted. @param {string} field */
function quoted(field) {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

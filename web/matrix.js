/**
 * matrix.js - history as the server sends it to the page: one byte per cell.
 *
 * The answer is one line of JSON and then the cells, column by column, the oldest first, in a
 * column the lowest price first. A byte is a place on a logarithmic scale that the line tells; so
 * it gives the sum of both sides only, and that to within half a step. Pure: bytes in, numbers out.
 */

/**
 * @typedef {object} Matrix
 * @property {string} interval
 * @property {number} start time of the first column, seconds since 1970
 * @property {number} step seconds per column
 * @property {number} columns
 * @property {number} rows
 * @property {number} priceMin lower end of row 0
 * @property {number} bin price per row
 * @property {Float64Array} scale USDT that each byte stands for, 256 of them
 * @property {Uint8Array} known 1 for each column that the server has, 0 for a gap in its data
 * @property {Uint8Array} cells
 */

const LINE_FEED = 10;

/**
 * @param {Uint8Array} bytes the answer; its cells are decoded in place
 * @returns {Matrix}
 * @throws {Error} when it is not what it says
 */
export function parseMatrix(bytes) {
  const end = bytes.indexOf(LINE_FEED);
  if (end < 0) throw new Error('the history has no header');
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  const { columns, rows, coding } = header;
  const cells = bytes.subarray(end + 1);
  if (cells.length !== columns * rows) {
    throw new Error(`the history has ${cells.length} cells, not ${columns} x ${rows}`);
  }
  if (coding !== 'delta') throw new Error(`the history is coded as ${coding}`);
  undoDelta(cells, rows);
  return {
    interval: header.interval,
    start: Date.parse(header.start_time) / 1000,
    step: header.step_seconds,
    columns,
    rows,
    priceMin: header.price_min,
    bin: header.price_bin_size,
    scale: densities(header.scale),
    known: knownColumns(columns, header.gaps ?? []),
    cells,
  };
}

/** Each byte is what must be added to the same row of the column before. */
function undoDelta(/** @type {Uint8Array} */ cells, /** @type {number} */ rows) {
  for (let i = rows; i < cells.length; i++) cells[i] += cells[i - rows]; /* modulo 256 by itself */
}

/** @param {{min: number, max: number, steps: number}} scale */
function densities({ min, max, steps }) {
  const table = new Float64Array(256);
  const ratio = max / min;
  for (let byte = 1; byte < 256; byte++) {
    table[byte] = steps > 1 && min > 0 ? min * ratio ** ((byte - 1) / (steps - 1)) : min;
  }
  return table;
}

/** @param {number} columns @param {[number, number][]} gaps first column and count of each */
function knownColumns(columns, gaps) {
  const known = new Uint8Array(columns).fill(1);
  for (const [first, count] of gaps) known.fill(0, first, first + count);
  return known;
}

/** Time of a column. @param {Matrix} matrix @param {number} i */
export function matrixTime({ start, step }, i) {
  return start + i * step;
}

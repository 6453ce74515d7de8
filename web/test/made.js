/** What several tests are made of. */

/** The server's side of matrix.js. */
export function matrixBytes({
  symbol = 'BTCUSDT',
  interval = '5m',
  start = 0,
  step = 300,
  columns = 1,
  rows = 1,
  priceMin = 500,
  bin = 100,
  scale = { min: 10, max: 1e8, steps: 255 },
  gaps = [],
  totals = () => 0,
  coding = 'delta',
} = {}) {
  const header = {
    symbol,
    interval,
    start_time: new Date(start * 1000).toISOString(),
    step_seconds: step,
    columns,
    rows,
    price_min: priceMin,
    price_bin_size: bin,
    scale,
    gaps,
    coding,
    meta: {},
  };
  const cells = new Uint8Array(columns * rows);
  const former = new Uint8Array(rows);
  for (let c = 0, i = 0; c < columns; c++) {
    for (let r = 0; r < rows; r++, i++) {
      const byte = byteOf(totals(c, r), scale);
      cells[i] = byte - former[r];
      former[r] = byte;
    }
  }
  const line = new TextEncoder().encode(`${JSON.stringify(header)}\n`);
  const bytes = new Uint8Array(line.length + cells.length);
  bytes.set(line);
  bytes.set(cells, line.length);
  return bytes;
}

/** @param {number} total @param {{min: number, max: number, steps: number}} scale */
function byteOf(total, { min, max, steps }) {
  if (!(total > 0)) return 0;
  const place = Math.round((Math.log(total / min) / Math.log(max / min)) * (steps - 1));
  return 1 + Math.min(Math.max(place, 0), steps - 1);
}

/** The same numbers from 0 to 1 for the same seed: a linear congruence. @param {number} seed */
export function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

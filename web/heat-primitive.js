/**
 * heat-primitive.js - paints a HeatStore behind a lightweight-charts series.
 *
 * The cells are pixels of an off-screen bitmap, one per cell; a new column writes one column of
 * pixels, and drawing is one drawImage of the visible part, however many cells there are. Where
 * rows or columns would be too thin to see, a pixel stands for 2, 4, 8 ... of them and has the
 * brightest one's colour: neither averaged away nor skipped. The price is drawn here too as far as
 * heat makes that necessary: a dark outline around candles, so that they stand out from bright
 * cells, and a line of closes where candles would be too thin.
 */
import { CODES } from './density-code.js';
import { BACKGROUNDS, DEFAULT_PAINT, pixelTable, scaleFor } from './palette.js';
import { Primitive, priceToY } from './primitive.js';

/**
 * @typedef {import('./heat-store.js').HeatStore} HeatStore
 * @typedef {import('./primitive.js').Scope} Scope
 * @typedef {{columns: number, rows: number}} Pool  cells per pixel of the bitmap, powers of two
 */

/** Device pixels a row, or a column, of the bitmap has at least. */
const ROW_PIXELS = 1.5;
const COLUMN_PIXELS = 1;
const POOL_MAX = 1024;
/** Columns of the bitmap written at once. */
const STRIP = 32;
/** Columns narrower than this, CSS pixels, have a line of closes instead of candles. */
export const LINE_BELOW = 2.5;

const INK = {
  dark: { outline: 'rgba(9, 6, 20, 0.8)', line: '#f5f3ff', casing: 'rgba(9, 6, 20, 0.75)' },
  light: { outline: 'rgba(22, 14, 46, 0.85)', line: '#1b1336', casing: 'rgba(255, 255, 255, 0.8)' },
};

export class HeatPrimitive extends Primitive {
  constructor() {
    super('bottom');
    /** @type {import('./palette.js').Scale | null} */
    this.scale = null;
    /** @type {import('./palette.js').Kind} */
    this.kind = 'log';
    this.paint = DEFAULT_PAINT;
    this.pixels = new Uint32Array(CODES);
    this.canvas = document.createElement('canvas');
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d', { alpha: false }));
    this.layout = -1; /* the store's layout that the bitmap shows; -1: all is out of date */
    /** @type {Pool} */
    this.pool = { columns: 1, rows: 1 };
    /** @type {Set<number>} columns whose pixels are out of date */
    this.dirty = new Set();
    this.strip = new ImageData(STRIP, 1); /* reused, as is the next */
    this.maxima = new Uint16Array(0);
    /** @type {ReturnType<HeatPrimitive['place']>} where the bitmap was painted last */
    this.painted = null;
    this.lined = false; /* whether there is a line of closes instead of candles */
  }

  /** @param {import('./primitive.js').Target} target */
  draw(target) {
    this.paintOn(target, (store, scope) => this.#draw(store, scope));
  }

  /* What the page asks. */

  /** @param {HeatStore} store */
  setStore(store) {
    this.store = store;
    this.scale = null;
    this.painted = null;
    this.layout = -1;
    this.refresh();
  }

  /**
   * Other colours; what is left out stays as it is. Seen with the next frame, however often it is
   * called before.
   * @param {Partial<import('./palette.js').Paint & {kind: import('./palette.js').Kind}>} paint
   */
  setPaint({ kind = this.kind, ...paint }) {
    this.kind = kind;
    this.paint = { ...this.paint, ...paint };
    if (!this.store) return;
    this.scale = scaleFor(this.store.all(), kind, this.scale);
    this.#recolour();
    this.requestUpdate();
  }

  /** Column `c` changed; seen at the next refresh(). @param {number} c */
  columnChanged(c) {
    this.dirty.add(c);
  }

  /**
   * Take in what changed; whoever calls has the chart painted, once.
   * @returns {boolean} whether the colours' scale changed
   */
  refresh() {
    const store = this.store;
    if (!store) return false;
    const scale = scaleFor(store.all(), this.kind, this.scale);
    const rescaled = scale !== this.scale;
    this.scale = scale;
    if (rescaled) this.#recolour();
    if (this.layout === store.layout) this.#putDirty(store);
    this.dirty.clear();
    return rescaled;
  }

  /**
   * Where a cell's colour is to be seen, CSS pixels in the pane: the middle of its pixel of the
   * bitmap as painted last. Null while it has no place.
   * @param {number} c @param {number} r
   */
  cellXY(c, r) {
    const { store, painted } = this;
    if (!store) return null;
    if (!painted || painted.layout !== store.layout) return this.#cellXYUnpainted(store, c, r);
    const { pool, phase, lowest, lines, first, count, dx, dy, dw, dh, h, v } = painted;
    const column = Math.floor((c + phase) / pool.columns) - first;
    const line = Math.floor((store.base + r) / pool.rows) - lowest;
    return {
      x: (dx + ((column + 0.5) * dw) / count) / h,
      y: (dy + ((lines - line - 0.5) * dh) / lines) / v,
    };
  }

  /** The colour a cell is painted in. @param {number} c @param {number} r @returns {number[]} RGB */
  cellColour(c, r) {
    const store = /** @type {HeatStore} */ (this.store);
    const { phase, lowest } = this.#grid(store);
    const codes = this.#maxima(store, Math.floor((c + phase) / this.pool.columns));
    const line = Math.floor((store.base + r) / this.pool.rows) - lowest;
    const pixel = new Uint32Array([this.pixels[codes[line]]]);
    return [...new Uint8Array(pixel.buffer).subarray(0, 3)];
  }

  /* The bitmap. */

  /**
   * How the bitmap lies over the grid. Its pixels are counted from absolute times and prices, so
   * that what they stand for stays when the grid grows or drops its oldest columns.
   * @param {HeatStore} store
   */
  #grid(store) {
    const { columns, rows } = this.pool;
    const phase = modulo(Math.round(store.start / store.step), columns);
    const lowest = Math.floor(store.base / rows);
    return {
      phase, /* columns missing from the first one */
      lowest, /* absolute number of the lowest line */
      lines: Math.ceil((store.base + store.rows) / rows) - lowest,
      wide: Math.ceil((store.count + phase) / columns),
    };
  }

  #recolour() {
    const scale = /** @type {import('./palette.js').Scale} */ (this.scale);
    pixelTable(scale, this.paint, this.pixels);
    this.layout = -1;
  }

  /** @param {HeatStore} store */
  #redrawAll(store) {
    const { lines, wide } = this.#grid(store);
    const width = Math.ceil(store.capacity / this.pool.columns) + 1;
    const height = Math.max(lines, 1);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.context.fillStyle = BACKGROUNDS[this.paint.theme];
    this.context.fillRect(0, 0, width, height);
    this.layout = store.layout;
    for (let first = 0; lines > 0 && first < wide; first += STRIP) {
      this.#put(store, first, Math.min(STRIP, wide - first));
    }
  }

  /** @param {HeatStore} store */
  #putDirty(store) {
    if (store.rows === 0) return;
    const { phase } = this.#grid(store);
    const columns = new Set([...this.dirty].map((c) => Math.floor((c + phase) / this.pool.columns)));
    for (const column of columns) this.#put(store, column, 1);
  }

  /**
   * Write columns of the bitmap.
   * @param {HeatStore} store
   * @param {number} first @param {number} count at most STRIP
   */
  #put(store, first, count) {
    const { lines } = this.#grid(store);
    if (this.strip.height !== lines) this.strip = new ImageData(STRIP, lines);
    const out = new Uint32Array(this.strip.data.buffer);
    for (let i = 0; i < count; i++) {
      const codes = this.#maxima(store, first + i);
      /* The lowest price is the bitmap's last line. */
      for (let line = 0, at = (lines - 1) * STRIP + i; line < lines; line++, at -= STRIP) {
        out[at] = this.pixels[codes[line]];
      }
    }
    this.context.putImageData(this.strip, first, 0, 0, 0, count, lines);
  }

  /**
   * The largest code of each line of a column of the bitmap.
   * @param {HeatStore} store
   * @param {number} column
   */
  #maxima(store, column) {
    const { columns, rows } = this.pool;
    const { phase, lines } = this.#grid(store);
    const first = Math.max(column * columns - phase, 0);
    const end = Math.min((column + 1) * columns - phase, store.count);
    if (columns === 1 && rows === 1) return store.column(first);
    if (this.maxima.length !== lines) this.maxima = new Uint16Array(lines);
    this.maxima.fill(0);
    for (let c = first; c < end; c++) poolRows(store.column(c), rows, modulo(store.base, rows), this.maxima);
    return this.maxima;
  }

  /* Painting. */

  /** @param {HeatStore} store @param {Scope} scope */
  #draw(store, scope) {
    this.#poolFor(store, scope);
    if (this.layout !== store.layout) this.#redrawAll(store);
    this.painted = this.place(store, scope);
    if (!this.painted) return;
    const { first, count, lines, dx, dy, dw, dh } = this.painted;
    scope.context.imageSmoothingEnabled = false;
    scope.context.drawImage(this.canvas, first, 0, count, lines, dx, dy, dw, dh);
    this.#drawPrice(store, scope);
  }

  /**
   * Which part of the bitmap is in sight, and where. Edges lie on whole device pixels: no seams, no
   * smear.
   * @param {HeatStore} store
   * @param {Scope} scope
   */
  place(store, { mediaSize, horizontalPixelRatio: h, verticalPixelRatio: v }) {
    const { pool } = this;
    const { phase, lowest, lines, wide } = this.#grid(store);
    const step = this.#spacing() * pool.columns;
    const left = this.xOf(0) - (phase + 0.5) * this.#spacing();
    const first = Math.max(Math.floor(-left / step), 0);
    const last = Math.min(Math.floor((mediaSize.width - left) / step), wide - 1);
    if (!(last >= first)) return null;
    const y = priceToY(this.series, store);
    const dx = Math.round((left + first * step) * h);
    const dw = Math.round((left + (last + 1) * step) * h) - dx;
    const dy = Math.round(y((lowest + lines) * pool.rows * store.bin) * v);
    const dh = Math.round(y(lowest * pool.rows * store.bin) * v) - dy;
    if (!(dh > 0)) return null;
    const count = last + 1 - first;
    return { pool, phase, lowest, lines, first, count, dx, dy, dw, dh, h, v, layout: store.layout };
  }

  /** CSS pixels from one column to the next. */
  #spacing() {
    return this.xOf(1) - this.xOf(0);
  }

  /** @param {HeatStore} store @param {Scope} scope */
  #poolFor(store, { horizontalPixelRatio: h, verticalPixelRatio: v }) {
    const y = priceToY(this.series, store);
    const columns = poolFor(this.#spacing() * h, COLUMN_PIXELS);
    const rows = poolFor((y(0) - y(store.bin)) * v, ROW_PIXELS);
    if (columns === this.pool.columns && rows === this.pool.rows) return;
    this.pool = { columns, rows };
    this.layout = -1;
  }

  /** @param {HeatStore} store @param {number} c @param {number} r */
  #cellXYUnpainted(store, c, r) {
    const x = this.xOf(c);
    const y = this.series.priceToCoordinate(store.priceOf(r + 0.5));
    return Number.isNaN(x) || y === null ? null : { x, y };
  }

  /** @param {HeatStore} store @param {Scope} scope */
  #drawPrice(store, { context, mediaSize, horizontalPixelRatio: h, verticalPixelRatio: v }) {
    const wide = this.#spacing();
    const left = this.xOf(0);
    const view = {
      first: Math.max(Math.floor(-left / wide) - 1, 0),
      last: Math.min(Math.ceil((mediaSize.width - left) / wide) + 1, store.count - 1),
      x: (/** @type {number} */ c) => (left + c * wide) * h,
      y: priceToY(this.series, store, v),
      wide,
      h,
    };
    if (this.lined) drawCloses(context, store, view, INK[this.paint.theme]);
    else outlineCandles(context, store, view, INK[this.paint.theme]);
  }
}

/**
 * How many cells a pixel stands for.
 * @param {number} size of a cell, device pixels
 * @param {number} least size of what stands for cells
 */
export function poolFor(size, least) {
  if (!(size > 0)) return 1;
  return 2 ** Math.min(Math.max(Math.ceil(Math.log2(least / size) - 1e-9), 0), Math.log2(POOL_MAX));
}

/**
 * Raise `into` to the largest code of every `pool` rows.
 * @param {Uint16Array} codes
 * @param {number} pool
 * @param {number} missing rows of the first pool that come before the codes
 * @param {Uint16Array} into
 */
export function poolRows(codes, pool, missing, into) {
  const shift = Math.log2(pool);
  for (let r = 0; r < codes.length; r++) {
    const line = (r + missing) >> shift;
    if (codes[r] > into[line]) into[line] = codes[r];
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {HeatStore} store
 * @param {{first: number, last: number, x: (c: number) => number, y: (price: number) => number,
 *   wide: number, h: number}} view
 * @param {{outline: string}} ink
 */
function outlineCandles(context, store, { first, last, x, y, wide, h }, ink) {
  const px = Math.max(Math.round(h), 1);
  const body = Math.max(Math.floor(bodyWidth(wide) * h), px) / 2 + px;
  context.fillStyle = ink.outline;
  context.beginPath();
  for (let c = first; c <= last; c++) {
    const candle = store.candle(c);
    if (!candle) continue;
    const middle = Math.round(x(c));
    const high = Math.round(y(candle.high));
    const top = Math.round(y(Math.max(candle.open, candle.close)));
    const foot = Math.round(y(Math.min(candle.open, candle.close)));
    context.rect(middle - 1.5 * px, high - px, 3 * px, Math.round(y(candle.low)) - high + 2 * px);
    context.rect(Math.round(middle - body), top - px, Math.round(2 * body), foot - top + 2 * px);
  }
  context.fill();
}

/** About what the library makes of a candle, CSS pixels. @param {number} spacing */
function bodyWidth(spacing) {
  const share = 1 - (0.2 * Math.atan(Math.max(4, spacing) - 4)) / (Math.PI * 0.5);
  return spacing * share;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {HeatStore} store
 * @param {{first: number, last: number, x: (c: number) => number, y: (price: number) => number, h: number}} view
 * @param {{line: string, casing: string}} ink
 */
function drawCloses(context, store, { first, last, x, y, h }, ink) {
  context.beginPath();
  let broken = true;
  for (let c = first; c <= last; c++) {
    const candle = store.candle(c);
    if (candle && broken) context.moveTo(x(c), y(candle.close));
    else if (candle) context.lineTo(x(c), y(candle.close));
    broken = !candle;
  }
  context.lineJoin = 'bevel';
  for (const [style, width] of /** @type {const} */ ([[ink.casing, 3.5], [ink.line, 1.5]])) {
    context.strokeStyle = style;
    context.lineWidth = width * h;
    context.stroke();
  }
}

/** @param {number} n @param {number} by @returns {number} 0 to by - 1 */
function modulo(n, by) {
  return ((n % by) + by) % by;
}

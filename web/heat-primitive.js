/**
 * heat-primitive.js - paints a HeatStore behind a lightweight-charts series.
 *
 * The cells are pixels of an off-screen bitmap, one per cell; a new column writes one column of
 * pixels, and drawing is one drawImage of the visible part, however many cells there are. Where
 * rows would be too thin to see, a pixel stands for 2, 4, 8 ... of them and has the brightest one's
 * colour: neither averaged away nor skipped. Candles get a dark outline here too, so that they
 * stand out from bright cells.
 */
import { pixelTable, scaleFor, BACKGROUND } from './palette.js';

/** Device pixels a row has at least. */
const ROW_PIXELS = 1.5;
const OUTLINE = 'rgba(9, 6, 20, 0.8)';

export class HeatPrimitive {
  constructor() {
    /** @type {import('./heat-store.js').HeatStore | null} */
    this.store = null;
    /** @type {import('./palette.js').Scale | null} */
    this.scale = null;
    this.pixels = pixelTable({ cap: 1e6, knee: 1e5 });
    this.canvas = document.createElement('canvas');
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d', { alpha: false }));
    this.layout = -1;
    this.pool = 1; /* rows per pixel, a power of two */
    /** @type {Set<number>} columns whose pixels are out of date */
    this.dirty = new Set();
    const view = { zOrder: () => /** @type {const} */ ('bottom'), renderer: () => this };
    this.views = [view];
  }

  /* What lightweight-charts asks of a series primitive. */

  /** @param {any} param */
  attached({ chart, series, requestUpdate }) {
    this.chart = chart;
    this.series = series;
    this.requestUpdate = requestUpdate;
  }

  paneViews() {
    return this.views;
  }

  /** @param {any} target */
  draw(target) {
    target.useBitmapCoordinateSpace((/** @type {any} */ scope) => this.#paint(scope));
  }

  /* What the page asks. */

  /** @param {import('./heat-store.js').HeatStore} store */
  setStore(store) {
    this.store = store;
    this.scale = null;
    this.layout = -1;
    this.refresh();
  }

  /** Column `c` changed; seen at the next refresh(). @param {number} c */
  columnChanged(c) {
    this.dirty.add(c);
  }

  /**
   * Bring the bitmap up to date and have the chart painted.
   * @returns {boolean} whether the colours' scale changed
   */
  refresh() {
    const store = this.store;
    if (!store) return false;
    const scale = scaleFor(store.all(), this.scale);
    const rescaled = scale !== this.scale;
    if (rescaled) {
      this.scale = scale;
      pixelTable(scale, this.pixels);
    }
    if (rescaled || this.layout !== store.layout) this.#redrawAll(store);
    else for (const c of this.dirty) this.#putColumns(store, c, 1);
    this.dirty.clear();
    this.layout = store.layout;
    this.requestUpdate?.();
    return rescaled;
  }

  /**
   * Where a cell's middle is, CSS pixels in the pane; null while it has no place.
   * @param {number} c @param {number} r
   */
  cellXY(c, r) {
    const store = this.store;
    const x = this.chart?.timeScale().logicalToCoordinate(c);
    const y = store && this.series?.priceToCoordinate(store.priceOf(r + 0.5));
    return x == null || y == null ? null : { x, y };
  }

  /** The colour a cell is painted in. @param {number} c @param {number} r @returns {number[]} RGB */
  cellColour(c, r) {
    const store = /** @type {import('./heat-store.js').HeatStore} */ (this.store);
    const first = r - ((store.base + r) % this.pool);
    const codes = store.column(c).subarray(Math.max(first, 0), first + this.pool);
    const pixel = new Uint32Array([this.pixels[Math.max(...codes)]]);
    return [...new Uint8Array(pixel.buffer).subarray(0, 3)];
  }

  /** @param {import('./heat-store.js').HeatStore} store */
  #redrawAll(store) {
    const height = Math.max(this.#lines(store), 1);
    if (this.canvas.width !== store.capacity || this.canvas.height !== height) {
      this.canvas.width = store.capacity;
      this.canvas.height = height;
    }
    this.context.fillStyle = BACKGROUND;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (store.rows > 0 && store.count > 0) this.#putColumns(store, 0, store.count);
  }

  /** The absolute number of the bitmap's lowest line. @param {import('./heat-store.js').HeatStore} store */
  #lowest(store) {
    return Math.floor(store.base / this.pool);
  }

  /** Lines of the bitmap. @param {import('./heat-store.js').HeatStore} store */
  #lines(store) {
    return Math.ceil((store.base + store.rows) / this.pool) - this.#lowest(store);
  }

  /**
   * @param {import('./heat-store.js').HeatStore} store
   * @param {number} first @param {number} count
   */
  #putColumns(store, first, count) {
    if (store.rows === 0) return;
    const lines = this.#lines(store);
    const image = new ImageData(count, lines);
    const out = new Uint32Array(image.data.buffer);
    const into = store.base % this.pool; /* rows missing from the lowest line */
    for (let i = 0; i < count; i++) {
      const codes = store.column(first + i);
      /* The lowest price is the bitmap's last line. */
      for (let line = 0; line < lines; line++) {
        const end = (line + 1) * this.pool - into;
        let code = 0;
        for (let r = Math.max(end - this.pool, 0); r < end && r < codes.length; r++) {
          if (codes[r] > code) code = codes[r];
        }
        out[(lines - 1 - line) * count + i] = this.pixels[code];
      }
    }
    this.context.putImageData(image, first, 0);
  }

  /** @param {any} scope the pane in device pixels */
  #paint({ context, mediaSize, horizontalPixelRatio: h, verticalPixelRatio: v }) {
    const store = this.store;
    if (!store || store.count === 0 || store.rows === 0) return;
    const time = this.chart.timeScale();
    const x0 = time.logicalToCoordinate(0);
    const x1 = time.logicalToCoordinate(1);
    const row = (this.#y(0) - this.#y(store.bin)) * v;
    if (x0 === null || x1 === null || !(row > 0)) return;
    this.#poolFor(store, row);
    const lines = this.#lines(store);
    const yBase = this.#y(this.#lowest(store) * this.pool * store.bin);
    const yTop = this.#y((this.#lowest(store) + lines) * this.pool * store.bin);

    const wide = x1 - x0;
    const left = x0 - wide / 2;
    const first = Math.max(Math.floor(-left / wide), 0);
    const last = Math.min(Math.floor((mediaSize.width - left) / wide), store.count - 1);
    if (last < first) return;

    /* Edges on whole device pixels: no seams, no smear. */
    const dx = Math.round((left + first * wide) * h);
    const dw = Math.round((left + (last + 1) * wide) * h) - dx;
    const dy = Math.round(yTop * v);
    const dh = Math.round(yBase * v) - dy;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, first, 0, last - first + 1, lines, dx, dy, dw, dh);
    this.#outlineCandles(context, store, { first, last, left, wide, h, v });
  }

  /** @param {number} price @returns {number} CSS pixels in the pane, NaN when it has no place */
  #y(price) {
    return this.series.priceToCoordinate(price) ?? NaN;
  }

  /** @param {import('./heat-store.js').HeatStore} store @param {number} row device pixels */
  #poolFor(store, row) {
    const pool = 2 ** Math.min(Math.max(Math.ceil(Math.log2(ROW_PIXELS / row)), 0), 10);
    if (pool === this.pool) return;
    this.pool = pool;
    this.#redrawAll(store);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {import('./heat-store.js').HeatStore} store
   * @param {{first: number, last: number, left: number, wide: number, h: number, v: number}} view
   */
  #outlineCandles(context, store, { first, last, left, wide, h, v }) {
    const y = (/** @type {number} */ price) => Math.round(this.#y(price) * v);
    const px = Math.max(Math.round(h), 1);
    const body = Math.max(Math.floor(bodyWidth(wide) * h), px) / 2 + px;
    context.fillStyle = OUTLINE;
    context.beginPath();
    for (let c = first; c <= last; c++) {
      const candle = store.candle(c);
      if (!candle) continue;
      const x = Math.round((left + (c + 0.5) * wide) * h);
      const high = y(candle.high);
      const top = y(Math.max(candle.open, candle.close));
      const foot = y(Math.min(candle.open, candle.close));
      context.rect(x - 1.5 * px, high - px, 3 * px, y(candle.low) - high + 2 * px);
      context.rect(Math.round(x - body), top - px, Math.round(2 * body), foot - top + 2 * px);
    }
    context.fill();
  }
}

/** About what the library makes of a candle, CSS pixels. @param {number} spacing */
function bodyWidth(spacing) {
  const share = 1 - (0.2 * Math.atan(Math.max(4, spacing) - 4)) / (Math.PI * 0.5);
  return spacing * share;
}

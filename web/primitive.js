/**
 * primitive.js - what the primitives of a lightweight-charts series have in common: being attached,
 * one view each, and places in the pane for columns and prices of a HeatStore.
 */

/**
 * @typedef {import('./heat-store.js').HeatStore} HeatStore
 * @typedef {import('./vendor/lightweight-charts.mjs').SeriesAttachedParameter} Attached
 * @typedef {import('./vendor/lightweight-charts.mjs').Logical} Logical
 * @typedef {import('fancy-canvas').CanvasRenderingTarget2D} Target
 * @typedef {import('fancy-canvas').BitmapCoordinatesRenderingScope} Scope  the pane in device pixels
 */

export class Primitive {
  /** @type {Attached | null} */
  #attached = null;

  /** @param {'bottom' | 'normal'} layer below or above the candles */
  constructor(layer) {
    /** @type {HeatStore | null} */
    this.store = null;
    this.views = [{ zOrder: () => layer, renderer: () => this }];
  }

  /** @param {Attached} attached */
  attached(attached) {
    this.#attached = attached;
  }

  paneViews() {
    return this.views;
  }

  /** Have the chart painted soon. */
  requestUpdate() {
    this.#attached?.requestUpdate();
  }

  get chart() {
    return this.#host().chart;
  }

  get series() {
    return this.#host().series;
  }

  /** The middle of a column, CSS pixels in the pane; NaN while there is no place. @param {number} c whole */
  xOf(c) {
    return this.chart.timeScale().logicalToCoordinate(/** @type {Logical} */ (c)) ?? NaN;
  }

  /**
   * Call `paint` when there is something to paint.
   * @param {Target} target
   * @param {(store: HeatStore, scope: Scope) => void} paint
   */
  paintOn(target, paint) {
    const { store } = this;
    if (!store || store.count === 0 || store.rows === 0) return;
    target.useBitmapCoordinateSpace((scope) => paint(store, scope));
  }

  #host() {
    if (!this.#attached) throw new Error('a primitive must be attached to a series');
    return this.#attached;
  }
}

/**
 * From price to y: the price axis is linear, so asking the library twice is enough for any number
 * of prices.
 * @param {{priceToCoordinate(price: number): number | null}} series
 * @param {HeatStore} store
 * @param {number} [ratio] device pixels per CSS pixel
 * @returns {(price: number) => number} NaN while the chart has no prices
 */
export function priceToY(series, store, ratio = 1) {
  const low = store.priceOf(0);
  const high = store.priceOf(Math.max(store.rows, 1));
  const yLow = series.priceToCoordinate(low) ?? NaN;
  const perPrice = ((series.priceToCoordinate(high) ?? NaN) - yLow) / (high - low);
  return (price) => (yLow + (price - low) * perPrice) * ratio;
}

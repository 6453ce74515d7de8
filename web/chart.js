/**
 * chart.js - the chart: time and price axes, candles and crosshair by lightweight-charts, the heat
 * behind them by HeatPrimitive. Knows a HeatStore, never the network.
 */
import {
  createChart,
  CandlestickSeries,
  CrosshairMode,
  LineStyle,
} from './vendor/lightweight-charts.mjs';
import { HeatPrimitive } from './heat-primitive.js';
import { BACKGROUND } from './palette.js';

/* Near-white and orange-magenta: told apart without telling red from green, and both unlike the
 * palette of the heat. */
const UP = '#f5f3ff';
const DOWN = '#ff4f7b';

export class HeatChart {
  /** @param {HTMLElement} container */
  constructor(container) {
    const reduced = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.container = container;
    this.chart = createChart(container, {
      autoSize: true,
      layout: {
        background: { color: BACKGROUND },
        textColor: '#b9b3d0',
        fontFamily: getComputedStyle(document.body).fontFamily,
        fontSize: 11,
        attributionLogo: true, /* its licence asks for it */
      },
      grid: { vertLines: { visible: false }, horzLines: { visible: false } },
      crosshair: {
        mode: CrosshairMode.Normal,
        vertLine: { color: '#ffffff70', style: LineStyle.Dashed, labelBackgroundColor: '#3a2d63' },
        horzLine: { color: '#ffffff70', style: LineStyle.Dashed, labelBackgroundColor: '#3a2d63' },
      },
      rightPriceScale: { borderColor: '#2a2145', minimumWidth: 64 },
      timeScale: {
        borderColor: '#2a2145',
        timeVisible: true,
        secondsVisible: false,
        minBarSpacing: 1, /* narrower, the bitmap would lose columns */
        rightOffset: 3,
        fixLeftEdge: true,
      },
      kineticScroll: { touch: !reduced, mouse: false },
      localization: { locale: 'en-GB' },
    });
    this.series = this.chart.addSeries(CandlestickSeries, {
      upColor: UP,
      downColor: DOWN,
      wickUpColor: UP,
      wickDownColor: DOWN,
      borderVisible: false,
      priceLineColor: '#ffffffb0',
      priceLineStyle: LineStyle.Dotted,
      autoscaleInfoProvider: (/** @type {() => any} */ original) => widen(original()),
    });
    this.heat = new HeatPrimitive();
    this.series.attachPrimitive(this.heat);
    /** @type {import('./heat-store.js').HeatStore | null} */
    this.store = null;
    this.layout = -1;
    this.known = 0; /* columns that the library has been told of */
    /** Oldest column whose candle the chart does not know yet; Infinity when none. */
    this.staleFrom = Infinity;
  }

  /** Show another grid, all of it. @param {import('./heat-store.js').HeatStore} store */
  setStore(store) {
    this.store = store;
    this.heat.setStore(store);
    this.#setAllCandles(store);
    this.chart.priceScale('right').applyOptions({ autoScale: true });
    this.chart.timeScale().fitContent();
  }

  /** @param {number} price of that size, to set how many digits are shown */
  setPrecision(price) {
    const precision = priceDigits(price);
    this.series.applyOptions({
      priceFormat: { type: 'price', precision, minMove: Number((10 ** -precision).toFixed(precision)) },
    });
  }

  /** Column `c` changed, cells or candle; seen at the next refresh(). @param {number} c */
  columnChanged(c) {
    if (c < 0) return;
    this.heat.columnChanged(c);
    this.staleFrom = Math.min(this.staleFrom, c);
  }

  /** Bring the chart up to date with the store. @returns {boolean} whether the scale changed */
  refresh() {
    const store = this.store;
    if (!store) return false;
    /* The library adds or changes its last bar cheaply; anything else is a new set. It counts only
     * the bars it is told of, so columns that were skipped are told too. */
    const first = Math.min(this.staleFrom, this.known);
    if (this.layout !== store.layout || first < this.known - 1) this.#setAllCandles(store);
    else for (let c = first; c < store.count; c++) this.series.update(point(store, c));
    this.known = store.count;
    this.staleFrom = Infinity;
    return this.heat.refresh();
  }

  /**
   * Called when the crosshair moves, with its place in the pane, null when it is gone.
   * @param {(point: {x: number, y: number} | null) => void} handler
   */
  onCrosshair(handler) {
    this.chart.subscribeCrosshairMove((/** @type {any} */ param) => handler(param.point ?? null));
  }

  /**
   * What lies at a place in the pane now; the chart moves on below a resting crosshair.
   * @param {{x: number, y: number}} point
   * @returns {{column: number, row: number} | null}
   */
  at({ x, y }) {
    const price = this.series.coordinateToPrice(y);
    const column = this.chart.timeScale().coordinateToLogical(x);
    if (!this.store || price === null || column === null) return null;
    return { column, row: this.store.rowOf(price) };
  }

  /** A cell's middle, CSS pixels in the window. @param {number} c @param {number} r */
  cellXY(c, r) {
    const at = this.heat.cellXY(c, r);
    const canvas = this.container.querySelector('canvas');
    if (!at || !canvas) return null;
    const box = canvas.getBoundingClientRect();
    return { x: box.left + at.x, y: box.top + at.y };
  }

  /** @param {import('./heat-store.js').HeatStore} store */
  #setAllCandles(store) {
    const points = [];
    for (let c = 0; c < store.count; c++) points.push(point(store, c));
    this.series.setData(points);
    this.known = store.count;
    this.layout = store.layout;
    this.staleFrom = Infinity;
  }
}

/** How many digits after the point a price of this size needs. @param {number} price */
export function priceDigits(price) {
  return Math.min(Math.max(5 - Math.floor(Math.log10(price || 1)), 0), 10);
}

/** A column without a candle still takes its place, so column and logical index stay the same. */
function point(/** @type {import('./heat-store.js').HeatStore} */ store, /** @type {number} */ c) {
  return /** @type {any} */ (store.candle(c) ?? { time: store.timeOf(c) });
}

/** Room above and below the candles, where the liquidations wait. @param {any} info */
function widen(info) {
  if (!info?.priceRange) return info;
  const { minValue, maxValue } = info.priceRange;
  const room = Math.max((maxValue - minValue) * 0.25, maxValue * 0.04);
  return { ...info, priceRange: { minValue: Math.max(minValue - room, 0), maxValue: maxValue + room } };
}

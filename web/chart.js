/**
 * chart.js - the chart: time and price axes, candles and crosshair by lightweight-charts, the heat
 * behind them by HeatPrimitive, profile, curves and marks over it by overlays.js. Knows a HeatStore,
 * never the network.
 */
import {
  createChart,
  CandlestickSeries,
  CrosshairMode,
  LineStyle,
} from './vendor/lightweight-charts.mjs';
import { HeatPrimitive, LINE_BELOW } from './heat-primitive.js';
import { ProfileOverlay, SweepOverlay, areaWidth } from './overlays.js';
import { price as priceText } from './format.js';
import { BACKGROUNDS, cssColour, densityAt } from './palette.js';

/**
 * @typedef {import('./heat-store.js').HeatStore} HeatStore
 * @typedef {import('./vendor/lightweight-charts.mjs').AutoscaleInfo} AutoscaleInfo
 * @typedef {import('./vendor/lightweight-charts.mjs').UTCTimestamp} UTCTimestamp
 */

/* Near-white and orange-magenta: told apart without telling red from green, and both unlike the
 * palettes of the heat. With the dark outline that HeatPrimitive gives them they show on light
 * backgrounds too. */
const UP = '#f5f3ff';
const DOWN = '#ff4f7b';
const UNSEEN = 'rgba(0, 0, 0, 0)';

const THEMES = {
  dark: { text: '#b9b3d0', border: '#2a2145', cross: '#ffffff70', label: '#3a2d63', price: '#ffffffb0' },
  light: { text: '#4a4266', border: '#d9d4e8', cross: '#1b133680', label: '#4b3d78', price: '#1b1336c0' },
};

/** Free room right of the newest column where no profile is, CSS pixels. */
const MARGIN = 20;
/** A year's columns fit a phone. */
const BAR_SPACING_MIN = 0.05;
/** How far one notch of the wheel moves the price axis. */
const WHEEL_STEP = 1.1;
/** How narrow columns may get, of what fits all of them. */
const ZOOM_OUT = 0.7;
/** CSS pixels that a pointer moves before it is a drag; the library waits for 5. */
const DRAG_BEGINS = 4;

export class HeatChart {
  /**
   * @param {HTMLElement} container
   * @param {{theme?: import('./palette.js').Theme}} [options]
   */
  constructor(container, { theme = 'dark' } = {}) {
    const reduced = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.container = container;
    this.chart = createChart(container, {
      autoSize: true,
      layout: {
        fontFamily: getComputedStyle(document.body).fontFamily,
        fontSize: 11,
        attributionLogo: true, /* its licence asks for it */
      },
      grid: { vertLines: { visible: false }, horzLines: { visible: false } },
      crosshair: {
        mode: CrosshairMode.Normal,
        vertLine: { style: LineStyle.Dashed },
        horzLine: { style: LineStyle.Dashed },
      },
      rightPriceScale: { minimumWidth: 64 },
      timeScale: {
        timeVisible: true,
        secondsVisible: false,
        minBarSpacing: BAR_SPACING_MIN,
        fixLeftEdge: true,
        lockVisibleTimeRangeOnResize: true,
      },
      handleScale: { axisDoubleClickReset: { time: false, price: true } }, /* the time axis: #onDoubleClick */
      kineticScroll: { touch: !reduced, mouse: false },
      localization: { locale: 'en-GB' },
    });
    this.series = this.chart.addSeries(CandlestickSeries, {
      upColor: UP,
      downColor: DOWN,
      wickUpColor: UP,
      wickDownColor: DOWN,
      borderVisible: false,
      priceLineStyle: LineStyle.Dotted,
      autoscaleInfoProvider: (/** @type {() => AutoscaleInfo | null} */ original) => widen(original()),
    });
    this.heat = new HeatPrimitive();
    this.profile = new ProfileOverlay();
    this.sweeps = new SweepOverlay();
    for (const primitive of [this.heat, this.sweeps, this.profile]) this.series.attachPrimitive(primitive);
    /** @type {HeatStore | null} */
    this.store = null;
    this.layout = -1;
    this.known = 0; /* columns that the library has been told of */
    /** Oldest column whose candle the chart does not know yet; Infinity when none. */
    this.staleFrom = Infinity;
    this.shown = { profile: true, curves: true, sweeps: true };
    this.reduced = reduced;
    /** @type {{column: number, row: number} | null} where the crosshair was last put by hand */
    this.cursor = null;
    /** @type {{time: number, price: number} | null} the cell that keys have put the crosshair on */
    this.pinned = null;
    /** @type {((point: {x: number, y: number} | null) => void)[]} */
    this.crosshairHandlers = [];
    this.chart.subscribeCrosshairMove((moved) => this.#onCrosshair(moved));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.#chooseCandles());
    this.chart.timeScale().subscribeSizeChange(() => this.#limitZoom());
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    /** @type {{x: number, y: number} | null} where a drag began whose way is not known yet */
    this.dragFrom = null;
    for (const kind of /** @type {const} */ (['pointerdown', 'pointermove'])) {
      container.addEventListener(kind, (event) => this.#onDrag(event), { signal, capture: true });
    }
    container.addEventListener('dblclick', (event) => this.#onDoubleClick(event), { signal });
    container.addEventListener('wheel', (event) => this.#onWheel(event), { signal, capture: true, passive: false });
    this.setTheme(theme);
    this.show({});
  }

  /** Let go of everything; the container is empty afterwards. */
  destroy() {
    this.listeners.abort();
    this.chart.remove();
  }

  /* What is shown, and how. */

  /** @param {import('./palette.js').Theme} theme */
  setTheme(theme) {
    const { text, border, cross, label, price } = THEMES[theme];
    const line = { color: cross, labelBackgroundColor: label };
    this.chart.applyOptions({
      layout: { background: { color: BACKGROUNDS[theme] }, textColor: text },
      crosshair: { vertLine: line, horzLine: line },
      rightPriceScale: { borderColor: border },
      timeScale: { borderColor: border },
    });
    this.series.applyOptions({ priceLineColor: price });
    this.heat.setPaint({ theme });
    this.profile.setTheme(theme);
    this.sweeps.setTheme(theme);
  }

  /**
   * The heat's colours; what is left out stays as it is.
   * @param {{palette?: string, kind?: import('./palette.js').Kind, low?: number, high?: number}} paint
   *   low, high: 0..1 of the scale; below low nothing is painted, low..high is stretched over the palette
   */
  setPaint(paint) {
    this.heat.setPaint(paint);
    this.sweeps.refresh(this.heat.scale?.cap);
  }

  /**
   * What is drawn over the heat; what is left out stays as it is.
   * @param {{profile?: boolean, curves?: boolean, sweeps?: boolean}} what
   */
  show(what) {
    const former = this.#rightRoom();
    Object.assign(this.shown, what);
    this.profile.show(this.shown);
    this.sweeps.show(this.shown.sweeps);
    if (this.store && this.#rightRoom() !== former && this.#newestInSight()) this.toNewest();
  }

  /** Show another grid, all of it. @param {HeatStore} store */
  setStore(store) {
    this.store = store;
    this.cursor = this.pinned = null;
    this.heat.setStore(store);
    this.profile.store = store;
    this.sweeps.setStore(store);
    this.#setAllCandles(store);
    this.#refreshOverlays();
    this.#limitZoom();
    this.reset();
    /* A resize that is on its way would keep the range from before. */
    requestAnimationFrame(() => store === this.store && this.reset());
  }

  /** @param {number} price of that size, to set how many digits are shown */
  setPrecision(price) {
    const precision = priceDigits(price);
    this.series.applyOptions({
      priceFormat: {
        type: 'custom',
        formatter: (/** @type {number} */ value) => priceText(value, precision),
        minMove: Number((10 ** -precision).toFixed(precision)),
      },
    });
  }

  /** Column `c` changed, cells or candle; seen at the next refresh(). @param {number} c */
  columnChanged(c) {
    if (c < 0) return;
    this.heat.columnChanged(c);
    this.sweeps.columnChanged(c);
    this.staleFrom = Math.min(this.staleFrom, c);
  }

  /** Bring the chart up to date with the store. @returns {boolean} whether the scale changed */
  refresh() {
    const store = this.store;
    if (!store) return false;
    /* The library adds or changes its last bar cheaply; anything else is a new set. It counts only
     * the bars it is told of, so columns that were skipped are told too. */
    const first = Math.min(this.staleFrom, this.known);
    const isTold = this.layout !== store.layout || first < store.count;
    if (this.layout !== store.layout || first < this.known - 1) this.#setAllCandles(store);
    else for (let c = first; c < store.count; c++) this.series.update(point(store, c));
    this.known = store.count;
    this.staleFrom = Infinity;
    const rescaled = this.heat.refresh();
    this.#refreshOverlays();
    /* A change of candles has all painted anyhow; asking again would lay out and paint all twice. */
    if (!isTold) this.heat.requestUpdate?.();
    return rescaled;
  }

  /**
   * The legend of the present colours: `n` places from nothing to the last colour.
   * @param {number} n 2 or more
   * @returns {{t: number, usdt: number, css: string}[]}
   */
  legendStops(n) {
    const { scale, paint } = this.heat;
    if (!scale) return [];
    const { palette, theme, low, high } = paint;
    return Array.from({ length: n }, (_, i) => {
      const t = i / (n - 1);
      return { t, usdt: densityAt(low + (high - low) * t, scale), css: cssColour(palette, t, theme) };
    });
  }

  /** A picture of the whole chart, axes and overlays included, without the crosshair. @returns {HTMLCanvasElement} */
  toCanvas() {
    return this.chart.takeScreenshot(true);
  }

  /* Where things are. */

  /**
   * Called when the crosshair moves, with its place in the pane, null when it is gone.
   * @param {(point: {x: number, y: number} | null) => void} handler
   */
  onCrosshair(handler) {
    this.crosshairHandlers.push(handler);
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

  /** Where a cell's colour is to be seen, CSS pixels in the window. @param {number} c @param {number} r */
  cellXY(c, r) {
    const at = this.heat.cellXY(c, r);
    const canvas = this.container.querySelector('canvas');
    if (!at || !canvas) return null;
    const box = canvas.getBoundingClientRect();
    return { x: box.left + at.x, y: box.top + at.y };
  }

  /* Moving about, for keys and buttons. */

  /**
   * Move the crosshair by cells; it begins at the newest price, and the chart follows it. Until it
   * is moved by hand it stays on its cell, however the chart moves.
   * @param {number} columns
   * @param {number} rows
   */
  moveCrosshair(columns, rows) {
    const { store } = this;
    if (!store || store.count === 0 || store.rows === 0) return;
    const from = this.#pinnedCell(store) ?? this.cursor ?? newestPlace(store);
    const column = clamp(from.column + columns, 0, store.count - 1);
    const row = clamp(from.row + rows, 0, store.rows - 1);
    this.pinned = { time: store.timeOf(column), price: store.priceOf(row + 0.5) };
    this.#bringIntoSight(column, this.pinned.price);
    this.#placeCrosshair(this.pinned);
  }

  /** @param {number} factor more than 1 shows less time; the newest column stays where it is when in sight */
  zoom(factor) {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.store) return;
    const anchor = this.#newestInSight() ? this.store.count - 1 : (range.from + range.to) / 2;
    this.chart.timeScale().setVisibleLogicalRange({
      from: anchor + (range.from - anchor) / factor,
      to: anchor + (range.to - anchor) / factor,
    });
  }

  /**
   * @param {number} columns more than 0 shows later ones
   * @param {number} [heights] of the price axis; more than 0 shows higher prices
   */
  pan(columns, heights = 0) {
    const time = this.chart.timeScale();
    if (columns !== 0) time.scrollToPosition(time.scrollPosition() + columns, false);
    const scale = this.chart.priceScale('right');
    const range = heights !== 0 ? scale.getVisibleRange() : null;
    if (!range) return;
    const shift = (range.to - range.from) * heights;
    scale.setVisibleRange({ from: range.from + shift, to: range.to + shift });
  }

  toNewest() {
    const time = this.chart.timeScale();
    time.scrollToPosition(this.#rightRoom() / time.options().barSpacing, !this.reduced);
  }

  /** All columns, and the price axis as the candles want it. */
  reset() {
    this.chart.priceScale('right').applyOptions({ autoScale: true });
    this.chart.timeScale().applyOptions({ rightOffsetPixels: this.#rightRoom() });
    this.chart.timeScale().fitContent();
  }

  /* Inside. */

  #refreshOverlays() {
    this.profile.refresh();
    this.sweeps.refresh(this.heat.scale?.cap);
  }

  /** Room right of the newest column, so that the profile does not cover it. CSS pixels. */
  #rightRoom() {
    const { profile, curves } = this.shown;
    return profile || curves ? areaWidth(this.chart.timeScale().width()) + MARGIN / 2 : MARGIN;
  }

  #newestInSight() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    return !!range && !!this.store && range.to >= this.store.count - 1;
  }

  /** @param {number} column @param {number} price */
  #bringIntoSight(column, price) {
    const times = this.chart.timeScale().getVisibleLogicalRange();
    if (times && column < times.from) this.pan(column - Math.ceil(times.from) - 1);
    else if (times && column > times.to) this.pan(column - Math.floor(times.to) + 1);
    const scale = this.chart.priceScale('right');
    const prices = scale.getVisibleRange();
    if (!prices || (price >= prices.from && price <= prices.to)) return;
    const room = (prices.to - prices.from) * 0.05;
    const shift = price < prices.from ? price - room - prices.from : price + room - prices.to;
    scale.setVisibleRange({ from: prices.from + shift, to: prices.to + shift });
  }

  /** No further out than a little beyond all columns: the rest would be empty. */
  #limitZoom() {
    const time = this.chart.timeScale();
    const fitted = (time.width() - this.#rightRoom()) / Math.max(this.store?.count ?? 1, 1);
    time.applyOptions({ minBarSpacing: Math.max(fitted * ZOOM_OUT, BAR_SPACING_MIN) });
  }

  /**
   * The library moves prices by hand only where they do not scale themselves. A drag that begins
   * upright frees them; reset() binds them again.
   * @param {PointerEvent} event
   */
  #onDrag(event) {
    if (event.type === 'pointerdown') {
      this.dragFrom = this.#areaOf(event) === 'pane' ? { x: event.clientX, y: event.clientY } : null;
    } else if (this.dragFrom && event.buttons !== 0) {
      const [dx, dy] = [event.clientX - this.dragFrom.x, event.clientY - this.dragFrom.y].map(Math.abs);
      if (dx + dy < DRAG_BEGINS) return;
      if (dy > dx) this.chart.priceScale('right').applyOptions({ autoScale: false });
      this.dragFrom = null;
    }
  }

  /** Candles where there is room for them, else the line of closes that the heat draws. */
  #chooseCandles() {
    const lined = this.chart.timeScale().options().barSpacing < LINE_BELOW;
    if (lined === this.heat.lined) return;
    this.heat.lined = lined;
    const [up, down] = lined ? [UNSEEN, UNSEEN] : [UP, DOWN];
    this.series.applyOptions({
      upColor: up, wickUpColor: up, downColor: down, wickDownColor: down, wickVisible: !lined,
    });
  }

  /**
   * The library tells of movements by hand, and, without an event, of the chart moving below.
   * @param {import('./vendor/lightweight-charts.mjs').MouseEventParams} moved
   */
  #onCrosshair({ point: at, sourceEvent }) {
    if (this.pinned && at && !sourceEvent) {
      this.#placeCrosshair(this.pinned);
      return;
    }
    this.pinned = null;
    this.cursor = at ? this.at(at) : null;
    this.#tell(at ?? null);
  }

  /** @param {HeatStore} store */
  #pinnedCell(store) {
    return this.pinned && { column: store.columnOf(this.pinned.time), row: store.rowOf(this.pinned.price) };
  }

  /** @param {{time: number, price: number}} pinned */
  #placeCrosshair({ time, price }) {
    const at = /** @type {UTCTimestamp} */ (time);
    this.chart.setCrosshairPosition(price, at, this.series);
    const x = this.chart.timeScale().timeToCoordinate(at);
    const y = this.series.priceToCoordinate(price);
    if (x !== null && y !== null) this.#tell({ x, y });
  }

  /** @param {{x: number, y: number} | null} at */
  #tell(at) {
    for (const handler of this.crosshairHandlers) handler(at);
  }

  /** @param {{clientX: number, clientY: number}} event @returns {'time' | 'price' | 'pane'} */
  #areaOf({ clientX, clientY }) {
    const box = this.container.getBoundingClientRect();
    const time = this.chart.timeScale();
    if (clientY - box.top >= box.height - time.height()) return 'time';
    return clientX - box.left >= time.width() ? 'price' : 'pane';
  }

  /** The library would go back to a fixed width of bars. @param {MouseEvent} event */
  #onDoubleClick(event) {
    if (this.#areaOf(event) === 'time') this.reset();
  }

  /** Over the price axis the wheel zooms prices; elsewhere it is the library's. @param {WheelEvent} event */
  #onWheel(event) {
    const scale = this.chart.priceScale('right');
    const range = scale.getVisibleRange();
    if (this.#areaOf(event) !== 'price' || !range || event.deltaY === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const factor = WHEEL_STEP ** Math.sign(event.deltaY);
    const middle = this.series.coordinateToPrice(event.clientY - this.container.getBoundingClientRect().top);
    if (middle === null) return;
    scale.setVisibleRange({
      from: middle + (range.from - middle) * factor,
      to: middle + (range.to - middle) * factor,
    });
  }

  /** @param {HeatStore} store */
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
function point(/** @type {HeatStore} */ store, /** @type {number} */ c) {
  return { ...store.candle(c), time: /** @type {UTCTimestamp} */ (store.timeOf(c)) };
}

/** Where the newest price is; without any, at the bottom of the newest column. @param {HeatStore} store */
function newestPlace(store) {
  const candle = store.newestCandle();
  if (!candle) return { column: store.count - 1, row: 0 };
  return { column: store.columnOf(candle.time), row: clamp(store.rowOf(candle.close), 0, store.rows - 1) };
}

/** Room above and below the candles, where the liquidations wait. @param {AutoscaleInfo | null} info */
function widen(info) {
  if (!info?.priceRange) return info;
  const { minValue, maxValue } = info.priceRange;
  const room = Math.max((maxValue - minValue) * 0.25, maxValue * 0.04);
  return { ...info, priceRange: { minValue: Math.max(minValue - room, 0), maxValue: maxValue + room } };
}

/** @param {number} n @param {number} low @param {number} high */
function clamp(n, low, high) {
  return Math.min(Math.max(n, low), high);
}

/**
 * overlays.js - what is drawn over the heat, as primitives of a lightweight-charts series: the
 * newest column in profile with its cumulative curves at the right edge, and marks where levels
 * were swept. They know a HeatStore and its reckoning in levels.js, never the network.
 */
import { balance, sweeps } from './levels.js';
import { Primitive, priceToY } from './primitive.js';

/**
 * @typedef {import('./heat-store.js').HeatStore} HeatStore
 * @typedef {import('./levels.js').Sweep} Sweep
 * @typedef {import('./palette.js').Theme} Theme
 * @typedef {import('./primitive.js').Scope} Scope
 * @typedef {import('./primitive.js').Target} Target
 */

/* Orange and blue: told apart by all eyes, and no candle has them. */
const INK = {
  dark: {
    long: '255 150 84',
    short: '96 190 255',
    even: '#ffd75e',
    onEven: '#1a1230',
    veil: '15 11 29',
    casing: 'rgba(9, 6, 20, 0.85)',
    mark: '#ffffff',
  },
  light: {
    long: '196 78 0',
    short: '0 98 178',
    even: '#5b3a00',
    onEven: '#ffffff',
    veil: '251 250 255',
    casing: 'rgba(255, 255, 255, 0.9)',
    mark: '#1b1336',
  },
};

/** The share of the pane that the profile takes, and its bounds in CSS pixels. */
const AREA_SHARE = 0.13;
const AREA_MIN = 56;
const AREA_MAX = 170;
/** How much of it the longest takes. */
const FULL = 0.96;
/** Device pixels that a bar of the profile has at least. */
const BAR_PIXELS = 2;
/** The caption of the crossing is left out where it would not fit, CSS pixels. */
const CAPTION_ROOM = 84;

/** Marks of swept levels: how many at most, their size and distance in CSS pixels. */
const MARKS_MAX = 80;
const MARK_RADIUS = [2.5, 5];
const MARK_DISTANCE = 11;
/** A level is worth a mark from this share of the scale's last colour on. */
const SWEEP_SHARE = 0.2;

/** Room for the profile at the right of a pane. @param {number} width of the pane, CSS pixels */
export function areaWidth(width) {
  return Math.round(Math.min(Math.max(width * AREA_SHARE, AREA_MIN), AREA_MAX));
}

/** What the overlays have in common. */
class Overlay extends Primitive {
  constructor() {
    super('normal');
    /** @type {Theme} */
    this.theme = 'dark';
  }

  /** @param {Theme} theme */
  setTheme(theme) {
    this.theme = theme;
    this.requestUpdate();
  }

  get ink() {
    return INK[this.theme];
  }
}

/** The newest column whose long and short are known: bars, cumulative curves, and their crossing. */
export class ProfileOverlay extends Overlay {
  constructor() {
    super();
    this.bars = true;
    this.curves = true;
    /** @type {ReturnType<HeatStore['sides']>} */
    this.profile = null;
    /** @type {ReturnType<typeof balance>} */
    this.balance = null;
    const crossing = () => this.balance?.crossing ?? NaN;
    const label = {
      coordinate: () => this.series.priceToCoordinate(crossing()) ?? -1,
      text: () => this.series.priceFormatter().format(crossing()),
      textColor: () => this.ink.onEven,
      backColor: () => this.ink.even,
      visible: () => this.balance?.crossing != null,
    };
    this.labels = [label];
  }

  priceAxisViews() {
    return this.labels;
  }

  /** @param {{profile: boolean, curves: boolean}} what */
  show({ profile: bars, curves }) {
    Object.assign(this, { bars, curves });
    this.refresh();
    this.requestUpdate();
  }

  /** Take in what changed in the store; whoever calls has the chart painted, once. */
  refresh() {
    const { store } = this;
    const c = store ? newestExact(store) : -1;
    this.profile = store && c >= 0 && this.bars ? store.sides(c) : null;
    this.balance = store && c >= 0 && this.curves ? balance(store, c) : null;
  }

  /** @param {Target} target */
  draw(target) {
    this.paintOn(target, (store, scope) => this.#paint(store, scope));
  }

  /** @param {HeatStore} store @param {Scope} scope */
  #paint(store, { context, bitmapSize, mediaSize, horizontalPixelRatio: h, verticalPixelRatio: v }) {
    if (!this.profile && !this.balance) return;
    const area = { right: bitmapSize.width, wide: areaWidth(mediaSize.width) * h, h };
    const y = priceToY(this.series, store, v);
    const rows = rowsInSight(store, y, bitmapSize.height);
    this.#paintVeil(context, area, bitmapSize.height);
    if (this.profile) this.#paintBars(context, store, this.profile, rows, area, y);
    if (this.balance) this.#paintCurves(context, store, this.balance, rows, area, y);
    if (this.balance?.crossing != null) this.#paintCrossing(context, y(this.balance.crossing), area);
  }

  /** Dims what has been panned below. */
  #paintVeil(
    /** @type {CanvasRenderingContext2D} */ context,
    /** @type {{right: number, wide: number}} */ { right, wide },
    /** @type {number} */ height,
  ) {
    const veil = context.createLinearGradient(right - wide, 0, right - wide / 2, 0);
    veil.addColorStop(0, `rgb(${this.ink.veil} / 0)`);
    veil.addColorStop(1, `rgb(${this.ink.veil} / 0.65)`);
    context.fillStyle = veil;
    context.fillRect(right - wide, 0, wide, height);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {HeatStore} store
   * @param {{long: Float32Array, short: Float32Array}} known
   * @param {{first: number, end: number}} rows
   * @param {{right: number, wide: number}} area
   * @param {(price: number) => number} y
   */
  #paintBars(context, store, known, rows, { right, wide }, y) {
    const thick = y(store.priceOf(0)) - y(store.priceOf(1));
    const bars = barsOf(known, rows, Math.max(Math.ceil(BAR_PIXELS / thick), 1));
    const most = bars.reduce((max, { long, short }) => Math.max(max, long + short), 0);
    const size = (/** @type {number} */ usdt) => Math.round((usdt / most) * wide * FULL);
    for (const side of /** @type {const} */ (['long', 'short'])) {
      context.beginPath();
      for (const { first, end, long, short } of bars) {
        const top = Math.round(y(store.priceOf(end)));
        const high = Math.max(Math.round(y(store.priceOf(first))) - top - 1, 1);
        const from = side === 'long' ? right : right - size(long);
        const length = size(side === 'long' ? long : short);
        if (length > 0) context.rect(from - length, top, length, high);
      }
      context.fillStyle = `rgb(${this.ink[side]} / 0.65)`;
      context.fill();
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {HeatStore} store
   * @param {{long: Float64Array, short: Float64Array}} known
   * @param {{first: number, end: number}} rows
   * @param {{right: number, wide: number, h: number}} area
   * @param {(price: number) => number} y
   */
  #paintCurves(context, store, known, { first, end }, { right, wide, h }, y) {
    const most = end > first ? Math.max(known.long[first], known.short[end - 1]) : 0;
    if (!(most > 0)) return;
    context.lineJoin = 'round';
    for (const side of /** @type {const} */ (['long', 'short'])) {
      context.beginPath();
      for (let r = first; r < end; r++) {
        if (known[side][r] === 0) continue;
        context.lineTo(right - (known[side][r] / most) * wide * FULL, y(store.priceOf(r + 0.5)));
      }
      for (const [style, width] of [[this.ink.casing, 4], [`rgb(${this.ink[side]})`, 1.75]]) {
        context.strokeStyle = String(style);
        context.lineWidth = Number(width) * h;
        context.stroke();
      }
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} at device pixels from the top
   * @param {{right: number, wide: number, h: number}} area
   */
  #paintCrossing(context, at, { right, wide, h }) {
    const line = Math.round(at) + (Math.round(h) % 2) / 2;
    context.setLineDash([4 * h, 3 * h]);
    context.lineWidth = Math.max(Math.round(h), 1);
    context.strokeStyle = this.ink.even;
    context.beginPath();
    context.moveTo(right - wide, line);
    context.lineTo(right, line);
    context.stroke();
    context.setLineDash([]);
    if (wide < CAPTION_ROOM * h) return;
    context.font = `${10 * h}px ${this.chart.options().layout.fontFamily}`;
    context.textBaseline = 'bottom';
    context.textAlign = 'left';
    context.lineWidth = 3 * h;
    context.strokeStyle = this.ink.casing;
    context.strokeText('longs = shorts', right - wide + 2 * h, line - 2 * h);
    context.fillStyle = this.ink.even;
    context.fillText('longs = shorts', right - wide + 2 * h, line - 2 * h);
  }
}

/** Rings where the price took out a large level. */
export class SweepOverlay extends Overlay {
  constructor() {
    super();
    this.shown = true;
    this.cap = Infinity; /* the density that counts as very large, USDT */
    /** @type {Sweep[]} the largest first */
    this.found = [];
    this.layout = -1;
    this.staleFrom = 0;
  }

  /** @param {boolean} shown */
  show(shown) {
    this.shown = shown;
    this.refresh();
    this.requestUpdate();
  }

  /** Column `c` changed; seen at the next refresh(). @param {number} c */
  columnChanged(c) {
    this.staleFrom = Math.min(this.staleFrom, c);
  }

  /** Take in what changed in the store. @param {number} [cap] the density of the last colour, USDT */
  refresh(cap = this.cap) {
    const { store } = this;
    if (!store) return;
    if (this.layout !== store.layout || cap !== this.cap) this.staleFrom = 0;
    Object.assign(this, { cap, layout: store.layout });
    if (!this.shown) return;
    const first = Math.max(this.staleFrom, 1);
    if (this.staleFrom < store.count) {
      const known = this.found.filter(({ column }) => column < first);
      const found = sweeps(store, { first, last: store.count - 1, min: cap * SWEEP_SHARE });
      this.found = [...known, ...found].sort((a, b) => b.total - a.total);
    }
    this.staleFrom = Infinity;
  }

  /** @param {HeatStore} store */
  setStore(store) {
    this.store = store;
    this.layout = -1;
    this.found = [];
  }

  /** @param {Target} target */
  draw(target) {
    this.paintOn(target, (store, scope) => this.#paint(store, scope));
  }

  /** @param {HeatStore} store @param {Scope} scope */
  #paint(store, { context, mediaSize, horizontalPixelRatio: h, verticalPixelRatio: v }) {
    if (!this.shown) return;
    const left = this.xOf(0);
    const wide = this.xOf(1) - left;
    const y = priceToY(this.series, store);
    const all = this.found.map((sweep) => ({
      x: left + sweep.column * wide,
      y: y(store.priceOf(sweep.row + 0.5)),
      size: Math.sqrt(Math.min(sweep.total / this.cap, 2) / 2),
    }));
    const marks = apart(all, mediaSize);
    const [least, most] = MARK_RADIUS;
    for (const [style, width] of /** @type {const} */ ([[this.ink.casing, 4], [this.ink.mark, 1.5]])) {
      context.beginPath();
      for (const { x, y: at, size } of marks) {
        const radius = least + (most - least) * size;
        context.moveTo((x + radius) * h, at * v);
        context.arc(x * h, at * v, radius * h, 0, 2 * Math.PI);
      }
      context.strokeStyle = style;
      context.lineWidth = width * h;
      context.stroke();
    }
  }
}

/**
 * The newest column that says long and short, -1 when there is none.
 * @param {HeatStore} store
 */
export function newestExact(store) {
  let c = store.count - 1;
  while (c >= 0 && !store.isExact(c)) c--;
  return c;
}

/**
 * @param {HeatStore} store
 * @param {(price: number) => number} y
 * @param {number} height
 * @returns {{first: number, end: number}} rows of which a part is in sight
 */
export function rowsInSight(store, y, height) {
  const perRow = (y(store.priceOf(0)) - y(store.priceOf(store.rows))) / store.rows;
  const bottom = y(store.priceOf(0));
  const first = Math.max(Math.floor((bottom - height) / perRow), 0);
  const end = Math.min(Math.ceil(bottom / perRow), store.rows);
  return { first, end: Math.max(end, first) };
}

/**
 * One bar per `pool` rows: the largest of them, as the heat shows it too.
 * @param {{long: Float32Array, short: Float32Array}} known
 * @param {{first: number, end: number}} rows
 * @param {number} pool
 */
export function barsOf({ long, short }, { first, end }, pool) {
  const bars = [];
  for (let from = first - (first % pool); from < end; from += pool) {
    const bar = { first: from, end: from + pool, long: 0, short: 0 };
    for (let r = from; r < Math.min(from + pool, long.length); r++) {
      if (long[r] + short[r] > bar.long + bar.short) Object.assign(bar, { long: long[r], short: short[r] });
    }
    if (bar.long + bar.short > 0) bars.push(bar);
  }
  return bars;
}

/**
 * The first of these marks that are in sight and do not touch one before them.
 * @template {{x: number, y: number}} Mark
 * @param {Mark[]} marks
 * @param {{width: number, height: number}} size of the pane
 */
export function apart(marks, { width, height }) {
  /** @type {Mark[]} */
  const kept = [];
  for (const mark of marks) {
    if (kept.length >= MARKS_MAX) break;
    if (!(mark.x >= 0 && mark.x <= width && mark.y >= 0 && mark.y <= height)) continue;
    const near = kept.some(({ x, y }) => Math.hypot(x - mark.x, y - mark.y) < MARK_DISTANCE);
    if (!near) kept.push(mark);
  }
  return kept;
}

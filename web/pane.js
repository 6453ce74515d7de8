/**
 * pane.js - one market on the page: its history and stream, its chart, and the words around it.
 */
import { HeatChart, priceDigits } from './chart.js';
import { HeatSession } from './session.js';
import { balance, band } from './levels.js';
import { WINDOWS, parseTime } from './rest.js';
import { symbolPicker } from './symbol-picker.js';
import { binDigits, clock, price, usdt } from './format.js';
import { biggest } from './levels-table.js';
import { make, setText } from './dom.js';

/**
 * @typedef {import('./rest.js').SymbolInfo} SymbolInfo
 * @typedef {import('./settings.js').Settings} Settings
 * @typedef {object} Handlers
 * @property {(symbol: string) => void} onPick
 * @property {() => void} onActive the user turned to this pane
 * @property {() => void} onChange something is to be painted
 * @property {() => void} onNeed loading failed: what the server has may have changed
 */

/** The crosshair rests this long before a column's exact numbers are asked for, ms. */
const REST_MS = 250;
/** The words for ears change seldom enough to follow, ms. */
const WORDS_MS = 10_000;
/** Loading that takes longer than this says so, ms. */
const SLOW_LOAD_MS = 6000;
const RETRY_MS = 5000;
/** A new epoch has all pages load at once: not in the same instant. */
const SPREAD_MS = 700;
const LEGEND_STEPS = 128;
/** Less than this share of the window is worth a word. */
const SHORT_SHARE = 0.9;

export class Pane {
  /** @param {HTMLElement} host @param {'dark' | 'light'} theme @param {Handlers} handlers */
  constructor(host, theme, handlers) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById('pane'));
    this.root = /** @type {HTMLElement} */ (
      /** @type {DocumentFragment} */ (template.content.cloneNode(true)).firstElementChild
    );
    host.append(this.root);
    this.handlers = handlers;
    const $ = (/** @type {string} */ name) => /** @type {any} */ (this.root.querySelector(`.${name}`));
    this.view = {
      price: $('price'),
      sums: $('sums'),
      notes: $('notes'),
      legend: $('legend'),
      chart: $('chart'),
      readout: $('readout'),
      message: $('message'),
    };
    this.picker = symbolPicker($('market'), {
      label: 'Market',
      onPick: (symbol) => {
        this.view.chart.focus(); /* keys are for the chart again */
        handlers.onPick(symbol);
      },
    });
    this.chart = new HeatChart(this.view.chart, { theme });
    this.chart.onCrosshair((point) => this.#crosshairMoved(point));
    for (const kind of ['pointerdown', 'focusin']) this.root.addEventListener(kind, handlers.onActive);
    this.session = new HeatSession({
      spread: SPREAD_MS,
      onStore: (store) => this.#showStore(store),
      onColumn: (column) => {
        this.chart.columnChanged(column);
        handlers.onChange();
      },
      onError: (error) => this.#showLoadError(error),
    });
    /** @type {SymbolInfo | null} */
    this.info = null;
    /** @type {{window: string, factor: number, weights: string | null} | null} */
    this.wish = null;
    /** @type {{x: number, y: number} | null} in the chart's pane */
    this.crosshair = null;
    this.heardAt = 0; /* ms, when the newest snapshot came */
    this.epoch = ''; /* of the snapshot before */
    this.hasNewEpoch = false;
    this.isGone = false; /* the server has this market no more */
    this.isEmpty = false; /* nothing is stored of it in this window */
    /** @type {ReturnType<typeof biggest> | null} */
    this.levels = null;
    /** @type {(() => void) | null} the biggest levels were reckoned anew */
    this.onLevels = null;
    this.wordsAt = -Infinity;
    this.restingAt = 0; /* time of the column below the crosshair */
    this.saidExact = false; /* what was said last was of both sides */
    /** @type {Record<string, ReturnType<typeof setTimeout> | undefined>} */
    this.timers = {};
  }

  destroy() {
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.session.close();
    this.chart.destroy();
    this.root.remove();
  }

  get symbol() {
    return this.info?.symbol ?? '';
  }

  get store() {
    return this.session.store;
  }

  /** Show a market; what is shown already stays. @param {SymbolInfo} info @param {Settings} settings */
  show(info, { window, factor, weights }) {
    const wish = { window, factor, weights };
    const isSame = info.symbol === this.symbol && JSON.stringify(wish) === JSON.stringify(this.wish);
    if (info.symbol !== this.symbol) this.#forget();
    this.info = info;
    this.wish = wish;
    this.picker.setValue(info.symbol);
    if (!isSame) this.load();
  }

  /** Nothing of another market is to be taken for this one's. */
  #forget() {
    this.heardAt = 0;
    this.epoch = '';
    this.levels = null;
    const { price: now, sums, notes, readout } = this.view;
    for (const place of [now, sums, notes, readout]) place.replaceChildren();
    this.view.legend.hidden = true;
  }

  load() {
    const { info, wish } = this;
    if (!info || !wish) return;
    clearTimeout(this.timers.retry);
    this.crosshair = null;
    this.showMessage('Loading history', '');
    this.#after('slow', SLOW_LOAD_MS, () => this.showMessage('Still loading history', 'The link or the server is slow.'));
    this.session.load(info, wish);
  }

  /** @param {import('./heatmap-client.js').Snapshot} message @returns {boolean} whether it was of this pane's */
  take(message) {
    if (!this.session.apply(message)) return false;
    this.heardAt = Date.now();
    this.hasNewEpoch = this.epoch !== '' && message.epoch !== this.epoch;
    this.epoch = message.epoch ?? '';
    if (this.hasNewEpoch) this.showMessage('Loading history anew', '');
    return true;
  }

  /** Time of the newest data, seconds since 1970; 0 when there is none. */
  get time() {
    return this.session.latest ? parseTime(this.session.latest.timestamp) : (this.store?.end ?? 0);
  }

  /** @param {Settings} settings @param {'dark' | 'light'} theme */
  setLook({ palette, scale, low, high, profile, curves, sweeps }, theme) {
    this.chart.setTheme(theme);
    this.chart.setPaint({ palette, kind: scale, low, high });
    this.chart.show({ profile, curves, sweeps });
    this.#showLegend();
  }

  /** Whether the server still has this market. @param {boolean} gone */
  setGone(gone) {
    if (this.isGone && !gone) this.hideMessage();
    this.isGone = gone;
    if (gone) this.showMessage(`${this.symbol} is gone`, 'The server does not have this market any more. Choose another above.');
  }

  /** Bring the picture up to date; once per frame at most. */
  paint() {
    const { store } = this;
    if (!store || store !== this.chart.store) return;
    if (store.count > 0 && this.isEmpty) this.hideMessage();
    this.isEmpty = store.count === 0;
    if (this.chart.refresh()) this.#showLegend();
    this.#showPrice(store);
    this.#showSums(store);
    this.#showNotes(store);
    this.showReadout();
    this.#describe(store);
  }

  /* Words. */

  /** The newest price; null when there is none. */
  get lastPrice() {
    return this.store?.newestCandle()?.close ?? null;
  }

  #showPrice(/** @type {import('./heat-store.js').HeatStore} */ store) {
    const now = this.lastPrice;
    if (now === null) return;
    const first = store.oldestCandle()?.close ?? 0;
    const change = first ? (now / first - 1) * 100 : 0;
    const sign = change < 0 ? '−' : '+';
    this.view.price.replaceChildren(
      price(now, priceDigits(now)),
      make('small', { title: `change over ${this.wish?.window}` }, `${sign}${Math.abs(change).toFixed(2)} %`),
    );
  }

  #showSums(/** @type {import('./heat-store.js').HeatStore} */ store) {
    const c = store.count - 1;
    const { long, short } = store.totals(c);
    const crossing = balance(store, c)?.crossing ?? null;
    /** @type {[string, string, string][]} */
    const pairs = [];
    if (!Number.isNaN(long)) {
      pairs.push(['long', usdt(long), 'open longs in this map, USDT'], ['short', usdt(short), 'open shorts in this map, USDT']);
    }
    if (crossing !== null) {
      pairs.push(['balance', price(crossing, binDigits(store.bin)), 'where as many longs wait below as shorts above']);
    }
    pairs.push(['bucket', price(store.bin, binDigits(store.bin)), 'price per row'], ['column', this.session.interval, 'time per column']);
    this.view.sums.replaceChildren(...pairs.map(([term, text, title]) => pair(term, text, title)));
  }

  /** What one must know to read this map rightly. */
  #showNotes(/** @type {import('./heat-store.js').HeatStore} */ store) {
    const { info, interval, isLive } = this.session;
    const { seconds } = WINDOWS[this.wish?.window ?? ''] ?? { seconds: 0 };
    const begins = store.timeOf(0);
    const { total, exact } = store.totals(store.count - 1);
    /** @type {[boolean, string][]} */
    const notes = [
      [!isLive, 'Own leverage mix: history, asked anew as time goes on. The live stream keeps the default mix.'],
      [isLive && info.interval !== undefined && info.interval !== interval, `Columns of ${interval} are reckoned for themselves: sums differ from the live stream’s.`],
      [store.end - begins < seconds * SHORT_SHARE, `History begins ${clock(begins)}.`],
      [exact && total === 0, 'Nothing is open here: open interest is missing, or fell by more than the map held.'],
    ];
    setText(this.view.notes, notes.flatMap(([holds, text]) => (holds ? text : [])).join(' '));
  }

  showReadout() {
    const { store } = this;
    const at = store && this.crosshair && this.chart.at(this.crosshair);
    const isInside = at && at.column >= 0 && at.column < store.count;
    const parts = isInside ? this.#readoutAt(store, at) : [];
    if (isInside && store.cell(at.column, at.row)?.exact === false) this.#wantExact(at.column);
    this.view.readout.replaceChildren(...parts.map(([term, text]) => pair(term, text)));
  }

  /**
   * @param {import('./heat-store.js').HeatStore} store
   * @param {{column: number, row: number}} at
   * @returns {[string, string][]}
   */
  #readoutAt(store, { column, row }) {
    /** @type {[string, string][]} */
    const parts = [['', clock(store.timeOf(column))]];
    const candle = store.candle(column);
    if (candle) {
      const digits = priceDigits(candle.close);
      for (const [name, value] of /** @type {[string, number][]} */ (
        [['O', candle.open], ['H', candle.high], ['L', candle.low], ['C', candle.close]]
      )) parts.push([name, price(value, digits)]);
    }
    const cell = store.cell(column, row);
    if (!cell) return parts;
    const digits = binDigits(store.bin);
    parts.push(['bucket', `${price(cell.from, digits)} – ${price(cell.to, digits)}`], ...amounts(cell));
    const around = band(store, column, (cell.from + cell.to) / 2);
    if (around) parts.push(['±1 %', amounts(around).map(([term, text]) => `${term} ${text}`).join('  ')]);
    return parts;
  }

  #showLegend() {
    const { legend } = this.view;
    const stops = this.chart.legendStops(LEGEND_STEPS);
    legend.hidden = stops.length === 0;
    if (stops.length === 0) return;
    const canvas = /** @type {HTMLCanvasElement} */ (legend.querySelector('canvas'));
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    canvas.width = stops.length;
    stops.forEach(({ css }, x) => {
      context.fillStyle = css;
      context.fillRect(x, 0, 1, 1);
    });
    const [low, high] = [stops[0].usdt, stops[stops.length - 1].usdt].map(usdt);
    legend.querySelector('.legend-low').textContent = low;
    legend.querySelector('.legend-high').textContent = `≥ ${high} USDT`;
    canvas.setAttribute('aria-label', `Colour scale, from ${low} to ${high} USDT per bucket and more`);
  }

  /** The heatmap in words, for who cannot see it. */
  #describe(/** @type {import('./heat-store.js').HeatStore} */ store) {
    const now = this.lastPrice;
    const isExact = store.isExact(store.count - 1);
    const isSaid = performance.now() - this.wordsAt < WORDS_MS && (this.saidExact || !isExact);
    if (now === null || isSaid) return;
    this.wordsAt = performance.now();
    this.saidExact = isExact;
    this.levels = biggest(store, now);
    this.view.chart.setAttribute(
      'aria-label',
      `Liquidation heatmap of ${this.symbol}, last ${this.wish?.window}. Price ${price(now, priceDigits(now))}. ` +
        `Largest level above: ${this.levels.above}; below: ${this.levels.below}.`,
    );
    this.onLevels?.();
  }

  /**
   * @param {string} title
   * @param {string} text
   * @param {() => void} [again] offered as a button
   */
  showMessage(title, text, again) {
    const [strong, paragraph, button] = /** @type {any} */ (this.view.message.children);
    strong.textContent = title;
    paragraph.textContent = text;
    button.hidden = !again;
    button.onclick = again ?? null;
    this.view.message.hidden = false;
  }

  hideMessage() {
    clearTimeout(this.timers.slow);
    this.view.message.hidden = true;
  }

  /* What comes in. */

  #showStore(/** @type {import('./heat-store.js').HeatStore} */ store) {
    clearTimeout(this.timers.slow);
    this.chart.setStore(store);
    this.restingAt = 0;
    const last = this.lastPrice ?? this.info?.last_price ?? 0;
    if (last > 0) this.chart.setPrecision(last);
    this.wordsAt = -Infinity;
    this.isEmpty = store.count === 0;
    if (!this.isEmpty) this.hideMessage();
    else this.showMessage('No data yet', `Nothing is stored of ${this.symbol} in these ${this.wish?.window}.\nLoad some with “heatcast ingest”.`);
    /* The words and the profile need both sides of the newest column; the stream brings its own. */
    if (store.count > 0 && !this.session.isLive) this.session.wantExact(store.count - 1);
    this.#showLegend();
    this.handlers.onChange();
  }

  #showLoadError(/** @type {any} */ error) {
    clearTimeout(this.timers.slow);
    this.wish = null; /* not shown: to be loaded again */
    this.showMessage('History cannot be loaded', `${error.message}. Trying again every few seconds.`, this.handlers.onNeed);
    /* Panes that failed together are not to come back together. */
    const pause = Math.max(RETRY_MS, (error.retryAfter ?? 0) * 1000);
    this.#after('retry', pause * (0.5 + Math.random()), this.handlers.onNeed);
  }

  #crosshairMoved(/** @type {{x: number, y: number} | null} */ point) {
    this.crosshair = point;
    this.showReadout();
  }

  /** Ask for a column's exact numbers once the crosshair has rested on it. @param {number} column */
  #wantExact(column) {
    const time = this.store?.timeOf(column) ?? 0;
    if (this.restingAt === time) return;
    this.restingAt = time;
    this.#after('rest', REST_MS, () => {
      const { store, crosshair } = this;
      const at = store && crosshair && this.chart.at(crosshair);
      if (at && store.timeOf(at.column) === time) this.session.wantExact(at.column);
    });
  }

  #after(/** @type {string} */ name, /** @type {number} */ ms, /** @type {() => void} */ run) {
    clearTimeout(this.timers[name]);
    this.timers[name] = setTimeout(run, ms);
  }
}

/** @param {string} term @param {string} text @param {string} [title] */
function pair(term, text, title) {
  const made = make('div', { title: title ?? false });
  if (term) made.append(make('dt', { class: term === 'long' || term === 'short' ? term : false }, term));
  made.append(make('dd', {}, text));
  return made;
}

/**
 * @param {{long: number, short: number, total: number, exact: boolean}} sum
 * @returns {[string, string][]}
 */
function amounts({ long, short, total, exact }) {
  if (!exact) return [['total', `≈ ${usdt(total)}`]];
  return [['long', usdt(long)], ['short', usdt(short)], ['total', usdt(total)]];
}

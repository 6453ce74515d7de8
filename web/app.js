/**
 * app.js - the page: joins session, stream, chart and the words around them.
 */
import { HeatChart, priceDigits } from './chart.js';
import { HeatmapWebSocket } from './heatmap-client.js';
import { HeatSession } from './session.js';
import { INTERVALS, WINDOWS, getCandles, getHealth, getHistory, getSymbols, parseTime } from './rest.js';
import { colour, densityAt } from './palette.js';
import { clock, count, price, usdt } from './format.js';

/** @typedef {import('./rest.js').SymbolInfo} SymbolInfo */

const RETRY_MS = 5000;
const TABLE_MS = 10_000; /* the hidden table is for ears: seldom enough to follow */

const $ = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const view = {
  symbol: /** @type {HTMLSelectElement} */ ($('symbol')),
  windows: /** @type {HTMLElement} */ ($('windows')),
  price: /** @type {HTMLElement} */ ($('price')),
  status: /** @type {HTMLElement} */ ($('status')),
  freshness: /** @type {HTMLElement} */ ($('freshness')),
  notice: /** @type {HTMLElement} */ ($('notice')),
  readout: /** @type {HTMLElement} */ ($('readout')),
  message: /** @type {HTMLElement} */ ($('message')),
};

const state = {
  /** @type {SymbolInfo[]} */
  symbols: [],
  /** @type {import('./rest.js').Health} */
  health: {},
  symbol: '',
  window: '',
  /** @type {import('./heatmap-client.js').Status | 'unreachable' | 'waiting'} the latter two before there is a stream */
  connection: 'connecting',
  /** @type {import('./heatmap-client.js').StatusDetail} */
  detail: {},
  heardAt: 0, /* ms, when the newest snapshot of the symbol came */
  updates: 0, /* live snapshots taken in */
  /** @type {{x: number, y: number} | null} in the chart's pane */
  crosshair: null,
  painting: false,
  tableAt: -Infinity,
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  retry: undefined,
};

const chart = new HeatChart($('chart'));
const session = new HeatSession({
  getHistory,
  getCandles,
  onStore: showStore,
  onColumn: (column) => {
    chart.columnChanged(column);
    schedulePaint();
  },
  onError: showLoadError,
});
const client = new HeatmapWebSocket(new URL('ws/heatmap', location.href).href.replace(/^http/, 'ws'), {
  onSnapshot: takeSnapshot,
  onStatusChange: (connection, detail) => {
    Object.assign(state, { connection, detail });
    showStatus();
    if (connection === 'connected') refreshHealth();
  },
  onError: (error) => {
    if (error?.code) console.warn(`heatcast: ${error.code}: ${error.message}`);
  },
});

/* Choosing what is shown. */

async function boot() {
  clearTimeout(state.retry);
  try {
    const [symbols, health] = await Promise.all([getSymbols(), getHealth()]);
    Object.assign(state, { symbols, health });
  } catch (/** @type {any} */ error) {
    state.connection = 'unreachable';
    showStatus();
    showMessage('The server cannot be reached', `${error.message}. Trying again every few seconds.`, boot);
    state.retry = setTimeout(boot, RETRY_MS);
    return;
  }
  showNotice();
  if (state.symbols.length === 0) {
    state.connection = 'waiting';
    showStatus();
    showMessage(
      'No data yet',
      'Load some with “heatcast ingest”, or start the server with a simulated market; this page will notice.',
    );
    state.retry = setTimeout(boot, RETRY_MS);
    return;
  }
  fillSelectors();
  client.connect();
  const wished = new URLSearchParams(location.hash.slice(1));
  choose(wished.get('symbol') ?? '', wished.get('window') ?? '');
}

/**
 * Show this symbol in this window, or the nearest there is to it.
 * @param {string} symbol
 * @param {string} window
 */
function choose(symbol, window) {
  const shown = state.symbols.filter(hasCandles);
  const info = shown.find((s) => s.symbol === symbol) ?? shown[0] ?? state.symbols[0];
  if (!(window in WINDOWS)) window = defaultWindow(info);
  if (info.symbol !== state.symbol) {
    if (state.symbol) client.unsubscribe([state.symbol]);
    state.heardAt = 0;
    view.price.textContent = '';
  }
  const changed = info.symbol !== state.symbol;
  Object.assign(state, { symbol: info.symbol, window, crosshair: null });
  if (changed) client.subscribe([info.symbol], { updateInterval: updateInterval(info) });

  view.symbol.value = info.symbol;
  for (const button of view.windows.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button.value === window));
  }
  history.replaceState(null, '', `#symbol=${info.symbol}&window=${window}`);
  load(info);
}

/**
 * Open interest without candles gives no heatmap. A server that does not tell is believed to have.
 * @param {SymbolInfo} info
 */
function hasCandles(info) {
  return info.interval !== undefined || state.symbols.every(({ interval }) => interval === undefined);
}

/** @param {SymbolInfo} info */
function load(info) {
  clearTimeout(state.retry);
  showNotice();
  showMessage('Loading history', '');
  session.load(info, state.window);
}

/** The last day where that has enough columns to look at, else the last week. @param {SymbolInfo} info */
function defaultWindow({ interval }) {
  return interval && INTERVALS[interval] > INTERVALS['15m'] ? '7d' : '24h';
}

/**
 * One update a second is plenty for eyes, unless the market itself runs faster than that: then
 * every version, or columns would be missed.
 * @param {SymbolInfo} info
 */
function updateInterval({ interval }) {
  const speed = state.health.replay?.speed ?? state.health.sim?.speed ?? 1;
  return speed > (INTERVALS[interval ?? ''] ?? INTERVALS['5m']) ? 0 : 1;
}

/* What comes in. */

/** @param {import('./heatmap-client.js').Snapshot} message */
function takeSnapshot(message) {
  if (!session.apply(message)) return;
  state.heardAt = Date.now();
  state.updates++;
}

/** @param {import('./heat-store.js').HeatStore} store */
function showStore(store) {
  const last = store.candle(store.count - 1)?.close ?? session.info.last_price ?? 0;
  if (last > 0) chart.setPrecision(last);
  chart.setStore(store);
  state.tableAt = -Infinity;
  if (store.count > 0) hideMessage();
  else showMessage('No data yet', `Nothing is stored of ${state.symbol} in these ${state.window}.`);
  showLegend();
  schedulePaint();
}

/** @param {any} error */
function showLoadError(error) {
  showMessage('History cannot be loaded', `${error.message}. Trying again every few seconds.`, boot);
  state.retry = setTimeout(boot, RETRY_MS); /* what is stored may have changed: from the start */
}

/* Painting: however much came in, once per frame, and not at all while nobody looks. */

function schedulePaint() {
  if (state.painting || document.hidden) return;
  state.painting = true;
  requestAnimationFrame(() => {
    state.painting = false;
    paint();
  });
}

function paint() {
  const { store } = session;
  if (!store || store !== chart.store) return;
  if (store.count > 0) hideMessage();
  if (chart.refresh()) showLegend();
  showPrice(store);
  showReadout(store);
  showFreshness();
  showTable(store);
}

/** @param {import('./heat-store.js').HeatStore} store */
function showPrice(store) {
  const candle = lastCandle(store);
  view.price.textContent = candle ? price(candle.close, priceDigits(candle.close)) : '';
  document.title = candle ? `${view.price.textContent} ${state.symbol} · heatcast` : 'heatcast';
}

/** What lies under the crosshair, or the newest column's sums. */
function showReadout(/** @type {import('./heat-store.js').HeatStore} */ store) {
  const at = state.crosshair && chart.at(state.crosshair);
  const column = at ? at.column : store.count - 1;
  const candle = store.candle(column);
  /** @type {[string, string][]} */
  const parts = [];
  if (at && column >= 0 && column < store.count) parts.push(['', clock(store.timeOf(column))]);
  if (at && candle) {
    const digits = priceDigits(candle.close);
    parts.push(['O', price(candle.open, digits)], ['H', price(candle.high, digits)]);
    parts.push(['L', price(candle.low, digits)], ['C', price(candle.close, digits)]);
  }
  if (at) {
    const cell = store.cell(column, at.row);
    if (cell) {
      parts.push(['bucket', `${price(cell.from, binDigits(store))} – ${price(cell.to, binDigits(store))}`]);
      parts.push(['long', usdt(cell.long)], ['short', usdt(cell.short)], ['total', usdt(cell.total)]);
    }
  } else if (store.count > 0) {
    const { long, short } = store.totals(column);
    parts.push(['open long', usdt(long)], ['open short', usdt(short)]);
    parts.push(['bucket', price(store.bin, binDigits(store))], ['column', session.interval]);
  }
  view.readout.replaceChildren(
    ...parts.map(([term, text]) => {
      const pair = document.createElement('div');
      if (term) pair.append(element('dt', term));
      pair.append(element('dd', text));
      return pair;
    }),
  );
}

function showLegend() {
  const { scale } = chart.heat;
  $('legend').parentElement.hidden = !scale;
  if (!scale) return;
  const canvas = /** @type {HTMLCanvasElement} */ ($('legend'));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = `rgb(${colour(x / (canvas.width - 1)).join(' ')})`;
    context.fillRect(x, 0, 1, 1);
  }
  $('legend-mid').textContent = usdt(densityAt(0.5, scale));
  $('legend-max').textContent = usdt(scale.cap);
  canvas.setAttribute('aria-label', `Colour scale, from 0 to ${usdt(scale.cap)} USDT per bucket and more`);
}

/** The heatmap in words, for who cannot see it. */
function showTable(/** @type {import('./heat-store.js').HeatStore} */ store) {
  if (performance.now() - state.tableAt < TABLE_MS) return;
  const candle = lastCandle(store);
  if (!candle) return;
  state.tableAt = performance.now();
  const { above, below } = store.largest(store.count - 1, candle.close, 5);
  const digits = binDigits(store);
  const rows = [...above, ...below].sort((a, b) => b.from - a.from);
  $('table').tBodies[0].replaceChildren(
    ...rows.map((cell) => {
      const row = element('tr');
      row.append(...[price(cell.from, digits), usdt(cell.long), usdt(cell.short)].map((s) => element('td', s)));
      return row;
    }),
  );
  $('table').caption.textContent = `${state.symbol}: largest liquidation levels near the price`;
  const largest = (/** @type {any[]} */ cells) =>
    cells.length ? `${usdt(cells[0].total)} USDT at ${price(cells[0].from, digits)}` : 'none';
  $('figure').setAttribute(
    'aria-label',
    `Liquidation heatmap of ${state.symbol}, last ${state.window}. Price ${price(candle.close, digits)}. ` +
      `Largest level above: ${largest(above)}; below: ${largest(below)}.`,
  );
}

/* The words around the chart. */

/** A market that should have moved by now and has not: three steps of its clock, and some patience. */
function isStale() {
  const { feed, replay, sim } = state.health;
  if (!state.heardAt || (feed !== 'replay' && feed !== 'sim')) return false;
  const step = INTERVALS[session.info?.interval ?? ''] ?? INTERVALS['5m'];
  const expected = Math.max(step / ((feed === 'replay' ? replay : sim)?.speed ?? 1), 1);
  return Date.now() - state.heardAt > (3 * expected + 5) * 1000;
}

/** @returns {'live'|'stale'|'slow'|'connecting'|'waiting'|'reconnecting'|'polling'|'offline'} */
function status() {
  switch (state.connection) {
    case 'connected':
      return isStale() ? 'stale' : 'live';
    case 'slow':
      return 'slow';
    case 'unreachable':
      return 'offline';
    case 'waiting':
      return 'waiting';
    case 'failed':
      return state.detail.polling ? 'polling' : 'offline';
    case 'connecting':
      return state.updates > 0 ? 'reconnecting' : 'connecting';
    default:
      return 'reconnecting';
  }
}

function showStatus() {
  const now = status();
  let text = /** @type {string} */ (now);
  if (now === 'live' && state.health.feed === 'none') text = 'connected';
  if (now === 'waiting') text = 'waiting for data';
  if (now === 'stale') text = `no news for ${Math.floor((Date.now() - state.heardAt) / 1000)} s`;
  if (now === 'reconnecting' && state.detail.retryAt) {
    text = `reconnecting in ${Math.max(Math.ceil((state.detail.retryAt - Date.now()) / 1000), 0)} s`;
  }
  if (view.status.dataset.status !== now) view.status.dataset.status = now;
  const label = /** @type {HTMLElement} */ (view.status.querySelector('span'));
  if (label.textContent !== text) label.textContent = text;
}

function showFreshness() {
  const time = session.latest ? parseTime(session.latest.timestamp) : (session.store?.end ?? 0);
  if (!time) {
    view.freshness.textContent = '';
    return;
  }
  const { feed } = state.health;
  const name = feed === 'replay' ? 'replay clock' : feed === 'sim' ? 'simulated clock' : 'data of';
  const age = state.heardAt ? ` · updated ${count((Date.now() - state.heardAt) / 1000)} ago` : '';
  view.freshness.textContent = `${name} ${clock(time)}${age}`;
}

/** The server may have been started anew, with another feed. */
async function refreshHealth() {
  state.health = { ...state.health, ...(await getHealth()) };
  showNotice();
}

function showNotice() {
  const { feed, simulated, replay } = state.health;
  let text = '';
  if (simulated || feed === 'sim') {
    text = 'Simulated market: these prices and positions are made up, for trying things out.';
  } else if (feed === 'replay') {
    const speed = replay?.speed ? ` at ${replay.speed}× speed` : '';
    text = `Replay: stored history played back${speed} as if it were live. Not today’s market.`;
  } else if (feed === 'none') {
    text = 'Stored data only: this server has no live feed.';
  }
  view.notice.textContent = `${text} ${openInterestNotice()}`.trim();
  view.notice.hidden = view.notice.textContent === '';
}

/** What the estimate lacks, in words: without open interest there is nothing to estimate from. */
function openInterestNotice() {
  const info = state.symbols.find((s) => s.symbol === state.symbol);
  if (!info?.end_time) return '';
  if (!info.open_interest_end) return `No open interest is stored of ${info.symbol}: nothing to estimate from.`;
  const behind = parseTime(info.end_time) - parseTime(info.open_interest_end);
  if (behind < 86400) return '';
  return `Open interest of ${info.symbol} ends ${clock(parseTime(info.open_interest_end))}: bands are as old as that.`;
}

/**
 * @param {string} title
 * @param {string} text
 * @param {() => void} [again] offered as a button
 */
function showMessage(title, text, again) {
  const [strong, paragraph, button] = /** @type {any} */ (view.message.children);
  strong.textContent = title;
  paragraph.textContent = text;
  button.hidden = !again;
  button.onclick = again ?? null;
  view.message.hidden = false;
}

function hideMessage() {
  view.message.hidden = true;
}

function fillSelectors() {
  view.symbol.replaceChildren(
    ...state.symbols.map((info) => {
      const option = new Option(info.symbol, info.symbol);
      option.disabled = !hasCandles(info);
      if (option.disabled) option.title = 'no candles are stored';
      return option;
    }),
  );
  view.symbol.hidden = view.windows.hidden = false;
  view.windows.replaceChildren(
    ...Object.keys(WINDOWS).map((name) => {
      const button = /** @type {HTMLButtonElement} */ (element('button', name));
      button.type = 'button';
      button.value = name;
      button.onclick = () => choose(state.symbol, name);
      return button;
    }),
  );
}

/** @param {string} tag @param {string} [text] */
function element(tag, text = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/** @param {import('./heat-store.js').HeatStore} store */
function lastCandle(store) {
  for (let c = store.count - 1; c >= 0; c--) {
    const candle = store.candle(c);
    if (candle) return candle;
  }
  return null;
}

/** @param {import('./heat-store.js').HeatStore} store */
function binDigits({ bin }) {
  return Math.max(-Math.floor(Math.log10(bin) + 1e-9), 0);
}

view.symbol.onchange = () => choose(view.symbol.value, state.window);
chart.onCrosshair((point) => {
  state.crosshair = point;
  if (session.store) showReadout(session.store);
});
setInterval(() => {
  if (document.hidden) return;
  showStatus();
  showFreshness();
}, 1000);
setInterval(refreshHealth, 60_000);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  client.probe();
  schedulePaint();
});
addEventListener('online', () => client.probe());
addEventListener('pageshow', (event) => event.persisted && client.probe());

/* For tests in a browser. */
/** @type {any} */ (globalThis).heatcast = {
  get store() {
    return session.store;
  },
  get updates() {
    return state.updates;
  },
  get scale() {
    return chart.heat.scale;
  },
  chart: chart.chart,
  status,
  cellXY: (/** @type {number} */ c, /** @type {number} */ r) => chart.cellXY(c, r),
  cellColour: (/** @type {number} */ c, /** @type {number} */ r) => chart.heat.cellColour(c, r),
};

boot();

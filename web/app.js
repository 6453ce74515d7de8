/**
 * app.js - the page: settings, panes and the one stream that feeds them.
 */
import { HeatmapWebSocket } from './heatmap-client.js';
import { Pane } from './pane.js';
import { Toolbar } from './toolbar.js';
import { INTERVALS, formatTime, getHealth, getSymbols, parseTime, setReplay } from './rest.js';
import { formatHash, parseHash } from './settings.js';
import { editWeights, openHelp } from './dialogs.js';
import { replayBar } from './replay-bar.js';
import { KEYS, onKey } from './keyboard.js';
import { captioned, csvOf, fileName, pngOf, save } from './export.js';
import { fillTable } from './levels-table.js';
import { setText } from './dom.js';
import { clock, price } from './format.js';
import { priceDigits } from './chart.js';
import { feedLabel, freshnessText, isStale, kindOf, noticeText, statusText } from './status.js';
import { keyActions } from './actions.js';

/**
 * @typedef {import('./rest.js').SymbolInfo} SymbolInfo
 * @typedef {import('./settings.js').Settings} Settings
 */

const RETRY_MS = 5000;
const HEALTH_MS = 60_000;
const NEWS_MS = 8000;
/** A market that is further than this from where its replay was asked to go has no data there, seconds. */
const ASIDE_S = 86_400;
/** A replay's position is shown as it moves. */
const REPLAY_HEALTH_MS = 2000;

const $ = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

const state = {
  /** @type {SymbolInfo[]} */
  symbols: [],
  /** @type {import('./rest.js').Health} */
  health: {},
  skew: 0, /* seconds that our clock is ahead of the server's */
  settings: parseHash(location.hash),
  /** @type {import('./status.js').Connection} */
  connection: { status: 'connecting', detail: {}, hadData: false },
  updates: 0, /* live snapshots taken in */
  /** @type {Pane[]} */
  panes: [],
  active: 0,
  /** @type {Map<string, number>} symbol to update interval, seconds */
  subscribed: new Map(),
  painting: false,
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  retry: undefined,
  /** @type {number | null} where the replay was asked to go, seconds since 1970 */
  sought: null,
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  newsTimer: undefined,
};

const client = new HeatmapWebSocket(new URL('ws/heatmap', location.href).href.replace(/^http/, 'ws'), {
  onSnapshot: takeSnapshot,
  onStatusChange: (status, detail) => {
    state.connection = { ...state.connection, status, detail };
    showStatus();
    if (status === 'connected' && state.connection.hadData) refreshHealth(); /* it may be another server */
  },
  onError: (error) => {
    if (error?.code) console.warn(`heatcast: ${error.code}: ${error.message}`);
  },
});
/** By the names that keyboard.js gives them. */
const commands = {
  weights: chooseWeights,
  csv: saveCsv,
  image: savePng,
  reset: () => active().chart.reset(),
  help: () => openHelp(KEYS),
  pause: () => state.health.replay?.control && control({ paused: !state.health.replay.paused }),
};
const toolbar = new Toolbar(
  { toolbar: $('toolbar'), windows: $('windows'), more: $('more') },
  { change, commands },
);
const replay = replayBar($('replay'), {
  onSpeed: (speed) => control({ speed }),
  onPosition: (time) => {
    state.sought = time;
    control({ position: formatTime(time) });
  },
  onPause: (paused) => control({ paused }),
});
const lightQuery = matchMedia('(prefers-color-scheme: light)');

/** The pane that keys, exports and the table are about. */
function active() {
  return state.panes[Math.min(state.active, state.panes.length - 1)];
}

/* Beginning. */

async function boot() {
  clearTimeout(state.retry);
  try {
    const [symbols, health] = await Promise.all([getSymbols(), getHealth()]);
    Object.assign(state, { symbols, health });
  } catch (/** @type {any} */ error) {
    wait('unreachable', 'The server cannot be reached', `${error.message}. Trying again every few seconds.`);
    return;
  }
  if (state.symbols.length === 0) {
    wait('waiting', 'No data yet', `${howToBegin()}; this page will notice.`);
    return;
  }
  showHealth();
  client.connect();
  const missing = state.settings.symbols.filter((name) => !state.symbols.some(({ symbol }) => symbol === name));
  show();
  if (missing.length > 0) tell(`${missing.join(', ')}: not on this server. Another market is shown.`);
}

/** What a server without any symbol lacks. */
function howToBegin() {
  const { feed, redis } = state.health;
  if (feed !== 'relay') return 'Load some with “heatcast ingest”, or start the server with a simulated market';
  if (redis?.status !== 'up') return 'This server relays what full nodes publish, and cannot reach its Redis';
  return 'This server relays what full nodes publish, and none has yet. Start one with the same Redis and prefix';
}

/** @param {'unreachable' | 'waiting'} status @param {string} title @param {string} text */
function wait(status, title, text) {
  state.connection.status = status;
  showStatus();
  layPanes();
  for (const pane of state.panes) pane.showMessage(title, text, boot);
  state.retry = setTimeout(boot, RETRY_MS);
}

/* Settings. */

/** @param {Partial<Settings>} wanted */
function change(wanted) {
  state.settings = { ...state.settings, ...wanted };
  show();
}

/** Bring the page to what the settings say; what is so already stays. */
function show() {
  showTheme();
  layPanes();
  if (state.symbols.length > 0) {
    const chosen = chosenSymbols();
    state.settings.window ||= defaultWindow(chosen[0]);
    chosen.forEach((info, i) => {
      state.panes[i].picker.setSymbols(state.symbols.map(choiceOf));
      state.panes[i].show(info, state.settings);
    });
    state.settings.symbols = state.panes.map(({ symbol }) => symbol);
    subscribe();
    history.replaceState(null, '', formatHash(state.settings));
  }
  for (const pane of state.panes) pane.setLook(state.settings, theme());
  showActive();
  schedulePaint();
}

function theme() {
  const { theme } = state.settings;
  return theme === 'auto' ? (lightQuery.matches ? 'light' : 'dark') : theme;
}

function showTheme() {
  document.documentElement.dataset.theme = theme();
}

/** As many panes as are wished. */
function layPanes() {
  const { panes, settings } = state;
  while (panes.length > settings.panes) panes.pop()?.destroy();
  while (panes.length < settings.panes) panes.push(newPane(panes.length));
  state.active = Math.min(state.active, panes.length - 1);
  $('panes').dataset.panes = settings.panes;
}

/** @param {number} at */
function newPane(at) {
  const pane = new Pane($('panes'), theme(), {
    onPick: (symbol) => pick(at, symbol),
    onActive: () => activate(at),
    onChange: schedulePaint,
    onNeed: boot,
  });
  pane.onLevels = () => pane === active() && showLevels();
  return pane;
}

/** A market for each pane: the wished ones as far as they exist, then others. @returns {SymbolInfo[]} */
function chosenSymbols() {
  const usable = state.symbols.filter(hasCandles);
  const all = usable.length > 0 ? usable : state.symbols;
  /** @type {SymbolInfo[]} */
  const chosen = [];
  for (let i = 0; i < state.settings.panes; i++) {
    const wished = all.find(({ symbol }) => symbol === state.settings.symbols[i]);
    chosen.push(wished ?? all.find((info) => !chosen.includes(info)) ?? all[0]);
  }
  return chosen;
}

/** @param {number} at @param {string} symbol */
async function pick(at, symbol) {
  if (state.health.feed === 'replay') await refreshHealth(); /* how far each market has come */
  change({ symbols: state.panes.map((pane, i) => (i === at ? symbol : pane.symbol)) });
}

/** The last two days where that has enough columns to look at, else the last month. @param {SymbolInfo} info */
function defaultWindow({ interval }) {
  return interval && INTERVALS[interval] > INTERVALS['30m'] ? '30d' : '48h';
}

/** Open interest without candles gives no heatmap. A server that does not tell is believed to have. */
function hasCandles(/** @type {SymbolInfo} */ info) {
  return info.interval !== undefined || state.symbols.every(({ interval }) => interval === undefined);
}

function choiceOf(/** @type {SymbolInfo} */ info) {
  const disabled = !hasCandles(info);
  return { symbol: info.symbol, disabled, note: disabled ? 'no candles' : (info.interval ?? '') };
}

/** Tell the stream which markets are shown and how often; what it knows already is left out. */
function subscribe() {
  const wanted = new Map(state.panes.flatMap(({ info }) => (info ? [[info.symbol, updateInterval(info)]] : [])));
  const gone = [...state.subscribed.keys()].filter((symbol) => !wanted.has(symbol));
  if (gone.length > 0) client.unsubscribe(gone);
  for (const [symbol, interval] of wanted) {
    if (state.subscribed.get(symbol) !== interval) client.subscribe([symbol], { updateInterval: interval });
  }
  state.subscribed = wanted;
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

/** @param {number} at */
function activate(at) {
  if (at === state.active) return;
  state.active = at;
  showActive();
}

function showActive() {
  const pane = active();
  state.panes.forEach((one) => one.root.classList.toggle('active', one === pane && state.panes.length > 1));
  toolbar.show(state.settings);
  const shown = pane.session.latest?.data.price_bin_size ?? pane.info?.price_bin_size;
  toolbar.showBuckets(shown);
  showLevels();
}

/* What comes in. */

/** @param {import('./heatmap-client.js').Snapshot} message */
function takeSnapshot(message) {
  const takers = state.panes.filter((pane) => pane.take(message));
  if (takers.length === 0) return;
  state.updates++;
  state.connection.hadData = true;
  if (takers.some(({ hasNewEpoch }) => hasNewEpoch)) tellOfEpoch(message);
}

/** @param {import('./heatmap-client.js').Snapshot} message */
function tellOfEpoch({ symbol, timestamp }) {
  refreshHealth(); /* what is stored, or how far a replay has come, may be another */
  if (state.health.feed !== 'replay') {
    tell(`${symbol}: the server began anew; history is loaded again.`);
    return;
  }
  const time = parseTime(timestamp);
  const isAside = state.sought !== null && Math.abs(time - state.sought) > ASIDE_S;
  tell(isAside ? `${symbol} has nothing there: it goes on from ${clock(time)}.` : `${symbol}: replay from ${clock(time)}.`);
}

/** The server may have been started anew, with another feed or other markets. */
async function refreshHealth() {
  const before = Date.now();
  const [health, symbols] = await Promise.all([getHealth(), getSymbols().catch(() => state.symbols)]);
  state.health = { ...state.health, ...health };
  if (health.time !== undefined) state.skew = (before + Date.now()) / 2000 - health.time;
  if (symbols.length > 0) takeSymbols(symbols);
  showHealth();
}

/** @param {SymbolInfo[]} symbols */
function takeSymbols(symbols) {
  state.symbols = symbols;
  for (const pane of state.panes) {
    pane.picker.setSymbols(symbols.map(choiceOf));
    if (pane.symbol) pane.setGone(!symbols.some(({ symbol }) => symbol === pane.symbol));
  }
}

/** @param {{speed?: number, position?: string, paused?: boolean}} wanted */
async function control(wanted) {
  try {
    state.health.replay = { ...state.health.replay, ...(await setReplay(wanted)) };
  } catch (/** @type {any} */ error) {
    tell(`The replay cannot be controlled: ${error.message}.`);
  }
  showHealth();
}

/* Painting: however much came in, once per frame, and not at all while nobody looks. */

function schedulePaint() {
  if (state.painting || document.hidden) return;
  state.painting = true;
  requestAnimationFrame(() => {
    state.painting = false;
    for (const pane of state.panes) pane.paint();
    showTitle();
    showFreshness();
    toolbar.showScaleOf(active().chart.heat.scale);
  });
}

function showTitle() {
  const { lastPrice, symbol } = active();
  const title = lastPrice === null ? 'heatcast' : `${price(lastPrice, priceDigits(lastPrice))} ${symbol} · heatcast`;
  if (document.title !== title) document.title = title; /* the browser's own window hears of it */
}

function showLevels() {
  const pane = active();
  $('levels').classList.toggle('unseen', !state.settings.levels);
  fillTable($('table'), `${pane.symbol}: ten biggest levels, USDT`, pane.levels?.rows ?? []);
}

/** Said once, to eyes and ears. @param {string} text */
function tell(text) {
  clearTimeout(state.newsTimer);
  $('news').textContent = text;
  state.newsTimer = setTimeout(() => ($('news').textContent = ''), NEWS_MS);
}

/* The words around the charts. */

/** Seconds since the active pane heard of its market; null before the first time. */
function silence() {
  const { heardAt } = active();
  return heardAt ? (Date.now() - heardAt) / 1000 : null;
}

function status() {
  const quiet = active() ? silence() : null;
  const stale = quiet !== null && isStale(state.health, active().info ?? undefined, quiet);
  return kindOf(state.connection, stale);
}

function showStatus() {
  if (state.panes.length === 0) return;
  const now = status();
  const { detail } = state.connection;
  const text = statusText(now, { detail, health: state.health, silence: silence() ?? 0, now: Date.now() });
  const badge = $('status');
  if (badge.dataset.status !== now) badge.dataset.status = now;
  const label = badge.querySelector('span');
  if (label.textContent !== text) label.textContent = text;
  badge.title = detail.since ? `since ${new Date(detail.since).toLocaleTimeString()}${detail.reason ? `: ${detail.reason}` : ''}` : '';
}

function showFreshness() {
  setText($('freshness'), freshnessText(state.health, active().time, silence()));
}

function showHealth() {
  const { health } = state;
  subscribe(); /* at another speed another interval suits */
  $('notice').textContent = noticeText(health, state.panes.flatMap(({ info }) => info ?? []), state.skew);
  $('notice').hidden = $('notice').textContent === '';
  const { position, start, end, speed = 1, paused = false, control = false } = health.replay ?? {};
  const isKnown = health.feed === 'replay' && position && start && end;
  const first = active()?.info?.start_time;
  $('replay').hidden = !isKnown;
  /* Each market has a clock of its own, over its own data. */
  if (isKnown) replay.set({ position: active().time || position, start: first && first > start ? first : start, end, speed, paused, control });
}

/* What buttons and keys do. */

function chooseWeights() {
  editWeights({ weights: state.settings.weights, onApply: (weights) => change({ weights }) });
}

function saveCsv() {
  const { store, symbol } = active();
  if (!store) return;
  const { window } = state.settings;
  save(fileName(symbol, window, 'csv'), new Blob([csvOf(store, { symbol })], { type: 'text/csv' }));
}

async function savePng() {
  const { chart, symbol, time } = active();
  const { window } = state.settings;
  const style = getComputedStyle(document.body);
  const picture = captioned(chart.toCanvas(), {
    left: [symbol, feedLabel(state.health), window, clock(time), 'estimated liquidations, heatcast'].filter(Boolean).join(' · '),
    right: 'Chart: TradingView Lightweight Charts™',
    colour: style.color,
    background: style.backgroundColor,
    font: style.fontFamily,
  });
  save(fileName(symbol, window, 'png'), await pngOf(picture));
}

onKey(keyActions({ settings: () => state.settings, change, pane: active, commands }));
addEventListener('hashchange', () => {
  state.settings = parseHash(location.hash);
  show();
});
lightQuery.addEventListener('change', () => state.settings.theme === 'auto' && show());
setInterval(() => {
  if (document.hidden) return;
  showStatus();
  showFreshness();
}, 1000);
setInterval(refreshHealth, HEALTH_MS);
setInterval(async () => {
  if (document.hidden || state.health.feed !== 'replay') return;
  state.health = { ...state.health, ...(await getHealth()) };
  showHealth();
}, REPLAY_HEALTH_MS);
document.addEventListener('visibilitychange', () => !document.hidden && schedulePaint());

/* For tests in a browser. */
/** @type {any} */ (globalThis).heatcast = {
  get store() {
    return active()?.store;
  },
  get updates() {
    return state.updates;
  },
  get scale() {
    return active()?.chart.heat.scale;
  },
  get chart() {
    return active()?.chart.chart;
  },
  get panes() {
    return state.panes;
  },
  get settings() {
    return state.settings;
  },
  change,
  refresh: refreshHealth,
  status,
  cellXY: (/** @type {number} */ c, /** @type {number} */ r) => active().chart.cellXY(c, r),
  cellColour: (/** @type {number} */ c, /** @type {number} */ r) => active().chart.heat.cellColour(c, r),
};

layPanes();
show();
boot();

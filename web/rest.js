/**
 * rest.js - the server's REST answers, as the page needs them. Times are seconds since 1970, UTC.
 */
import { parseMatrix } from './matrix.js';

/**
 * @typedef {{symbol: string, price_bin_size?: number, interval?: string, start_time?: string,
 *   end_time?: string, last_price?: number, open_interest_end?: string | null}} SymbolInfo
 * @typedef {{speed?: number, position?: string, start?: string, end?: string, paused?: boolean,
 *   control?: boolean}} Replay
 * @typedef {{feed?: string, simulated?: boolean, replay?: Replay, sim?: {speed?: number},
 *   redis?: {status?: string}, update_interval?: number, version?: string, time?: number}} Health  time: the server's clock
 *   when it answered, seconds since 1970
 * @typedef {{time: number, levels: import('./heat-store.js').Level[]}} Column
 * @typedef {object} HistoryRequest
 * @property {string} symbol
 * @property {string} interval
 * @property {number} [bin]
 * @property {number} start
 * @property {number} [end] without it up to the newest data
 * @property {string | null} [weights] of the leverage tiers, null for the stream's own
 * @property {number[]} [at] only the columns of these times
 */

/** @type {Record<string, number>} seconds of each interval the server knows */
export const INTERVALS = {
  '5m': 300,
  '15m': 900,
  '30m': 1800,
  '1h': 3600,
  '2h': 7200,
  '4h': 14400,
  '8h': 28800,
  '12h': 43200,
  '1d': 86400,
};

/**
 * What the page offers: how far back, and the interval of a column.
 * @type {Record<string, {seconds: number, interval: string}>}
 */
export const WINDOWS = {
  '12h': { seconds: 12 * 3600, interval: '5m' },
  '24h': { seconds: 24 * 3600, interval: '5m' },
  '48h': { seconds: 48 * 3600, interval: '5m' },
  '3d': { seconds: 3 * 86400, interval: '5m' },
  '7d': { seconds: 7 * 86400, interval: '5m' },
  '14d': { seconds: 14 * 86400, interval: '15m' },
  '30d': { seconds: 30 * 86400, interval: '30m' },
  '60d': { seconds: 60 * 86400, interval: '1h' },
  '90d': { seconds: 90 * 86400, interval: '2h' },
  '180d': { seconds: 180 * 86400, interval: '4h' },
  '1y': { seconds: 365 * 86400, interval: '8h' },
};

/** The state is built up before the first column from as much as the live stream's is. */
const WARMUP = 'stream';
const HISTORY = 'liquidations/heatmap-timeseries';

export class RestError extends Error {
  /**
   * @param {number} status 0 when the server did not answer
   * @param {string} detail
   * @param {number} [retryAfter] seconds that the server asks for
   */
  constructor(status, detail, retryAfter = 0) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** @param {string} text ISO 8601 @returns {number} NaN for anything else */
export function parseTime(text) {
  return Date.parse(text) / 1000;
}

/** @param {number} time */
export function formatTime(time) {
  return new Date(time * 1000).toISOString().replace('.000Z', 'Z');
}

/** The next coarser interval, null after the last. @param {string} interval */
export function coarser(interval) {
  const names = Object.keys(INTERVALS);
  return names[names.indexOf(interval) + 1] ?? null;
}

/**
 * The interval that suits a window, not finer than what is stored.
 * @param {{interval: string}} window
 * @param {string | undefined} stored
 */
export function intervalFor(window, stored) {
  if (!stored || !(stored in INTERVALS)) return window.interval;
  return INTERVALS[stored] > INTERVALS[window.interval] ? stored : window.interval;
}

/**
 * @param {string} path
 * @param {Record<string, string | number | undefined>} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>} of a request that succeeded
 */
async function ask(path, query, signal) {
  const known = Object.entries(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(known.map(([name, value]) => [name, String(value)]));
  return send(known.length ? `${path}?${search}` : path, { signal });
}

/**
 * @param {string} url
 * @param {RequestInit} options
 * @returns {Promise<Response>} of a request that succeeded
 */
async function send(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new RestError(0, 'the server does not answer');
  }
  if (response.ok) return response;
  const { detail } = await json(response).catch(() => ({})); /* a proxy's, say, is none */
  const retryAfter = Number(response.headers.get('retry-after')) || 0;
  throw new RestError(response.status, detail ?? `HTTP ${response.status}`, retryAfter);
}

/** @param {Response} response @returns {Promise<any>} */
async function json(response) {
  try {
    return await response.json();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RestError(response.status, 'the answer is cut off or no JSON');
  }
}

/**
 * @param {string} path
 * @param {Record<string, string | number | undefined>} query
 * @param {AbortSignal} [signal]
 */
async function get(path, query, signal) {
  return json(await ask(path, query, signal));
}

/** @param {AbortSignal} [signal] @returns {Promise<SymbolInfo[]>} */
export async function getSymbols(signal) {
  const { symbols } = await get('symbols', {}, signal);
  return Array.isArray(symbols) ? symbols.filter((info) => typeof info?.symbol === 'string') : [];
}

/** @param {AbortSignal} [signal] @returns {Promise<Health>} {} when it cannot be had */
export async function getHealth(signal) {
  try {
    const response = await ask('health', {}, signal);
    const time = Date.parse(response.headers.get('date') ?? '') / 1000;
    return { ...(await json(response)), ...(Number.isNaN(time) ? {} : { time }) };
  } catch {
    return {};
  }
}

/**
 * @param {{speed?: number, position?: string, paused?: boolean}} wanted
 * @returns {Promise<Replay>} as it goes on from now
 */
export async function setReplay(wanted) {
  const body = JSON.stringify(wanted);
  return json(await send('replay', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }));
}

/**
 * @param {HistoryRequest} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<Column[]>} ascending
 */
export async function getHistory(request, signal) {
  return columnsOf(await get(HISTORY, historyQuery(request), signal).catch(nothingFor404));
}

/**
 * The same in a fraction of the bytes, but totals only, and those rounded. A server that does not
 * know how gives the exact columns.
 * @param {HistoryRequest} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<import('./matrix.js').Matrix | Column[]>}
 */
export async function getMatrix(request, signal) {
  try {
    const response = await ask(HISTORY, { ...historyQuery(request), format: 'matrix' }, signal);
    const type = response.headers.get('content-type') ?? '';
    if (!type.startsWith('application/octet-stream')) return columnsOf(await json(response));
    return parseMatrix(new Uint8Array(await response.arrayBuffer()));
  } catch (error) {
    return columnsOf(nothingFor404(error));
  }
}

/** @param {HistoryRequest} request */
function historyQuery({ symbol, interval, bin, start, end, weights, at }) {
  return {
    symbol,
    start_time: formatTime(start),
    end_time: end === undefined ? undefined : formatTime(end),
    interval,
    price_bin_size: bin,
    leverage_weights: weights ?? undefined,
    columns_at: at?.map(formatTime).join(','),
    warmup: WARMUP,
  };
}

/** @param {any} answer @returns {Column[]} */
function columnsOf(answer) {
  return (answer.data ?? []).map((/** @type {any} */ row) => ({
    time: parseTime(row.timestamp),
    levels: row.levels,
  }));
}

/**
 * @param {{symbol: string, interval: string, start: number, end: number}} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<import('./heat-store.js').Candle[]>} ascending
 */
export async function getCandles({ symbol, interval, start, end }, signal) {
  const answer = await get(
    'prices/klines',
    { symbol, interval, start_time: formatTime(start), end_time: formatTime(end), format: 'columns' },
    signal,
  ).catch(nothingFor404);
  return answer.columns ? candlesOf(answer.columns) : (answer.data ?? []).map(candleOf);
}

/** @param {Record<'time' | 'open' | 'high' | 'low' | 'close', number[]>} columns time: the first, then steps */
function candlesOf({ time: steps, open, high, low, close }) {
  let time = 0;
  return steps.map((step, i) => ({ time: (time += step), open: open[i], high: high[i], low: low[i], close: close[i] }));
}

/** As a server has it that does not know columns. @param {any} row */
function candleOf({ timestamp, open, high, low, close }) {
  return { time: parseTime(timestamp), open, high, low, close };
}

/** No data in that range is an answer, not an error. @param {any} error */
function nothingFor404(error) {
  if (error instanceof RestError && error.status === 404) return { data: [] };
  throw error;
}

/**
 * status.js - what the page says of its connection and its data, in words. Pure.
 */
import { INTERVALS, parseTime } from './rest.js';
import { clock, count } from './format.js';

/**
 * @typedef {'live'|'stale'|'slow'|'connecting'|'waiting'|'reconnecting'|'polling'|'offline'} Kind
 * @typedef {object} Connection
 * @property {import('./heatmap-client.js').Status | 'unreachable' | 'waiting'} status the latter two
 *   before there is a stream
 * @property {Partial<import('./heatmap-client.js').StatusDetail>} detail
 * @property {boolean} hadData whether snapshots have come before
 * @typedef {import('./rest.js').Health} Health
 * @typedef {import('./rest.js').SymbolInfo} SymbolInfo
 */

/** A clock further off than this is worth a word, seconds. */
const SKEW_SHOWN = 30;
/** Open interest older than the candles by more than this makes old bands, seconds. */
const LAG_SHOWN = 86_400;

/**
 * A market that should have moved by now and has not: three steps of its clock, and some patience.
 * @param {Health} health
 * @param {SymbolInfo | undefined} info
 * @param {number} silence seconds since the last snapshot
 */
export function isStale({ feed, replay, sim }, info, silence) {
  if (feed !== 'replay' && feed !== 'sim') return false;
  if (feed === 'replay' && (replay?.paused || isOver(replay))) return false;
  const step = INTERVALS[info?.interval ?? ''] ?? INTERVALS['5m'];
  const expected = Math.max(step / ((feed === 'replay' ? replay : sim)?.speed ?? 1), 1);
  return silence > 3 * expected + 5;
}

/** A replay that has reached its end. @param {Health['replay']} replay */
function isOver(replay) {
  return Boolean(replay?.position && replay.end && parseTime(replay.position) >= parseTime(replay.end));
}

/** @param {Connection} connection @param {boolean} stale @returns {Kind} */
export function kindOf({ status, detail, hadData }, stale) {
  switch (status) {
    case 'connected':
      return stale ? 'stale' : 'live';
    case 'slow':
      return 'slow';
    case 'stale':
      return 'stale';
    case 'unreachable':
      return 'offline';
    case 'waiting':
      return 'waiting';
    case 'failed':
      return detail.polling ? 'polling' : 'offline';
    case 'connecting':
      return hadData ? 'reconnecting' : 'connecting';
    default:
      return 'reconnecting';
  }
}

/**
 * @param {Kind} kind
 * @param {{detail: Connection['detail'], health: Health, silence: number, now: number}} more now: ms
 */
export function statusText(kind, { detail, health, silence, now }) {
  switch (kind) {
    case 'live':
      if (health.replay?.paused) return 'paused';
      return health.feed === 'none' ? 'connected' : 'live';
    case 'waiting':
      return 'waiting for data';
    case 'stale':
      if (detail.staleSince) return `stale: relay has no news since ${clock(detail.staleSince / 1000)}`;
      return `no news for ${count(silence)}`;
    case 'slow':
      return 'slow link: updates are skipped';
    case 'polling':
      return 'polling';
    case 'reconnecting':
      if (!detail.retryAt) return 'reconnecting';
      return `reconnecting in ${Math.max(Math.ceil((detail.retryAt - now) / 1000), 0)} s`;
    default:
      return kind;
  }
}

/** The same in a word or two, '' for the real thing. @param {Health} health */
export function feedLabel({ feed, simulated }) {
  return simulated || feed === 'sim' ? 'SIMULATED' : feed === 'replay' ? 'replay' : '';
}

/** What this market is. @param {Health} health */
function feedNotice({ feed, simulated, replay }) {
  if (simulated || feed === 'sim') {
    return 'Simulated market: these prices and positions are made up, for trying things out.';
  }
  if (feed === 'replay') {
    if (replay?.paused) return 'Replay, paused: stored history, not today’s market.';
    const speed = replay?.speed ? ` at ${replay.speed}× speed` : '';
    return `Replay: stored history played back${speed} as if it were live. Not today’s market.`;
  }
  return feed === 'none' ? 'Stored data only: this server has no live feed.' : '';
}

/** Without open interest there is nothing to estimate from. @param {SymbolInfo | undefined} info */
function openInterestNotice(info) {
  if (!info?.end_time) return '';
  if (!info.open_interest_end) return `No open interest is stored of ${info.symbol}: nothing to estimate from.`;
  const behind = parseTime(info.end_time) - parseTime(info.open_interest_end);
  if (behind < LAG_SHOWN) return '';
  return `Open interest of ${info.symbol} ends ${clock(parseTime(info.open_interest_end))}: bands are as old as that.`;
}

/** @param {number} skew seconds that this computer's clock is ahead of the server's */
function skewNotice(skew) {
  if (Math.abs(skew) < SKEW_SHOWN) return '';
  return `This computer’s clock is ${count(Math.abs(skew))} ${skew > 0 ? 'ahead of' : 'behind'} the server’s.`;
}

/**
 * All that one should know of the data, one sentence after the other.
 * @param {Health} health
 * @param {SymbolInfo[]} infos what is shown
 * @param {number} skew seconds
 */
export function noticeText(health, infos, skew) {
  const words = [feedNotice(health), ...infos.map(openInterestNotice), skewNotice(skew)];
  return [...new Set(words)].filter(Boolean).join(' ');
}

/**
 * How old what is shown is.
 * @param {Health} health
 * @param {number} time of the newest data, seconds since 1970
 * @param {number | null} silence seconds since it came, null when it came with the history
 */
export function freshnessText({ feed }, time, silence) {
  if (!time) return '';
  const name = feed === 'replay' ? 'replay clock' : feed === 'sim' ? 'simulated clock' : 'data of';
  return `${name} ${clock(time)}${silence === null ? '' : ` · updated ${count(silence)} ago`}`;
}

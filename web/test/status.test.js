import test from 'node:test';
import assert from 'node:assert/strict';
import { feedLabel, freshnessText, isStale, kindOf, noticeText, statusText } from '../status.js';

const SIM = { feed: 'sim', sim: { speed: 300 } };
const FIVE = { symbol: 'BTCUSDT', interval: '5m' };

test('a market is stale after three steps of its clock and five seconds', () => {
  assert.equal(isStale(SIM, FIVE, 7.9), false);
  assert.equal(isStale(SIM, FIVE, 8.1), true);
  assert.equal(isStale({ feed: 'sim', sim: { speed: 30 } }, FIVE, 34), false);
  assert.equal(isStale({ feed: 'sim', sim: { speed: 30 } }, FIVE, 36), true);
});

test('stored data, a paused replay and one at its end are never stale', () => {
  assert.equal(isStale({ feed: 'none' }, FIVE, 1e6), false);
  const replay = { speed: 300, start: '2025-01-01T00:00:00Z', end: '2025-02-01T00:00:00Z', position: '2025-01-15T00:00:00Z' };
  assert.equal(isStale({ feed: 'replay', replay }, FIVE, 100), true);
  assert.equal(isStale({ feed: 'replay', replay: { ...replay, paused: true } }, FIVE, 100), false);
  assert.equal(isStale({ feed: 'replay', replay: { ...replay, position: replay.end } }, FIVE, 100), false);
});

test('the kind of connection', () => {
  const kind = (status, detail = {}, stale = false, hadData = false) => kindOf({ status, detail, hadData }, stale);
  assert.equal(kind('connected'), 'live');
  assert.equal(kind('connected', {}, true), 'stale');
  assert.equal(kind('slow', {}, true), 'slow');
  assert.equal(kind('stale'), 'stale');
  assert.equal(kind('failed', { polling: true }), 'polling');
  assert.equal(kind('failed', { polling: false }), 'offline');
  assert.equal(kind('unreachable'), 'offline');
  assert.equal(kind('waiting'), 'waiting');
  assert.equal(kind('connecting'), 'connecting');
  assert.equal(kind('connecting', {}, false, true), 'reconnecting');
  assert.equal(kind('disconnected'), 'reconnecting');
});

test('its words', () => {
  const text = (kind, more) => statusText(kind, { detail: {}, health: SIM, silence: 0, now: 1000, ...more });
  assert.equal(text('live'), 'live');
  assert.equal(text('live', { health: { feed: 'none' } }), 'connected');
  assert.equal(text('live', { health: { feed: 'replay', replay: { paused: true } } }), 'paused');
  assert.equal(text('stale', { silence: 75 }), 'no news for 1 min');
  const staleSince = Date.parse('2025-12-29T10:00:07Z');
  assert.equal(text('stale', { detail: { staleSince } }), 'stale: relay has no news since 2025-12-29 10:00 UTC');
  assert.equal(text('reconnecting'), 'reconnecting');
  assert.equal(text('reconnecting', { detail: { retryAt: 3100 } }), 'reconnecting in 3 s');
  assert.equal(text('reconnecting', { detail: { retryAt: 500 } }), 'reconnecting in 0 s');
  assert.equal(text('offline'), 'offline');
});

test('what is not the real market is called so', () => {
  assert.match(noticeText({ feed: 'sim' }, [], 0), /^Simulated market/);
  assert.match(noticeText({ feed: 'none', simulated: true }, [], 0), /^Simulated market/);
  assert.match(noticeText({ feed: 'replay', replay: { speed: 60 } }, [], 0), /^Replay: .* at 60× speed/);
  assert.match(noticeText({ feed: 'replay', replay: { paused: true } }, [], 0), /^Replay, paused/);
  assert.match(noticeText({ feed: 'none' }, [], 0), /^Stored data only/);
  assert.equal(noticeText({ feed: 'binance' }, [], 0), '');
});

test('a picture that leaves the page says so too', () => {
  assert.equal(feedLabel({ feed: 'none', simulated: true }), 'SIMULATED');
  assert.equal(feedLabel({ feed: 'replay' }), 'replay');
  assert.equal(feedLabel({ feed: 'none' }), '');
});

test('missing and old open interest, and a wrong clock, are told once each', () => {
  const info = { ...FIVE, end_time: '2025-02-01T00:00:00Z', open_interest_end: null };
  assert.match(noticeText({ feed: 'x' }, [info, info], 0), /^No open interest is stored of BTCUSDT[^.]*\.$/);
  assert.match(noticeText({ feed: 'x' }, [{ ...info, open_interest_end: '2025-01-30T00:00:00Z' }], 0), /ends 2025-01-30 00:00 UTC/);
  assert.equal(noticeText({ feed: 'x' }, [{ ...info, open_interest_end: '2025-01-31T00:05:00Z' }], 0), '');
  assert.equal(noticeText({ feed: 'x' }, [], 29), '');
  assert.match(noticeText({ feed: 'x' }, [], 300), /^This computer’s clock is 5 min ahead of the server’s\.$/);
  assert.match(noticeText({ feed: 'x' }, [], -300), /5 min behind/);
});

test('how old the data is', () => {
  assert.equal(freshnessText(SIM, 0, 1), '');
  assert.equal(freshnessText(SIM, 1735689600, null), 'simulated clock 2025-01-01 00:00 UTC');
  assert.equal(freshnessText({ feed: 'replay' }, 1735689600, 75), 'replay clock 2025-01-01 00:00 UTC · updated 1 min ago');
});

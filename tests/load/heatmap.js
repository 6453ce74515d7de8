/**
 * heatmap.js - k6: up to a thousand WebSocket clients of one symbol, and one publisher, whose every
 * publication carries the moment it was sent off. k6 1.0 or later; `make load [SHORT=1]` starts a
 * server and runs it. By hand, against a server with --publish-symbols LOAD and a token:
 *
 *     k6 run -e HEATCAST_URL=http://127.0.0.1:8000 -e HEATCAST_PUBLISH_TOKEN=… tests/load/heatmap.js
 *
 * End to end is from just before the publisher's POST until k6 has read the whole message from the
 * client's connection: one clock, one machine. It holds k6's own reading, so it is an upper bound.
 */
import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Rate, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';

/** @typedef {{price: number, long_density: number, short_density: number}} Level */
/** @typedef {{startedAt: number}} Run what setup() hands to everybody */

const SHORT = Boolean(__ENV.SHORT);
const BASE = (__ENV.HEATCAST_URL || 'http://127.0.0.1:8000').replace(/\/$/, '');
const TOKEN = __ENV.HEATCAST_PUBLISH_TOKEN;
const SYMBOL = __ENV.SYMBOL || 'LOAD';
const DEFLATE = Boolean(__ENV.DEFLATE);
const PER_SECOND = Number(__ENV.PER_SECOND || 1);
const LEVELS = Number(__ENV.LEVELS || 120); /* 8 KiB */

const SESSION_S = SHORT ? [8, 16] : [20, 60]; /* then a client leaves, and another comes */
const PLATEAUS = SHORT
  ? [
    { clients: 100, ramp: 4, hold: 12 },
    { clients: 500, ramp: 8, hold: 14 },
    { clients: 1000, ramp: 10, hold: 20 },
  ]
  : [
    { clients: 100, ramp: 20, hold: 60 },
    { clients: 500, ramp: 40, hold: 90 },
    { clients: 1000, ramp: 60, hold: 120 },
  ];
const DOWN_S = SHORT ? 5 : 30;
const UP_S = PLATEAUS.reduce((sum, { ramp, hold }) => sum + ramp + hold, 0);

const DELIVERED_MIN = 0.999; /* of two metrics: k6 has no threshold for it, so handleSummary looks */

const BIN = 100;
const PRICE = 98_000;
const CHECKSUM = 65_521;

const connectionsFailed = new Rate('connections_failed');
const connectionsLost = new Counter('connections_lost'); /* ended by anybody but us */
const endToEnd = new Trend('end_to_end', true);
const unbroken = new Rate('versions_unbroken'); /* per version, between a client's first and last */
const expected = new Counter('deliveries_expected'); /* per publication, its subscribers then */
const received = new Counter('deliveries_received');
const subscribers = new Trend('subscribers');
const messageBytes = new Trend('message_bytes');

export const options = {
  scenarios: {
    clients: {
      executor: 'ramping-vus',
      exec: 'client',
      startVUs: 0,
      stages: [
        ...PLATEAUS.flatMap(({ clients, ramp, hold }) => [
          { duration: `${ramp}s`, target: clients },
          { duration: `${hold}s`, target: clients },
        ]),
        { duration: `${DOWN_S}s`, target: 0 },
      ],
      gracefulRampDown: `${SESSION_S[1] + 5}s`, /* clients end their sessions */
      gracefulStop: `${SESSION_S[1] + 5}s`,
    },
    publisher: {
      executor: 'constant-arrival-rate',
      exec: 'publish',
      rate: PER_SECOND,
      duration: `${UP_S + DOWN_S}s`,
      preAllocatedVUs: 1, /* one at a time: publications stay in order */
    },
  },
  thresholds: {
    checks: ['rate==1'],
    connections_failed: ['rate<0.01'],
    connections_lost: ['count==0'],
    versions_unbroken: ['rate>0.999'],
    http_req_failed: ['rate==0'],
    end_to_end: ['p(95)<500'],
    /* A threshold is also what makes k6 report a part of a metric. */
    ...Object.fromEntries(PLATEAUS.flatMap(({ clients }) => [
      [`end_to_end{clients:${clients}}`, ['p(95)<500']],
      [`deliveries_expected{clients:${clients}}`, ['count>0']],
      [`deliveries_received{clients:${clients}}`, ['count>0']],
      [`subscribers{clients:${clients}}`, [`max>=${clients * 0.9}`]],
    ])),
  },
  summaryTrendStats: ['min', 'med', 'p(95)', 'p(99)', 'max', 'count'],
  systemTags: ['check', 'error_code', 'scenario', 'status'],
};

/** Which plateau something published so long after the start belongs to. */
function plateauAt(/** @type {number} */ ms) {
  let end = 0;
  for (const { clients, ramp, hold } of PLATEAUS) {
    if (ms < (end + ramp) * 1000) return 'ramp';
    end += ramp + hold;
    if (ms < end * 1000) return String(clients);
  }
  return 'ramp';
}

/* The publisher ---------------------------------------------------------------------------------- */

export function setup() {
  if (!TOKEN) exec.test.abort('HEATCAST_PUBLISH_TOKEN is not set: nobody to publish');
  const run = { startedAt: Date.now() };
  post(run); /* who comes finds a snapshot */
  return run;
}

/** A heatmap of random levels. Its counts carry the moment and a sum of the levels. */
function makeData(/** @type {Run} */ { startedAt }) {
  const levels = [];
  let sum = 0;
  for (let i = 0; i < LEVELS; i++) {
    const long = i < LEVELS / 2 ? 1 + Math.floor(Math.random() * 1e7) : 0;
    const short = i < LEVELS / 2 ? 0 : 1 + Math.floor(Math.random() * 1e7);
    sum += long + short;
    const price = PRICE + (i - Math.floor(LEVELS / 2)) * BIN;
    levels.push({ price, long_density: long, short_density: short });
  }
  return {
    levels,
    current_price: PRICE,
    positions_created: Date.now() - startedAt,
    positions_consumed: sum % CHECKSUM,
    price_bin_size: BIN,
  };
}

function post(/** @type {Run} */ run) {
  const data = makeData(run);
  const response = http.post(`${BASE}/publish/${SYMBOL}`, JSON.stringify(data), {
    headers: { 'Authorization': `Bearer ${TOKEN}`, 'Content-Type': 'application/json' },
  });
  if (response.status !== 200) console.error(`publish: ${response.status} ${response.body}`);
  return { response, plateau: plateauAt(data.positions_created) };
}

export function publish(/** @type {Run} */ run) {
  const { response, plateau } = post(run);
  if (response.status !== 200) return;
  const count = Number(response.json('subscribers'));
  expected.add(count, { clients: plateau });
  subscribers.add(count, { clients: plateau });
}

/* The clients ------------------------------------------------------------------------------------ */

function sessionMs() {
  return (SESSION_S[0] + Math.random() * (SESSION_S[1] - SESSION_S[0])) * 1000;
}

/** One connection: comes, subscribes, takes what is published, unsubscribes, goes. */
export function client(/** @type {Run} */ run) {
  const url = `${BASE.replace(/^http/, 'ws')}/ws/heatmap`;
  const socket = new WebSocket(url, null, DEFLATE ? { compression: 'deflate' } : {});
  let isOpen = false;
  let isLeaving = false;
  /** @type {{epoch: string, seq: number} | null} the newest snapshot's */
  let last = null;

  const say = (/** @type {object} */ message) => {
    socket.send(JSON.stringify({ symbols: [SYMBOL], ...message }));
  };

  socket.onopen = () => {
    isOpen = true;
    connectionsFailed.add(false);
    say({ action: 'subscribe', update_interval: 0 });
    setTimeout(() => {
      if (socket.readyState === 1) say({ action: 'unsubscribe', id: 'bye' });
    }, sessionMs());
  };
  /* Looking at a message takes k6 longer than the server took to send it. So snapshots are put off:
   * the time until others' have been looked at is not to be measured. */
  const arrived = [];
  let timer = 0;
  socket.onmessage = (event) => {
    arrived.push(event);
    if (!event.data.startsWith('{"type":"snapshot"')) takeAll();
    else if (!timer) timer = setTimeout(takeAll, 100 + Math.random() * 700);
  };
  const takeAll = () => {
    clearTimeout(timer);
    timer = 0;
    arrived.splice(0).forEach(take);
  };
  const take = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === 'unsubscribed') {
      /* Only now: k6 passes over what arrives after close(). */
      isLeaving = true;
      socket.close();
      return;
    }
    if (last) measure(event, message, last, run);
    inspect(message, last);
    last = message.type === 'snapshot' ? message : last;
  };
  socket.onerror = (event) => {
    if (isOpen) return;
    console.error(`connect: ${event.error}`);
    connectionsFailed.add(true);
    setTimeout(() => {}, 1000); /* keeps this client from trying again at once */
  };
  socket.onclose = () => {
    if (isOpen && !isLeaving) connectionsLost.add(1);
  };
}

/** A snapshot that was pushed to a subscriber, not the one that a subscription begins with. */
function measure(event, message, last, /** @type {Run} */ { startedAt }) {
  if (message.type !== 'snapshot') return;
  const publishedMs = message.data.positions_created;
  const tags = { clients: plateauAt(publishedMs) };
  endToEnd.add(event.timestamp - startedAt - publishedMs, tags);
  received.add(1, tags);
  messageBytes.add(event.data.length);
  unbroken.add(true);
  if (message.epoch !== last.epoch) return;
  for (let seq = last.seq + 1; seq < message.seq; seq++) unbroken.add(false);
}

function inspect(message, last) {
  const isSnapshot = message.type === 'snapshot';
  check(isSnapshot, { 'is a snapshot, no error or warning': (is) => is });
  if (!isSnapshot) {
    console.error(JSON.stringify(message));
    return;
  }
  const levels = walk(message.data);
  check(message, {
    'has the shape of a snapshot': hasShape,
    'seq rises within an epoch': ({ epoch, seq }) => !last || last.epoch !== epoch || last.seq < seq,
    'levels ascend': () => levels.ascend,
    'levels are on buckets and not empty': () => levels.areLevels,
    'holds what was published': ({ data }) => levels.sum === data.positions_consumed,
  });
}

function hasShape({ symbol, timestamp, seq, epoch, data }) {
  return symbol === SYMBOL && !Number.isNaN(Date.parse(timestamp)) && timestamp.endsWith('Z') &&
    Number.isInteger(seq) && seq > 0 && typeof epoch === 'string' && epoch !== '' &&
    Array.isArray(data.levels) && data.levels.length === LEVELS && data.current_price === PRICE &&
    Number.isInteger(data.positions_created) && Number.isInteger(data.positions_consumed) &&
    data.price_bin_size === BIN;
}

/** One walk for all that is asked of the levels: the clients' time is the measured machine's time. */
function walk({ levels, price_bin_size: bin }) {
  let ascend = true, areLevels = true, sum = 0, below = -Infinity;
  for (let i = 0; i < levels.length; i++) { /* for…of costs k6 twice as much */
    const { price, long_density: long, short_density: short } = levels[i];
    if (!(below < price)) ascend = false;
    if (!(price % bin === 0 && long >= 0 && short >= 0 && long + short > 0)) areLevels = false;
    sum += long + short;
    below = price;
  }
  return { ascend, areLevels, sum: sum % CHECKSUM };
}

/* The summary ------------------------------------------------------------------------------------ */

export function handleSummary(/** @type {any} */ data) {
  const summary = summarise(data.metrics);
  const folder = __ENV.OUT;
  return {
    stdout: `\n${table(summary)}\n`,
    ...(folder && { [`${folder}/k6.json`]: `${JSON.stringify(summary, null, 2)}\n` }),
    ...(folder && { [`${folder}/k6.md`]: table(summary) }),
  };
}

function summarise(/** @type {any} */ metrics) {
  const value = (name, field) => metrics[name]?.values[field] ?? 0;
  const part = (tag) => ({
    subscribers: value(`subscribers${tag}`, 'med'),
    publications: value(`subscribers${tag}`, 'count'),
    expected: value(`deliveries_expected${tag}`, 'count'),
    received: value(`deliveries_received${tag}`, 'count'),
    end_to_end_ms: metrics[`end_to_end${tag}`]?.values ?? {},
  });
  const thresholds = Object.values(metrics).flatMap((metric) => Object.values(metric.thresholds ?? {}));
  return {
    passed: thresholds.every(({ ok }) => ok) &&
      value('deliveries_received', 'count') >= DELIVERED_MIN * value('deliveries_expected', 'count'),
    compression: DEFLATE ? 'deflate' : 'none',
    message_bytes: value('message_bytes', 'med'),
    publications_per_second: PER_SECOND,
    plateaus: PLATEAUS.map(({ clients, hold }) => ({ clients, hold_s: hold, ...part(`{clients:${clients}}`) })),
    whole: part(''),
    connections: value('connections_failed', 'passes') + value('connections_failed', 'fails'),
    connections_failed: value('connections_failed', 'rate'),
    connections_lost: value('connections_lost', 'count'),
    versions_unbroken: value('versions_unbroken', 'rate'),
    checks: value('checks', 'passes') + value('checks', 'fails'),
    checks_failed: value('checks', 'fails'),
  };
}

function table(/** @type {any} */ summary) {
  const ms = (values, field) => (values[field] === undefined ? '' : values[field].toFixed(1));
  const ratio = ({ received, expected }) => (expected ? (received / expected).toFixed(5) : '');
  const row = (name, part) => `| ${[name, part.subscribers, part.publications, part.received, ratio(part),
    ...['med', 'p(95)', 'p(99)', 'max'].map((field) => ms(part.end_to_end_ms, field))].join(' | ')} |`;
  return [
    '| clients | subscribers (median) | publications | deliveries | delivery ratio ' +
      '| end to end: median, ms | p95 | p99 | max |',
    '|---|---|---|---|---|---|---|---|---|',
    ...summary.plateaus.map((part) => row(`${part.clients}, for ${part.hold_s} s`, part)),
    row('with ramps', summary.whole),
    '',
    `${summary.connections} connections: ${(summary.connections_failed * 100).toFixed(3)} % failed, ` +
      `${summary.connections_lost} lost. ${summary.checks} checks: ${summary.checks_failed} failed. ` +
      `Messages of ${summary.message_bytes} bytes, compression: ${summary.compression}. ` +
      `${summary.passed ? 'All thresholds held.' : '**Some thresholds did not hold.**'}`,
    '',
  ].join('\n');
}

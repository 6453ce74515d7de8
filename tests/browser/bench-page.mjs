/**
 * Measures the page in Chromium and reports it in docs/page.md, which says what is measured and how:
 * `make bench-page`. With SHORT=1 a few updates of each, only printed.
 *
 * HEATCAST and CHROMIUM name program and browser.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chartShown, drawn } from './page.js';
import { PROGRAM, ROOT, inTemporaryFolder, launch, makeMarket, serve } from './support.mjs';

const SHORT = Boolean(process.env.SHORT);
const SYMBOL = 'BTCUSDT';
const STEP_S = 300;
const VIEWPORT = { width: 1440, height: 900 };
const GRIDS = [
  { window: '48h', columns: 576, rows: 250, updateGoal: 8 },
  { window: '7d', columns: 2016, rows: 400, updateGoal: 20 },
];
const LOADS = SHORT ? 3 : 11;
const TIMED = SHORT ? 20 : 200; /* updates of each kind */
const APART_MS = 150; /* an update is long over before the next one */
const DRAG = { steps: SHORT ? 60 : 240, apartMs: 16, updateEveryMs: 250 };
const HOUR = { updates: SHORT ? 120 : 3600, perColumn: 300, apartMs: 40, samples: 36 };

/* ------------------------------------------------------------------------------ a market of our own */

/** What is published in place of the server's model, so that each update comes when it is wanted. */
class Publisher {
  constructor(url, token, { time, bin, levels, price }) {
    this.request = new URL(`publish/${SYMBOL}`, url);
    this.token = token;
    this.time = time;
    this.bin = bin;
    this.levels = levels;
    this.price = price;
    this.count = 0;
  }

  /** Another price and other densities everywhere, as when open interest moves. */
  async publish({ newColumn = false } = {}) {
    this.count++;
    if (newColumn) this.time += STEP_S;
    const factor = (i) => 1 + 0.02 * Math.sin(this.count * 0.7 + i * 0.3);
    const cents = (density, i) => Math.round(density * factor(i) * 100) / 100;
    const body = {
      timestamp: new Date(this.time * 1000).toISOString(),
      price_bin_size: this.bin,
      current_price: Math.round(this.price * (1 + 0.002 * Math.sin(this.count / 25)) * 10) / 10,
      levels: this.levels.map(({ price, long_density, short_density }, i) => ({
        price,
        long_density: cents(long_density, i),
        short_density: cents(short_density, i),
      })),
    };
    const response = await fetch(this.request, {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.token}` },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`publish: ${response.status} ${await response.text()}`);
  }
}

const getJson = async (url) => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
};

/** @param {string} url @param {number} columns @param {number} [bin] */
async function historyOf(url, columns, bin) {
  const info = (await getJson(new URL('symbols', url))).symbols.find(({ symbol }) => symbol === SYMBOL);
  const start = new Date(Date.parse(info.end_time) - (columns - 1) * STEP_S * 1000).toISOString();
  const query = { symbol: SYMBOL, interval: '5m', start_time: start, warmup: 'stream', price_bin_size: bin ?? info.price_bin_size };
  const answer = await getJson(new URL(`liquidations/heatmap-timeseries?${new URLSearchParams(query)}`, url));
  return { info, data: answer.data, range: answer.meta.price_range };
}

/** The whole bucket that makes about so many rows of a window's prices. */
async function bucketFor(db, { columns, rows }) {
  const server = await serve(['--db', db]);
  try {
    const { range } = await historyOf(server.url, columns);
    return Math.max(Math.round((range.max - range.min) / rows), 1);
  } finally {
    await server.stop();
  }
}

/** A server that shows the stored week at that bucket and takes what is published. */
async function startFor(db, grid) {
  const bin = await bucketFor(db, grid);
  const token = randomBytes(16).toString('hex');
  const flags = ['--db', db, '--bin', `${SYMBOL}=${bin}`, '--publish-symbols', SYMBOL];
  const server = await serve(flags, { HEATCAST_PUBLISH_TOKEN: token });
  const { info, data, range } = await historyOf(server.url, grid.columns, bin);
  const { levels } = data.at(-1);
  const market = { time: Date.parse(info.end_time) / 1000, bin, levels, price: info.last_price };
  const publisher = new Publisher(server.url, token, market);
  await publisher.publish(); /* who comes finds a snapshot */
  return { server, publisher, rows: Math.round((range.max - range.min) / bin) + 1 };
}

/* ------------------------------------------------------------------------------------------- a page */

/**
 * Runs in the page before its own scripts. Notes when the first picture is on the screen: the frame
 * after the one that drew the history. Has the stream bring every version, not one a second.
 */
function prepare() {
  const noteFirstPicture = () => {
    if (!(globalThis.heatcast?.store?.count > 1)) requestAnimationFrame(noteFirstPicture);
    else requestAnimationFrame(() => requestAnimationFrame(() => (globalThis.firstPicture = performance.now())));
  };
  requestAnimationFrame(noteFirstPicture);
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (text) {
    send.call(this, String(text).replace(/"update_interval":\d+/, '"update_interval":0'));
  };
}

/** A page in a profile of its own, with an empty cache; `use` gets it and a DevTools session. */
async function onPage(browser, { server, window }, use) {
  const context = await browser.newContext({ viewport: VIEWPORT });
  try {
    const page = await context.newPage();
    await page.addInitScript(prepare);
    const tools = await context.newCDPSession(page);
    const requests = await countBytes(tools);
    await page.goto(`${server.url}#symbol=${SYMBOL}&window=${window}`);
    await chartShown(page);
    await page.waitForFunction(() => globalThis.firstPicture && globalThis.heatcast.updates > 0);
    return await use(page, tools, requests);
  } finally {
    await context.close();
  }
}

/** The bytes of each request as they came over the wire, heads included. */
async function countBytes(tools) {
  const paths = new Map();
  const requests = [];
  tools.on('Network.responseReceived', ({ requestId, response }) => paths.set(requestId, new URL(response.url).pathname));
  tools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (paths.has(requestId)) requests.push({ path: paths.get(requestId), bytes: encodedDataLength });
  });
  await tools.send('Network.enable');
  return requests;
}

/** What its main thread has been busy for so far, ms. */
async function busy(tools) {
  const { metrics } = await tools.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
}

/* ------------------------------------------------------------------------------------- measurements */

async function measureLoads(browser, setting) {
  const loads = [];
  for (let i = 0; i < LOADS; i++) {
    const load = (page, tools, requests) => page.evaluate(() => globalThis.firstPicture).then((ms) => ({ ms, requests }));
    loads.push(await onPage(browser, setting, load));
  }
  return { first: loads.map(({ ms }) => ms), requests: loads.at(-1).requests };
}

/** Main-thread time within APART_MS of `act`, `n` times, ms. */
async function measureBusy(tools, n, act) {
  const spent = [];
  for (let i = 0; i < n; i++) {
    const before = await busy(tools);
    await act(i);
    await pause(APART_MS);
    spent.push((await busy(tools)) - before);
  }
  return spent;
}

async function measureUpdates(page, tools, publisher) {
  await tools.send('Performance.enable');
  await measureBusy(tools, 10, () => publisher.publish()); /* compilers are warm then */
  const before = await page.evaluate(() => globalThis.heatcast.updates);
  const idle = await measureBusy(tools, Math.ceil(TIMED / 4), () => {});
  const same = await measureBusy(tools, TIMED, () => publisher.publish());
  const next = await measureBusy(tools, TIMED, () => publisher.publish({ newColumn: true }));
  await tools.send('Performance.disable');
  const taken = (await page.evaluate(() => globalThis.heatcast.updates)) - before;
  if (taken !== 2 * TIMED) throw new Error(`the page took ${taken} updates of ${2 * TIMED}`);
  return { idle, same, next };
}

/** The main thread's tasks while the chart is dragged and updates come, ms. */
async function measureDrag(browser, page, publisher) {
  const box = await page.locator('.chart').boundingBox();
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const place = (i) => [middle.x + 300 * Math.sin(i / 12), middle.y + 120 * Math.sin(i / 19)];
  await page.mouse.move(...place(0));
  await page.mouse.down();
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] });
  const updates = publishWhile(publisher, DRAG.updateEveryMs);
  for (let i = 1; i <= DRAG.steps; i++) {
    await page.mouse.move(...place(i));
    await pause(DRAG.apartMs);
  }
  await updates.end();
  const tasks = mainTasks(JSON.parse(await browser.stopTracing()));
  await page.mouse.up();
  return tasks;
}

/** Publishes again and again until end() is called. */
function publishWhile(publisher, everyMs) {
  let going = true;
  const run = async () => {
    while (going) {
      await publisher.publish();
      await pause(everyMs);
    }
  };
  const done = run();
  return {
    end() {
      going = false;
      return done;
    },
  };
}

/** Durations of the tasks on a trace's busiest renderer's main thread, ms. */
function mainTasks({ traceEvents }) {
  const mains = traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain');
  const tasksOf = ({ pid, tid }) =>
    traceEvents
      .filter((event) => event.pid === pid && event.tid === tid && event.ph === 'X' && event.name.endsWith('RunTask'))
      .map(({ dur }) => dur / 1000);
  return mains.map(tasksOf).sort((a, b) => sum(b) - sum(a))[0] ?? [];
}

/** Memory over an hour of updates, one a second, played faster; MB, a sample every so many. */
async function measureHour(browser, page, tools, publisher) {
  const pid = await rendererOf(browser, page);
  const samples = [];
  const each = HOUR.updates / HOUR.samples;
  for (let i = 0; i < HOUR.updates; i++) {
    await publisher.publish({ newColumn: i % HOUR.perColumn === 0 });
    await pause(HOUR.apartMs);
    if ((i + 1) % Math.ceil(each) === 0) samples.push(await memory(tools, pid));
  }
  await drawn(page);
  return samples;
}

/** The process that has worked most of all renderers since `page` has been busy for a while. */
async function rendererOf(browser, page) {
  const tools = await browser.newBrowserCDPSession();
  const times = async () =>
    new Map((await tools.send('SystemInfo.getProcessInfo')).processInfo
      .filter(({ type }) => type === 'renderer')
      .map(({ id, cpuTime }) => [id, cpuTime]));
  const before = await times();
  await page.evaluate(() => { for (const end = performance.now() + 300; performance.now() < end; ); });
  const worked = [...(await times())].map(([id, time]) => [id, time - (before.get(id) ?? 0)]);
  await tools.detach();
  return worked.sort((a, b) => b[1] - a[1])[0][0];
}

async function memory(tools, pid) {
  await tools.send('HeapProfiler.collectGarbage');
  const { usedSize, backingStorageSize } = await tools.send('Runtime.getHeapUsage');
  const rss = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
  return { heap: usedSize / 1e6, arrays: (backingStorageSize ?? NaN) / 1e6, rss: rss / 1e6 };
}

async function measure(browser, db, grid) {
  const { server, publisher, rows } = await startFor(db, grid);
  const setting = { server, window: grid.window };
  try {
    const loads = await measureLoads(browser, setting);
    return await onPage(browser, setting, async (page, tools) => {
      const columns = await page.evaluate(() => globalThis.heatcast.store.count);
      const updates = await measureUpdates(page, tools, publisher);
      const drag = await measureDrag(browser, page, publisher);
      const hour = await measureHour(browser, page, tools, publisher);
      return { grid, columns, rows, loads, updates, drag, hour };
    });
  } finally {
    await server.stop();
  }
}

/* ----------------------------------------------------------------------------------------- a report */

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const mean = (numbers) => sum(numbers) / numbers.length;
/** The smallest that so many parts of all do not exceed. */
const quantile = (numbers, part) => [...numbers].sort((a, b) => a - b)[Math.max(Math.ceil(part * numbers.length) - 1, 0)];

/** Where a first load's bytes went, kB. */
function bytesByKind(requests) {
  const kinds = { heatmap: 0, candles: 0, 'chart library': 0, 'the page’s own files': 0, 'the rest': 0 };
  for (const { path, bytes } of requests) {
    if (path.startsWith('/liquidations/')) kinds.heatmap += bytes;
    else if (path.startsWith('/prices/')) kinds.candles += bytes;
    else if (path.startsWith('/vendor/')) kinds['chart library'] += bytes;
    else if (/\/$|\.(js|css|svg|html)$/.test(path)) kinds['the page’s own files'] += bytes;
    else kinds['the rest'] += bytes;
  }
  return Object.entries(kinds).map(([kind, bytes]) => [kind, bytes / 1000]);
}

/** First and last third of the samples: "12.1 → 12.3". */
function thirds(samples, field) {
  const third = Math.ceil(samples.length / 3);
  const values = samples.map((sample) => sample[field]);
  return [values.slice(0, third), values.slice(-third)].map((part) => mean(part).toFixed(1)).join(' → ');
}

/** What is beyond its goal stands out. */
const held = (text, value, goal) => (value <= goal ? text : `**${text}**`);

/** Name, what it says of a grid, goal. */
const LINES = [
  ['live update, the newest column changes: p50 / p95, ms', ({ updates, grid }) => times(updates.same, grid.updateGoal), goalOfUpdates()],
  ['live update, a column begins: p50 / p95, ms', ({ updates, grid }) => times(updates.next, grid.updateGoal), goalOfUpdates()],
  ['as long without an update: p50 / p95, ms', ({ updates }) => times(updates.idle, Infinity), ''],
  ['longest task while dragging, ms', ({ drag }) => most(drag, 50), '≤ 50'],
  ['first picture: median / longest, ms', ({ loads }) => `${held(quantile(loads.first, 0.5).toFixed(0), quantile(loads.first, 0.5), 1000)} / ${most(loads.first, 1000)}`, '≤ 1000'],
  ['over the wire for it, kB', ({ loads }) => most([sum(loads.requests.map(({ bytes }) => bytes)) / 1000], 150), '≤ 150'],
  ...bytesByKind([]).map(([kind], i) => [`– ${kind}`, ({ loads }) => bytesByKind(loads.requests)[i][1].toFixed(1), '']),
  ['heap over an hour of updates, MB', ({ hour }) => thirds(hour, 'heap'), 'flat'],
  ['typed arrays, MB', ({ hour }) => thirds(hour, 'arrays'), 'flat'],
  ['whole renderer process, MB', ({ hour }) => thirds(hour, 'rss'), 'flat'],
];

function goalOfUpdates() {
  return `≤ ${GRIDS.map(({ updateGoal }) => updateGoal).join(', ≤ ')}`;
}

function times(spent, goal) {
  return [0.5, 0.95].map((part) => quantile(spent, part)).map((ms) => held(ms.toFixed(1), ms, goal)).join(' / ');
}

function most(values, goal) {
  const greatest = Math.max(...values);
  return held(greatest.toFixed(0), greatest, goal);
}

function table(results) {
  const names = results.map(({ grid, columns, rows }) => `${grid.window}: ${columns} × ${rows}`);
  return [
    `| | ${names.join(' | ')} | goal |`,
    `| --- |${' --: |'.repeat(results.length + 1)}`,
    ...LINES.map(([name, tell, goal]) => `| ${[name, ...results.map(tell), goal].join(' | ')} |`),
  ].join('\n');
}

function report(browser, results) {
  const version = spawnSync(PROGRAM, ['--version'], { encoding: 'utf8' }).stdout.trim();
  const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, Linux ${release()}`;
  return `Measured on ${new Date().toISOString().slice(0, 10)}: ${machine}; ${version}, Chromium ${browser.version()}.\n\n${table(results)}\n`;
}

await inTemporaryFolder(async (folder) => {
  const db = join(folder, 'page.duckdb');
  await makeMarket(db);
  const browser = await launch();
  try {
    const results = [];
    for (const grid of GRIDS) results.push(await measure(browser, db, grid));
    const text = report(browser, results);
    console.log(text);
    if (!SHORT) spawnSync(join(ROOT, 'scripts/put-table'), ['bench-page', 'docs/page.md'], { input: `\n${text}\n`, stdio: ['pipe', 'inherit', 'inherit'] });
  } finally {
    await browser.close();
  }
});

/**
 * Takes the pictures of docs/screenshots: `make screenshots`.
 *
 * From a replay of the market data in HEATCAST_TEST_DATA where there is some, else from a simulated
 * market. HEATCAST and CHROMIUM name program and browser.
 */
import { mkdir, stat } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT, chartShown, drawn, heatcast, inTemporaryFolder, launch, serve, updated } from './support.mjs';

const DATA = process.env.HEATCAST_TEST_DATA ?? join(ROOT, '../shared/data');
const FOLDER = join(ROOT, 'docs/screenshots');
const BYTES_MAX = 400_000;

/* The crosshair rests at this part of the window. */
const DESKTOP = { width: 1440, height: 900, crosshair: { x: 0.62, y: 0.36 } };

/** @param {string[]} symbols of the server, those with most to show first */
const pictures = (symbols) => [
  { name: 'desktop', ...DESKTOP, hash: { symbol: symbols[0], window: '48h' } },
  { name: 'panes', ...DESKTOP, hash: { symbol: four(symbols), panes: 4, window: '7d' }, crosshair: null },
  { name: 'phone', width: 390, height: 844, scale: 2, hash: { symbol: symbols[0], window: '24h' } },
  { name: 'light', ...DESKTOP, hash: { symbol: symbols[0], window: '48h', theme: 'light' } },
];

/** Four of them, from the first again where there are less. @param {string[]} symbols */
const four = (symbols) => [0, 1, 2, 3].map((i) => symbols[i % symbols.length]).join(',');

/** The dumps' folders, as `heatcast ingest` takes them; none where there are no data. */
function dumps() {
  const folders = (path) => {
    try {
      return readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    } catch {
      return [];
    }
  };
  return folders(DATA).flatMap(({ name }) =>
    folders(join(DATA, name))
      .filter((kind) => kind.name === 'klines' || kind.name === 'metrics')
      .map((kind) => join(DATA, name, kind.name)),
  );
}

/** @param {string} folder for the database */
async function start(folder) {
  const db = join(folder, 'screenshots.duckdb');
  const found = dumps();
  if (found.length > 0) await heatcast('ingest', '--db', db, ...found);
  else console.error(`screenshots: no market data in ${DATA}; of the simulated market, then`);
  const feed = found.length > 0 ? ['--feed', 'replay', '--replay-from', '85%'] : ['--feed', 'sim'];
  return serve(['--db', db, '--ws-update-interval', '1', ...feed]);
}

/** Symbols by what is stored of them, the finest candles first. @param {string} url */
async function symbolsOf(url) {
  const { symbols } = await fetch(new URL('symbols', url)).then((response) => response.json());
  const fine = ({ interval }) => (interval === '5m' ? 0 : 1);
  return symbols
    .filter(({ interval }) => interval)
    .sort((a, b) => fine(a) - fine(b))
    .map(({ symbol }) => symbol);
}

async function take(browser, url, { name, width, height, scale = 1, hash, crosshair }) {
  const touch = scale > 1;
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: scale,
    hasTouch: touch,
    isMobile: touch,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  await page.goto(`${url}#${Object.entries(hash).map((pair) => pair.join('=')).join('&')}`);
  await chartShown(page);
  await page.waitForFunction(() => globalThis.heatcast.status() === 'live');
  if (crosshair) await page.mouse.move(crosshair.x * width, crosshair.y * height);
  await updated(page, 2);
  await page.evaluate(() => document.fonts.ready);
  await drawn(page);
  const path = join(FOLDER, `${name}.png`);
  await page.screenshot({ path });
  await context.close();
  await tell(path);
}

async function tell(path) {
  const { size } = await stat(path);
  console.log(`${relative(ROOT, path)}: ${Math.round(size / 1000)} kB`);
  if (size <= BYTES_MAX) return;
  console.error(`screenshots: ${relative(ROOT, path)} is larger than ${BYTES_MAX / 1000} kB`);
  process.exitCode = 1;
}

await mkdir(FOLDER, { recursive: true });
await inTemporaryFolder(async (folder) => {
  const server = await start(folder);
  const browser = await launch();
  try {
    for (const picture of pictures(await symbolsOf(server.url))) await take(browser, server.url, picture);
  } finally {
    await browser.close();
    await server.stop();
  }
});

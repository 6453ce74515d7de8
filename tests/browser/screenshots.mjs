/**
 * Takes the pictures of docs/screenshots: `make screenshots`.
 *
 * From a replay of the market data in HEATCAST_TEST_DATA where there is some, else from a simulated
 * market. HEATCAST and CHROMIUM name program and browser.
 */
import { mkdir, stat } from 'node:fs/promises';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { chartShown, drawn, statusIs, updated } from './page.js';
import { ROOT, heatcast, inTemporaryFolder, launch, serve } from './support.mjs';

const DATA = process.env.HEATCAST_TEST_DATA ?? '';
const FOLDER = join(ROOT, 'docs/screenshots');
const BYTES_MAX = 400_000;

const DESKTOP = { width: 1440, height: 900, crosshair: true };
const PHONE = { width: 390, height: 844, scale: 2 };

/* Of one kind of candles each, or the markets of a replay would be a year apart: which dumps, and
 * what to show of them. A new column every few seconds: the crosshair keeps its own for a picture. */
const SHOWS = [
  {
    isOf: (file) => /-5m-/.test(file) || /-metrics-2025-/.test(file),
    from: '85%',
    speed: '60',
    pictures: [
      { name: 'desktop', ...DESKTOP, hash: 'window=48h' },
      { name: 'light', ...DESKTOP, hash: 'window=48h&theme=light&levels=1' },
      { name: 'phone', ...PHONE, hash: 'window=24h' },
    ],
  },
  {
    isOf: (file) => /-1h-/.test(file) || /-metrics-2024-/.test(file),
    from: '64%',
    speed: '600',
    pictures: [{ name: 'panes', ...DESKTOP, crosshair: false, hash: 'window=7d&panes=4' }],
  },
];

/** The dumps of `<symbol>/klines` and `<symbol>/metrics` that a show is of. */
function dumps({ isOf }) {
  const files = existsSync(DATA) ? readdirSync(DATA, { recursive: true }) : [];
  return files.filter((file) => /\/(klines|metrics)\//.test(file) && isOf(file)).map((file) => join(DATA, file));
}

/** @param {string} folder for the database */
async function start(folder, show) {
  const db = join(folder, `${show.pictures[0].name}.duckdb`);
  const found = dumps(show);
  if (found.length > 0) await heatcast('ingest', '--db', db, ...found);
  else console.error(`screenshots: no market data in ${DATA || 'HEATCAST_TEST_DATA'}; of the simulated market, then`);
  const replay = ['--feed', 'replay', '--replay-from', show.from, '--replay-speed', show.speed];
  const feed = found.length > 0 ? replay : ['--feed', 'sim', '--sim-speed', '60'];
  return serve(['--db', db, '--ws-update-interval', '1', ...feed]);
}

async function take(browser, url, { name, width, height, scale = 1, hash, crosshair = false }) {
  const touch = scale > 1;
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: scale,
    hasTouch: touch,
    isMobile: touch,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  await page.goto(`${url}#${hash}`);
  await chartShown(page);
  await statusIs('live', page);
  await updated(page);
  if (crosshair) await pointOut(page);
  await drawn(page);
  const path = join(FOLDER, `${name}.png`);
  await page.screenshot({ path });
  await context.close();
  await tell(path);
}

/** Put the crosshair on the largest level in sight above the price, and wait for its exact numbers. */
async function pointOut(page) {
  const { x, y } = await page.evaluate(() => {
    const { store, cellXY } = globalThis.heatcast;
    const { top } = document.querySelector('.stage').getBoundingClientRect();
    const c = Math.round(store.count * 0.7);
    const { above } = store.largest(c, store.candle(c).close * 1.01, store.rows);
    const places = above.map(({ from }) => cellXY(c, store.rowOf(from + store.bin / 2)));
    return places.find((place) => place.y > top + 80); /* the words are above */
  });
  await page.mouse.move(x, y);
  await page.locator('.readout').getByText('short', { exact: true }).waitFor();
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
  const browser = await launch();
  try {
    for (const show of SHOWS) {
      const server = await start(folder, show);
      try {
        for (const picture of show.pictures) await take(browser, server.url, picture);
      } finally {
        await server.stop();
      }
    }
  } finally {
    await browser.close();
  }
});

/**
 * The page in a browser: how to open it, and how to wait for what it shows.
 * The server is HEATCAST_URL's; CHROMIUM names the browser, by default /usr/bin/chromium.
 */
import { launch } from './support.mjs';

export const BASE = process.env.HEATCAST_URL ?? 'http://127.0.0.1:8000/';
/** Longer than anything takes on a machine that is busy with other things, ms. */
export const PATIENCE = 30_000;

/** Errors of all pages and their requests. @type {string[]} */
export const complaints = [];

/** @type {ReturnType<typeof launch> | null} */
let browser = null;

/**
 * A new page, in a profile of its own, that notes what goes wrong.
 * @param {object} [options] those of a browser context, and
 * @param {string} [options.url] what the page is of
 * @param {string} [options.hash]
 * @param {(page: import('playwright-core').Page) => any} [options.prepare] before anything is loaded
 * @param {RegExp} [options.mayFail] addresses whose failure is no fault
 */
export async function open({ url = BASE, hash = '', prepare, mayFail, viewport = { width: 1280, height: 800 }, ...options } = {}) {
  browser ??= launch();
  const context = await (await browser).newContext({ viewport, ...options });
  const opened = await context.newPage();
  opened.setDefaultTimeout(PATIENCE);
  const complain = (text, address) => mayFail?.test(address) || complaints.push(text);
  opened.on('console', (message) => message.type() === 'error' && complain(message.text(), message.location().url));
  opened.on('pageerror', (error) => complain(String(error), ''));
  opened.on('response', (response) => response.status() >= 400 && complain(`${response.status()} ${response.url()}`, response.url()));
  await prepare?.(opened);
  await opened.goto(url + hash);
  return opened;
}

/** Puts a gate before the stream of the pages of `target`; what comes while it is shut waits. */
export async function gateOf(target) {
  const waiting = [];
  let newest; /* socket */
  const gate = {
    isShut: false,
    /** As if the server had said it, past the gate. */
    say: (message) => newest.send(JSON.stringify(message)),
    open: () => {
      gate.isShut = false;
      for (const pass of waiting.splice(0)) pass();
    },
  };
  await target.routeWebSocket(/\/ws\/heatmap$/, (socket) => {
    newest = socket;
    const server = socket.connectToServer();
    server.onMessage((text) => {
      if (gate.isShut) waiting.push(() => socket.send(text));
      else socket.send(text);
    });
  });
  return gate;
}

/** Has the page's pauses of seconds last tenths of them: a test need not wait for whole ones. */
export function hurry(target) {
  return target.addInitScript(() => {
    const real = globalThis.setTimeout;
    globalThis.setTimeout = (run, ms, ...rest) => real(run, ms >= 1500 ? ms / 10 : ms, ...rest);
  });
}

export async function close() {
  await (await browser)?.close();
}

/** Until every pane shows its history. */
export const chartShown = (page) =>
  page.waitForFunction(() => {
    const panes = globalThis.heatcast?.panes ?? [];
    return panes.length > 0 && panes.every((pane) => pane.store?.count > 1 && pane.root.querySelector('.message').hidden);
  });

export const statusIs = (wanted, page) => page.waitForFunction((status) => globalThis.heatcast?.status() === status, wanted);

/** Until it has taken in `n` more live snapshots, and drawn them. */
export async function updated(page, n = 1) {
  const since = await page.evaluate(() => globalThis.heatcast.updates);
  await page.waitForFunction((wanted) => globalThis.heatcast.updates >= wanted, since + n);
  await drawn(page);
}

/** Two frames: the first may have begun before now. */
export const drawn = (page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** Change settings as the controls do. */
export const change = (settings, page) => page.evaluate((wanted) => globalThis.heatcast.change(wanted), settings);
export const settings = (page) => page.evaluate(() => globalThis.heatcast.settings);

/** Symbols that the server has. */
export const symbols = (page) =>
  page.evaluate(() => fetch('symbols').then(async (response) => (await response.json()).symbols.map(({ symbol }) => symbol)));

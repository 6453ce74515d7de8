/**
 * What the tests of the page have in common: a browser, pages in it, and how to wait for things.
 * The server is HEATCAST_URL's; CHROMIUM names the browser, by default /usr/bin/chromium.
 */
import { chromium } from 'playwright-core';

export const BASE = process.env.HEATCAST_URL ?? 'http://127.0.0.1:8000/';
export const PATIENCE = 15_000;
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Errors of all pages and their requests. @type {string[]} */
export const complaints = [];

/** @type {Promise<import('playwright-core').Browser> | null} */
let browser = null;

/** A new page at BASE + hash that notes what goes wrong. */
export async function open({ viewport = { width: 1280, height: 800 }, hash = '', prepare, ...options } = {}) {
  browser ??= chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
  const context = await (await browser).newContext({ viewport, ...options });
  const opened = await context.newPage();
  opened.setDefaultTimeout(PATIENCE);
  opened.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  opened.on('pageerror', (error) => complaints.push(String(error)));
  opened.on('response', (response) => response.status() >= 400 && complaints.push(`${response.status()} ${response.url()}`));
  await prepare?.(opened);
  await opened.goto(BASE + hash);
  return opened;
}

/** Puts a gate before the stream of the pages of `target`; what comes while it is shut waits. */
export async function gateOf(target) {
  const waiting = [];
  const gate = {
    isShut: false,
    open: () => {
      gate.isShut = false;
      for (const pass of waiting.splice(0)) pass();
    },
  };
  await target.routeWebSocket(/\/ws\/heatmap$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((text) => {
      if (gate.isShut) waiting.push(() => socket.send(text));
      else socket.send(text);
    });
  });
  return gate;
}

export async function close() {
  await (await browser)?.close();
}

/** Every pane shows its history. */
export const chartShown = (page) =>
  page.waitForFunction(() => {
    const panes = globalThis.heatcast?.panes ?? [];
    return panes.length > 0 && panes.every((pane) => pane.store?.count > 1 && pane.root.querySelector('.message').hidden);
  });

export const statusIs = (wanted, page) => page.waitForFunction((status) => globalThis.heatcast?.status() === status, wanted);

/** Live snapshots taken in so far. */
export const updates = (page) => page.evaluate(() => globalThis.heatcast.updates);
export const updated = (since, page) =>
  page.waitForFunction((n) => globalThis.heatcast.updates > n, since, { timeout: 2 * PATIENCE });

/** Change settings as the controls do. */
export const change = (settings, page) => page.evaluate((wanted) => globalThis.heatcast.change(wanted), settings);
export const settings = (page) => page.evaluate(() => globalThis.heatcast.settings);

/** Symbols that the server has. */
export const symbols = (page) =>
  page.evaluate(() => fetch('symbols').then(async (response) => (await response.json()).symbols.map(({ symbol }) => symbol)));

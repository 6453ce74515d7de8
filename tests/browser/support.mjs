/**
 * What screenshots, measurements and tests of the page need: a browser, and servers of their own.
 * page.js knows the page in it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const PROGRAM = process.env.HEATCAST ?? join(ROOT, 'build/heatcast');

const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: CHROMIUM_FLAGS });
}

/** Settings of whoever runs this must not reach the servers that it starts. */
function environment(more) {
  const clean = Object.entries(process.env).filter(([name]) => !/^(HEATCAST_|WS_|REDIS_|CORS_)/.test(name));
  return { ...Object.fromEntries(clean), WS_DRAIN_SECONDS: '0', ...more };
}

/** Run `heatcast` to its end; what it says is an error's message unless it ends well. */
export async function heatcast(...words) {
  const child = spawn(PROGRAM, words, { env: environment({}), stdio: ['ignore', 'ignore', 'pipe'] });
  const said = text(child.stderr);
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`heatcast ${words[0]} ended with ${status}:\n${await said}`);
}

/**
 * `heatcast serve` on a free port, ready for requests.
 * @param {string[]} flags
 * @param {Record<string, string>} [more] environment
 */
export const serve = (flags, more) => start('serve', flags, more);

/** The same of `heatcast edge`. @type {typeof serve} */
export const relay = (flags, more) => start('edge', flags, more);

/** @param {'serve' | 'edge'} command @param {string[]} flags @param {Record<string, string>} [more] */
async function start(command, flags, more = {}) {
  const words = [command, '--listen', '127.0.0.1:0', '--log-level', 'warning', ...flags];
  const child = spawn(PROGRAM, words, { env: environment(more), stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const stop = async () => {
    child.kill('SIGTERM');
    const [status] = await ended;
    if (status !== 0) throw new Error(`heatcast ${command} ended with ${status}`);
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+/.exec(line)?.[0];
    if (url) return { url, stop, kill };
  }
  throw new Error(`${PROGRAM} did not start`);
}

/** nginx in front of the servers at `urls`, with the configuration of deploy/nginx. @param {string} folder @param {string[]} urls */
export async function nginx(folder, ...urls) {
  const words = [join(ROOT, 'tests/system/nginx.py'), folder, ...urls];
  const child = spawn(process.env.PYTHON ?? '/usr/bin/python3', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const stop = async () => {
    child.stdin.end();
    await ended;
  };
  const { value: url, done } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (done) throw new Error('nginx did not start');
  return { url, stop };
}

/** A Redis of one's own, behind a socket in `folder`; `url` is how servers find it. @param {string} folder */
export async function redis(folder) {
  const socket = join(folder, 'redis.sock');
  const words = ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder];
  const child = spawn(join(ROOT, '.deps/redis/redis-server'), words, { stdio: 'ignore' });
  const ended = once(child, 'close');
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  return { url: `unix://${socket}`, stop };
}

/** A file with a simulated week of a few markets in it. @param {string} db */
export async function makeMarket(db) {
  const server = await serve(['--db', db, '--feed', 'sim', '--sim-speed', '0.001']);
  await server.stop();
}

/** A folder for databases that is gone when `use` ends. @param {(folder: string) => Promise<void>} use */
export async function inTemporaryFolder(use) {
  const folder = await mkdtemp(join(tmpdir(), 'heatcast-page-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

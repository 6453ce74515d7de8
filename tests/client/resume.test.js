/** Coming back, and differences: against a real server behind a proxy of ours. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { assertNewest, assertRising, plainText, startClient, startProxy, startServer, until } from './support.js';

const LEVELS = Array.from({ length: 50 }, (_, i) => [90000 + 100 * i, 1000.25 * i, i % 3]);
/** The same levels but for some. */
const changed = (...those) => LEVELS.map((level, i) => (those.includes(i) ? [level[0], 7 + i, 0] : level));

const seqs = ({ snapshots }) => snapshots.map(({ seq }) => seq);

async function startAll(t, ...flags) {
  const server = await startServer(t, '--publish-symbols', 'MINE,SMALL', ...flags);
  const proxy = await startProxy(t, server);
  await server.publish(92000, LEVELS);
  const [client, seen] = startClient(t, proxy.url);
  client.subscribe(['MINE'], { updateInterval: 0 });
  await until(() => seen.snapshots.length === 1, 'the first snapshot');
  return { server, proxy, client, seen };
}

/** Nothing comes through until the returned function is called. */
async function interrupt({ proxy, client }) {
  proxy.refuses = true;
  proxy.cut();
  await until(() => client.status !== 'connected', 'the cut');
  return () => (proxy.refuses = false);
}

test('differences come as columns and are handed on as whole states', async (t) => {
  const { server, seen } = await startAll(t);
  for (let n = 1; n <= 5; n++) {
    await server.publish(92000 + n, changed(n));
    await assertNewest(server, seen);
  }
  await server.publish(92006, LEVELS.slice(20)); /* levels vanish */
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen), [1, 2, 3, 4, 5, 6, 7]);
  assert.ok((await server.stats()).updates_ws_delta_columns_plain >= 6);
});

test('prices of a small bucket stay exact from difference to difference', async (t) => {
  const { server, client, seen } = await startAll(t);
  const levels = Array.from({ length: 200 }, (_, i) => [Number((0.0992 + 0.0002 * i).toFixed(4)), i + 1, 0]);
  const small = { symbol: 'SMALL', bin: 0.0002 };
  client.subscribe(['SMALL'], { updateInterval: 0 });
  for (const count of [150, 151, 200, 170]) {
    await server.publish(0.1, levels.slice(0, count), small);
    await assertNewest(server, seen, 'SMALL');
  }
});

test('who was cut off is sent one difference, however many versions were missed', async (t) => {
  const all = await startAll(t);
  const { server, seen } = all;
  const restore = await interrupt(all);
  for (let n = 1; n <= 4; n++) await server.publish(92000 + n, changed(n));
  restore();
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen), [1, 5]);
  assert.equal((await server.stats()).resumes_delta, 1);
  assert.ok(seen.snapshots.every(({ resumed }) => resumed === undefined));
});

test('who was cut off and missed nothing is sent nothing', async (t) => {
  const all = await startAll(t);
  const { server, client, seen } = all;
  (await interrupt(all))();
  await until(() => client.status === 'connected', 'the return');
  await until(async () => (await server.stats()).resumes_current === 1, 'the request');
  await server.publish(92001, changed(1));
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen), [1, 2]);
});

test('a version that is too old to go on from is said to leave a gap', async (t) => {
  const all = await startAll(t, '--ws-resume-versions', '2');
  const { server, seen } = all;
  const restore = await interrupt(all);
  for (let n = 1; n <= 5; n++) await server.publish(92000 + n, changed(n));
  restore();
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen), [1, 6]);
  assert.equal(seen.snapshots[1].resumed, false);
  await server.publish(92009, changed(9));
  await assertNewest(server, seen);
});

test('after the server was killed and started again its new epoch is taken over', async (t) => {
  const { server, client, seen } = await startAll(t);
  for (let n = 1; n <= 3; n++) await server.publish(92000 + n, changed(n));
  await assertNewest(server, seen);
  await server.end('SIGKILL');
  await until(() => client.status !== 'connected', 'the loss');
  await server.start();
  await server.publish(92001, changed(1));
  await assertNewest(server, seen);
  const [last, first] = [seen.snapshots.at(-2), seen.snapshots.at(-1)];
  assert.notEqual(first.epoch, last.epoch);
  assert.equal(first.resumed, false);
  await server.publish(92002, changed(2));
  await assertNewest(server, seen);
  assertRising(seen.snapshots);
});

test('a difference that was lost on the way is noticed, and the whole is asked for', async (t) => {
  const { server, proxy, seen } = await startAll(t);
  proxy.framesToDrop = 1;
  await server.publish(92001, changed(1));
  await until(() => proxy.framesToDrop === 0, 'the loss');
  assert.deepEqual(seqs(seen), [1]);
  await server.publish(92002, changed(1, 2)); /* what was lost is not said again */
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen), [1, 3]);
  const stats = await server.stats();
  assert.equal(stats.resumes_delta + stats.resumes_current + stats.resumes_snapshot, 0, 'without since');
  await server.publish(92003, changed(3));
  await assertNewest(server, seen);
});

test('what is asked for anew by the caller comes whole and at once', async (t) => {
  const { server, client, seen } = await startAll(t);
  client.subscribe(['MINE'], { updateInterval: 1 });
  await until(() => seen.snapshots.length === 2, 'the same again');
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen), [1, 1]);
  client.unsubscribe(['MINE']);
  client.subscribe(['SMALL'], { updateInterval: 0 });
  await server.publish(92001, changed(1));
  await server.publish(5, [[5, 1, 1]], { symbol: 'SMALL', bin: 1 });
  await assertNewest(server, seen, 'SMALL');
  assert.deepEqual(seqs(seen), [1, 1, 1]);
});

test('a mode for servers of the original protocol asks for nothing else', async (t) => {
  const { server, proxy } = await startAll(t);
  const [client, seen] = startClient(t, proxy.url, { mode: 'snapshot' });
  client.subscribe(['MINE'], { updateInterval: 1 });
  await assertNewest(server, seen);
  proxy.cut();
  await until(() => seen.statuses.includes('disconnected'), 'the cut');
  await server.publish(92001, changed(1));
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen), [1, 2]);
});

test('in a storm of cuts every state that is handed on is the server’s of that version', async (t) => {
  const server = await startServer(t, '--feed', 'sim', '--sim-speed', '6000', '--ws-update-interval', '0.05');
  const proxy = await startProxy(t, server);
  const symbols = ['BTCUSDT', 'ETHUSDT'];
  const [control, whole] = startClient(t, `ws://127.0.0.1:${server.port}/ws/heatmap`, { mode: 'snapshot' });
  const [client, seen] = startClient(t, proxy.url, { maxReconnectAttempts: 1000 });
  for (const each of [control, client]) each.subscribe(symbols, { updateInterval: 0 });
  for (let cuts = 1; cuts <= 15; cuts++) {
    const had = seen.snapshots.length;
    await until(() => seen.snapshots.length > had + (cuts % 3), 'a few versions');
    if (cuts % 5 === 0) proxy.swallow();
    else proxy.cut();
    if (cuts % 5 === 0) client.probe();
  }
  const last = await until(() => seen.snapshots.length > 80 && seen.snapshots.at(-1), 'many versions');
  await until(() => whole.snapshots.some((s) => s.symbol === last.symbol && s.seq >= last.seq), 'the control');
  const truth = new Map(whole.snapshots.map((s) => [`${s.epoch}:${s.seq}`, plainText(s)]));
  /* The control is skipped versions, too, when the machine is busy. */
  const known = seen.snapshots.filter((s) => truth.has(`${s.epoch}:${s.seq}`));
  assert.ok(known.length > seen.snapshots.length / 2, `${known.length} of ${seen.snapshots.length}`);
  for (const s of known) assert.equal(plainText(s), truth.get(`${s.epoch}:${s.seq}`));
  assertRising(seen.snapshots);
  const { resumes_delta, resumes_snapshot } = await server.stats();
  assert.ok(resumes_delta + resumes_snapshot > 0);
});

/** What the client does with a page's events: fakes of them, and a real server. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { assertNewest, startClient, startProxy, startServer, until } from './support.js';

const HOUR = 3_600_000;
const publish = (server, n) => server.publish(92000 + n, [[90000, n, 0], [90100, 5, 5]]);
const seqs = ({ snapshots }) => snapshots.map(({ seq }) => seq);

/** As window and document are, to the client. */
function fakePage() {
  const page = { window: new EventTarget(), document: Object.assign(new EventTarget(), { hidden: false }) };
  page.fire = (name) => (name === 'visibilitychange' ? page.document : page.window).dispatchEvent(new Event(name));
  page.hide = (hidden) => {
    page.document.hidden = hidden;
    page.fire('visibilitychange');
  };
  return page;
}

async function startAll(t, options = {}) {
  const server = await startServer(t, '--publish-symbols', 'MINE');
  const proxy = await startProxy(t, server);
  const page = fakePage();
  await publish(server, 1);
  const [client, seen] = startClient(t, proxy.url, { page, maxReconnectAttempts: 1000, ...options });
  client.startKeepalive(HOUR);
  client.subscribe(['MINE'], { updateInterval: 0 });
  await until(() => seen.snapshots.length === 1, 'the first snapshot');
  return { server, proxy, page, client, seen };
}

for (const event of ['online', 'pageshow', 'visibilitychange']) {
  test(`${event} ends a pause at once`, async (t) => {
    const { proxy, page, client } = await startAll(t, { reconnectDelay: HOUR, reconnectDelayMax: HOUR });
    proxy.cut();
    await until(() => client.status === 'disconnected', 'the cut');
    page.fire(event);
    await until(() => client.status === 'connected', 'the return');
  });

  test(`${event} finds out that a connection is dead`, async (t) => {
    const { server, proxy, page, seen } = await startAll(t);
    proxy.swallow();
    await publish(server, 2);
    page.fire(event);
    await assertNewest(server, seen);
    assert.ok(seen.details.some(({ reason }) => /no answer within/.test(reason)));
  });
}

test('a hidden page asks for less, and catches up when it returns', async (t) => {
  const { server, page, client, seen } = await startAll(t);
  const [control, all] = startClient(t, `ws://127.0.0.1:${server.port}/ws/heatmap`);
  control.subscribe(['MINE'], { updateInterval: 0 });
  page.hide(true);
  assert.equal(client.detail.hidden, true);
  await until(async () => (await server.stats()).resumes_current === 1, 'the request');
  for (let n = 2; n <= 5; n++) {
    await publish(server, n);
    await assertNewest(server, all);
  }
  client.send({ action: 'answer' });
  await until(() => seen.errors.length === 1, 'the answer, behind whatever was sent');
  assert.ok(seqs(seen).length <= 2, `${seqs(seen)}`); /* the interval is since the last snapshot */
  page.hide(false);
  assert.equal(client.detail.hidden, false);
  await assertNewest(server, seen);
  await publish(server, 6);
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen).slice(-2), [5, 6]);
});

test('a page that is hidden from the beginning has its first snapshot', async (t) => {
  const server = await startServer(t, '--publish-symbols', 'MINE');
  await publish(server, 1);
  const page = fakePage();
  page.document.hidden = true;
  const [client, seen] = startClient(t, `ws://127.0.0.1:${server.port}/ws/heatmap`, { page });
  client.subscribe(['MINE'], { updateInterval: 0 });
  await assertNewest(server, seen);
  assert.equal(client.detail.hidden, true);
});

test('a hidden page polls seldom, and at once when it returns', async (t) => {
  const { server, proxy, page, client, seen } = await startAll(t, {
    maxReconnectAttempts: 0,
    retryWhenFailed: HOUR,
    pollUnit: HOUR / 60,
  });
  proxy.refusesUpgrades = true;
  page.hide(true);
  proxy.cut();
  await until(() => client.detail.polling, 'a poll');
  await publish(server, 2);
  page.hide(false);
  await assertNewest(server, seen);
  assert.deepEqual(seqs(seen), [1, 2]);
});

test('after disconnect, and where it is switched off, the page’s events do nothing', async (t) => {
  const { proxy, page, client } = await startAll(t);
  client.disconnect();
  await until(() => proxy.pairs.size === 0, 'the end');
  const { connections } = proxy;
  for (const event of ['online', 'pageshow', 'visibilitychange']) page.fire(event);
  page.hide(true);
  assert.equal(client.detail.hidden, false);
  globalThis.document = page.document;
  t.after(() => delete globalThis.document);
  const [deaf] = startClient(t, proxy.url, { page: false });
  await until(() => deaf.status === 'connected', 'a connection');
  page.hide(false);
  page.hide(true);
  assert.equal(deaf.detail.hidden, false);
  assert.equal(proxy.connections, connections + 1);
});

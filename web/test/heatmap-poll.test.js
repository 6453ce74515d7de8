import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Poller } from '../heatmap-poll.js';
import { answerOf, until } from './client.js';

/** An active poller, and what it asked for and told; `answer` is what its fetch resolves to. */
function start(t, answer, options = {}) {
  const seen = { asked: [], messages: [], answered: [], errors: [] };
  const poller = new Poller({
    fetch: (url, request) => (seen.asked.push(url), answer(url, request)),
    url: (symbol) => symbol,
    pause: () => 5,
    pauseMax: 60_000,
    timeout: 10_000,
    onAnswered: () => seen.answered.push(poller.isAnswered),
    onMessage: (message) => seen.messages.push(message),
    onError: (error) => seen.errors.push(error),
    ...options,
  });
  t.after(() => poller.stop());
  poller.start();
  return [poller, seen];
}

const status = (code) => new Response('{}', { status: code });

test('each symbol is asked for at its own pace', async (t) => {
  const [poller, seen] = start(t, async (url) => answerOf(url), { pause: (symbol) => (symbol === 'FAST' ? 5 : 60_000) });
  poller.ask(['FAST', 'SLOW']);
  await until(() => seen.asked.length >= 6, 'polls');
  assert.deepEqual(seen.asked.slice(0, 6), ['FAST', 'SLOW', 'FAST', 'FAST', 'FAST', 'FAST']);
  assert.deepEqual(seen.messages.slice(0, 4), ['FAST', 'SLOW', 'FAST', 'FAST']);
});

test('who asks again need not wait', async (t) => {
  const [poller, seen] = start(t, async (url) => answerOf(url), { pause: () => 60_000 });
  for (let n = 1; n <= 3; n++) {
    poller.ask(['MINE']);
    await until(() => seen.messages.length === n, 'an answer');
  }
  assert.deepEqual(seen.answered, [true], 'it is answered all the time');
});

test('it tells when answers begin and end; that there is nothing yet is one', async (t) => {
  const answers = [503, 404, 429, 500];
  const [poller, seen] = start(t, async () => status(answers.shift() ?? 500));
  poller.ask(['MINE']);
  await until(() => answers.length === 0 && seen.answered.length === 2, 'answers');
  assert.deepEqual(seen.answered, [true, false]);
  assert.deepEqual(seen.messages, []);
});

test('it is answered while any symbol is', async (t) => {
  const [poller, seen] = start(t, async (url) => status(url === 'MINE' ? 200 : 500));
  poller.ask(['MINE', 'OTHER']);
  await until(() => seen.asked.length >= 6, 'polls');
  assert.deepEqual(seen.answered, [true]);
});

test('an answer that is overtaken by who no longer wants it is not told', async (t) => {
  const answers = [];
  const [poller, seen] = start(t, () => new Promise((resolve) => answers.push(resolve)), { pause: () => 60_000 });
  for (const leave of [() => poller.forget('MINE'), () => poller.stop(), () => poller.ask(['MINE'])]) {
    poller.start();
    poller.ask(['MINE']);
    const { length } = await until(() => answers.length > 0 && answers, 'a poll');
    leave();
    answers.splice(0, length).forEach((resolve) => resolve(answerOf('late')));
    await sleep(5);
    answers.length = 0;
  }
  assert.deepEqual(seen.messages, []);
  assert.deepEqual(seen.answered, []);
});

test('who is told that answers begin may leave before the first message', async (t) => {
  const [poller, seen] = start(t, async () => answerOf('late'), { onAnswered: () => poller.stop() });
  poller.ask(['MINE']);
  await until(() => !poller.isActive, 'leaving');
  await sleep(20);
  assert.deepEqual(seen.messages, []);
  assert.equal(seen.asked.length, 1);
});

test('what takes too long is given up, and asked for again', async (t) => {
  const hang = (_, { signal }) => new Promise((__, reject) => signal.addEventListener('abort', reject));
  const [poller, seen] = start(t, hang, { timeout: 5 });
  poller.ask(['MINE']);
  await until(() => seen.asked.length >= 3, 'polls');
});

test('nothing is asked for before it starts, and without a fetch', async (t) => {
  const [poller, seen] = start(t, async (url) => answerOf(url));
  poller.stop();
  poller.ask(['MINE']);
  const [other] = start(t, async () => {}, { fetch: undefined });
  assert.equal(other.isActive, false);
  await sleep(5);
  assert.deepEqual(seen.asked, []);
});

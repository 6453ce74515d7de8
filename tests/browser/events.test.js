/**
 * A browser's own EventSource, on the page that the server gave it.
 *
 *   HEATCAST_URL=http://127.0.0.1:8000/ node --test tests/browser/events.test.js
 *
 * The server must have the symbol BTCUSDT and a feed that changes every few seconds. CHROMIUM names
 * the browser, by default /usr/bin/chromium.
 */
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { close, open } from './page.js';

after(close);

test('an EventSource of the page gets snapshots with their ids', { timeout: 60_000 }, async () => {
  const page = await open();
  const got = await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const source = new EventSource('/sse/heatmap?symbols=BTCUSDT&update_interval=0');
        const events = [];
        source.onerror = () => reject(new Error('the stream broke'));
        source.onmessage = ({ lastEventId, data }) => {
          const { type, symbol, epoch, seq } = JSON.parse(data);
          events.push({ type, symbol, seq, isId: lastEventId === `${epoch}:${seq}` });
          if (events.length < 4) return;
          source.close();
          resolve(events);
        };
      }),
  );
  const first = got[0].seq;
  assert.deepEqual(
    got,
    [0, 1, 2, 3].map((i) => ({ type: 'snapshot', symbol: 'BTCUSDT', seq: first + i, isId: true })),
  );
});

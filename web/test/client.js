/**
 * client.js - what the client's tests stand on, whatever they take for a server.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeatmapWebSocket } from '../heatmap-client.js';

/** The first true value of the condition. */
export async function until(condition, what, patience = 5000) {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(5)) {
    const value = await condition();
    if (value) return value;
  }
  assert.fail(`did not come: ${what}`);
}

/**
 * A client that is not yet connected, and what it was told. Pauses are as long as they may be, so
 * that nothing depends on luck.
 */
export function makeClient(t, url, options = {}) {
  const seen = { statuses: [], details: [], snapshots: [], errors: [] };
  const client = new HeatmapWebSocket(url, {
    random: () => 1,
    onSnapshot: (snapshot) => seen.snapshots.push(snapshot),
    onStatusChange: (status, detail) => {
      seen.statuses.push(status);
      seen.details.push(detail);
    },
    onError: (error) => seen.errors.push(error),
    ...options,
  });
  t.after(() => client.disconnect());
  return [client, seen];
}

/** Sockets that do nothing of themselves: the test opens and closes them, and says what the server says. */
export function fakeSockets() {
  const sockets = [];
  class FakeSocket {
    readyState = 0;
    said = []; /* by the client */

    constructor() {
      sockets.push(this);
    }

    send(text) {
      this.said.push(JSON.parse(text));
    }

    close() {
      this.readyState = 3;
    }

    open() {
      this.readyState = 1;
      this.onopen?.();
    }

    fail() {
      this.onclose?.({ code: 1006 });
    }

    say(message) {
      this.onmessage?.({ data: JSON.stringify(message) });
    }
  }
  return { FakeSocket, sockets };
}

export const snapshot = (symbol, seq, epoch = 'a') => ({
  type: 'snapshot',
  symbol,
  timestamp: '2025-12-29T10:00:00Z',
  seq,
  epoch,
  data: { levels: [], current_price: 1, price_bin_size: 1 },
});

/** As fetch would resolve to. */
export const answerOf = (message) => ({ ok: true, status: 200, headers: new Headers(), json: async () => message });

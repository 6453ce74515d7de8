/**
 * Files that are saved.
 */
import test from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { page } from './harness.js';

test('a canvas becomes a PNG file of its size', async () => {
  const download = page.waitForEvent('download');
  await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 30, height: 20 });
    globalThis.modules.save('heatcast-X-24h.png', await globalThis.modules.pngOf(canvas));
  });
  const file = await download;
  assert.equal(file.suggestedFilename(), 'heatcast-X-24h.png');
  const bytes = await readFile(await file.path());
  assert.equal(bytes.subarray(1, 4).toString(), 'PNG');
  assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)], [30, 20]);
});

test('a canvas that is no picture is an error', async () => {
  const failed = page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 0, height: 0 });
    return globalThis.modules.pngOf(canvas);
  });
  await assert.rejects(failed, /cannot make a picture/);
});

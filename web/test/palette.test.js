import test from 'node:test';
import assert from 'node:assert/strict';
import { CODES, colour, decode, densityAt, encode, pixelTable, position, scaleFor } from '../palette.js';

const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

test('a code gives back its density within 0.02 percent', () => {
  for (let usdt = 1000; usdt < 3e9; usdt *= 1.37) {
    assert.ok(Math.abs(decode(encode(usdt)) / usdt - 1) < 0.0003, `${usdt}`);
  }
});

test('nothing has code 0 and anything has another', () => {
  assert.equal(encode(0), 0);
  assert.equal(encode(NaN), 0);
  assert.equal(encode(-5), 0);
  assert.equal(encode(0.01), 1);
  assert.equal(encode(1e30), CODES - 1);
});

test('codes rise with densities', () => {
  let former = -1;
  for (let usdt = 0; usdt < 1e9; usdt = usdt * 1.1 + 10) {
    assert.ok(encode(usdt) >= former);
    former = encode(usdt);
  }
});

test('the palette only gets lighter, so it reads without colour', () => {
  let former = -1;
  for (let i = 0; i <= 100; i++) {
    const light = luminance(colour(i / 100));
    assert.ok(light >= former, `at ${i}`);
    former = light;
  }
});

test('place and density are inverse, from nothing to the cap', () => {
  const scale = { cap: 2e7, knee: 2e6 };
  assert.equal(position(0, scale), 0);
  assert.equal(position(2e7, scale), 1);
  assert.equal(position(1e12, scale), 1);
  for (const t of [0, 0.2, 0.5, 1]) assert.ok(Math.abs(position(densityAt(t, scale), scale) - t) < 1e-9);
});

test('the table has an opaque pixel for every code, background first and brightest last', () => {
  const bytes = new Uint8Array(pixelTable({ cap: 1e7, knee: 1e6 }).buffer);
  assert.deepEqual([...bytes.subarray(0, 4)], [...colour(0), 255]);
  assert.deepEqual([...bytes.subarray(-4)], [...colour(1), 255]);
  for (let i = 3; i < bytes.length; i += 4) assert.equal(bytes[i], 255);
});

test('the cap is the 99.5th percentile of the cells that hold something', () => {
  const codes = new Uint16Array(5000);
  for (let i = 0; i < 1000; i++) codes[i] = encode((i + 1) * 1e4);
  const { cap, knee } = scaleFor(codes);
  assert.ok(Math.abs(cap / 9.95e6 - 1) < 0.002, `${cap}`);
  assert.equal(knee, cap / 10);
});

test('the scale stays while the percentile moves less than 15 percent', () => {
  const cells = (usdt) => new Uint16Array(1000).fill(encode(usdt));
  const first = scaleFor(cells(1e6));
  assert.equal(scaleFor(cells(1.14e6), first), first);
  assert.equal(scaleFor(cells(0.9e6), first), first);
  assert.notEqual(scaleFor(cells(1.2e6), first), first);
  assert.notEqual(scaleFor(cells(0.8e6), first), first);
});

test('an empty chart has a scale too', () => {
  assert.ok(scaleFor(new Uint16Array(0)).cap > 0);
  assert.ok(scaleFor(new Uint16Array(10)).cap > 0);
});

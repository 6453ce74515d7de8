import test from 'node:test';
import assert from 'node:assert/strict';
import { CODES, decode, encode } from '../density-code.js';

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

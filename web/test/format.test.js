import test from 'node:test';
import assert from 'node:assert/strict';
import { binDigits, clock, count, price, usdt } from '../format.js';

test('prices have thin spaces between thousands and the digits asked for', () => {
  assert.equal(price(98450.5, 1), '98\u2009450.5');
  assert.equal(price(0.1002, 4), '0.1002');
  assert.equal(price(1234567, 0), '1\u2009234\u2009567');
});

test('amounts have three digits and a unit', () => {
  assert.equal(usdt(0), '0');
  assert.equal(usdt(0.014), '0.01');
  assert.equal(usdt(812), '812');
  assert.equal(usdt(12_345), '12.3 k');
  assert.equal(usdt(999_900), '1.00 M');
  assert.equal(usdt(16_200_000), '16.2 M');
  assert.equal(usdt(4.5e9), '4.50 bn');
});

test('times are UTC', () => {
  assert.equal(clock(Date.UTC(2025, 11, 20, 10, 5) / 1000), '2025-12-20 10:05 UTC');
  assert.deepEqual([NaN, 1e20].map(clock), ['unknown time', 'unknown time']);
});

test('ages have one unit', () => {
  assert.deepEqual([0.4, -3, 59, 75, 7300, 90000].map(count), ['0 s', '0 s', '59 s', '1 min', '2 h', '1 d']);
});

test('prices of buckets have as many digits as the bucket', () => {
  const digits = [[100, 0], [1, 0], [0.5, 1], [2.5, 1], [0.25, 2], [1.25, 2], [0.0002, 4], [2e-7, 7], [1.5e-8, 9], [0.07 * 5, 2], [1e21, 0]];
  for (const [bin, wanted] of digits) assert.equal(binDigits(bin), wanted, String(bin));
});

import test from 'node:test';
import assert from 'node:assert/strict';
import { findSymbols } from '../symbol-picker.js';

const entries = ['BTCUSDT', 'ETHBTC', 'ETHUSDT', 'WBTCUSDT'].map((symbol) => ({ symbol }));
const symbols = (/** @type {string} */ text) => findSymbols(entries, text).map(({ symbol }) => symbol);

test('no text finds all, in their order', () => {
  assert.deepEqual(symbols(''), ['BTCUSDT', 'ETHBTC', 'ETHUSDT', 'WBTCUSDT']);
  assert.deepEqual(symbols('  '), symbols(''));
});

test('what begins with the text is found first', () => {
  assert.deepEqual(symbols('BTC'), ['BTCUSDT', 'ETHBTC', 'WBTCUSDT']);
});

test('small letters find large ones', () => assert.deepEqual(symbols('eth'), ['ETHBTC', 'ETHUSDT']));

test('what is nowhere finds nothing', () => assert.deepEqual(symbols('XRP'), []));

import test from 'node:test';
import assert from 'node:assert/strict';
import {
  CHOICES,
  DEFAULTS,
  STREAM_MIX,
  following,
  formatHash,
  formatWeights,
  isStreamMix,
  parseHash,
  parseWeights,
  sharesOf,
} from '../settings.js';
import { PALETTES } from '../palette.js';

/** @type {import('../settings.js').Settings} */
const ALL_ELSE = {
  symbols: ['BTCUSDT', 'ETHUSDT'],
  panes: 2,
  window: '7d',
  factor: 5,
  scale: 'percentile',
  palette: 'viridis',
  low: 0.25,
  high: 0.9,
  weights: '5:40,10:30,25:20,50:10,100:0',
  theme: 'light',
  profile: false,
  curves: true,
  sweeps: true,
  levels: true,
};

test('an empty address means the defaults', () => {
  for (const text of ['', '#', '#&&', '#=']) assert.deepEqual(parseHash(text), DEFAULTS);
});

test('what is written is read back', () => {
  assert.deepEqual(parseHash(formatHash(ALL_ELSE)), ALL_ELSE);
  assert.deepEqual(parseHash(formatHash(DEFAULTS)), DEFAULTS);
});

test('every single choice is read back', () => {
  for (const [name, choices] of Object.entries(CHOICES)) {
    for (const choice of choices) {
      const settings = { ...DEFAULTS, [name]: choice };
      assert.deepEqual(parseHash(formatHash(settings)), settings);
    }
  }
});

test('an address says what differs from the defaults, and always symbol and window', () => {
  assert.equal(formatHash({ ...DEFAULTS, symbols: ['BTCUSDT'], window: '24h' }), '#symbol=BTCUSDT&window=24h');
  assert.equal(
    formatHash(ALL_ELSE),
    '#symbol=BTCUSDT,ETHUSDT&window=7d&panes=2&factor=5&scale=percentile&palette=viridis&theme=light' +
      '&low=0.25&high=0.9&weights=5:40,10:30,25:20,50:10,100:0&profile=0&curves=1&sweeps=1&levels=1',
  );
});

test('escapes are undone as browsers make them', () => {
  assert.deepEqual(parseHash('#symbol=BTCUSDT%2CETHUSDT').symbols, ['BTCUSDT', 'ETHUSDT']);
});

test('what is not known counts as not said', () => {
  const nonsense = [
    'window=5y',
    'window=toString',
    'window=__proto__',
    'panes=3',
    'panes=2.0',
    'factor=-1',
    'scale=LOG',
    'palette=constructor',
    'theme=',
    'profile=yes',
    'low=0.9&high=0.1',
    'low=0.5&high=0.5',
    'low=-1&high=2',
    'low=NaN',
    'low=1e-1',
    'low=1',
    'weights=',
    'weights=5:0,10:0',
    'weights=7:10',
    'weights=5',
    'weights=5:1e3',
    'weights=5:-1',
    'weights=5:1,',
    'symbol=',
    'symbol=%3Cscript%3E',
    'symbol=A%20B',
    `symbol=${'A'.repeat(33)}`,
    '%E0%A4%A',
    'x=y',
  ];
  for (const text of nonsense) assert.deepEqual(parseHash(text), DEFAULTS, text);
});

test('one bad value does not spoil the others', () => {
  const { symbols, window, scale } = parseHash('#symbol=BTCUSDT,<b>&window=nope&scale=linear');
  assert.deepEqual({ symbols, window, scale }, { symbols: ['BTCUSDT'], window: '', scale: 'linear' });
});

test('there are not more symbols than panes can be', () => {
  assert.deepEqual(parseHash('#symbol=A,B,C,D,E').symbols, ['A', 'B', 'C', 'D']);
});

test('a range is kept to thousandths', () => {
  assert.match(formatHash({ ...DEFAULTS, low: 0.1 + 0.2, high: 0.9999 }), /^#low=0\.3$/);
});

test('weights are read as the server does', () => {
  assert.deepEqual(parseWeights('5:15,10:30,25:25,50:20,100:10'), [15, 30, 25, 20, 10]);
  assert.deepEqual(parseWeights(' 100:0.5 , 5:1 '), [1, 0, 0, 0, 0.5]);
  assert.equal(parseWeights('5:1000000001'), null);
  assert.equal(formatWeights([1, 0, 0, 0, 0.5]), '5:1,10:0,25:0,50:0,100:0.5');
});

test('the stream’s mix is no mix of one’s own, in whatever numbers', () => {
  assert.ok(isStreamMix(STREAM_MIX));
  assert.ok(isStreamMix([3, 6, 5, 4, 2]));
  assert.ok(!isStreamMix([15, 30, 25, 20, 11]));
  assert.equal(parseHash('weights=5:3,10:6,25:5,50:4,100:2').weights, null);
});

test('shares sum to one, and of nothing are nothing', () => {
  assert.deepEqual(sharesOf([1, 0, 0, 0, 3]), [0.25, 0, 0, 0, 0.75]);
  assert.deepEqual(sharesOf([0, 0, 0, 0, 0]), [0, 0, 0, 0, 0]);
});

test('the palettes that can be chosen are those that there are', () => {
  assert.deepEqual([...CHOICES.palette].sort(), Object.keys(PALETTES).sort());
});

test('choices are gone through in a circle', () => {
  assert.equal(following(CHOICES.panes, 1), 2);
  assert.equal(following(CHOICES.panes, 4), 1);
  assert.equal(following(['a', 'b'], 'neither'), 'a');
});

import test from 'node:test';
import assert from 'node:assert/strict';
import { CODES, decode, encode } from '../density-code.js';
import {
  BACKGROUNDS,
  DEFAULT_PAINT,
  PALETTES,
  colour,
  cssColour,
  densityAt,
  pixelTable,
  position,
  scaleFor,
  stretch,
} from '../palette.js';
import { CHOICES } from '../settings.js';

const THEMES = ['dark', 'light'];
const KINDS = CHOICES.scale;

/** CIE lightness, 0 black to 100 white. */
function lightness(rgb) {
  const [r, g, b] = rgb.map((v) => (v <= 10 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  const y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
}

/** Cells as a market has them: few large ones, many small ones. */
const market = (factor = 1) => Uint16Array.from({ length: 5000 }, (_, i) => encode(factor * 2e3 * 1.0018 ** i));

for (const palette of Object.keys(PALETTES)) {
  test(`${palette} only gets lighter on dark and darker on light, so it reads without colour`, () => {
    const steps = Array.from({ length: 201 }, (_, i) => i / 200);
    for (const theme of THEMES) {
      const values = steps.map((t) => lightness(colour(palette, t, theme)));
      const sign = theme === 'dark' ? 1 : -1;
      values.slice(1).forEach((value, i) => assert.ok(sign * (value - values[i]) >= -0.3, `${theme} at ${steps[i]}`));
      assert.ok(sign * (values[200] - values[0]) > 70, `${theme}: ${values[0]} to ${values[200]}`);
    }
  });

  test(`${palette} begins with the background and has no two alike shades a tenth apart`, () => {
    for (const theme of THEMES) {
      assert.equal(cssColour(palette, 0, theme), css(BACKGROUNDS[theme]));
      for (let t = 0; t <= 0.9; t += 0.05) {
        const [one, other] = [colour(palette, t, theme), colour(palette, t + 0.1, theme)];
        const apart = Math.hypot(...one.map((v, k) => v - other[k]));
        assert.ok(apart > 16, `${theme} ${t}: ${apart}`);
      }
    }
  });
}

/** '#0f0b1d' as colours are written here. */
function css(hex) {
  return `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(' ')})`;
}

test('colours of the published tables are kept', () => {
  /* viridis and cividis at 1/3 and 2/3 of matplotlib's tables; 0.1 of ours is the way from the background. */
  const published = { viridis: ['#31688e', '#35b779'], cividis: ['#575d6d', '#a59c74'] };
  for (const [palette, colours] of Object.entries(published)) {
    colours.forEach((hex, i) => {
      const seen = colour(palette, 0.1 + (0.9 * (i + 1)) / 3);
      const wanted = css(hex).match(/\d+/g).map(Number);
      seen.forEach((v, k) => assert.ok(Math.abs(v - wanted[k]) <= 9, `${palette} ${seen} for ${wanted}`));
    });
  }
});

test('an unknown palette is the purple one', () => {
  assert.deepEqual(colour('mauve', 0.4), colour('purple', 0.4));
  assert.notDeepEqual(colour('viridis', 0.4), colour('purple', 0.4));
});

test('place and density are inverse on every scale, from nothing to the cap', () => {
  for (const kind of KINDS) {
    const scale = scaleFor(market(), kind);
    assert.equal(position(0, scale), 0);
    assert.equal(position(NaN, scale), 0);
    assert.ok(Math.abs(position(scale.cap, scale) - 1) < 1e-9, kind);
    assert.equal(position(1e12, scale), 1);
    for (const t of [0, 0.2, 0.51, 0.9, 1]) {
      assert.ok(Math.abs(position(densityAt(t, scale), scale) - t) < 1e-6, `${kind} ${t}`);
    }
  }
});

test('a scale without a kind is logarithmic', () => {
  const { cap, knee } = scaleFor(market());
  assert.equal(position(3e5, { cap, knee }), position(3e5, { kind: 'log', cap, knee }));
});

test('half the density is half way on a linear scale, half the cells are on a percentile scale', () => {
  const linear = scaleFor(market(), 'linear');
  assert.ok(Math.abs(position(linear.cap / 2, linear) - 0.5) < 1e-9);
  const cells = market();
  const percentile = scaleFor(cells, 'percentile');
  const below = cells.filter((code) => position(decode(code), percentile) < 0.5).length;
  assert.ok(Math.abs(below / cells.length - 0.5) < 0.02, `${below} of ${cells.length}`);
});

test('many equal cells leave a percentile scale in order', () => {
  const scale = scaleFor(Uint16Array.from({ length: 1000 }, (_, i) => encode(i < 700 ? 5e4 : 1e5 + i)), 'percentile');
  for (let i = 1; i < scale.edges.length; i++) assert.ok(scale.edges[i] > scale.edges[i - 1], `${i}`);
  assert.ok(position(4e4, scale) < position(5e4, scale));
  assert.ok(position(5e4, scale) < position(1.005e5, scale));
});

test('a threshold leaves out what is below and stretches the rest', () => {
  const threshold = { low: 0.2, high: 0.7 };
  assert.equal(stretch(0.1, threshold), 0);
  assert.equal(stretch(0.2, threshold), 0);
  assert.ok(Math.abs(stretch(0.45, threshold) - 0.5) < 1e-9);
  assert.equal(stretch(0.7, threshold), 1);
  assert.equal(stretch(1, threshold), 1);
  assert.equal(stretch(0.6, { low: 0.5, high: 0.5 }), 1);
});

for (const kind of KINDS) {
  test(`the table has every code's colour, ${kind}, whatever the paint`, () => {
    const scale = scaleFor(market(), kind);
    for (const theme of THEMES) {
      for (const paint of [
        { palette: 'purple', low: 0, high: 1 },
        { palette: 'viridis', low: 0.3, high: 1 },
        { palette: 'cividis', low: 0.1, high: 0.6 },
      ]) {
        const bytes = new Uint8Array(pixelTable(scale, { ...paint, theme }).buffer);
        for (let code = 0; code < CODES; code += 97) {
          const t = stretch(position(decode(code), scale), paint);
          const wanted = colour(paint.palette, t, theme);
          const seen = bytes.subarray(4 * code, 4 * code + 4);
          wanted.forEach((v, k) => assert.ok(Math.abs(v - seen[k]) <= 3, `${paint.palette} ${theme} ${code}: ${seen} for ${wanted}`));
          assert.equal(seen[3], 255);
        }
      }
    }
  });
}

test('nothing is background in every table', () => {
  for (const theme of THEMES) {
    const bytes = new Uint8Array(pixelTable(scaleFor(market()), { ...DEFAULT_PAINT, theme }).buffer);
    assert.equal(`rgb(${bytes.subarray(0, 3).join(' ')})`, css(BACKGROUNDS[theme]));
  }
});

test('a table is filled anew in place', () => {
  const table = new Uint32Array(CODES).fill(7);
  assert.equal(pixelTable(scaleFor(market()), DEFAULT_PAINT, table), table);
  assert.ok(!table.includes(7));
});

test('the cap is the 99.5th percentile of the cells that hold something', () => {
  const codes = new Uint16Array(5000);
  for (let i = 0; i < 1000; i++) codes[i] = encode((i + 1) * 1e4);
  for (const kind of KINDS) {
    const { cap } = scaleFor(codes, kind);
    assert.ok(Math.abs(cap / 9.95e6 - 1) < 0.002, `${kind} ${cap}`);
  }
});

test('the scale stays while the percentile moves less than 15 percent', () => {
  for (const kind of ['linear', 'log']) {
    const first = scaleFor(market(), kind);
    assert.equal(scaleFor(market(1.14), kind, first), first);
    assert.equal(scaleFor(market(0.9), kind, first), first);
    assert.notEqual(scaleFor(market(1.2), kind, first), first);
    assert.notEqual(scaleFor(market(0.8), kind, first), first);
  }
});

test('a percentile scale stays while no colour would move much', () => {
  const first = scaleFor(market(), 'percentile');
  assert.equal(scaleFor(market(), 'percentile', first), first);
  assert.equal(scaleFor(market(1.2), 'percentile', first), first);
  assert.notEqual(scaleFor(market(2), 'percentile', first), first);
});

test('a scale of another kind is not kept', () => {
  const log = scaleFor(market(), 'log');
  assert.equal(scaleFor(market(), 'linear', log).kind, 'linear');
  assert.equal(scaleFor(new Uint16Array(0), 'percentile', log).kind, 'percentile');
});

test('an empty chart has a scale too', () => {
  for (const kind of KINDS) {
    for (const codes of [new Uint16Array(0), new Uint16Array(10)]) {
      const scale = scaleFor(codes, kind);
      assert.ok(scale.cap > 0);
      assert.ok(Math.abs(position(densityAt(0.3, scale), scale) - 0.3) < 1e-6, kind);
    }
    const former = scaleFor(market(), kind);
    assert.equal(scaleFor(new Uint16Array(0), kind, former), former);
  }
});

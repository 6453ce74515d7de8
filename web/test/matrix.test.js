import test from 'node:test';
import assert from 'node:assert/strict';
import { matrixTime, parseMatrix } from '../matrix.js';
import { matrixBytes, random } from './made.js';

/** The same answer read one byte after the other, as the protocol tells it. */
function readSlowly(bytes) {
  const text = Buffer.from(bytes).toString('latin1');
  const header = JSON.parse(text.slice(0, text.indexOf('\n')));
  const body = [...text.slice(text.indexOf('\n') + 1)].map((character) => character.charCodeAt(0));
  const { min, max, steps } = header.scale;
  const totals = [];
  for (let c = 0; c < header.columns; c++) {
    const column = [];
    for (let r = 0; r < header.rows; r++) {
      let byte = 0;
      for (let k = 0; k <= c; k++) byte = (byte + body[k * header.rows + r]) % 256;
      column.push(byte === 0 ? 0 : min * Math.pow(max / min, (byte - 1) / (steps - 1)));
    }
    totals.push(column);
  }
  return { header, totals };
}

test('a matrix is read as it is written', () => {
  const next = random(7);
  for (let round = 0; round < 40; round++) {
    const columns = Math.floor(next() * 30);
    const rows = Math.floor(next() * 30);
    const value = Array.from({ length: columns * rows }, () => (next() < 0.4 ? 0 : 10 ** (1 + 7 * next())));
    const scale = { min: 12.5, max: 123456789.01, steps: [255, 100, 2][round % 3] };
    const bytes = matrixBytes({ columns, rows, scale, start: 6000, totals: (c, r) => value[c * rows + r] });
    const { header, totals } = readSlowly(bytes);
    const matrix = parseMatrix(bytes);
    assert.deepEqual([matrix.columns, matrix.rows, matrix.interval], [columns, rows, header.interval]);
    for (let c = 0; c < columns; c++) {
      for (let r = 0; r < rows; r++) {
        const found = matrix.scale[matrix.cells[c * rows + r]];
        const wanted = totals[c][r];
        assert.ok(wanted === 0 ? found === 0 : Math.abs(found / wanted - 1) < 1e-12, `${found}, not ${wanted}`);
      }
    }
  }
});

test('the ends of the scale are its least and its largest total', () => {
  const { scale } = parseMatrix(matrixBytes({ scale: { min: 12.5, max: 5e7, steps: 255 } }));
  assert.deepEqual([scale[0], scale[1]], [0, 12.5]);
  assert.ok(Math.abs(scale[255] / 5e7 - 1) < 1e-12);
});

test('a scale of one total, or of none, is a number everywhere', () => {
  for (const scale of [{ min: 7, max: 7, steps: 255 }, { min: 7, max: 7, steps: 1 }, { min: 0, max: 0, steps: 255 }]) {
    const matrix = parseMatrix(matrixBytes({ scale }));
    assert.equal(matrix.scale[1], scale.min);
    assert.ok(matrix.scale.every(Number.isFinite), JSON.stringify(scale));
  }
});

test('columns have their times and gaps are not known', () => {
  const matrix = parseMatrix(matrixBytes({ columns: 6, rows: 1, start: 3000, step: 900, gaps: [[1, 2], [5, 1]] }));
  assert.deepEqual([...matrix.known], [1, 0, 0, 1, 1, 0]);
  assert.equal(matrixTime(matrix, 2), 4800);
});

test('an answer that is not what it says is refused', () => {
  const whole = matrixBytes({ columns: 3, rows: 4 });
  assert.throws(() => parseMatrix(whole.slice(0, -1)), /11 cells, not 3 x 4/);
  assert.throws(() => parseMatrix(new Uint8Array([...whole, 0])), /13 cells/);
  assert.throws(() => parseMatrix(whole.slice(0, 20)), /no header/);
  assert.throws(() => parseMatrix(new TextEncoder().encode('<html>\n')), SyntaxError);
  assert.throws(() => parseMatrix(matrixBytes({ coding: 'wavelet' })), /coded as wavelet/);
});

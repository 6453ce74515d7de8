/**
 * levels-table.js - the biggest levels of a pane's newest column as a table, for eyes and ears.
 */
import { make } from './dom.js';
import { binDigits, price, usdt } from './format.js';

/** @typedef {import('./heat-store.js').Cell} Cell */

/** So many above the price and as many below. */
const PER_SIDE = 5;

/**
 * The ten biggest levels, from the highest price down, with what the table shows of each.
 * @param {import('./heat-store.js').HeatStore} store
 * @param {number} now the price
 */
export function biggest(store, now) {
  const { above, below } = store.largest(store.count - 1, now, PER_SIDE);
  const digits = binDigits(store.bin);
  const rows = [...above, ...below]
    .sort((a, b) => b.from - a.from)
    .map((cell) => ({
      side: cell.from > now ? 'above' : 'below',
      share: cell.total / Math.max(above[0]?.total ?? 0, below[0]?.total ?? 0),
      cells: [price(cell.from, digits), away(cell, now), part(cell.long, cell), part(cell.short, cell)],
    }));
  const told = (/** @type {Cell[]} */ cells) =>
    cells.length ? `${usdt(cells[0].total)} USDT at ${price(cells[0].from, digits)}` : 'none';
  return { rows, above: told(above), below: told(below) };
}

/** @param {Cell} cell @param {number} now */
function away({ from, to }, now) {
  const share = ((from + to) / 2 / now - 1) * 100;
  return `${share < 0 ? '−' : '+'}${Math.abs(share).toFixed(Math.abs(share) < 10 ? 2 : 1)} %`;
}

/** Of a level whose sides are not known, the whole. @param {number} value @param {Cell} cell */
function part(value, cell) {
  return Number.isNaN(value) ? `≈ ${usdt(cell.total)}` : usdt(value);
}

/**
 * @param {HTMLTableElement} table
 * @param {string} caption
 * @param {ReturnType<typeof biggest>['rows']} rows
 */
export function fillTable(table, caption, rows) {
  /** @type {HTMLElement} */ (table.caption).textContent = caption;
  table.tBodies[0].replaceChildren(
    ...rows.map(({ side, share, cells: [first, ...rest] }) => {
      const row = make('tr', { class: side }, make('th', { scope: 'row' }, first), ...rest.map((s) => make('td', {}, s)));
      row.style.setProperty('--share', String(share));
      return row;
    }),
  );
}

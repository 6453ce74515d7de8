/**
 * dialogs.js - the page's two dialogs: its keys, and the leverage weights.
 *
 * Each is a <dialog> that is made when it opens and gone when it closes; the browser keeps the
 * focus inside, closes it with Escape, and gives the focus back.
 */
import { fillTrack, make, setText, uniqueId } from './dom.js';
import { STREAM_MIX, TIERS, formatWeights, isStreamMix, parseWeights, sharesOf } from './settings.js';

const WEIGHT_MAX = 100;

/**
 * @param {readonly import('./keyboard.js').KeyRow[]} keys
 * @returns {HTMLDialogElement}
 */
export function openHelp(keys) {
  const groups = [...new Set(keys.map(({ group }) => group))];
  const tables = groups.map((group) => {
    const rows = keys.filter((row) => row.group === group);
    return keyTable(group, rows);
  });
  const close = make('button', { type: 'submit', class: 'dialog-main' }, 'Close');
  const dialog = openDialog('Keyboard', [make('div', { class: 'help', tabindex: '0' }, ...tables)], [close]);
  close.focus();
  return dialog;
}

/** @param {string} name @param {readonly import('./keyboard.js').KeyRow[]} rows */
function keyTable(name, rows) {
  const lines = rows.map(({ key, label }) =>
    make('tr', {}, make('th', { scope: 'row' }, ...keyCaps(key)), make('td', {}, label)),
  );
  return make('table', { class: 'help-table' }, make('caption', {}, name), make('tbody', {}, ...lines));
}

/** "Shift + arrows" -> two caps and the plus between them. @param {string} text */
function keyCaps(text) {
  return text.split(/( \+ | … | )/).map((part) => (/^ | $/.test(part) ? part : make('kbd', {}, part)));
}

/**
 * @param {{weights: string | null, onApply: (weights: string | null) => void}} options weights as
 *   the server's leverage_weights, null for the stream's mix
 * @returns {HTMLDialogElement}
 */
export function editWeights({ weights, onApply }) {
  const apply = make('button', { type: 'submit', class: 'dialog-main' }, 'Apply');
  const reset = make('button', { type: 'button', class: 'dialog-left' }, 'Reset to the stream’s mix');
  const cancel = make('button', { type: 'button' }, 'Cancel');
  const problem = make('p', { class: 'weights-problem', role: 'alert' });
  const rows = TIERS.map(makeWeight);
  const chosen = () => rows.map(({ slider }) => slider.valueAsNumber);

  const show = () => {
    const shares = percentages(chosen());
    rows.forEach((row, i) => showShare(row, shares[i]));
    apply.disabled = chosen().every((weight) => weight === 0);
    setText(problem, apply.disabled ? 'At least one weight must be above 0.' : '');
  };
  const setAll = (/** @type {readonly number[]} */ values) => {
    rows.forEach(({ slider }, i) => (slider.valueAsNumber = values[i]));
    show();
  };

  const dialog = openDialog(
    'Leverage weights',
    [
      make('p', {}, 'Share of new open interest at each leverage.'),
      make('div', { class: 'weights' }, ...rows.map(({ row }) => row)),
      problem,
      make('p', { class: 'dialog-note' }, weightsNote()),
    ],
    [reset, cancel, apply],
  );
  for (const { slider } of rows) slider.addEventListener('input', show);
  reset.addEventListener('click', () => setAll(STREAM_MIX));
  cancel.addEventListener('click', () => dialog.close());
  dialog.addEventListener('submit', () => onApply(isStreamMix(chosen()) ? null : formatWeights(chosen())));
  setAll(sliderValues(weights));
  rows[0].slider.focus();
  return dialog;
}

function weightsNote() {
  const mix = TIERS.map((tier, i) => `${tier}× ${STREAM_MIX[i]} %`).join(', ');
  return `Your own weights apply to history only. The live stream keeps the default mix: ${mix}.`;
}

/** @param {number} tier */
function makeWeight(tier) {
  const id = uniqueId('weight');
  const slider = make('input', { id, type: 'range', min: '0', max: String(WEIGHT_MAX), step: '1' });
  const share = make('span', { class: 'weights-share', 'aria-hidden': 'true' });
  const row = make('div', { class: 'weights-row' }, make('label', { for: id }, `${tier}×`), slider, share);
  return { row, slider, share };
}

/** @param {ReturnType<typeof makeWeight>} row @param {string} percentage */
function showShare({ slider, share }, percentage) {
  setText(share, percentage);
  slider.setAttribute('aria-valuetext', `${slider.value}, share ${percentage}`);
  fillTrack(slider);
}

/**
 * Shares in percent, with a decimal where one of them needs it.
 * @param {readonly number[]} weights
 */
function percentages(weights) {
  const shares = sharesOf(weights).map((share) => share * 100);
  const digits = shares.every((share) => Math.abs(share - Math.round(share)) < 1e-9) ? 0 : 1;
  return shares.map((share) => `${share.toFixed(digits)} %`);
}

/** Weights that the sliders cannot show are shown as their shares. @param {string | null} text */
function sliderValues(text) {
  const weights = parseWeights(text ?? '') ?? STREAM_MIX;
  const fits = weights.every((weight) => Number.isInteger(weight) && weight <= WEIGHT_MAX);
  return fits ? weights : sharesOf(weights).map((share) => Math.round(share * 100));
}

/**
 * @param {string} title
 * @param {Node[]} content
 * @param {HTMLButtonElement[]} buttons one that submits closes the dialog
 */
function openDialog(title, content, buttons) {
  const id = uniqueId('dialog');
  const form = make('form', { method: 'dialog' }, make('h2', { id }, title), ...content);
  form.append(make('div', { class: 'dialog-buttons' }, ...buttons));
  const dialog = make('dialog', { class: 'dialog', 'aria-labelledby': id }, form);
  closeFromOutside(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A click beside the dialog closes it; a drag out of it does not. @param {HTMLDialogElement} dialog */
function closeFromOutside(dialog) {
  let begun = false;
  dialog.addEventListener('pointerdown', ({ target }) => (begun = target === dialog));
  dialog.addEventListener('click', ({ target }) => begun && target === dialog && dialog.close());
}

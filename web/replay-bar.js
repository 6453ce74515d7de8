/**
 * replay-bar.js - where a replay is, how fast it runs, and, where the server lets us, both changed.
 */
import { fillTrack, make, setText } from './dom.js';
import { clock } from './format.js';
import { parseTime } from './rest.js';

/**
 * @typedef {import('./rest.js').Replay} Replay
 * @typedef {object} Options
 * @property {(speed: number) => void} onSpeed
 * @property {(time: number) => void} onPosition seconds since 1970
 * @property {(paused: boolean) => void} onPause
 */

const SPEEDS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600];
/** Each new position builds the server's state anew: only where the handle comes to rest. */
const REST_MS = 400;
/** Seconds: an arrow key moves by a column, a page key by a day. */
const STEP = 300;
const PAGE = 86400;

/**
 * @param {HTMLElement} container
 * @param {Options} options
 */
export function replayBar(container, options) {
  return new ReplayBar(container, options);
}

class ReplayBar {
  /** @param {HTMLElement} container @param {Options} options */
  constructor(container, { onSpeed, onPosition, onPause }) {
    this.paused = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} while the user chooses a position */
    this.choosing = undefined;

    this.button = make('button', { type: 'button', class: 'replay-pause' });
    this.slider = make('input', { type: 'range', class: 'replay-slider', step: STEP, 'aria-label': 'Replay position' });
    this.speeds = make('select', { class: 'replay-speed', 'aria-label': 'Replay speed' });
    this.start = make('span', { class: 'replay-end' });
    this.end = make('span', { class: 'replay-end' });
    this.time = make('span', { class: 'replay-time' });
    this.text = make('span');
    this.controls = make(
      'div',
      { class: 'replay-controls' },
      this.button,
      this.time,
      make('div', { class: 'replay-track' }, this.start, this.slider, this.end),
      this.speeds,
    );
    this.bar = make('div', { class: 'replay-bar', role: 'group', 'aria-label': 'Replay' }, this.controls, this.text);
    container.append(this.bar);

    this.button.addEventListener('click', () => onPause(!this.paused));
    this.speeds.addEventListener('change', () => onSpeed(Number(this.speeds.value)));
    this.slider.addEventListener('input', () => this.#choose(onPosition));
    this.slider.addEventListener('keydown', (event) => {
      if (event.key !== 'PageUp' && event.key !== 'PageDown') return;
      event.preventDefault();
      this.slider.valueAsNumber += event.key === 'PageUp' ? PAGE : -PAGE;
      this.#choose(onPosition);
    });
  }

  /** @param {Omit<Replay, 'position'> & {position?: string | number}} replay position: or seconds since 1970 */
  set({ start, end, position, speed = 1, paused = false, control = false }) {
    this.paused = paused;
    this.controls.hidden = !control;
    this.text.hidden = control;
    const time = secondsOf(position);
    setText(this.text, `Replay ${paused ? 'paused' : `${speed}×`} · ${timeText(time)}`);
    if (!control) return;

    setText(this.button, paused ? 'Play' : 'Pause');
    this.button.dataset.paused = String(paused);
    this.#showSpeed(speed);
    if (this.choosing === undefined) this.#showPosition(secondsOf(start), secondsOf(end), time);
  }

  destroy() {
    clearTimeout(this.choosing);
    this.bar.remove();
  }

  /** @param {number} start @param {number} end @param {number} time */
  #showPosition(start, end, time) {
    const { slider } = this;
    slider.disabled = !(end > start);
    if (slider.disabled) return;
    slider.min = String(start);
    slider.max = String(end);
    slider.valueAsNumber = time;
    setText(this.start, dayText(start));
    setText(this.end, dayText(end));
    this.#wordPosition(time);
  }

  /** @param {number} time */
  #wordPosition(time) {
    setText(this.time, timeText(time));
    this.slider.setAttribute('aria-valuetext', timeText(time));
    fillTrack(this.slider);
  }

  /** A speed that is none of ours is offered too: it is the present one. @param {number} speed */
  #showSpeed(speed) {
    const offered = [...new Set([...SPEEDS, speed])].sort((a, b) => a - b);
    const { speeds } = this;
    if (speeds.options.length !== offered.length || ![...speeds.options].some(({ value }) => value === String(speed))) {
      speeds.replaceChildren(...offered.map((value) => make('option', { value }, `${value}×`)));
    }
    speeds.value = String(speed);
  }

  /** @param {(time: number) => void} onPosition */
  #choose(onPosition) {
    this.#wordPosition(this.slider.valueAsNumber);
    clearTimeout(this.choosing);
    this.choosing = setTimeout(() => {
      this.choosing = undefined;
      onPosition(this.slider.valueAsNumber);
    }, REST_MS);
  }
}

/** @param {string | number | undefined} time */
function secondsOf(time) {
  return typeof time === 'string' ? parseTime(time) : (time ?? NaN);
}

/** @param {number} time */
function timeText(time) {
  return Number.isFinite(time) ? clock(time) : 'no time yet';
}

/** The ends are days apart, and the hour of day is in the way on a phone. @param {number} time */
function dayText(time) {
  return clock(time).slice(0, 10);
}

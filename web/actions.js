/**
 * actions.js - what each key's action does; keyboard.js says which key it is.
 */
import { WINDOWS } from './rest.js';
import { CHOICES, FLAGS, following } from './settings.js';

/**
 * @typedef {import('./settings.js').Settings} Settings
 * @typedef {object} Page
 * @property {() => Settings} settings
 * @property {(change: Partial<Settings>) => void} change
 * @property {() => import('./pane.js').Pane} pane the one in use
 * @property {Record<'weights' | 'csv' | 'image' | 'reset' | 'help' | 'pause', () => void>} commands
 */

const THRESHOLD_STEP = 0.05;
/** Columns, and part of the price axis, that one step of panning goes. */
const PAN_COLUMNS = 20;
const PAN_HEIGHT = 0.1;

/** @param {Page} page @returns {import('./keyboard.js').Handlers} */
export function keyActions({ settings, change, pane, commands }) {
  const chart = () => pane().chart;
  const toggles = FLAGS.map((name) => [name, () => change({ [name]: !settings()[name] })]);
  return {
    crosshair: (dc, dr) => chart().moveCrosshair(dc, dr),
    pan: (dc, dr) => chart().pan(dc * PAN_COLUMNS, dr * PAN_HEIGHT),
    zoom: (factor) => chart().zoom(factor),
    oldest: () => chart().pan(-(pane().store?.count ?? 0)),
    newest: () => chart().toNewest(),
    window: (n) => {
      const name = Object.keys(WINDOWS)[n - 1];
      if (name) change({ window: name });
    },
    threshold: (way) => {
      const { low, high } = settings();
      const most = Math.max(high - THRESHOLD_STEP, 0);
      change({ low: Math.min(Math.max(low + way * THRESHOLD_STEP, 0), most) });
    },
    scale: () => change({ scale: following(CHOICES.scale, settings().scale) }),
    palette: () => change({ palette: following(CHOICES.palette, settings().palette) }),
    theme: () => change({ theme: following(CHOICES.theme, settings().theme) }),
    grid: () => change({ panes: following(CHOICES.panes, settings().panes) }),
    ...Object.fromEntries(toggles),
    search: () => pane().picker.focus(),
    ...commands,
  };
}

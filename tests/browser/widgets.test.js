/**
 * The page's controls by themselves in a real browser, one for all of them: mouse, finger, keys, and
 * what they tell a screen reader.
 *
 *   HEATCAST_URL=http://127.0.0.1:8000/ node --test tests/browser/widgets.test.js
 *
 * A server that runs gives the files. CHROMIUM names the browser, by default /usr/bin/chromium.
 */
import './widgets/range-slider.js';
import './widgets/symbol-picker.js';
import './widgets/dialogs.js';
import './widgets/replay-bar.js';
import './widgets/keyboard.js';
import './widgets/export.js';
import './widgets/all.js';

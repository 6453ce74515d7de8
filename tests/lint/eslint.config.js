/**
 * eslint's rules for all our JavaScript; `make lint` runs it from the repository's folder, so the
 * patterns are relative to that.
 */
import js from '@eslint/js';
import globals from 'globals';

/* k6 gives its scripts these and the browser's timers and console; its modules it brings along. */
const k6 = { __ENV: 'readonly', console: 'readonly', setTimeout: 'readonly' };

/* Runs in browsers and in Node: only what both have, and a document where there is one. */
const client = ['web/heatmap-client.js', 'web/heatmap-poll.js', 'web/heatmap-state.js'];
const either = { ...globals['shared-node-browser'], document: 'readonly' };

export default [
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: { ecmaVersion: 2022, sourceType: 'module' }, /* what node 18 knows */
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }], /* == null is null or undefined */
      'no-var': 'error',
      'prefer-const': ['error', { destructuring: 'all' }],
      'no-unused-vars': ['error', { caughtErrors: 'all', ignoreRestSiblings: true }],
      'no-unreachable-loop': 'error',
      'no-self-compare': 'error',
      'no-throw-literal': 'error',
      'no-template-curly-in-string': 'error',
    },
  },
  { files: ['web/*.js'], ignores: client, languageOptions: { globals: globals.browser } },
  { files: client, languageOptions: { globals: either } },
  {
    files: ['**/test/**/*.js', 'tests/**/*.{js,mjs}', '{bench,scripts}/**/*.mjs'],
    languageOptions: { globals: globals.node },
  },
  /* Functions that are handed to page.evaluate() run in the browser. */
  { files: ['tests/browser/**/*.{js,mjs}'], languageOptions: { globals: globals.browser } },
  { files: ['tests/load/*.js'], languageOptions: { globals: k6 } },
];

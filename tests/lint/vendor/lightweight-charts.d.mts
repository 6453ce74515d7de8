/* The page asks its server for ./vendor/lightweight-charts.mjs; `rootDirs` in ../tsconfig.json lays this
 * folder over web/, so that the import finds the library's own types. */
export * from '../../../web/node_modules/lightweight-charts/dist/typings.js';

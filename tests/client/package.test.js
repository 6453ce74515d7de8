/** The package as npm would get it: installed, imported, and its types believed. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL('../../client', import.meta.url));
const TSC = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));

const PROGRAM = `
import { HeatmapWebSocket } from 'heatcast-client';
const client = new HeatmapWebSocket('ws://127.0.0.1:1/ws/heatmap', {
  onSnapshot: ({ data }) => console.log(data.levels[0].price),
  onStatusChange: (status) => console.log(status),
  mode: 'snapshot',
});
client.subscribe(['BTCUSDT'], { updateInterval: 5 });
client.disconnect();
`;
/* Each complaint that does not come is one. */
const TYPES = `${PROGRAM}
// @ts-expect-error
new HeatmapWebSocket('ws://x/', { onSnapshot: ({ data }) => data.nothing });
// @ts-expect-error
new HeatmapWebSocket('ws://x/', { mode: 'other' });
`;

test('what npm packs can be imported, and has types', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heatcast-client-'));
  t.after(() => rm(folder, { recursive: true }));
  const installed = join(folder, 'node_modules', 'heatcast-client');
  await mkdir(installed, { recursive: true });
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: PACKAGE });
  const packed = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  await run('tar', ['-xzf', join(folder, packed), '-C', installed, '--strip-components', '1']);
  assert.deepEqual((await readdir(installed)).sort(), [
    'LICENSE',
    'README.md',
    'heatmap-client.d.ts',
    'heatmap-client.js',
    'heatmap-poll.js',
    'heatmap-state.d.ts',
    'heatmap-state.js',
    'package.json',
  ]);
  assert.deepEqual((await readdir(PACKAGE)).sort(), ['README.md', 'package.json'], 'and nothing is left behind');

  await writeFile(join(folder, 'program.mjs'), PROGRAM);
  const { stdout } = await run(process.execPath, ['program.mjs'], { cwd: folder });
  assert.equal(stdout, 'disconnected\n');
  await writeFile(join(folder, 'types.mts'), TYPES);
  const strictly = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', 'types.mts'];
  await run(process.execPath, [TSC, ...strictly], { cwd: folder });
});

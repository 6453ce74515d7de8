/**
 * shrink.mjs FROM TO - writes FROM/*.js to TO as the program carries them: without comments and with
 * short local names, half the bytes. Each stays the module it is; `--web-root web` serves the sources.
 */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const [from, to] = process.argv.slice(2);
const { minify } = createRequire(resolve(from, 'package.json'))('terser');

await mkdir(to, { recursive: true });
for (const name of (await readdir(from)).filter((file) => file.endsWith('.js'))) {
  const { code } = await minify(await readFile(join(from, name), 'utf8'), { module: true });
  await writeFile(join(to, name), code);
}

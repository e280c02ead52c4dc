// The program that tests start: the sources in a few files. A test run starts it hundreds of times, and a third of what each
// start costs is finding, reading and stripping some 200 modules and those of the packages.
//
//   node_modules/.cache/holdfast-tests/DIGEST/    DIGEST of the sources: made once, used until one of them changes
//     package.json, src/holdfast.mjs              as in the package
//     dist/cli.js                                 passes on to
//     dist/bundle/                                cli, worker and what both share; the page's files

import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = join(ROOT, 'node_modules/.cache/holdfast-tests');
const KEPT_MS = 24 * 3_600_000;
const FROM_SOURCES = join(ROOT, 'src/holdfast.mjs');

/** Launcher of the program under test. HOLDFAST_TEST_LAUNCHER=src/holdfast.mjs runs the sources as they are. */
export const LAUNCHER = process.env['HOLDFAST_TEST_LAUNCHER'] ?? FROM_SOURCES;

/** The one that has the command: the demo and the lab come with a checkout only. */
export function launcherFor(command: string | undefined): string {
  return command === 'demo' || command === 'lab' ? FROM_SOURCES : LAUNCHER;
}

/** Before all tests (vitest's globalSetup): their processes inherit the variable. */
export async function setup(): Promise<void> {
  process.env['HOLDFAST_TEST_LAUNCHER'] ??= await bundledLauncher();
}

async function bundledLauncher(): Promise<string> {
  const home = join(CACHE, digestOfSources());
  const launcher = join(home, 'src/holdfast.mjs');
  if (existsSync(launcher)) return launcher;
  dropOld();
  const making = `${home}.${process.pid}`;
  await makeBundle(join(making, 'dist/bundle'));
  cpSync(join(ROOT, 'src/admin/page/assets'), join(making, 'dist/bundle/assets'), { recursive: true });
  writeFileSync(join(making, 'dist/cli.js'), "export { main } from './bundle/cli.js';\n");
  cpSync(join(ROOT, 'package.json'), join(making, 'package.json'));
  mkdirSync(join(making, 'src'));
  cpSync(FROM_SOURCES, join(making, 'src/holdfast.mjs'));
  try {
    renameSync(making, home);
  } catch (error) {
    // Another run of the same tests may have been quicker: its bundle is the same.
    if (!existsSync(launcher)) throw error;
    rmSync(making, { recursive: true });
  }
  return launcher;
}

/** Bundles of former sources, and what a run that was killed left: 3 MB for each change. Another run may use a young one. */
function dropOld(): void {
  const oldestMs = Date.now() - KEPT_MS;
  for (const folder of globSync('*', { cwd: CACHE }).map((name) => join(CACHE, name))) {
    const { mtimeMs = oldestMs } = statSync(folder, { throwIfNoEntry: false }) ?? {};
    if (mtimeMs < oldestMs) rmSync(folder, { recursive: true, force: true });
  }
}

function digestOfSources(): string {
  const hash = createHash('sha256');
  const files = [
    'package.json',
    'package-lock.json',
    ...globSync('src/**/*.{ts,mjs,js,css,html}', { cwd: ROOT }),
  ];
  for (const file of files.sort()) {
    const { mtimeMs, size } = statSync(join(ROOT, file));
    hash.update(`${file} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

async function makeBundle(folder: string): Promise<void> {
  const bundle = await rolldown({
    cwd: ROOT,
    input: { cli: 'src/cli.ts', worker: 'src/run/worker.ts' },
    platform: 'node',
    logLevel: 'silent',
  });
  await bundle.write({ dir: folder, entryFileNames: '[name].js', chunkFileNames: '[name]-shared.js' });
  await bundle.close();
}

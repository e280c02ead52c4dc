// The program that tests start: the sources in a few files. A test run starts it hundreds of times, and a third of what each
// start costs is finding, reading and stripping some 200 modules and those of the packages.
//
//   node_modules/.cache/holdfast-tests/DIGEST/    DIGEST of the sources: made once, used until one of them changes
//     package.json, src/holdfast.mjs              as in the package
//     dist/bundle/                                cli, worker, program.ts and what they share; the page's files
//     code/                                       what Node has compiled of all that tests start, threads included

import { createHash } from 'node:crypto';
import { cpSync, existsSync, globSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundle } from '../../bundle.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = join(ROOT, 'node_modules/.cache/holdfast-tests');
const KEPT_MS = 24 * 3_600_000;
const PROGRAM = 'test/support/program.ts';
const FROM_SOURCES = join(ROOT, 'src/holdfast.mjs');

/** Launcher of the program under test. HOLDFAST_TEST_LAUNCHER=src/holdfast.mjs runs the sources as they are. */
export const LAUNCHER = process.env['HOLDFAST_TEST_LAUNCHER'] ?? FROM_SOURCES;

/** The program's code, as LAUNCHER runs it, for this process. */
export async function program(): Promise<typeof import('./program.ts')> {
  const bundled = join(LAUNCHER, '../../dist/bundle/program.js');
  return existsSync(bundled) ? import(pathToFileURL(bundled).href) : import('./program.ts');
}

/** The one that has the command: the demo and the lab come with a checkout only. */
export function launcherFor(command: string | undefined): string {
  return command === 'demo' || command === 'lab' ? FROM_SOURCES : LAUNCHER;
}

/** Before all tests (vitest's globalSetup): their processes inherit the variables. */
export async function setup(): Promise<void> {
  if (process.env['HOLDFAST_TEST_LAUNCHER'] !== undefined) return;
  const launcher = await bundledLauncher();
  process.env['HOLDFAST_TEST_LAUNCHER'] = launcher;
  process.env['NODE_COMPILE_CACHE'] ??= join(launcher, '../../code');
}

async function bundledLauncher(): Promise<string> {
  const home = join(CACHE, digestOfSources());
  const launcher = join(home, 'src/holdfast.mjs');
  if (existsSync(launcher)) return launcher;
  dropOld();
  const making = `${home}.${process.pid}`;
  const input = { cli: 'src/cli.ts', worker: 'src/run/worker.ts', program: PROGRAM };
  await bundle(input, join(making, 'dist/bundle'), false);
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
    PROGRAM,
    'bundle.ts',
    ...globSync('src/**/*.{ts,mjs,js,css,html}', { cwd: ROOT }),
  ];
  for (const file of files.sort()) {
    const { mtimeMs, size } = statSync(join(ROOT, file));
    hash.update(`${file} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

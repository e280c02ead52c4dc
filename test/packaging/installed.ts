// The package as a user gets it: packed, and installed into an empty project.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Packages that the examples need beside holdfast; the compiler and the types for those in TypeScript. */
const COMPANIONS = [
  ...['express', '@types/express', '@types/node', 'typescript'],
  ...['express-session', '@types/express-session', 'redis'],
];
const PACK_MS = 120_000;
const INSTALL_MS = 240_000;

export interface Installed {
  readonly directory: string;
  /** What the package brings by itself. */
  readonly alone: {
    readonly packages: number;
    readonly bytes: number;
    /** Packages that run something when they are installed. */
    readonly withScripts: readonly string[];
  };
  remove(): void;
}

/** Runs to its end and returns what it printed on standard output. Throws with all output when it fails. */
export function run(directory: string, command: string, args: readonly string[], timeoutMs = 30_000): string {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` };
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: directory,
    env,
    timeout: timeoutMs,
    encoding: 'utf8',
  });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}\n${stderr}`);
}

/**
 * Packs this checkout and installs the tarball. npm takes what it has in its cache and asks the registry for the rest;
 * null when it cannot reach it.
 */
export function installPacked(): Installed | null {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-packed-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  run(ROOT, 'npm', ['pack', '--pack-destination', directory], PACK_MS);
  const tarball = readdirSync(directory).find((name) => name.endsWith('.tgz')) ?? '';
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }');
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--fetch-retries=1', '--fetch-timeout=20000'];
  let alone: Installed['alone'];
  try {
    run(directory, 'npm', ['install', ...flags, `./${tarball}`], INSTALL_MS);
    alone = measure(directory);
    run(directory, 'npm', ['install', ...flags, ...COMPANIONS.map(pinned)], INSTALL_MS);
  } catch (error) {
    remove();
    if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENOTCACHED|FETCH_ERROR/.test(String(error))) return null;
    throw error;
  }
  cpSync(join(ROOT, 'docs/examples'), directory, { recursive: true });
  return { directory, alone, remove };
}

function measure(directory: string): Installed['alone'] {
  const modules = join(directory, 'node_modules');
  const files = readdirSync(modules, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const bytes = files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
  // the first line is the project itself
  const listed = run(directory, 'npm', ['ls', '--all', '--parseable']).trim().split('\n');
  const lock: { packages: Readonly<Record<string, { readonly hasInstallScript?: boolean }>> } = JSON.parse(
    readFileSync(join(directory, 'package-lock.json'), 'utf8'),
  );
  const withScripts = Object.entries(lock.packages).flatMap(([name, { hasInstallScript }]) =>
    hasInstallScript === true ? [name] : [],
  );
  return { packages: listed.length - 1, bytes, withScripts };
}

/** The version this checkout has, so that npm finds it in its cache. */
function pinned(name: string): string {
  const { version } = JSON.parse(
    run(ROOT, process.execPath, ['-p', `JSON.stringify({version: require('${name}/package.json').version})`]),
  );
  return `${name}@${version}`;
}

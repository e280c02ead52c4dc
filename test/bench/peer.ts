/** What an adapter of a compared proxy must offer, and how versions are found. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Backend, Spoken } from './backends.ts';
import { findProgram } from './cores.ts';

/** What an adapter is given: a folder of its own, a free port, and the servers behind it. */
export type Site = {
  readonly folder: string;
  readonly port: number;
  readonly backends: readonly Backend[];
  readonly spoken: Spoken;
  /** Where those that speak TLS do so, and with what: PEM files, one of them with both. */
  readonly secure: {
    readonly port: number;
    readonly cert: string;
    readonly key: string;
    readonly both: string;
  };
  /** Client connections it must be able to hold. */
  readonly connectionsMax: number;
  readonly threads: number;
};

/** What an adapter gives back: the command that runs the proxy in the foreground. */
export type Launch = {
  readonly command: readonly string[];
  /** True when it chooses its own port and prints `listening on http://ADDRESS:PORT`. */
  readonly printsPort: boolean;
};

export type Peer = {
  readonly name: string;
  /** How a client stays with a server; null when the proxy has no stickiness and turns round its targets. */
  readonly sticky: string | null;
  /** Speaks HTTP/2 to servers as well. */
  readonly asksInHttp2?: true;
  /** Listens at `secure` too. */
  readonly speaksTls: boolean;
  /** The version found on this machine, null when the proxy is not installed. */
  readonly version: () => string | null;
  /** Writes its configuration into the site's folder and says what to run. */
  readonly launch: (site: Site) => Launch;
};

/** The first thing that looks like a version in what `program args` prints; null when it is not installed. */
export function programVersion(program: string, args: readonly string[]): string | null {
  const path = findProgram(program);
  if (path === null) return null;
  const result = spawnSync(path, args, { encoding: 'utf8', timeout: 10_000 });
  return /\d+\.\d+(\.\d+)?/.exec(`${result.stdout}${result.stderr}`)?.[0] ?? 'unknown';
}

/** The version of a package in node_modules; null when it is not installed. */
export function packageVersion(name: string): string | null {
  const require = createRequire(import.meta.url);
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      const text = readFileSync(join(folder, name, 'package.json'), 'utf8');
      return /"version":\s*"(\d[^"]*)"/.exec(text)?.[1] ?? 'unknown';
    } catch {
      // not in this folder
    }
  }
  return null;
}

/** The repository's root. */
export const ROOT = dirname(dirname(import.meta.dirname));

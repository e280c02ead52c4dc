// The files that `tls` of a pool names: read, tried, and put into the configuration, so that a wrong one is a problem of the
// configuration, with its place, and not of the first request.

import { messageOf } from '../base/message-of.ts';
import { contextOf, type TlsSettings } from '../base/tls-client.ts';
import { Faults, readAuthorities, readPair } from '../tls/certificate.ts';
import type { Files } from '../tls/files.ts';
import { deepFreeze } from './build.ts';
import type { Loaded, WrittenValue } from './load.ts';
import type { PoolConfig } from './model.ts';
import { type Place, type Problem, sortProblems } from './problem.ts';

/** `file`: name of the configuration in problems. */
export function withServerTlsFiles(loaded: Loaded, file: string, files: Files): Loaded {
  const { config, written } = loaded;
  if (config === null) return loaded;
  const found: Record<'error' | 'warning', Problem[]> = { error: [], warning: [] };
  const pools = config.pools.map((pool) => {
    const faults = new Faults(['pools', pool.name, 'tls']);
    const secure = settingsOf(pool, files, faults);
    for (const { severity, path, message } of faults.list)
      found[severity].push({ file, ...placeOf(path, written), message });
    return { ...pool, secure };
  });
  const isGood = found.error.length === 0;
  return {
    ...loaded,
    config: isGood ? deepFreeze({ ...config, pools }) : null,
    problems: sortProblems([...loaded.problems, ...found.error]),
    warnings: sortProblems([...loaded.warnings, ...found.warning]),
  };
}

function placeOf(path: readonly (string | number)[], written: readonly WrittenValue[]): Place {
  return written.find(({ keys }) => keys.join('.') === path.join('.'))?.place ?? { line: 0, column: 0 };
}

function settingsOf({ tls, secure }: PoolConfig, files: Files, faults: Faults): TlsSettings {
  const { ca, cert, key, passphrase } = tls;
  const authorities = ca === null ? null : readAuthorities(files, ca, faults.below('ca'));
  const named = cert === null || key === null ? null : { cert, key, chain: null, passphrase };
  const pair = named === null ? null : readPair(files, named, faults);
  const settings = { ...secure, ca: authorities, cert: pair?.cert ?? null, key: pair?.key ?? null };
  if (faults.hasErrors) return settings;
  try {
    contextOf(settings);
  } catch (error) {
    // what the checks before have not seen, and OpenSSL has
    const [what, path] = named === null ? ['ca', ca] : ['cert', cert];
    faults.below(what as string).error(`"${path}" cannot be used: ${messageOf(error)}`);
  }
  return settings;
}

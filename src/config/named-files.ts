// The files that a configuration names and whose content is part of it: read, tried, and put into it, so that a wrong one
// is a problem of the configuration, with its place, and not of the first request.

import { Faults } from '../tls/certificate.ts';
import type { Files } from '../tls/files.ts';
import { deepFreeze } from './build.ts';
import { type ErrorPages, readErrorPages } from './error-pages.ts';
import type { Loaded, WrittenValue } from './load.ts';
import type { HoldfastConfig } from './model.ts';
import { type Place, type Problem, sortProblems } from './problem.ts';
import { readServerTls } from './server-tls-files.ts';

/** `file`: name of the configuration in problems. */
export function withNamedFiles(loaded: Loaded, file: string, files: Files): Loaded {
  const { config, written } = loaded;
  if (config === null) return loaded;
  const faults = new Faults();
  const pools = config.pools.map((pool) => {
    const at = faults.below('pools', pool.name);
    return { ...pool, secure: readServerTls(pool, files, at.below('tls')), pages: pagesOf(pool, files, at) };
  });
  const full: HoldfastConfig = { ...config, pools, pages: pagesOf(config, files, faults) };
  const found: Record<'error' | 'warning', Problem[]> = { error: [], warning: [] };
  for (const { severity, path, message } of faults.list)
    found[severity].push({ file, ...placeOf(path, written), message });
  return {
    ...loaded,
    config: faults.hasErrors ? null : deepFreeze(full),
    problems: sortProblems([...loaded.problems, ...found.error]),
    warnings: sortProblems([...loaded.warnings, ...found.warning]),
  };
}

function pagesOf(
  { errorPages }: Pick<HoldfastConfig, 'errorPages'>,
  files: Files,
  faults: Faults,
): ErrorPages {
  return readErrorPages(errorPages, files, (status, message) =>
    faults.below('errorPages', status).error(message),
  );
}

function placeOf(path: readonly (string | number)[], written: readonly WrittenValue[]): Place {
  return written.find(({ keys }) => keys.join('.') === path.join('.'))?.place ?? { line: 0, column: 0 };
}

// What a reload changes, as text for the log, the API and the command line.

import type { HoldfastConfig, PoolConfig, ServerConfig } from '../config/model.ts';
import type { OperatorChange } from './operator-changes.ts';

/** By `pool/server`. */
type Settings = ReadonlyMap<string, OperatorChange>;

/** One sentence for each difference; empty when there is none. `settings`: the operator's, which stand above it. Pure. */
export function describeChanges(
  old: HoldfastConfig,
  next: HoldfastConfig,
  settings: Settings,
): readonly string[] {
  return [
    ...namedChanges('listener', addresses(old), addresses(next)),
    ...old.listen.flatMap((listen) => {
      const now = next.listen.find(({ address }) => address === listen.address);
      return now === undefined ? [] : fieldChanges(`listener ${listen.address}`, listen, now, []);
    }),
    ...namedChanges('pool', names(old.pools), names(next.pools)),
    ...old.pools.flatMap((pool) => {
      const now = next.pools.find(({ name }) => name === pool.name);
      return now === undefined ? [] : poolChanges(pool, now, settings);
    }),
    ...(isSame(old.routes, next.routes) ? [] : ['routes changed']),
    ...(isSame(old.trusted, next.trusted) ? [] : [`trusted is now ${next.trusted.join(', ')}`]),
    ...(old.sessions.perAddress === next.sessions.perAddress
      ? []
      : [`sessions: perAddress ${old.sessions.perAddress} -> ${next.sessions.perAddress}`]),
    ...(isSame(old.accessLog, next.accessLog) ? [] : ['accessLog changed']),
    ...needsRestart(old, next),
  ];
}

/** Settings that are read only at start: said, so that nobody believes they took effect. */
function needsRestart(old: HoldfastConfig, next: HoldfastConfig): readonly string[] {
  const fixed = ['threads', 'admin', 'sessions'] as const;
  const whole = { ...next, sessions: { ...next.sessions, perAddress: old.sessions.perAddress } };
  return fixed
    .filter((key) => !isSame(old[key], whole[key]))
    .map((key) => `${key} changed in the file; it takes effect at the next start`);
}

function poolChanges(old: PoolConfig, next: PoolConfig, settings: Settings): readonly string[] {
  const pool = `pool ${old.name}`;
  return [
    ...fieldChanges(pool, old, next, ['name', 'servers']),
    ...namedChanges(`${pool}: server`, names(old.servers), names(next.servers)),
    ...old.servers.flatMap((server) => {
      const now = next.servers.find(({ name }) => name === server.name);
      if (now === undefined) return [];
      return serverChanges(
        `${pool}: server ${server.name}`,
        server,
        now,
        settings.get(`${old.name}/${server.name}`) ?? {},
      );
    }),
  ];
}

/** What the operator has set stands over reloads: said, so that nobody believes the file won. */
function serverChanges(
  what: string,
  old: ServerConfig,
  next: ServerConfig,
  setting: OperatorChange,
): readonly string[] {
  const set = (['weight', 'mode'] as const).filter((key) => setting[key] !== undefined);
  return [
    ...fieldChanges(what, old, next, ['host', 'port', 'socketPath', 'basePath', 'isTls', ...set]),
    ...set
      .filter((key) => old[key] !== next[key])
      .map(
        (key) =>
          `${what}: ${key} ${old[key]} -> ${next[key]} in the file; ${setting[key]}, set by the operator, stands`,
      ),
  ];
}

function fieldChanges<T extends object>(
  what: string,
  old: T,
  next: T,
  ignored: readonly (keyof T)[],
): readonly string[] {
  return (Object.keys(next) as (keyof T)[])
    .filter((key) => !ignored.includes(key) && !isSame(old[key], next[key]))
    .map((key) => {
      const value = next[key];
      const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
      return isPlain
        ? `${what}: ${String(key)} ${String(old[key])} -> ${value}`
        : `${what}: ${String(key)} changed`;
    });
}

function namedChanges(what: string, old: readonly string[], next: readonly string[]): readonly string[] {
  return [
    ...next.filter((name) => !old.includes(name)).map((name) => `${what} ${name} added`),
    ...old.filter((name) => !next.includes(name)).map((name) => `${what} ${name} removed`),
  ];
}

function names(items: readonly { readonly name: string }[]): readonly string[] {
  return items.map(({ name }) => name);
}

function addresses(config: HoldfastConfig): readonly string[] {
  return config.listen.map(({ address }) => address);
}

/** Checked configurations are plain data with a fixed key order. */
function isSame(first: unknown, second: unknown): boolean {
  return JSON.stringify(first) === JSON.stringify(second);
}

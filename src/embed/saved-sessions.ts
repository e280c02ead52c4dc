// Sessions and operator's settings over restarts, in `sessions.file`, as the standalone program keeps them.

import { systemClock } from '../base/clock.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { SessionKeeper } from '../control/session-keeper.ts';
import { makeSecret, type SlotRegistry } from '../control/slots.ts';
import { loadSecret } from '../sessions/kept-files.ts';
import { restoreStored } from '../sessions/store.ts';
import type { Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import type { EmbedLog } from './options.ts';

/** What keys the cookies of pools that configure no secret: kept beside the saved sessions, or made now. */
export function fallbackSecret(config: HoldfastConfig, log: EmbedLog): string {
  const { file } = config.sessions;
  if (file === null) return makeSecret();
  const result = loadSecret(file);
  if (result.kind !== 'failed') return Buffer.from(result.secret).toString('hex');
  log.warn({ file }, `${result.message}; cookies will not survive a restart`);
  return makeSecret();
}

/** Null without `sessions.file`. Rejects when nothing can be kept there, or another process keeps its sessions there. */
export function openKeeper({ sessions }: HoldfastConfig, log: EmbedLog): Promise<SessionKeeper | null> {
  const { file, saveEveryMs: everyMs } = sessions;
  if (file === null) return Promise.resolve(null);
  const [info, warn] = [log.info.bind(log), log.warn.bind(log)];
  return SessionKeeper.open(
    { file, everyMs, log: { debug: () => undefined, info, warn, error: warn } },
    false,
  );
}

/** The first revision, with what a former process had saved put back. */
export function firstRevision(
  config: HoldfastConfig,
  secret: string,
  slots: SlotRegistry,
  shared: SharedState,
  log: EmbedLog,
  keeper: SessionKeeper | null,
): Revision {
  const stored = keeper?.read(config.sessions.max);
  if (stored?.kind !== 'read') return slots.revise(config, secret);
  slots.restoreChanges(
    new Map(stored.operator.map(({ pool, server, ...change }) => [`${pool}/${server}`, change])),
  );
  const revision = slots.revise(config, secret);
  const report = restoreStored(stored, shared.table, revision, systemClock);
  log.info({ ...report, file: config.sessions.file }, 'sessions restored');
  return revision;
}

// Sessions and operator's settings over restarts, in `sessions.file`, as the standalone program keeps them.

import { systemClock } from '../base/clock.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { makeSecret, type SlotRegistry } from '../run/slots.ts';
import { loadSecret, readSessions, restoreSessions, saveSessions } from '../sessions/store.ts';
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

/** The first revision, with what a former process had saved put back. A damaged file is reported and ignored. */
export function firstRevision(
  config: HoldfastConfig,
  secret: string,
  slots: SlotRegistry,
  shared: SharedState,
  log: EmbedLog,
): Revision {
  const { file, max } = config.sessions;
  const stored = file === null ? null : readSessions(file, max);
  if (stored?.kind === 'damaged') log.warn({ file }, `saved sessions ignored: ${stored.message}`);
  if (stored?.kind !== 'read') return slots.revise(config, secret);
  slots.restoreChanges(
    new Map(stored.operator.map(({ pool, server, ...change }) => [`${pool}/${server}`, change])),
  );
  const revision = slots.revise(config, secret);
  const report = restoreSessions(stored.contents, shared.table, revision, systemClock);
  log.info({ ...report, file }, 'sessions restored');
  return revision;
}

/** Saves for the next process; nothing without `sessions.file`. */
export function keepSessions(
  revision: Revision,
  slots: SlotRegistry,
  shared: SharedState,
  log: EmbedLog,
): void {
  const { file } = revision.config.sessions;
  if (file === null) return;
  const operator = [...slots.changes].map(([key, change]) => {
    const [pool = '', server = ''] = key.split('/');
    return { pool, server, ...change };
  });
  const result = saveSessions(file, shared.table, revision, operator, systemClock);
  if (result.kind === 'saved') log.info({ file, sessions: result.sessions }, 'sessions saved');
  else log.warn({ file }, `sessions not saved: ${result.message}`);
}

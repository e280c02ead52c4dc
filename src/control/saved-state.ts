// What outlives a process beside the sessions: the secret of pools that configure none, and what the operator has set.

import type { Log } from '../base/log.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { loadSecret } from '../sessions/kept-files.ts';
import type { OperatorSetting } from '../sessions/records.ts';
import type { RestoreReport } from '../sessions/store.ts';
import type { OperatorChange } from './operator-changes.ts';
import { makeSecret, type SlotRegistry } from './slots.ts';

/** What keys the cookies of pools that configure no secret: from the file beside the saved sessions, or made now. */
export function secretFor(config: HoldfastConfig, log: Log): string {
  if (config.sessions.file === null) return makeSecret();
  const result = loadSecret(config.sessions.file);
  if (result.kind !== 'failed') return Buffer.from(result.secret).toString('hex');
  log.error({}, `${result.message}; cookies will not survive a restart`);
  return makeSecret();
}

export function sayRestored(report: RestoreReport, file: string | null, log: Log): void {
  log.info({ ...report, file }, 'sessions restored');
  if (report.unreadable > 0)
    log.warn(
      {},
      `sticky.secret has changed without the one before: ${report.unreadable} sessions have ended; list both, the new one first`,
    );
}

export function operatorSettings(slots: SlotRegistry): readonly OperatorSetting[] {
  return [...slots.changes].map(([key, change]) => {
    const [pool = '', server = ''] = key.split('/');
    return { pool, server, ...change };
  });
}

/** The same, as the registry has them. */
export function settingsByServer(settings: readonly OperatorSetting[]): ReadonlyMap<string, OperatorChange> {
  return new Map(settings.map(({ pool, server, ...change }) => [`${pool}/${server}`, change]));
}

/** Those that are not so here already. */
export function newSettings(
  settings: readonly OperatorSetting[],
  slots: SlotRegistry,
): readonly OperatorSetting[] {
  return settings.filter(({ pool, server, mode, weight }) => {
    const known = slots.changes.get(`${pool}/${server}`);
    return known?.mode !== mode || known?.weight !== weight;
  });
}

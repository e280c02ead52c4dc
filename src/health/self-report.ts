// What a server says of itself in the reply to a health check. Pure.
//
//   x-holdfast-server: drain            no new sessions; those it has stay (state local) or leave within the budget
//   x-holdfast-server: full             no new sessions; nothing else changes
//   x-holdfast-server: weight=5         counts instead of the configured weight
//   x-holdfast-server: ready, weight=5  both; without the field a server is ready, with its configured weight
//
//   x-holdfast-unbacked: 12             sessions that only it has, although the pool's state is shared: none of its sessions
//                                       moves until it says 0, or nothing
//
// A report never overwrites what the operator has set; it counts where that is ready.

import { WEIGHT_MAX } from '../config/limits.ts';

const SERVER_HEADER = 'x-holdfast-server';
const UNBACKED_HEADER = 'x-holdfast-unbacked';

const LENGTH_MAX = 256;
const UNBACKED_MAX = 999_999_999;

export interface SelfReport {
  readonly mode: 'ready' | 'drain' | 'full';
  /** null: none is reported. */
  readonly weight: number | null;
  /** Sessions without a backup. */
  readonly unbacked: number;
}

type Field = string | readonly string[] | undefined;

/** What a server says of itself in the fields of a reply; a field that cannot be read says nothing. */
export function readSelfReport(fields: Readonly<Record<string, Field>>): SelfReport {
  return { ...readServer(fields[SERVER_HEADER]), unbacked: readUnbacked(fields[UNBACKED_HEADER]) };
}

/** Where it is said more than once, as by an application and what stands before it, the most of them. */
function readUnbacked(value: Field): number {
  const numbers = String(value ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => /^\d+$/.test(part))
    .map(Number);
  return Math.min(UNBACKED_MAX, Math.max(0, ...numbers));
}

/** Words that are not known are ignored, so that a newer server can say more to an older balancer. */
function readServer(value: Field): Omit<SelfReport, 'unbacked'> {
  if (value === undefined) return { mode: 'ready', weight: null };
  const text = (typeof value === 'string' ? value : value.join(',')).slice(0, LENGTH_MAX).toLowerCase();
  let mode: SelfReport['mode'] = 'ready';
  let weight: number | null = null;
  for (const word of text.split(',').map((part) => part.trim())) {
    if (word === 'drain' || word === 'full' || word === 'ready') mode = word;
    const digits = /^weight *= *(\d{1,4})$/.exec(word)?.[1];
    if (digits !== undefined && Number(digits) <= WEIGHT_MAX) weight = Number(digits);
  }
  return { mode, weight };
}

// What a server says of itself in the reply to a health check. Pure.
//
//   x-holdfast-server: drain            no new sessions; those it has stay (state local) or leave within the budget
//   x-holdfast-server: full             no new sessions; nothing else changes
//   x-holdfast-server: weight=5         counts instead of the configured weight
//   x-holdfast-server: ready, weight=5  both; without the field a server is ready, with its configured weight
//
// A report never overwrites what the operator has set; it counts where that is ready.

export const SELF_REPORT_HEADER = 'x-holdfast-server';

const WEIGHT_MAX = 1000;
const LENGTH_MAX = 256;

export interface SelfReport {
  readonly mode: 'ready' | 'drain' | 'full';
  /** null: none is reported. */
  readonly weight: number | null;
}

const NOTHING: SelfReport = { mode: 'ready', weight: null };

/** Words that are not known are ignored, so that a newer server can say more to an older balancer. */
export function readSelfReport(value: string | readonly string[] | undefined): SelfReport {
  if (value === undefined) return NOTHING;
  const text = (typeof value === 'string' ? value : value.join(',')).slice(0, LENGTH_MAX).toLowerCase();
  let { mode, weight } = NOTHING;
  for (const word of text.split(',').map((part) => part.trim())) {
    if (word === 'drain' || word === 'full' || word === 'ready') mode = word;
    const digits = /^weight *= *(\d{1,4})$/.exec(word)?.[1];
    if (digits !== undefined && Number(digits) <= WEIGHT_MAX) weight = Number(digits);
  }
  return { mode, weight };
}

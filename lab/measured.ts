// All that one cell brings to light, before it is compared with anything.
import type { MemoryEvidence, WireEvidence } from './evidence.ts';
import type { Marks } from './inject.ts';
import type { Judgement } from './judge.ts';
import type { SpreadSample } from './spread.ts';

/** All that was measured in one cell. */
export interface Measured {
  readonly judgement: Judgement;
  readonly marks: Marks;
  readonly memory: MemoryEvidence;
  readonly wire: WireEvidence;
  /** holdfast_sessions_lost_total at the end. */
  readonly balancerLost: number;
  /** How sessions lie on the servers from the moment one has joined; empty where none joins. */
  readonly spread: readonly SpreadSample[];
  /** Names of the servers there are. */
  readonly servers: readonly string[];
}

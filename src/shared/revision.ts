// One revision of the configuration as posted to the workers: the checked model plus what main has decided
// about it: slots, generations, pool numbers, secrets. Structured-cloneable, never changed once posted.

import type { HoldfastConfig, PoolConfig } from '../config/model.ts';
import type { ListenerSecrets } from '../tls/contexts.ts';

export interface PoolRevision {
  /** Index of the pool's counters; kept over reloads as long as the name stays. */
  readonly id: number;
  readonly config: PoolConfig;
  /** Slot of each server, in the order of config.servers; kept over reloads for the same name and address. */
  readonly slots: readonly number[];
  /** Generation of each of those slots. */
  readonly generations: readonly number[];
  /**
   * 32 bytes each that key cookies and session hashes of this pool: the same on every balancer with the same secret. The
   * first is written with, all are read with. Never empty.
   */
  readonly keys: readonly Uint8Array[];
}

export interface Revision {
  /** 1 for the first, growing. */
  readonly number: number;
  readonly config: HoldfastConfig;
  readonly pools: readonly PoolRevision[];
  /** Number of each listener's counters, in the order of config.listen; kept over reloads. Absent: their position. */
  readonly listenerIds?: readonly number[];
  /** What each listener with TLS speaks it with, in the order of config.listen; null: in the clear. Absent: all are. */
  readonly secrets?: readonly (ListenerSecrets | null)[];
  /** What authorities that ask for a token over HTTP are answered (RFC 8555 section 8.3), by token. Absent: nobody asks. */
  readonly tokens?: Readonly<Record<string, string>>;
}

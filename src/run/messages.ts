// What main and its workers say to each other. Everything else goes through shared memory.

import type { LogLevel } from '../base/log.ts';
import type { ListeningSocket } from '../base/pass-sockets.ts';
import type { Revision } from '../shared/revision.ts';
import type { SharedHandles } from '../shared/shared-state.ts';

/** Of sockets to listen on, by listener. Whoever gets them listens on them or closes them. */
export type Descriptors = readonly (readonly number[])[];

export interface WorkerData {
  /** Cells of the clock of all threads. */
  readonly clock: SharedArrayBuffer;
  readonly worker: number;
  readonly handles: SharedHandles;
  readonly revision: Revision;
  readonly reusePort: boolean;
  /** Client connections at once that there are descriptors for; null: no limit is known. */
  readonly clientsMax: number | null;
}

export type ToWorker =
  /** Open the listeners. `ports`: what to bind, 0 where the kernel may choose; instead of binding: `fds` by listener. */
  | {
      readonly type: 'listen';
      readonly ports: readonly number[];
      readonly fds: Descriptors;
    }
  /** Swap to the revision, open listeners that are new, stop those that are gone. `ports` as above. */
  | {
      readonly type: 'revision';
      readonly revision: Revision;
      readonly ports: readonly number[];
      readonly fds: Descriptors;
    }
  /** Accept nothing new, say so with `paused`; all else goes on. */
  | { readonly type: 'pause' }
  /** After `pause`: as if it had not been. Listen on the descriptors; as `listen`. */
  | {
      readonly type: 'resume';
      readonly ports: readonly number[];
      readonly fds: Descriptors;
    }
  /** After `pause`: connections that are open may still ask once. Then exit. */
  | { readonly type: 'retire' }
  /** The successor knows what the last `withheld` was about. */
  | { readonly type: 'known' }
  /** The grace is over: idle connections and tunnels end politely, the rest is cut. */
  | { readonly type: 'finish' }
  /** Finish what is in flight, then exit. */
  | { readonly type: 'stop' }
  /** Exit now. */
  | { readonly type: 'end' };

export interface ListenFailed {
  readonly type: 'listen-failed';
  readonly address: string;
  readonly code: string;
  readonly message: string;
}

export type FromWorker =
  /** `threadId`: as the system numbers threads, null where it does not. */
  | { readonly type: 'ready'; readonly threadId: number | null }
  | {
      readonly type: 'listening';
      readonly ports: readonly number[];
      readonly sockets: readonly ListeningSocket[];
    }
  | ListenFailed
  | {
      readonly type: 'applied';
      readonly revision: number;
      readonly ports: readonly number[];
      readonly sockets: readonly ListeningSocket[];
    }
  /** Whole lines of the access log. */
  | { readonly type: 'access'; readonly lines: string }
  | { readonly type: 'paused' }
  /** Responses wait until the successor knows how it stands with these sessions: low and high words of their keys. */
  | { readonly type: 'withheld'; readonly keys: readonly number[] }
  | { readonly type: 'drained' }
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string };

// One place in the fleet, and the worker thread that has it.

import type { Worker } from 'node:worker_threads';
import type { ListeningSocket } from '../base/pass-sockets.ts';
import type { Descriptors } from './messages.ts';
import { Pulse } from './pulse.ts';

export const BACKOFF_FIRST_MS = 100;

export interface Member {
  worker: Worker | null;
  startedMs: number;
  backoffMs: number;
  isDrained: boolean;
  /** It has stopped accepting, since it was last told to pause. */
  isPaused: boolean;
  /** It has started, and is watched from then on. */
  isStarted: boolean;
  isListening: boolean;
  isSilent: boolean;
  pulse: Pulse;
  /** The system's number of the thread; null where it is not known. */
  threadId: number | null;
  sockets: readonly ListeningSocket[];
}

/** Without a worker. */
export function newMember(): Member {
  return {
    worker: null,
    startedMs: 0,
    backoffMs: BACKOFF_FIRST_MS,
    isDrained: false,
    isPaused: false,
    isStarted: false,
    isListening: false,
    isSilent: false,
    pulse: new Pulse(),
    threadId: null,
    sockets: [],
  };
}

/** Descriptors by listener for the worker that is number `at` of `count`. */
export function deal(
  listeners: readonly { readonly address: string }[],
  sockets: readonly ListeningSocket[],
  at: number,
  count: number,
): Descriptors {
  return listeners.map(({ address }) =>
    sockets
      .filter((socket) => socket.address === address)
      .filter((_, index) => index % count === at)
      .map(({ fd }) => fd),
  );
}

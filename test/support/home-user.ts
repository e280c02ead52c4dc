// A user of the simulated servers, and what may be expected of the session.

import type { HomeProcess } from './home-process.ts';

/** What a user and the balancer know of a session. */
export interface UserSession {
  readonly key: string;
  home: number;
  /** The balancer's word with the next request: the session has moved. */
  isMoved: boolean;
  /** parents[i]: the value that value i was made of; -1: of nothing. */
  readonly parents: number[];
  /** No read may give an older value than this; -1: none was confirmed. */
  floor: number;
  isBusy: boolean;
  /** Requests under way, by server. */
  readonly at: Set<HomeProcess>;
  destroy: 'no' | 'tried' | 'confirmed';
  /** Every copy was lost in a fault, or could not be reached. */
  isGone: boolean;
}

export function newUserSession(key: string, home: number): UserSession {
  return {
    key,
    home,
    isMoved: false,
    parents: [],
    floor: -1,
    isBusy: false,
    at: new Set(),
    destroy: 'no',
    isGone: false,
  };
}

/** The server knows that the session was destroyed. */
export function isTold(server: HomeProcess, key: string): boolean {
  return server.isAlive && !server.isHung && server.home.hasEnded(key);
}

/** The number of the value that a session holds. */
export function numberOf(data: string): number {
  return Number(data.split(':')[1] ?? -1);
}

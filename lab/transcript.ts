// The vocabulary of an experiment: what a user did, when, and what came of it. The judge reads nothing else.

/** What a request was for. `pair` is one of two writes sent at once; `grow` makes the session larger. */
export type Kind = 'login' | 'read' | 'write' | 'pair' | 'grow' | 'logout' | 'replay';

/** How a request without a complete answer ended. */
export const FAILURE_CLASSES = ['refused', 'reset', 'truncated', 'timeout'] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

export type Outcome =
  /** The whole answer arrived. `counter` is the session's counter as the answer gives it. */
  | {
      readonly type: 'complete';
      readonly status: number;
      readonly server: string | null;
      readonly counter: number | null;
    }
  | { readonly type: 'failed'; readonly failure: FailureClass }
  /** Never sent: its user was still waiting for a log-in. Counts against availability. */
  | { readonly type: 'skipped' };

/** One request of one user. Times are milliseconds since the begin of the experiment. */
export interface Exchange {
  readonly user: number;
  /** The user's how manieth session this is about, from 0; a log-in carries the number of the one it begins. */
  readonly session: number;
  readonly kind: Kind;
  /** When the plan wanted it; latency counts from here. */
  readonly scheduledMs: number;
  readonly sentMs: number;
  readonly endedMs: number;
  readonly outcome: Outcome;
  /** Length of the Cookie header sent. */
  readonly cookieBytes: number;
  /** grow: size of the session's JSON if it is accepted; otherwise 0. */
  readonly sessionBytes: number;
  /** login: made because the session before was lost. */
  readonly isForced: boolean;
}

/** An answer counts as acknowledged when it is complete, says 2xx or 3xx, and came within this time. */
export const ACKNOWLEDGED_MS_MAX = 5000;

/** True when the client may rely on what it asked for. */
export function isAcknowledged(exchange: Exchange): boolean {
  const { outcome, sentMs, endedMs } = exchange;
  if (outcome.type !== 'complete' || endedMs - sentMs > ACKNOWLEDGED_MS_MAX) return false;
  return outcome.status >= 200 && outcome.status < 400;
}

/** True when the server answered "you are not logged in". */
export function isNotLoggedIn({ outcome }: Exchange): boolean {
  return outcome.type === 'complete' && outcome.status === 401;
}

/** One text per session over all users. */
export function sessionName({ user, session }: Pick<Exchange, 'user' | 'session'>): string {
  return `${user}#${session}`;
}

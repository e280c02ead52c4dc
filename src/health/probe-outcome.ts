// What one active check has found, and how failures of it are said.

import { isOwnTrouble } from '../base/own-trouble.ts';
import { tlsFailure } from '../base/tls-failure.ts';
import type { SelfReport } from './self-report.ts';
import type { CheckResult } from './verdict.ts';

export interface ProbeOutcome {
  readonly result: CheckResult;
  /** The connection was actively refused: nothing listens there, which no second look will change. */
  readonly isRefused: boolean;
  /** The check could not be made for want of something of ours, and says nothing about the server. */
  readonly isOwnTrouble?: boolean;
  /** The server has answered, if only to say that it is not well. */
  readonly isReached?: boolean;
  /** What came, as text: `status 503`, `connection refused`. */
  readonly detail: string;
  /** What the server says of itself; absent when no HTTP reply came. */
  readonly report?: SelfReport;
}

export function timedOut(timeoutMs: number): ProbeOutcome {
  return { result: 'timeout', isRefused: false, detail: `no answer within ${timeoutMs} ms` };
}

/** What people call it; the address stands beside it wherever this is shown. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'name not found',
};

export function failed(error: unknown): ProbeOutcome {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const said = error instanceof Error && error.message !== '' ? error.message : code || String(error);
  const detail = tlsFailure(error) ?? WORDS[code] ?? said;
  return {
    result: 'failure',
    isRefused: code === 'ECONNREFUSED',
    isOwnTrouble: isOwnTrouble(error),
    detail,
  };
}

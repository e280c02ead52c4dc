// Whether a failed attempt may be repeated on another server, and how many repetitions a pool can afford.

import { FAILURES, type FailureKind } from '../base/failure.ts';

export interface FailedAttempt {
  readonly failureKind: FailureKind;
  readonly attemptsLeft: number;
  /** Bytes of the request may have reached the server. */
  readonly sentBytes: boolean;
  readonly isIdempotent: boolean;
  /** The whole body is still at hand, or there is none. */
  readonly bodyReplayable: boolean;
  /** Response bytes have reached the client. */
  readonly responseStarted: boolean;
}

/**
 * Nothing may have reached the client; and the server may not have acted on it, unless acting twice is harmless. One that
 * refuses a stream says that it has not.
 */
export function mayRetry(attempt: FailedAttempt): boolean {
  if (attempt.responseStarted || attempt.attemptsLeft <= 0) return false;
  if (!FAILURES[attempt.failureKind].mayRetry) return false;
  if (!attempt.sentBytes) return true;
  return (attempt.isIdempotent || attempt.failureKind === 'stream-refused') && attempt.bodyReplayable;
}

/** Tokens at the start, and as many as a quiet pool regains by time alone. */
const RESERVE_TOKENS = 10;
const RESERVE_TOKENS_PER_SECOND = 3;
/** Unused tokens are kept for about so long. */
const WINDOW_MS = 10_000;

/**
 * Token bucket: every request earns `share` of a token, every retry costs one. So over any longer time retries are at
 * most share × requests + 10 + 3 a second, and a pool whose servers all fail gets hardly more than the clients' load.
 * Per thread and pool.
 */
export class RetryBudget {
  readonly #share: number;
  #tokens = RESERVE_TOKENS;
  #regainedMs = 0;
  #windowBeganMs = 0;
  #requests = 0;
  #requestsBefore = 0;

  /** `share` of requests that may be retries, 0..1; 0 allows none. */
  constructor(share: number) {
    this.#share = share;
  }

  /** A request has come (its first attempt, not its retries). */
  request(nowMs: number): void {
    if (nowMs - this.#windowBeganMs >= WINDOW_MS) this.#turnWindow(nowMs);
    this.#requests += 1;
    const tokensMax = Math.max(RESERVE_TOKENS, this.#share * Math.max(this.#requests, this.#requestsBefore));
    if (this.#tokens < tokensMax) this.#tokens = Math.min(tokensMax, this.#tokens + this.#share);
  }

  /** Takes the token of one retry; false when there is none left. */
  take(nowMs: number): boolean {
    if (this.#share === 0) return false;
    this.#regain(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Retries that it would allow now. */
  remaining(nowMs: number): number {
    if (this.#share === 0) return 0;
    this.#regain(nowMs);
    return Math.floor(this.#tokens);
  }

  #regain(nowMs: number): void {
    const regained = ((nowMs - this.#regainedMs) / 1000) * RESERVE_TOKENS_PER_SECOND;
    this.#regainedMs = nowMs;
    if (this.#tokens >= RESERVE_TOKENS || regained <= 0) return;
    this.#tokens = Math.min(RESERVE_TOKENS, this.#tokens + regained);
  }

  #turnWindow(nowMs: number): void {
    const isStale = nowMs - this.#windowBeganMs >= 2 * WINDOW_MS;
    this.#requestsBefore = isStale ? 0 : this.#requests;
    this.#requests = 0;
    this.#windowBeganMs = nowMs;
    const tokensMax = Math.max(RESERVE_TOKENS, this.#share * this.#requestsBefore);
    this.#tokens = Math.min(this.#tokens, tokensMax);
  }
}

// Which failures may be tried again, and how often.

import { describe, expect, test } from 'vitest';
import { FAILURE_KINDS, FAILURES } from '../../src/base/failure.ts';
import { type FailedAttempt, mayRetry, RetryBudget } from '../../src/choose/retry.ts';

const ATTEMPT: FailedAttempt = {
  failureKind: 'server-closed',
  attemptsLeft: 1,
  sentBytes: true,
  isIdempotent: true,
  bodyReplayable: true,
  responseStarted: false,
};

describe('mayRetry', () => {
  test.each([
    ['an idempotent request whose server closed', {}, true],
    ['no attempts left', { attemptsLeft: 0 }, false],
    ['the client has response bytes', { responseStarted: true }, false],
    ['a POST that was sent', { isIdempotent: false }, false],
    [
      'a POST that was not sent',
      { isIdempotent: false, sentBytes: false, failureKind: 'connect-failed' },
      true,
    ],
    ['a body that is gone', { bodyReplayable: false }, false],
    [
      'a body not sent yet',
      { bodyReplayable: false, sentBytes: false, failureKind: 'connect-timeout' },
      true,
    ],
    ['a slow server', { failureKind: 'response-timeout' }, true],
    ['an invalid response', { failureKind: 'bad-response' }, false],
    ['the client went away', { failureKind: 'client-aborted', sentBytes: false }, false],
  ] as const)('%s: %s', (_, change, expected) => {
    expect(mayRetry({ ...ATTEMPT, ...change })).toBe(expected);
  });

  test('only failures of the server’s side are ever retried', () => {
    for (const failureKind of FAILURE_KINDS) {
      if (mayRetry({ ...ATTEMPT, failureKind })) expect(FAILURES[failureKind].side).toBe('server');
    }
  });
});

describe('RetryBudget', () => {
  function run(
    share: number,
    perSecond: number,
    seconds: number,
    fails: (second: number) => boolean,
  ): number {
    const budget = new RetryBudget(share);
    let retries = 0;
    for (let at = 0; at < perSecond * seconds; at += 1) {
      const nowMs = 1_700_000_000_000 + (at * 1000) / perSecond;
      budget.request(nowMs);
      if (fails(at / perSecond) && budget.take(nowMs)) retries += 1;
    }
    return retries;
  }

  test('everything failing: retries stay within share × requests + 10 + 3 a second', () => {
    expect(run(0.2, 1000, 60, () => true)).toBeLessThanOrEqual(0.2 * 60_000 + 10 + 3 * 60);
    expect(run(0.2, 1000, 60, () => true)).toBeGreaterThan(0.19 * 60_000);
  });

  test('a server in four dies at 200 requests a second: a burst of seconds is covered', () => {
    let failing = 0;
    const retries = run(0.2, 200, 30, (second) => second >= 20 && second < 24 && failing++ % 4 === 0);
    expect(retries).toBe(200);
  });

  test('a quiet pool may always retry a few', () => {
    expect(run(0.2, 1, 60, () => true)).toBe(60);
  });

  test('the reserve comes back, but no more than it', () => {
    const budget = new RetryBudget(0.2);
    const begin = 1_700_000_000_000;
    const drain = (nowMs: number): number => {
      let taken = 0;
      while (budget.take(nowMs)) taken += 1;
      return taken;
    };
    expect(drain(begin)).toBe(10);
    expect(drain(begin)).toBe(0);
    expect(drain(begin + 1000)).toBe(3);
    expect(drain(begin + 3_600_000)).toBe(10);
  });

  test('tokens of busier times are given up within two windows', () => {
    const budget = new RetryBudget(0.5);
    for (let at = 0; at < 10_000; at += 1) budget.request(1000 + at);
    budget.request(100_000);
    let taken = 0;
    while (budget.take(100_000)) taken += 1;
    expect(taken).toBeLessThanOrEqual(11);
  });

  test('a budget of 0 allows none', () => {
    expect(run(0, 100, 10, () => true)).toBe(0);
  });
});

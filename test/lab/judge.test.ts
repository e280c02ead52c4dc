// The judge on transcripts made by hand: one case per definition.
import { describe, expect, test } from 'vitest';
import { judge } from '../../lab/judge.ts';
import type { Exchange, FailureClass, Kind, Outcome } from '../../lab/transcript.ts';
import type { Windows } from '../../lab/windows.ts';

const WINDOWS: Windows = { steadyMs: 100, faultMs: 1000, changedMs: 1000, endMs: 5000, lifeMs: 3_600_000 };

interface Extra extends Partial<Exchange> {
  readonly status?: number;
  readonly counter?: number;
  readonly server?: string;
  readonly failure?: FailureClass;
}

/** One exchange sent at `sentMs` and over 10 ms later. */
function one(kind: Kind, sentMs: number, extra: Extra = {}): Exchange {
  const { status = 200, counter, server = 'a', failure, ...rest } = extra;
  const outcome: Outcome =
    failure === undefined
      ? { type: 'complete', status, server, counter: counter ?? null }
      : { type: 'failed', failure };
  return {
    user: 0,
    session: 0,
    kind,
    scheduledMs: sentMs,
    sentMs,
    endedMs: sentMs + 10,
    outcome,
    cookieBytes: 100,
    sessionBytes: 0,
    isForced: false,
    ...rest,
  };
}

const verdict = (...transcript: readonly Exchange[]) => judge(transcript, WINDOWS);

describe('lost session', () => {
  test('an acknowledged log-in that a complete answer denies, once however often it is denied', () => {
    const found = verdict(
      one('login', 0),
      one('read', 200),
      one('read', 1200, { status: 401 }),
      one('read', 1300, { status: 401 }),
    );
    expect(found).toMatchObject({ sessions: 1, sessionsAtFault: 1, lost: 1, lostAtMs: [1210] });
  });

  test('not after a log-out was sent, not after the end of its life, not without an acknowledged log-in', () => {
    expect(verdict(one('login', 0), one('logout', 300), one('read', 305, { status: 401 })).lost).toBe(0);
    expect(verdict(one('login', 0, { status: 503 }), one('read', 200, { status: 401 })).lost).toBe(0);
    const short = judge([one('login', 0), one('read', 700, { status: 401 })], { ...WINDOWS, lifeMs: 500 });
    expect(short.lost).toBe(0);
  });

  test('whoever has not asked since the fault shows nothing of what became of the session', () => {
    const found = verdict(
      one('login', 0),
      one('read', 200),
      one('login', 0, { user: 2 }),
      one('read', 1200, { user: 2 }),
      one('login', 0, { user: 3 }),
      one('read', 1200, { user: 3, status: 401 }),
    );
    expect(found).toMatchObject({ sessionsAtFault: 3, sessionsTried: 2, lost: 1 });
  });

  test('an error is no loss', () => {
    const found = verdict(
      one('login', 0),
      one('read', 200, { status: 503 }),
      one('read', 300, { failure: 'reset' }),
    );
    expect(found).toMatchObject({ lost: 0, errorCount: 2, errors: { '5xx': 1, reset: 1 } });
  });

  test('forced log-ins are counted apart, and begin a session of their own', () => {
    const found = verdict(
      one('login', 0),
      one('read', 1100, { status: 401 }),
      one('login', 1120, { session: 1, isForced: true }),
      one('read', 1200, { session: 1 }),
    );
    expect(found).toMatchObject({ sessions: 2, lost: 1, forcedLogins: 1 });
  });
});

describe('requests', () => {
  test('acknowledged is complete, 2xx or 3xx, within 5 s', () => {
    const found = verdict(
      one('login', 0),
      one('read', 200, { status: 303 }),
      one('read', 300, { endedMs: 5301 }),
      one('write', 400, { status: 404 }),
    );
    expect(found).toMatchObject({ requests: 3, acknowledged: 1 });
    expect(found.successShare).toBeCloseTo(1 / 3);
  });

  test('an unknown outcome is neither acknowledged nor refused', () => {
    const found = verdict(
      one('login', 0),
      one('write', 200, { failure: 'timeout' }),
      one('write', 300, { failure: 'truncated' }),
      one('write', 400, { failure: 'refused' }),
      one('write', 500, { status: 502 }),
      one('write', 600, { status: 503 }),
    );
    expect(found.unknown).toBe(3);
    expect(found.errors).toEqual({ '5xx': 2, refused: 1, reset: 0, truncated: 1, timeout: 1 });
  });

  test('unavailable bins: under 99 % answered by something but an error; a 401 is an answer, a skipped request is none', () => {
    const skipped: Exchange = { ...one('read', 1550), outcome: { type: 'skipped' } };
    const found = verdict(
      one('login', 0),
      one('read', 900, { status: 503 }),
      one('read', 1010),
      one('read', 1120, { status: 503 }),
      one('read', 1130),
      one('read', 1310, { status: 401 }),
      skipped,
    );
    expect(found).toMatchObject({ unavailableBins: 2, skipped: 1 });
  });

  test('latency counts from the scheduled time, by window', () => {
    const late = one('read', 300, { scheduledMs: 200, endedMs: 320 });
    const after = one('read', 2000, { endedMs: 2004 });
    const { read } = verdict(one('login', 0), late, after).latency;
    expect(read.steady).toMatchObject({ count: 1, p50Ms: 120 });
    expect(read.after).toMatchObject({ count: 1, p50Ms: 4, maxMs: 4 });
    expect(read.fault.count).toBe(2);
  });

  test('requests and homes by server, before and after', () => {
    const found = verdict(
      one('login', 0),
      one('read', 200, { server: 'a' }),
      one('read', 1200, { server: 'b' }),
      one('login', 20, { user: 1, server: 'c' }),
    );
    expect(found.requestsByServer).toEqual({ steady: { a: 1 }, after: { b: 1 } });
    expect(found.homes).toEqual({ atFault: { a: 1, c: 1 }, atEnd: { b: 1, c: 1 } });
  });
});

describe('what was confirmed', () => {
  test('a counter under one acknowledged before the request was sent is a regression, with its size', () => {
    const found = verdict(
      one('login', 0, { counter: 0 }),
      one('write', 200, { counter: 1 }),
      one('write', 300, { counter: 5 }),
      one('read', 400, { counter: 2 }),
    );
    expect(found.regressions).toEqual({ count: 1, size: 3 });
  });

  test('an answer under way at the same time is none', () => {
    const slow = one('read', 295, { endedMs: 400, counter: 1 });
    const found = verdict(one('login', 0), one('write', 300, { counter: 2 }), slow);
    expect(found.regressions.count).toBe(0);
  });

  test('lost updates: acknowledged increments of pairs less the final counter', () => {
    const pair = (atMs: number, counter: number): Exchange => one('pair', atMs, { counter });
    const found = verdict(
      one('login', 0),
      pair(200, 1),
      pair(200, 1),
      pair(500, 2),
      pair(500, 3),
      one('read', 900, { counter: 3 }),
    );
    expect(found.lostUpdates).toEqual({ lost: 1, pairs: 2 });
  });
});

describe('after log-out', () => {
  test('resurrected when the old cookie is accepted; revocation lasts until the last acceptance', () => {
    const found = verdict(
      one('login', 0),
      one('logout', 200),
      one('replay', 300),
      one('replay', 700),
      one('replay', 900, { status: 401 }),
      one('login', 0, { user: 1 }),
      one('logout', 200, { user: 1 }),
      one('replay', 300, { user: 1, status: 401 }),
    );
    expect(found.replay).toEqual({ users: 2, resurrected: 1, revocationMeanMs: 250, revocationMaxMs: 500 });
    expect(found.lost).toBe(0);
  });
});

test('growth: largest size below the first refusal', () => {
  const grow = (sentMs: number, sessionBytes: number, status = 200): Exchange =>
    one('grow', sentMs, { sessionBytes, status });
  const found = verdict(one('login', 0), grow(200, 2000), grow(300, 2500), grow(400, 3000, 413));
  expect(found.growth).toEqual({ acceptedBytes: 2500, refusedBytes: 3000 });
});

// How sessions lie on the servers over time, from transcripts made by hand.
import { expect, test } from 'vitest';
import { firstMs, spreadOf } from '../../lab/spread.ts';
import type { Exchange, Kind } from '../../lab/transcript.ts';

function one(user: number, kind: Kind, endedMs: number, server: string, status = 200): Exchange {
  return {
    user,
    session: 0,
    kind,
    scheduledMs: endedMs,
    sentMs: endedMs,
    endedMs,
    outcome: { type: 'complete', status, server, counter: 0 },
    cookieBytes: 0,
    sessionBytes: 0,
    isForced: false,
  };
}

test('a session is where it was last acknowledged, until it logs out', () => {
  const transcript = [
    one(0, 'login', 0, 'a'),
    one(1, 'login', 10, 'a'),
    one(2, 'login', 250, 'b'),
    one(0, 'read', 350, 'b', 401),
    one(1, 'logout', 450, 'a'),
  ];
  expect(spreadOf(transcript, ['a', 'b'], 'b', 100, 600)).toEqual([
    { afterMs: 0, par: 2, held: 0 },
    { afterMs: 100, par: 2, held: 0 },
    { afterMs: 200, par: 4 / 3, held: 1 },
    { afterMs: 300, par: 4 / 3, held: 1 },
    { afterMs: 400, par: 1, held: 1 },
  ]);
});

test('the first time, or never', () => {
  const samples = spreadOf([one(0, 'login', 150, 'b')], ['a', 'b'], 'b', 0, 400);
  expect(firstMs(samples, ({ held }) => held > 0)).toBe(200);
  expect(firstMs(samples, ({ held }) => held > 1)).toBe(Infinity);
});

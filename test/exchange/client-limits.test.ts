// What one thread asks of its clients: connections by address, rates of requests and handshakes, a minimum rate of data.

import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ClientLimits, type LimitedClient } from '../../src/exchange/client-limits.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Revisions } from '../support/revision.ts';

const ADDRESS = '127.0.0.1:0';
const YAML = '{ pools: { shop: { servers: ["http://127.0.0.1:1"] } } }';

/** `listener`: further keys of the one listener. */
function limits(listener = ''): ClientLimits & { revise(more: string): void } {
  const shared = SharedState.create(1, 1000, systemClock.nowMs());
  const made = new ClientLimits(shared.rateCells, SharedState.attach(shared.handles(), 0).addresses);
  const revisions = new Revisions(shared);
  const revise = (more: string): void => {
    revisions.listener = `{ address: "${ADDRESS}"${more} }`;
    made.configure(revisions.next({ servers: ['a=http://127.0.0.1:1'] }));
  };
  revise(listener);
  return Object.assign(made, { revise });
}

const client = (peerAddress: string, isTrusted = false): LimitedClient => ({
  peerAddress,
  isTrusted,
  addressCells: -1,
  owing: () => null,
  abortSlow: () => undefined,
});

test('exactly as many as may be are let in; one that goes makes room for one, however often it is said', () => {
  const counted = limits();
  const [first, second, third] = ['203.0.113.9', '203.0.113.9', '203.0.113.9'].map((peer) => client(peer));
  expect([counted.admit(first!, 2), counted.admit(second!, 2), counted.admit(third!, 2)]).toEqual([
    true,
    true,
    false,
  ]);
  counted.release(third!);
  counted.release(first!);
  counted.release(first!);
  expect([counted.admit(client('203.0.113.9'), 2), counted.admit(client('203.0.113.9'), 2)]).toEqual([
    true,
    false,
  ]);
});

test('the network of an IPv6 client is counted as one, a trusted peer not at all', () => {
  const counted = limits();
  expect(counted.admit(client('2001:db8::1'), 1)).toBe(true);
  expect(counted.admit(client('2001:db8::2'), 1)).toBe(false);
  expect(counted.admit(client('2001:db8:0:1::1'), 1)).toBe(true);
  expect([1, 2, 3].map(() => counted.admit(client('10.0.0.1', true), 1))).toEqual([true, true, true]);
});

test('who is not counted is not taken off, and no limit counts nobody', () => {
  const counted = limits();
  const uncounted = client('203.0.113.9');
  expect([1, 2].map(() => counted.admit(client('203.0.113.9'), 0))).toEqual([true, true]);
  counted.release(uncounted);
  expect(counted.admit(client('203.0.113.9'), 1)).toBe(true);
  const counts = client('203.0.113.9');
  counted.admit(counts, 5);
  counted.uncount(counts);
  expect(counts.addressCells).toBe(-1);
});

test('there are rates where a listener has one, until it has none', () => {
  const made = limits();
  expect([made.hasRates, made.rateOf(0, ADDRESS)]).toEqual([false, null]);
  made.revise(', rateLimit: { rate: 2/s, burst: 3 }');
  const limit = made.rateOf(0, ADDRESS)!;
  expect([made.hasRates, made.rateOf(0, '127.0.0.1:1')]).toEqual([true, null]);
  const waits = [1, 2, 3, 4].map(() => limit.takeFor('203.0.113.9', 0));
  expect(waits.slice(0, 3)).toEqual([0, 0, 0]);
  expect(waits[3]).toBeGreaterThan(0);
  expect(limit.takeFor('203.0.113.8', 0)).toBe(0);
  made.revise('');
  expect([made.hasRates, made.rateOf(0, ADDRESS)]).toEqual([false, null]);
});

test('handshakes have a rate of their own, rounded up to whole ones at once; trusted peers have none', () => {
  const made = limits();
  const peer = client('203.0.113.9');
  const shake = (who = peer, listener = ADDRESS): boolean => made.mayShakeHands(listener, who, 0);
  expect([1, 2, 3].map(() => shake())).toEqual([true, true, true]);
  made.revise(', tls: { selfSigned: true, handshakeRate: 2/s }');
  expect(made.hasRates).toBe(false);
  expect([shake(), shake(), shake()]).toEqual([true, true, false]);
  expect([shake(client('203.0.113.8')), shake(peer, '127.0.0.1:1')]).toEqual([true, true]);
  expect([1, 2, 3, 4].map(() => shake(client('203.0.113.9', true)))).toEqual([true, true, true, true]);
  expect(made.mayShakeHands(ADDRESS, peer, 1000)).toBe(true);
});

describe('a minimum rate', () => {
  /** A client that owes bytes and sends none; `cut` has when it was cut off. */
  const scene = (minRate: number) => {
    const made = limits();
    const cut: number[] = [];
    let nowMs = 0;
    let looks = 0;
    const silent: LimitedClient = {
      ...client('203.0.113.9'),
      owing: () => {
        looks += 1;
        return { what: 'sending', bytes: 0 };
      },
      abortSlow: () => void cut.push(nowMs),
    };
    const { config: model } = loadConfig(YAML, { file: 'test.yaml', env: {} });
    const [listen] = model!.listen;
    const config = { ...listen!, limits: { ...listen!.limits, minRate } };
    /** Ticks every tenth of a second until then. */
    const runTo = (endMs: number, stoodStillMs = 0): void => {
      for (; nowMs < endMs; nowMs += 100) made.scan([{ config, connections: [silent] }], nowMs, stoodStillMs);
    };
    return { made, silent, cut, runTo, looks: () => looks };
  };

  test('none is looked at where there is none', () => {
    const { cut, runTo, looks } = scene(0);
    runTo(30_000);
    expect([cut, looks()]).toEqual([[], 0]);
  });

  test('who sends nothing is cut off after grace and one window; clients are looked at once a second', () => {
    const { cut, runTo, looks } = scene(100);
    runTo(12_000);
    expect([cut, looks()]).toEqual([[11_000], 11]);
  });

  test('a thread that has stood still begins anew, once', () => {
    const { cut, runTo } = scene(100);
    runTo(10_500);
    runTo(21_500, 300);
    expect(cut).toEqual([21_000]);
  });

  test('who has gone is forgotten', () => {
    const { made, silent, cut, runTo } = scene(100);
    runTo(10_500);
    made.release(silent);
    runTo(21_500);
    expect(cut).toEqual([21_000]);
  });
});

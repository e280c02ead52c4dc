// Control cells and stripes: one writer, everybody reads, sums are exact.

import { describe, expect, test, vi } from 'vitest';
import { ControlCells, Mode, Verdict } from '../../src/shared/control.ts';
import { LISTENER_IDS_MAX, POOL_IDS_MAX, SLOTS_MAX } from '../../src/shared/limits.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import {
  BUCKETS,
  Counter,
  DURATION_BUCKETS_SECONDS,
  Gauge,
  NO_POOL,
  PoolCounter,
  Stripe,
} from '../../src/shared/stripe.ts';
import { interleave } from '../support/interleave.ts';

describe('control cells', () => {
  test('every cell of every slot stands alone', () => {
    const cells = new ControlCells();
    const seen = new ControlCells(cells.buffer);
    for (const slot of [0, 1, SLOTS_MAX - 1]) {
      cells.setGeneration(slot, slot + 1);
      cells.setVerdict(slot, Verdict.ejected);
      cells.setMode(slot, Mode.drain);
      cells.setWeight(slot, 1500);
      cells.publishSweep(slot, 10, 2, -3, 4);
    }
    cells.setSweepEpoch(200);
    for (const slot of [0, 1, SLOTS_MAX - 1]) {
      expect([
        seen.generation(slot),
        seen.verdict(slot),
        seen.mode(slot),
        seen.weight(slot),
        seen.sessions(slot),
        seen.tentative(slot),
        [seen.placedBase(slot), seen.placedBaseMost(slot)],
      ]).toEqual([slot + 1, Verdict.ejected, Mode.drain, 1500, 10, 2, [15, 19]]);
    }
    expect([seen.verdict(2), seen.weight(2), seen.sweepEpoch()]).toEqual([Verdict.starting, 0, 200]);
  });

  test('a reported connect failure is taken once', () => {
    const cells = new ControlCells();
    cells.reportConnectFailure(4);
    expect([cells.takeConnectFailure(4), cells.takeConnectFailure(4), cells.takeConnectFailure(5)]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('stripes', () => {
  test('cells of neighbours do not touch', () => {
    const stripe = new Stripe();
    const last = SLOTS_MAX - 1;
    stripe.addGauge(last, Gauge.sessionDelta, 5);
    stripe.observe(last, Counter.connectSum, 1e9);
    stripe.count(0, Counter.code);
    stripe.countPool(POOL_IDS_MAX - 1, PoolCounter.requests, 3);
    stripe.countRejected(0, NO_POOL);
    stripe.countRejected(0, POOL_IDS_MAX - 1);
    stripe.countRejected(0, POOL_IDS_MAX - 1);
    stripe.addClientConnections(LISTENER_IDS_MAX - 1, 2);
    const seen = new Stripe(stripe.buffer);
    expect(seen.gauge(last, Gauge.sessionDelta)).toBe(5);
    expect(seen.counter(last, Counter.connectSum + BUCKETS)).toBe(1);
    expect(seen.counter(0, Counter.code)).toBe(1);
    expect(seen.poolCounter(POOL_IDS_MAX - 1, PoolCounter.requests)).toBe(3);
    expect([
      seen.rejected(0, NO_POOL),
      seen.rejected(0, POOL_IDS_MAX - 1),
      seen.clientConnections(LISTENER_IDS_MAX - 1),
      seen.clientConnections(0),
    ]).toEqual([1, 2, 2, 0]);
  });

  test('durations fall into the bucket whose bound they do not exceed', () => {
    const stripe = new Stripe();
    DURATION_BUCKETS_SECONDS.forEach((bound) => {
      stripe.observe(3, Counter.durationSum, bound);
    });
    stripe.observe(3, Counter.durationSum, 61);
    const buckets = Array.from({ length: BUCKETS }, (_, bucket) =>
      stripe.counter(3, Counter.durationSum + 1 + bucket),
    );
    expect(buckets).toEqual(new Array(BUCKETS).fill(1));
    const sum = DURATION_BUCKETS_SECONDS.reduce((total, bound) => total + bound, 61);
    expect(stripe.counter(3, Counter.durationSum)).toBeCloseTo(sum, 9);
    expect(stripe.counter(3, Counter.connectSum)).toBe(0);
  });

  test('the first measured time counts whole, later ones by an eighth', () => {
    const stripe = new Stripe();
    stripe.smoothFirstByte(1, 80);
    expect(stripe.counter(1, Counter.firstByteMs)).toBe(80);
    stripe.smoothFirstByte(1, 160);
    expect(stripe.counter(1, Counter.firstByteMs)).toBe(90);
  });

  test('a dead worker’s gauges go, its totals and session deltas stay', () => {
    const stripe = new Stripe();
    const gauges = Object.values(Gauge);
    for (const gauge of gauges) stripe.addGauge(6, gauge, 4);
    stripe.count(6, Counter.created, 9);
    stripe.countRejected(2, NO_POOL);
    stripe.addClientConnections(1, 7);
    stripe.clearGauges();
    expect(gauges.map((gauge) => stripe.gauge(6, gauge))).toEqual([0, 0, 0, 4, 4, 0]);
    expect([
      stripe.counter(6, Counter.created),
      stripe.rejected(2, NO_POOL),
      stripe.clientConnections(1),
    ]).toEqual([9, 1, 0]);
  });

  test('a slot given away starts at zero, its neighbours do not', () => {
    const stripe = new Stripe();
    for (const slot of [5, 6, 7]) {
      stripe.addGauge(slot, Gauge.inFlight, 1);
      stripe.count(slot, Counter.code, 1);
      stripe.observe(slot, Counter.connectSum, 99);
    }
    stripe.clearSlot(6);
    expect([5, 6, 7].map((slot) => stripe.gauge(slot, Gauge.inFlight))).toEqual([1, 0, 1]);
    expect([5, 6, 7].map((slot) => stripe.counter(slot, Counter.code))).toEqual([1, 0, 1]);
    expect([5, 6, 7].map((slot) => stripe.counter(slot, Counter.connectSum + BUCKETS))).toEqual([1, 0, 1]);
  });
});

describe('shared state', () => {
  test('sums are over all threads, main included', () => {
    const main = SharedState.create(2, 100, 0);
    const workers = [0, 1].map((worker) => SharedState.attach(main.handles(), worker));
    main.own.addGauge(1, Gauge.inFlight, 1);
    workers.forEach((worker, index) => {
      worker.own.addGauge(1, Gauge.inFlight, 10 ** (index + 1));
      worker.own.count(1, Counter.created, index + 1);
      worker.own.countPool(2, PoolCounter.queued, 2);
    });
    for (const state of [main, ...workers]) {
      expect([
        state.inFlight(1),
        state.sumCounter(1, Counter.created),
        state.sumPoolCounter(2, PoolCounter.queued),
      ]).toEqual([111, 3, 4]);
    }
  });

  test('placed sessions: the last sweep’s and what changed since it began', () => {
    const main = SharedState.create(1, 100, 0);
    const worker = SharedState.attach(main.handles(), 0);
    worker.own.addGauge(1, Gauge.sessionDelta, 30);
    expect(worker.placedSessions(1)).toBe(30);
    main.control.publishSweep(1, 20, 4, 30);
    expect(worker.placedSessions(1)).toBe(24);
    worker.own.addGauge(1, Gauge.sessionDelta, -2);
    main.own.addGauge(1, Gauge.sessionDelta, 5);
    expect(worker.placedSessions(1)).toBe(27);
    worker.own.addGauge(1, Gauge.sessionsReserved, 1);
    expect(worker.placedSessions(1)).toBe(28);
  });

  test('for a limit those that left during the sweep count as if it had not seen them', () => {
    const main = SharedState.create(1, 100, 0);
    const worker = SharedState.attach(main.handles(), 0);
    main.control.publishSweep(1, 20, 4, 30, 2);
    worker.own.addGauge(1, Gauge.sessionDelta, 28);
    expect([worker.placedSessions(1), worker.placedSessionsMost(1)]).toEqual([22, 24]);
    expect([worker.takePlace(1, 24), worker.placedSessions(1)]).toEqual([false, 22]);
    expect([worker.takePlace(1, 25), worker.placedSessions(1)]).toEqual([true, 23]);
    worker.givePlaceBack(1);
    expect(worker.placedSessions(1)).toBe(22);
  });

  test('of two threads that take the last place at once one gets it', () => {
    const main = SharedState.create(2, 100, 0);
    const [one, other] = [0, 1].map((worker) => SharedState.attach(main.handles(), worker));
    // both have counted themselves, and see that they are too many
    other!.own.addGaugeInOrder(1, Gauge.sessionsReserved, 1);
    const isTakingBack = (_: Int32Array, __: number, amount: number): boolean => amount === -1;
    let isTaken = false;
    interleave(
      'add',
      isTakingBack,
      () => other!.givePlaceBack(1),
      () => {
        isTaken = one!.takePlace(1, 1);
      },
    );
    expect([isTaken, other!.takePlace(1, 1), main.placedSessions(1)]).toEqual([true, false, 1]);
  });

  test('for a limit a session that begins to count while they are summed is not missed', () => {
    const main = SharedState.create(1, 100, 0);
    const worker = SharedState.attach(main.handles(), 0);
    expect(worker.takePlace(1, 1)).toBe(true);
    const stripe = main.stripes[0]!;
    const read = stripe.gaugeInOrder.bind(stripe);
    const spy = vi.spyOn(stripe, 'gaugeInOrder').mockImplementation((slot, gauge) => {
      const value = read(slot, gauge);
      spy.mockRestore();
      worker.own.addEntry(1, 1);
      worker.givePlaceBack(1);
      return value;
    });
    expect([main.placedSessionsMost(1), main.takePlace(1, 1)]).toEqual([2, false]);
    expect(main.placedSessionsMost(1)).toBe(1);
  });
});

// Every cell of a stripe and of the control cells is a cell of its own, whoever reads it, and labels are labels.

import { describe, expect, test } from 'vitest';
import { FAILURE_KINDS, RETRY_REASONS } from '../../src/base/failure.ts';
import { ABUSE_KINDS } from '../../src/http2/abuse.ts';
import { AddressCounts } from '../../src/shared/address-counts.ts';
import { ControlCells, Mode, Report, Verdict } from '../../src/shared/control.ts';
import { LISTENER_IDS_MAX, POOL_IDS_MAX, SLOTS_MAX } from '../../src/shared/limits.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import {
  AFFINITY_OUTCOMES,
  BUCKETS,
  CODE_CLASSES,
  Counter,
  END_REASONS,
  Gauge,
  HANDSHAKE_RESULTS,
  LOST_REASONS,
  MOVE_REASONS,
  NO_POOL,
  PASSIVE_KINDS,
  PoolCounter,
  SERVER_LOST_REASONS,
  Stripe,
} from '../../src/shared/stripe.ts';

interface Cell {
  readonly name: string;
  write(stripe: Stripe, times: number): void;
  read(stripe: Stripe): number;
}

const SLOTS = [0, 1, SLOTS_MAX - 1];
const POOLS = [0, 1, POOL_IDS_MAX - 1];
const LISTENERS = [0, 1, LISTENER_IDS_MAX - 1];
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const repeat = (times: number, act: () => void): void => {
  for (let time = 0; time < times; time += 1) act();
};

const gauges: Cell[] = SLOTS.flatMap((slot) =>
  Object.entries(Gauge).map(([name, gauge]) => ({
    name: `${name} of slot ${slot}`,
    write: (stripe: Stripe, amount: number) => stripe.addGauge(slot, gauge, amount),
    read: (stripe: Stripe) => stripe.gauge(slot, gauge),
  })),
);
/** Offsets of all counters of a slot: each list has one for each of its labels. */
const offsets = [
  ...range(CODE_CLASSES.length).map((index) => Counter.code + index),
  ...[Counter.failures, Counter.requestBytes, Counter.responseBytes, Counter.created, Counter.firstByteMs],
  ...range(END_REASONS.length).map((index) => Counter.ended + index),
  ...range(LOST_REASONS.length).map((index) => Counter.lost + index),
  ...range(1 + BUCKETS).map((index) => Counter.durationSum + index),
  ...range(1 + BUCKETS).map((index) => Counter.connectSum + index),
  ...range(PASSIVE_KINDS.length).map((index) => Counter.passive + index),
  ...range(2).map((index) => Counter.failing + index),
];
const counters: Cell[] = SLOTS.flatMap((slot) =>
  offsets.map((offset) => ({
    name: `counter ${offset} of slot ${slot}`,
    write: (stripe: Stripe, amount: number) => stripe.count(slot, offset, amount),
    read: (stripe: Stripe) => stripe.counter(slot, offset),
  })),
);
const poolOffsets = [
  ...range(AFFINITY_OUTCOMES.length).map((index) => PoolCounter.affinity + index),
  ...range(MOVE_REASONS.length).map((index) => PoolCounter.moves + index),
  ...range(RETRY_REASONS.length).map((index) => PoolCounter.retries + index),
  ...[PoolCounter.queued, PoolCounter.requests, PoolCounter.retriesRefused, PoolCounter.retryTokens],
  ...range(LOST_REASONS.length).map((index) => PoolCounter.lost + index),
  PoolCounter.serverErrors,
];
const pools: Cell[] = POOLS.flatMap((pool) =>
  poolOffsets.map((offset) => ({
    name: `counter ${offset} of pool ${pool}`,
    write: (stripe: Stripe, amount: number) => stripe.countPool(pool, offset, amount),
    read: (stripe: Stripe) => stripe.poolCounter(pool, offset),
  })),
);
const rejected: Cell[] = [NO_POOL, ...POOLS].flatMap((pool) =>
  FAILURE_KINDS.map((kind, index) => ({
    name: `${kind} of pool ${pool}`,
    write: (stripe: Stripe, times: number) => repeat(times, () => stripe.countRejected(index, pool)),
    read: (stripe: Stripe) => stripe.rejected(index, pool),
  })),
);
const listeners: Cell[] = LISTENERS.flatMap((listener) => [
  ...HANDSHAKE_RESULTS.map((result) => ({
    name: `handshakes ${result} of listener ${listener}`,
    write: (stripe: Stripe, times: number) => repeat(times, () => stripe.countHandshake(listener, result)),
    read: (stripe: Stripe) => stripe.handshakes(listener, result),
  })),
  ...ABUSE_KINDS.map((kind) => ({
    name: `${kind} of listener ${listener}`,
    write: (stripe: Stripe, times: number) => repeat(times, () => stripe.countHttp2Abuse(listener, kind)),
    read: (stripe: Stripe) => stripe.http2Abuse(listener, kind),
  })),
  {
    name: `connections of listener ${listener}`,
    write: (stripe, amount) => stripe.addClientConnections(listener, amount),
    read: (stripe) => stripe.clientConnections(listener),
  },
  {
    name: `HTTP/2 connections of listener ${listener}`,
    write: (stripe, amount) => stripe.addHttp2Connections(listener, amount),
    read: (stripe) => stripe.http2Connections(listener),
  },
  {
    name: `HTTP/2 streams of listener ${listener}`,
    write: (stripe, amount) => stripe.addHttp2Streams(listener, amount),
    read: (stripe) => stripe.http2Streams(listener),
  },
]);
const beats: Cell = {
  name: 'beats',
  write: (stripe, times) => repeat(times, () => stripe.beat()),
  read: (stripe) => stripe.beats,
};
const CELLS = [...gauges, ...counters, ...pools, ...rejected, ...listeners, beats];

describe('a stripe', () => {
  test('adds up in every cell what was counted there, and nothing else', () => {
    const stripe = new Stripe();
    const seen = new Stripe(stripe.buffer);
    for (const [index, cell] of CELLS.entries()) cell.write(stripe, index + 1);
    for (const cell of CELLS) cell.write(stripe, 1);
    const read = Object.fromEntries(CELLS.map((cell) => [cell.name, cell.read(seen)]));
    expect(read).toEqual(Object.fromEntries(CELLS.map((cell, index) => [cell.name, index + 2])));
    const connections = LISTENERS.reduce((sum, listener) => sum + seen.clientConnections(listener), 0);
    expect(seen.allClientConnections).toBe(connections);
  });

  test('forgets with its worker what was there then, and keeps what was counted', () => {
    const stripe = new Stripe();
    for (const cell of CELLS) cell.write(stripe, 1);
    stripe.clearGauges();
    const kept = CELLS.filter((cell) => cell.read(stripe) === 1).map(({ name }) => name);
    const gone = CELLS.filter(({ name }) => !kept.includes(name)).map(({ name }) => name);
    expect(
      gone.every((name) => /^(inFlight|upstream|sessionsReserved)|onnections|streams|beats/.test(name)),
    ).toBe(true);
    expect([kept.length + gone.length, gone.length, stripe.allClientConnections]).toEqual([
      ...[CELLS.length, 3 * 4 + 3 * 3 + 1, 0],
    ]);
  });

  test('clears one pool, and no other', () => {
    const stripe = new Stripe();
    for (const cell of [...pools, ...rejected]) cell.write(stripe, 1);
    stripe.clearPool(1);
    const cleared = [...pools, ...rejected].filter((cell) => cell.read(stripe) === 0);
    expect(cleared.every(({ name }) => name.endsWith('of pool 1'))).toBe(true);
    expect(cleared).toHaveLength(poolOffsets.length + FAILURE_KINDS.length);
  });

  test('a session that ends or goes is one less, and one that has left', () => {
    const stripe = new Stripe();
    for (const amount of [1, 1, -1] as const) stripe.addEntry(3, amount);
    expect([stripe.gauge(3, Gauge.sessionDelta), stripe.gauge(3, Gauge.sessionsLeft)]).toEqual([1, 1]);
  });
});

describe('how a server has failed of late', () => {
  test('each outcome counts for a quarter, what is old fades by half in five seconds, and little is nothing', () => {
    const stripe = new Stripe();
    stripe.noteOutcome(1, false, 0);
    expect(stripe.failing(1, 0)).toBe(0);
    stripe.noteOutcome(1, true, 1000);
    expect([stripe.failing(1, 1000), stripe.failing(1, 6000), stripe.failing(1, 500)]).toEqual([
      0.25, 0.125, 0.25,
    ]);
    stripe.noteOutcome(1, true, 1000);
    expect(stripe.failing(1, 1000)).toBe(0.4375);
    stripe.noteOutcome(1, false, 6000);
    expect(stripe.failing(1, 6000)).toBeCloseTo(0.1640625, 9);
    expect([stripe.failing(1, 21_000), stripe.failing(1, 22_000)]).toEqual([expect.closeTo(0.0205, 4), 0]);
    for (let time = 0; time < 8; time += 1) stripe.noteOutcome(1, false, 6000);
    expect(stripe.failing(1, 6000)).toBe(0);
    expect([stripe.failing(0, 6000), stripe.failing(2, 6000)]).toEqual([0, 0]);
  });

  test('is what the thread sees that has met most, until the server is another', () => {
    const main = SharedState.create(2, 100, 0);
    const workers = [0, 1].map((worker) => SharedState.attach(main.handles(), worker));
    for (const times of [0, 1]) repeat(times + 1, () => workers[times]!.own.noteOutcome(4, true, 0));
    expect(main.failing(4, 0)).toBe(0.4375);
    main.forgetFailing(4);
    expect([main.failing(4, 0), workers[0]!.failing(4, 0)]).toEqual([0, 0]);
  });
});

test('sums are of all threads, whatever is counted', () => {
  const main = SharedState.create(2, 100, 0);
  const stripes = [...[0, 1].map((worker) => SharedState.attach(main.handles(), worker).own), main.own];
  for (const [index, own] of stripes.entries()) {
    const amount = 10 ** index;
    own.addClientConnections(1, amount);
    own.addGaugeInOrder(2, Gauge.inFlight, amount);
    repeat(index + 1, () => own.countHttp2Abuse(1, ABUSE_KINDS[0]!));
    repeat(index + 1, () => own.countHandshake(1, 'resumed'));
    repeat(index + 1, () => own.countRejected(3, NO_POOL));
    own.countPool(1, PoolCounter.queued, amount);
  }
  const sums = (): number[] => [
    ...[main.sumClientConnections(1), main.inFlightInOrder(2), main.sumHttp2Abuse(1, ABUSE_KINDS[0]!)],
    ...[main.sumHandshakes(1, 'resumed'), main.sumRejected(3, NO_POOL)],
    main.sumPoolCounter(1, PoolCounter.queued),
  ];
  expect(sums()).toEqual([111, 111, 6, 6, 6, 111]);
  main.clearPool(1);
  expect(sums()).toEqual([111, 111, 6, 6, 6, 0]);
});

describe('control cells', () => {
  test('each of each slot stands alone, and is seen by all', () => {
    const cells = new ControlCells();
    const seen = new ControlCells(cells.buffer);
    for (const [at, slot] of SLOTS.entries()) {
      cells.setGeneration(slot, 100 + at);
      cells.setDownSince(slot, 1000 * (at + 1));
      cells.setVerdict(slot, Verdict.down);
      cells.setMode(slot, Mode.maintenance);
      cells.setReport(slot, Report.full);
      cells.setUnbacked(slot, 200 + at);
      cells.setWeight(slot, 300 + at);
      cells.publishSweep(slot, 400 + at, 500 + at, 0, 7);
    }
    for (const [at, slot] of SLOTS.entries()) {
      expect([
        ...[seen.generation(slot), seen.downForMs(slot, 9000), seen.verdict(slot), seen.mode(slot)],
        ...[seen.operatorMode(slot), seen.report(slot), seen.unbacked(slot), seen.weight(slot)],
        ...[seen.sessions(slot), seen.tentative(slot), seen.placedBase(slot), seen.placedBaseMost(slot)],
      ]).toEqual([
        ...[100 + at, 8000 - 1000 * at, Verdict.down, Mode.maintenance],
        ...[Mode.maintenance, Report.full, 200 + at, 300 + at],
        ...[400 + at, 500 + at, 900 + 2 * at, 907 + 2 * at],
      ]);
    }
    expect([seen.generation(2), seen.downForMs(2, 9000), seen.unbacked(2), seen.report(2)]).toEqual([
      0, 9000, 0, 0,
    ]);
  });

  test('for how long a server is down is told to a tenth of a second', () => {
    const cells = new ControlCells();
    cells.setDownSince(1, 1_700_000_000_050);
    expect([0, 49, 50, 1049].map((ms) => cells.downForMs(1, 1_700_000_000_050 + ms))).toEqual([
      0, 0, 100, 1000,
    ]);
  });

  test.each([
    [Mode.ready, Report.ready, Mode.ready],
    [Mode.ready, Report.drain, Mode.drain],
    [Mode.ready, Report.full, Mode.full],
    [Mode.drain, Report.full, Mode.drain],
    [Mode.maintenance, Report.drain, Mode.maintenance],
  ])(
    'the operator says %i, the server %i: %i counts, in whichever order they are said',
    (mode, report, counts) => {
      const [one, other] = [new ControlCells(), new ControlCells()];
      one.setMode(1, mode);
      one.setReport(1, report);
      other.setReport(1, report);
      other.setMode(1, mode);
      expect([one.mode(1), other.mode(1), one.operatorMode(1), one.mode(2)]).toEqual([
        counts,
        counts,
        mode,
        Mode.ready,
      ]);
    },
  );

  test('who may be chosen has changed where a verdict, mode or weight is another, and else not', () => {
    const cells = new ControlCells();
    const changes = (act: () => void): number => {
      const before = cells.eligibility();
      act();
      expect(cells.eligibilityInOrder()).toBe(cells.eligibility());
      return cells.eligibility() - before;
    };
    expect(changes(() => cells.setVerdict(1, Verdict.up))).toBe(1);
    expect(changes(() => cells.setVerdict(1, Verdict.up))).toBe(0);
    expect(changes(() => cells.setWeight(1, 5))).toBe(1);
    expect(changes(() => cells.setMode(1, Mode.drain))).toBe(1);
    expect(changes(() => cells.setReport(1, Report.full))).toBe(0);
    expect(changes(() => cells.setUnbacked(1, 3))).toBe(0);
  });

  test('a hint is taken once, by who is meant', () => {
    const cells = new ControlCells();
    cells.want(4);
    cells.noteFailingClient(4, 0);
    cells.noteFailingClient(4, 31);
    cells.noteFailingClient(4, 31);
    expect([
      cells.takeWanted(3),
      cells.takeConnectFailure(4),
      cells.takeWanted(4),
      cells.takeWanted(4),
    ]).toEqual([...[false, false, true, false]]);
    expect([
      cells.takeFailingClients(5),
      cells.takeFailingClients(4) >>> 0,
      cells.takeFailingClients(4),
    ]).toEqual([...[0, 0x8000_0001, 0]]);
  });
});

describe('connections by address', () => {
  test('are never told too few, whoever else shares a cell, and go with their worker', () => {
    const main = AddressCounts.create(2);
    const [one, other] = [0, 1].map((worker) => new AddressCounts(main.buffers, worker));
    const most = 2 ** 14 - 1;
    const keys = [
      [0, 0],
      [most, most],
      [most, 0],
      [5, 9],
      [most + 1 + 5, 8],
    ] as const;
    const cells = keys.map(([low, high]) => main.cellsOf(low, high));
    one!.add(cells[3]!, 1);
    other!.add(cells[3]!, 2);
    other!.add(cells[1]!, 1);
    main.add(cells[0]!, 1);
    expect(cells.map((cell) => main.count(cell))).toEqual([0, 1, 0, 3, 0]);
    expect(main.cellsOf(most + 1 + 5, 9)).toBe(cells[3]);
    main.clear(1);
    expect(cells.map((cell) => one!.count(cell))).toEqual([0, 0, 0, 1, 0]);
    one!.add(cells[3]!, -1);
    expect(main.count(cells[3]!)).toBe(0);
  });
});

test.each([
  [AFFINITY_OUTCOMES, 10],
  [MOVE_REASONS, 6],
  [END_REASONS, 5],
  [LOST_REASONS, 4],
  [SERVER_LOST_REASONS, 3],
  [PASSIVE_KINDS, 3],
  [CODE_CLASSES, 6],
  [HANDSHAKE_RESULTS, 6],
] as const)('labels are words, each another: %j', (labels, count) => {
  expect(new Set(labels).size).toBe(count);
  expect(labels.every((label: string) => /^[a-z0-9]+(_[a-z]+)?$/.test(label))).toBe(true);
});

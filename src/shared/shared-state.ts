// Everything the threads see in common, made by main and attached by each worker.

import type { AbuseKind } from '../http2/abuse.ts';
import { AddressCounts } from './address-counts.ts';
import { ControlCells } from './control.ts';
import { RateCells } from './rate-cells.ts';
import { SessionTable, type SessionTableHandle } from './session-table.ts';
import { Gauge, type HandshakeResult, Stripe } from './stripe.ts';
import { WaitingThreads } from './waiting-threads.ts';

/** Two threads that take a place in step, again and again, let go of it in the end. */
const PLACE_TRIES = 100;

/** What main posts to a worker. */
export interface SharedHandles {
  readonly control: SharedArrayBuffer;
  readonly stripes: readonly SharedArrayBuffer[];
  readonly table: SessionTableHandle;
  readonly rateCells: SharedArrayBuffer;
  readonly addresses: readonly SharedArrayBuffer[];
  readonly waiting: SharedArrayBuffer;
}

export class SharedState {
  readonly control: ControlCells;
  /** One per worker, and main's own as the last one. */
  readonly stripes: readonly Stripe[];
  readonly table: SessionTable;
  /** The stripe this thread writes. */
  readonly own: Stripe;
  readonly rateCells: RateCells;
  readonly addresses: AddressCounts;
  readonly waiting: WaitingThreads;

  private constructor(
    control: ControlCells,
    stripes: readonly Stripe[],
    table: SessionTable,
    own: Stripe,
    rateCells: RateCells,
    addresses: AddressCounts,
    waiting: WaitingThreads,
  ) {
    this.control = control;
    this.stripes = stripes;
    this.table = table;
    this.own = own;
    this.rateCells = rateCells;
    this.addresses = addresses;
    this.waiting = waiting;
  }

  /** Threads that serve traffic. */
  get workers(): number {
    return this.stripes.length - 1;
  }

  /** Main's side. `workers`: how many worker stripes to make. */
  static create(workers: number, sessionsMax: number, nowMs: number): SharedState {
    const stripes = Array.from({ length: workers + 1 }, () => new Stripe());
    const table = SessionTable.create(sessionsMax, nowMs, workers);
    const own = stripes[workers] as Stripe;
    return new SharedState(
      new ControlCells(),
      stripes,
      table,
      own,
      new RateCells(),
      AddressCounts.create(workers),
      new WaitingThreads(null, null),
    );
  }

  /** A worker's side; `worker` is its index. */
  static attach(handles: SharedHandles, worker: number): SharedState {
    const stripes = handles.stripes.map((buffer) => new Stripe(buffer));
    const table = SessionTable.attach(handles.table, worker);
    return new SharedState(
      new ControlCells(handles.control),
      stripes,
      table,
      stripes[worker] as Stripe,
      new RateCells(handles.rateCells),
      new AddressCounts(handles.addresses, worker),
      new WaitingThreads(handles.waiting, worker),
    );
  }

  handles(): SharedHandles {
    return {
      control: this.control.buffer,
      stripes: this.stripes.map((stripe) => stripe.buffer),
      table: this.table.handle,
      rateCells: this.rateCells.buffer,
      addresses: this.addresses.buffers,
      waiting: this.waiting.buffer,
    };
  }

  /** Requests in flight on the slot, all threads: exact. */
  inFlight(slot: number): number {
    return this.sumGauge(slot, Gauge.inFlight);
  }

  /** The same for a thread that has just counted itself in with `addGaugeInOrder`: of two that do so at once, one sees both. */
  inFlightInOrder(slot: number): number {
    let sum = 0;
    for (const stripe of this.stripes) sum += stripe.gaugeInOrder(slot, Gauge.inFlight);
    return sum;
  }

  sumGauge(slot: number, gauge: Gauge): number {
    let sum = 0;
    for (const stripe of this.stripes) sum += stripe.gauge(slot, gauge);
    return sum;
  }

  sumCounter(slot: number, offset: number): number {
    let sum = 0;
    for (const stripe of this.stripes) sum += stripe.counter(slot, offset);
    return sum;
  }

  /** Share of failures of late as the thread sees it that has met most, 0..1. */
  failing(slot: number, nowMs: number): number {
    let most = 0;
    for (const stripe of this.stripes) most = Math.max(most, stripe.failing(slot, nowMs));
    return most;
  }

  /** Main, when the server is another process than the one that failed: up again, or at another address. */
  forgetFailing(slot: number): void {
    for (const stripe of this.stripes) stripe.forgetFailing(slot);
  }

  sumPoolCounter(pool: number, offset: number): number {
    let sum = 0;
    for (const stripe of this.stripes) sum += stripe.poolCounter(pool, offset);
    return sum;
  }

  /** Connections open on a listener, all threads. */
  sumClientConnections(listener: number): number {
    let sum = 0;
    for (const stripe of this.stripes) sum += stripe.clientConnections(listener);
    return sum;
  }

  /** Requests that ended for this reason (index into FAILURE_KINDS), of the pool or of none (NO_POOL), all threads. */
  sumRejected(kindIndex: number, pool: number): number {
    return this.stripes.reduce((sum, stripe) => sum + stripe.rejected(kindIndex, pool), 0);
  }

  /** What clients of a listener have overdone in HTTP/2, all threads. */
  sumHttp2Abuse(listener: number, kind: AbuseKind): number {
    return this.stripes.reduce((sum, stripe) => sum + stripe.http2Abuse(listener, kind), 0);
  }

  /** TLS handshakes with clients of a listener, all threads. */
  sumHandshakes(listener: number, result: HandshakeResult): number {
    return this.stripes.reduce((sum, stripe) => sum + stripe.handshakes(listener, result), 0);
  }

  /** Main, before a pool's number is given to another pool. */
  clearPool(pool: number): void {
    for (const stripe of this.stripes) stripe.clearPool(pool);
  }

  /**
   * Sessions to reckon with when placing a new one: the last sweep's count, tentative ones included, what all threads
   * placed and ended since that sweep began, and what they count on.
   */
  placedSessions(slot: number): number {
    const since = this.sumGauge(slot, Gauge.sessionDelta) + this.sumGauge(slot, Gauge.sessionsReserved);
    return this.control.placedBase(slot) + since;
  }

  /**
   * The same for a limit: a few too many for a moment, never too few. What is counted on is read first, since it is given
   * back only when the session itself counts.
   */
  placedSessionsMost(slot: number): number {
    let placed = this.control.placedBaseMost(slot);
    for (const stripe of this.stripes)
      placed +=
        stripe.gaugeInOrder(slot, Gauge.sessionsReserved) + stripe.gaugeInOrder(slot, Gauge.sessionDelta);
    return placed;
  }

  /**
   * Counts on one more session on the slot and says whether it has at most `most` then; takes it back otherwise. Of threads
   * that take the last place at once one gets it: who is told no has looked once more after taking back, so that the last
   * to do so finds the place free. To be given back when the session itself counts.
   */
  takePlace(slot: number, most: number): boolean {
    for (let tries = 0; tries < PLACE_TRIES; tries += 1) {
      this.own.addGaugeInOrder(slot, Gauge.sessionsReserved, 1);
      if (this.placedSessionsMost(slot) <= most) return true;
      this.givePlaceBack(slot);
      if (this.placedSessionsMost(slot) >= most) return false;
    }
    return false;
  }

  givePlaceBack(slot: number): void {
    this.own.addGaugeInOrder(slot, Gauge.sessionsReserved, -1);
  }
}

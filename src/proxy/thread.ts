// What one worker thread holds: the current revision, the listeners, upstream pools, queues and reused objects.

import { type Clock, TurnClock } from '../base/clock.ts';
import type { FailureSide } from '../base/failure.ts';
import type { LogLevel } from '../base/log.ts';
import type { ListeningSocket } from '../base/pass-sockets.ts';
import type { Random } from '../base/random.ts';
import { compileTrusted } from '../base/trusted.ts';
import { Chooser } from '../choose/chooser.ts';
import { compilePool, type PoolPlan, watchedHeaders } from '../choose/plan.ts';
import type { RetryBudget } from '../choose/retry.ts';
import { Router } from '../choose/route.ts';
import { AccessLog } from '../exchange/access-log.ts';
import { BadResponses } from '../exchange/bad-responses.ts';
import { ClientLimits } from '../exchange/client-limits.ts';
import { Deadlines } from '../exchange/deadlines.ts';
import { Exchange } from '../exchange/exchange.ts';
import { PoolRuntimes } from '../exchange/pool-runtimes.ts';
import { Answer } from '../exchange/streams.ts';
import { TakeoverBarrier } from '../exchange/takeover-barrier.ts';
import type { WaitQueue } from '../exchange/wait-queue.ts';
import { RequestHead, ResponseHead } from '../http1/message.ts';
import type { Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import type { Stripe } from '../shared/stripe.ts';
import { Listeners } from './listeners.ts';
import { ReadBuffers } from './read-buffers.ts';
import { UpstreamPool } from './upstream-pool.ts';

/** Exchanges kept for reuse. */
const SPARE_EXCHANGES_MAX = 4096;

export interface ProxyThreadOptions {
  readonly shared: SharedState;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: (level: LogLevel, message: string) => void;
  /** Client connections at once that there are descriptors for, over all listeners and threads; absent: no limit. */
  readonly clientsMax?: number;
  /** Called when a stopping thread has closed its last connection. */
  readonly onDrained: () => void;
  /** Responses of a retiring thread wait for the successor to know these keys; `told` lets them go. */
  readonly onWithheld: (keys: readonly number[]) => void;
  /** Takes whole lines of the access log. */
  readonly onAccessLines: (lines: string) => void;
}

export class ProxyThread {
  readonly shared: SharedState;
  readonly own: Stripe;
  readonly clock: TurnClock;
  readonly log: (level: LogLevel, message: string) => void;
  readonly chooser: Chooser;
  readonly deadlines: Deadlines;
  readonly buffers: ReadBuffers = new ReadBuffers();
  readonly requestHead: RequestHead = new RequestHead();
  readonly answer: Answer = new Answer(new ResponseHead());
  router: Router;
  isTrustedAddress: (address: string) => boolean = () => false;
  isStopping = false;
  barrier: TakeoverBarrier | null = null;
  startsTraces = false;
  via: string | null = null;
  readonly badResponses: BadResponses;
  readonly clientsMax: number;
  readonly accessLog: AccessLog;
  readonly limits: ClientLimits;
  readonly #random: Random;
  readonly #onDrained: () => void;
  readonly #onWithheld: (keys: readonly number[]) => void;
  readonly #upstreams: (UpstreamPool | undefined)[] = [];
  readonly #listeners: Listeners = new Listeners(this);
  readonly #pools: PoolRuntimes;
  readonly #spare: Exchange[] = [];
  readonly #onOver = (exchange: Exchange): void => {
    if (this.#spare.length < SPARE_EXCHANGES_MAX) this.#spare.push(exchange);
  };
  #showsDetails = false;

  constructor(options: ProxyThreadOptions, revision: Revision) {
    this.shared = options.shared;
    this.own = options.shared.own;
    this.clientsMax = options.clientsMax ?? Number.POSITIVE_INFINITY;
    this.clock = new TurnClock(options.clock);
    this.log = options.log;
    this.badResponses = new BadResponses(options.log);
    this.#random = options.random;
    this.#onDrained = options.onDrained;
    this.#onWithheld = options.onWithheld;
    this.chooser = new Chooser(options.shared, options.random);
    this.limits = new ClientLimits(options.shared.rateCells, options.shared.addresses);
    this.accessLog = new AccessLog(options.random, options.onAccessLines);
    this.deadlines = new Deadlines(
      this.clock,
      (nowMs) => this.#onTick(nowMs),
      () => this.own.beat(),
    );
    this.#pools = new PoolRuntimes(this.shared, this.clock, this.deadlines);
    this.router = new Router(revision, []);
    this.apply(revision);
    this.deadlines.start();
  }

  /** One swap to a new revision. Exchanges keep the plan they began with, but those that wait for a server. */
  apply(revision: Revision): void {
    const watched = watchedHeaders(revision.config);
    const plans = revision.pools.map((pool) => compilePool(pool, this.#random, watched));
    const slots = new Set<number>();
    for (const pool of revision.pools) {
      pool.config.servers.forEach((server, index) => {
        const slot = pool.slots[index] as number;
        const generation = pool.generations[index] as number;
        slots.add(slot);
        let upstream = this.#upstreams[slot];
        if (upstream === undefined || !upstream.isOf(server, generation, pool.config)) {
          upstream?.retire();
          this.chooser.refusals.reached(slot);
          upstream = new UpstreamPool(slot, generation, server, pool.config, this);
          this.#upstreams[slot] = upstream;
        }
        upstream.configure(pool.config);
      });
    }
    for (const plan of plans) this.#pools.configure(plan, this.chooser);
    this.#upstreams.forEach((upstream, slot) => {
      if (!slots.has(slot)) upstream?.retire();
    });
    this.limits.configure(revision);
    this.isTrustedAddress = compileTrusted(revision.config.trusted);
    this.router = new Router(revision, plans);
    this.chooser.addressLimit.most = revision.config.sessions.perAddress;
    this.startsTraces = revision.config.startsTraces;
    this.via = revision.config.via?.toLowerCase() ?? null;
    this.#showsDetails = revision.config.showsDetails;
    this.accessLog.configure(revision.config.accessLog);
    this.#listeners.apply(revision, watched);
  }

  /** What this thread listens on, for another process to listen on. */
  get sockets(): readonly ListeningSocket[] {
    return this.#listeners.sockets;
  }

  /** Opens one listener of the revision, unless it is open: on the descriptors, or else bound. Resolves with its port. */
  listen(
    revision: Revision,
    index: number,
    port: number,
    reusePort: boolean,
    fds: readonly number[],
  ): Promise<number> {
    return this.#listeners.listen(revision, index, port, reusePort, fds);
  }

  get httpsPort(): number {
    return this.#listeners.httpsPort;
  }

  takeExchange(): Exchange {
    return this.#spare.pop() ?? new Exchange(this, this.#onOver);
  }

  servers(slot: number): UpstreamPool {
    const pool = this.#upstreams[slot];
    if (pool === undefined) throw new Error(`no upstream pool for slot ${slot}`);
    return pool;
  }

  closeIdle(): void {
    for (const upstream of this.#upstreams) upstream?.closeIdle();
  }

  /** A connection to the server could not be made: it is left alone for a moment, and main is to look at it. */
  notReached(slot: number): void {
    this.chooser.refusals.refused(slot, this.clock.nowMs());
    this.shared.control.reportConnectFailure(slot);
  }

  takeRetry(plan: PoolPlan, nowMs: number): boolean {
    return this.#pools.takeRetry(plan, nowMs);
  }

  retryBudget(plan: PoolPlan): RetryBudget {
    return this.#pools.of(plan).budget;
  }

  queue(plan: PoolPlan): WaitQueue {
    return this.#pools.of(plan).queue;
  }

  slotFreed(plan: PoolPlan, slot: number): void {
    this.#pools.slotFreed(plan, slot);
  }

  #onTick(nowMs: number): void {
    this.own.beat();
    if (this.isStopping) this.connectionClosed();
    this.#pools.onTick(nowMs);
    this.limits.scan(this.#listeners.all, nowMs, this.clock.stoodStillMs);
    this.accessLog.flush();
  }

  tells({ side }: { readonly side: FailureSide }): boolean {
    return this.#showsDetails || side !== 'server';
  }

  /** Client connections of a listener over all threads. */
  clientConnections(listener: number): number {
    let sum = 0;
    for (const stripe of this.shared.stripes) sum += stripe.clientConnections(listener);
    return sum;
  }

  /** Client connections of all listeners over all threads. */
  allClientConnections(): number {
    let sum = 0;
    for (const stripe of this.shared.stripes) sum += stripe.allClientConnections;
    return sum;
  }

  /** Graceful: no new connections, idle ones end, requests in flight finish. `onDrained` tells when nothing is left. */
  stop(): void {
    this.isStopping = true;
    this.#listeners.stop();
    this.connectionClosed();
  }

  /** Another process is about to take over: accepts nothing, and responses wait for it. `resume` or `retire` is next. */
  pause(): void {
    this.barrier = new TakeoverBarrier(this.#onWithheld);
    this.#listeners.pause();
  }

  /** It does not take over: `listen` opens the listeners again. */
  resume(): void {
    this.#listeners.resume();
    this.barrier?.lift();
    this.barrier = null;
  }

  /** Another process has taken over. Connections that are open may still ask, once. */
  retire(): void {
    if (!this.#listeners.isPaused) this.pause();
    this.isStopping = true;
    this.#listeners.retire();
    this.connectionClosed();
  }

  successorKnows(): void {
    this.barrier?.successorKnows();
  }

  /** The grace is over: tunnels and idle connections end politely, the rest is cut. */
  finish(): void {
    this.#listeners.finish();
  }

  /** At once. */
  destroy(): void {
    this.isStopping = true;
    this.deadlines.stop();
    this.#listeners.destroy();
    for (const upstream of this.#upstreams) upstream?.retire();
  }

  connectionClosed(): void {
    if (!this.isStopping || this.#listeners.hasConnections) return;
    for (const upstream of this.#upstreams) upstream?.retire();
    // what was written last is still on its way to a server, which may not take it: that has a deadline
    if (this.#upstreams.some((upstream) => upstream?.isEmpty === false)) return;
    this.deadlines.stop();
    this.accessLog.flush();
    this.#onDrained();
  }
}

// What one worker thread holds: the current revision, the listeners, upstream pools, queues and reused objects.

import { type Clock, TurnClock } from '../base/clock.ts';
import type { FailureSide } from '../base/failure.ts';
import type { LogLevel } from '../base/log.ts';
import type { ListeningSocket } from '../base/pass-sockets.ts';
import type { Random } from '../base/random.ts';
import { compileTrusted } from '../base/trusted.ts';
import { Chooser } from '../choose/chooser.ts';
import { compilePool, type PoolPlan, watchedHeaders } from '../choose/plan.ts';
import { RetryBudget } from '../choose/retry.ts';
import { Router } from '../choose/route.ts';
import type { ListenConfig } from '../config/model.ts';
import { AccessLog } from '../exchange/access-log.ts';
import { BadResponses } from '../exchange/bad-responses.ts';
import { ClientLimits } from '../exchange/client-limits.ts';
import { Deadlines } from '../exchange/deadlines.ts';
import { Exchange } from '../exchange/exchange.ts';
import { Answer } from '../exchange/streams.ts';
import { TakeoverBarrier } from '../exchange/takeover-barrier.ts';
import { ANY_SLOT, WaitQueue } from '../exchange/wait-queue.ts';
import { type HeadLimits, RequestHead, ResponseHead } from '../http1/message.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { PoolCounter, type Stripe } from '../shared/stripe.ts';
import { ListenerState } from './listener.ts';
import { ReadBuffers } from './read-buffers.ts';
import { UpstreamPool } from './upstream-pool.ts';

/** Exchanges kept for reuse. */
const SPARE_EXCHANGES_MAX = 4096;

/** Per pool and thread: what outlives a revision. */
interface PoolRuntime {
  readonly budget: RetryBudget;
  readonly budgetShare: number;
  readonly queue: WaitQueue;
  /** The last free place went to this thread's queue though others wait too: the next is for them. */
  isOthersTurn: boolean;
}

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
  readonly onHeld: (keys: readonly number[]) => void;
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
  readonly #onHeld: (keys: readonly number[]) => void;
  readonly #upstreams: (UpstreamPool | undefined)[] = [];
  readonly #runtimes = new Map<number, PoolRuntime>();
  readonly #spare: Exchange[] = [];
  readonly #onOver = (exchange: Exchange): void => {
    if (this.#spare.length < SPARE_EXCHANGES_MAX) this.#spare.push(exchange);
  };
  /** Pools for which offers of other threads are awaited. */
  readonly #listening = new Set<number>();
  #listeners: ListenerState[] = [];
  #isPaused = false;
  #watched: readonly string[] = [];
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
    this.#onHeld = options.onHeld;
    this.chooser = new Chooser(options.shared, options.random);
    this.limits = new ClientLimits(options.shared.rateCells, options.shared.addresses);
    this.accessLog = new AccessLog(options.random, options.onAccessLines);
    this.deadlines = new Deadlines(
      this.clock,
      (nowMs) => this.#onTick(nowMs),
      () => this.own.beat(),
    );
    this.router = new Router(revision, []);
    this.apply(revision);
    this.deadlines.start();
  }

  /** One swap to a new revision. Exchanges in flight keep the plan they began with. */
  apply(revision: Revision): void {
    this.#watched = watchedHeaders(revision.config);
    const plans = revision.pools.map((pool) => compilePool(pool, this.#random, this.#watched));
    const slots = new Set<number>();
    for (const pool of revision.pools) {
      pool.config.servers.forEach((server, index) => {
        const slot = pool.slots[index] as number;
        const generation = pool.generations[index] as number;
        slots.add(slot);
        let upstream = this.#upstreams[slot];
        if (upstream === undefined || !upstream.isOf(server, generation)) {
          upstream?.retire();
          this.chooser.refusals.reached(slot);
          upstream = new UpstreamPool(slot, generation, server, this);
          this.#upstreams[slot] = upstream;
        }
        upstream.configure(pool.config);
      });
      this.#applyRuntime(pool);
    }
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
    for (const listener of this.#listeners) {
      const config = revision.config.listen.find(
        (candidate) => candidate.address === listener.config.address,
      );
      if (config === undefined) {
        listener.stop();
        continue;
      }
      listener.config = config;
      listener.headLimits = this.#headLimits(config.limits.headerBytes, config.limits.headerCount);
    }
  }

  /** Queue and retry budget go on; a changed size or share takes effect at once. */
  #applyRuntime(pool: PoolRevision): void {
    const { retry, queue } = pool.config;
    const old = this.#runtimes.get(pool.id);
    if (old !== undefined) old.queue.sizeMax = queue.size;
    const isKept = old !== undefined && old.budgetShare === retry.budget;
    this.#runtimes.set(pool.id, {
      budget: isKept ? old.budget : new RetryBudget(retry.budget),
      budgetShare: retry.budget,
      queue: old?.queue ?? new WaitQueue(queue.size, (isWaiting) => this.#setWaiting(pool.id, isWaiting)),
      isOthersTurn: false,
    });
  }

  /** What this thread listens on, for another process to listen on. */
  get sockets(): readonly ListeningSocket[] {
    return this.#listeners.flatMap((listener) => listener.sockets);
  }

  /** Opens one listener of the revision, unless it is open: on the descriptors, or else bound. Resolves with its port. */
  async listen(
    revision: Revision,
    index: number,
    port: number,
    reusePort: boolean,
    fds: readonly number[],
  ): Promise<number> {
    const config = revision.config.listen[index];
    if (config === undefined) throw new Error(`no listener ${index} in revision ${revision.number}`);
    const open = this.#listeners.find(
      (listener) => !listener.isStopping && listener.config.address === config.address,
    );
    if (open !== undefined && (!open.isPaused || this.#isPaused)) return open.port;
    // the revision was on its way already
    if (this.isStopping) return port;
    const listener = open ?? this.#addListener(revision.listenerIds?.[index] ?? index, config);
    return fds.length === 0 ? listener.listen(port, reusePort) : listener.adopt(fds);
  }

  #addListener(id: number, config: ListenConfig): ListenerState {
    const limits = this.#headLimits(config.limits.headerBytes, config.limits.headerCount);
    const listener = new ListenerState(id, config, limits, this);
    this.#listeners = [
      ...this.#listeners.filter((old) => !old.isStopping || old.connections.size > 0),
      listener,
    ];
    return listener;
  }

  #headLimits(headBytesMax: number, headerCountMax: number): HeadLimits {
    return { headBytesMax, headerCountMax, watched: this.#watched };
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

  /** Whether the pool's budget has a retry left; takes it if so. */
  takeRetry(plan: PoolPlan, nowMs: number): boolean {
    const { budget, budgetShare } = this.#runtime(plan);
    if (budget.take(nowMs)) return true;
    if (budgetShare > 0) this.own.countPool(plan.id, PoolCounter.retriesRefused);
    return false;
  }

  retryBudget(plan: PoolPlan): RetryBudget {
    return this.#runtime(plan).budget;
  }

  queue(plan: PoolPlan): WaitQueue {
    return this.#runtime(plan).queue;
  }

  #runtime(plan: PoolPlan): PoolRuntime {
    const runtime = this.#runtimes.get(plan.id);
    if (runtime === undefined) throw new Error(`no runtime for pool ${plan.config.name}`);
    return runtime;
  }

  /**
   * A request has left a server of the pool: its place goes to who waits here or, where other threads wait too, every
   * other time to them. What they do not take in a millisecond is ours again.
   */
  slotFreed(plan: PoolPlan, slot: number): void {
    if (slot < 0) return;
    const runtime = this.#runtime(plan);
    const { queue } = runtime;
    if (this.shared.waiting.othersWait(plan.id)) {
      runtime.isOthersTurn = !runtime.isOthersTurn || queue.length === 0;
      if (runtime.isOthersTurn) {
        this.shared.waiting.offer(plan.id, slot);
        if (queue.length > 0) this.deadlines.soon(() => queue.serve(slot, this.clock.turn()));
        return;
      }
    }
    if (queue.length > 0) queue.serve(slot, this.clock.nowMs());
  }

  /** The first of the pool's requests on this thread begins to wait, or none waits any more. */
  #setWaiting(pool: number, isWaiting: boolean): void {
    this.shared.waiting.set(pool, isWaiting);
    if (isWaiting && !this.#listening.has(pool)) this.#listen(pool);
  }

  #listen(pool: number): void {
    this.#listening.add(pool);
    this.shared.waiting.onOffer(pool, (slot) => {
      this.#listening.delete(pool);
      const queue = this.#runtimes.get(pool)?.queue;
      if (queue === undefined || queue.length === 0) return;
      // before serving: an offer that comes meanwhile must find us listening
      this.#listen(pool);
      queue.serve(slot, this.clock.turn());
    });
  }

  #onTick(nowMs: number): void {
    this.own.beat();
    if (this.isStopping) this.connectionClosed();
    this.#serveQueues(nowMs);
    this.limits.look(this.#listeners, nowMs);
    for (const [pool, { budget }] of this.#runtimes)
      this.own.setPool(pool, PoolCounter.retryTokens, budget.remaining(nowMs));
    this.accessLog.flush();
  }

  /** Other threads free connections too; and a server may have come back. */
  #serveQueues(nowMs: number): void {
    for (const { queue } of this.#runtimes.values()) if (queue.length > 0) queue.serve(ANY_SLOT, nowMs);
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
    for (const listener of this.#listeners) listener.stop();
    this.connectionClosed();
  }

  /** Another process is about to take over: accepts nothing, and responses wait for it. `resume` or `retire` is next. */
  pause(): void {
    this.#isPaused = true;
    this.barrier = new TakeoverBarrier(this.#onHeld);
    for (const listener of this.#listeners) listener.pause();
  }

  /** It does not take over: `listen` opens the listeners again. */
  resume(): void {
    this.#isPaused = false;
    this.barrier?.lift();
    this.barrier = null;
  }

  /** Another process has taken over. Connections that are open may still ask, once. */
  retire(): void {
    if (!this.#isPaused) this.pause();
    this.isStopping = true;
    for (const listener of this.#listeners) listener.retire();
    this.connectionClosed();
  }

  told(): void {
    this.barrier?.told();
  }

  /** The grace is over: tunnels and idle connections end politely, the rest is cut. */
  finish(): void {
    for (const listener of this.#listeners)
      for (const connection of [...listener.connections]) {
        connection.finish();
        this.own.beat();
      }
  }

  /** At once. */
  destroy(): void {
    this.isStopping = true;
    this.deadlines.stop();
    for (const listener of this.#listeners) {
      listener.stop();
      listener.destroy();
    }
    for (const upstream of this.#upstreams) upstream?.retire();
  }

  connectionClosed(): void {
    if (!this.isStopping || this.#listeners.some((listener) => listener.connections.size > 0)) return;
    for (const upstream of this.#upstreams) upstream?.retire();
    // what was written last is still on its way to a server, which may not take it: that has a deadline
    if (this.#upstreams.some((upstream) => upstream?.isEmpty === false)) return;
    this.deadlines.stop();
    this.accessLog.flush();
    this.#onDrained();
  }
}

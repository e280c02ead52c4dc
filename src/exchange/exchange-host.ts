// What carries exchanges, a worker thread or an embedded balancer, has these in common: what it lends to its exchanges, and the
// swap to a new revision.

import { type Clock, TurnClock } from '../base/clock.ts';
import type { FailureKind, FailureSide } from '../base/failure.ts';
import type { LogLevel } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { compileTrusted } from '../base/trusted.ts';
import { Chooser } from '../choose/chooser.ts';
import { compilePool, type PoolPlan, watchedHeaders } from '../choose/plan.ts';
import type { RetryBudget } from '../choose/retry.ts';
import { Router } from '../choose/route.ts';
import { type ErrorPages, NO_PAGES } from '../config/error-pages.ts';
import type { PoolConfig, ServerConfig } from '../config/model.ts';
import type { RequestHead } from '../http1/message.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import type { Stripe } from '../shared/stripe.ts';
import { AccessLog } from './access-log.ts';
import type { Gate } from './admission.ts';
import { BadResponses } from './bad-responses.ts';
import { ClientLimits } from './client-limits.ts';
import { Deadlines } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import { PoolRuntimes } from './pool-runtimes.ts';
import { type ReplyContent, replyContent } from './reply-content.ts';
import type { ExchangeServices } from './services.ts';
import type { ServerStreams } from './streams.ts';
import type { TakeoverBarrier } from './takeover-barrier.ts';
import type { WaitQueue } from './wait-queue.ts';

/** Exchanges kept for reuse. */
const SPARE_EXCHANGES_MAX = 4096;

export interface HostOptions {
  readonly shared: SharedState;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: (level: LogLevel, message: string) => void;
  /** Takes whole lines of the access log. */
  readonly onAccessLines: (lines: string) => void;
}

/** Streams to one server, while revisions come and go. */
export interface ServerConnections extends ServerStreams {
  /** They lead to this server, this way, and are not retired: a server that was removed may come back. */
  isOf(server: ServerConfig, generation: number, config: PoolConfig): boolean;
  configure(config: PoolConfig): void;
  closeIdle(): void;
  /** Idle connections end now, busy ones after their exchange. */
  retire(): void;
}

export abstract class ExchangeHost<Connections extends ServerConnections> implements ExchangeServices, Gate {
  readonly shared: SharedState;
  readonly own: Stripe;
  readonly clock: TurnClock;
  readonly log: (level: LogLevel, message: string) => void;
  readonly deadlines: Deadlines;
  readonly chooser: Chooser;
  readonly accessLog: AccessLog;
  readonly limits: ClientLimits;
  readonly badResponses: BadResponses;
  router: Router;
  isTrustedAddress: (address: string) => boolean = () => false;
  isStopping = false;
  startsTraces = false;
  via: string | null = null;
  /** By slot; those of servers that are gone stay until their slot is another's. */
  protected readonly connections: (Connections | undefined)[] = [];
  protected readonly pools: PoolRuntimes;
  readonly #random: Random;
  readonly #spare: Exchange[] = [];
  protected readonly onOver = (exchange: Exchange): void => {
    if (this.#spare.length < SPARE_EXCHANGES_MAX) this.#spare.push(exchange);
  };
  #showsDetails = false;
  #pages: ErrorPages = NO_PAGES;

  /** `onTick`: about ten times a second. Nothing is in force before `apply`. */
  constructor(
    options: HostOptions,
    revision: Revision,
    onTick: (nowMs: number) => void,
    onBeat?: () => void,
  ) {
    const { shared, random, log } = options;
    this.shared = shared;
    this.own = shared.own;
    this.clock = new TurnClock(options.clock);
    this.log = log;
    this.#random = random;
    this.chooser = new Chooser(shared, random);
    this.badResponses = new BadResponses(log);
    this.limits = new ClientLimits(shared.rateCells, shared.addresses);
    this.accessLog = new AccessLog(random, options.onAccessLines);
    this.deadlines = new Deadlines(this.clock, onTick, onBeat);
    this.clock.onStep((nowMs) => this.onStep(nowMs));
    this.pools = new PoolRuntimes(shared, this.clock, this.deadlines);
    this.router = new Router(revision, []);
  }

  abstract readonly requestHead: RequestHead;
  abstract readonly barrier: TakeoverBarrier | null;

  protected abstract connectionsTo(
    slot: number,
    generation: number,
    server: ServerConfig,
    config: PoolConfig,
  ): Connections;

  /** What else a revision says; `watched`: names of header fields that it asks for. */
  protected abstract configure(revision: Revision, watched: readonly string[]): void;

  /** Between events, as long as they come. */
  protected onStep(nowMs: number): void {
    this.deadlines.step(nowMs);
  }

  protected createExchange(): Exchange {
    return new Exchange(this, this.onOver);
  }

  /** One swap to a new revision. Exchanges keep the plan they began with, but those that wait for a server. */
  apply(revision: Revision): void {
    const { config } = revision;
    const watched = watchedHeaders(config);
    const plans = revision.pools.map((pool) => compilePool(pool, this.#random, watched));
    for (const pool of revision.pools) this.#applyServers(pool);
    for (const plan of plans) this.pools.configure(plan, this.chooser);
    const present = new Set(revision.pools.flatMap(({ slots }) => slots));
    this.connections.forEach((each, slot) => {
      if (!present.has(slot)) each?.retire();
    });
    this.limits.configure(revision);
    this.isTrustedAddress = compileTrusted(config.trusted);
    this.router = new Router(revision, plans);
    this.chooser.addressLimit.most = config.sessions.perAddress;
    this.startsTraces = config.startsTraces;
    this.via = config.via?.toLowerCase() ?? null;
    this.#showsDetails = config.showsDetails;
    this.#pages = config.pages;
    this.accessLog.configure(config.accessLog);
    this.configure(revision, watched);
  }

  #applyServers({ config, slots, generations }: PoolRevision): void {
    config.servers.forEach((server, index) => {
      const slot = slots[index] as number;
      const generation = generations[index] as number;
      let connections = this.connections[slot];
      if (connections?.isOf(server, generation, config) !== true) {
        connections?.retire();
        this.chooser.refusals.reached(slot);
        connections = this.connectionsTo(slot, generation, server, config);
        this.connections[slot] = connections;
      }
      connections.configure(config);
    });
  }

  takeExchange(): Exchange {
    return this.#spare.pop() ?? this.createExchange();
  }

  servers(slot: number): Connections {
    const connections = this.connections[slot];
    if (connections === undefined) throw new Error(`no connections for slot ${slot}`);
    return connections;
  }

  closeIdle(): void {
    for (const each of this.connections) each?.closeIdle();
  }

  protected retireAll(): void {
    for (const each of this.connections) each?.retire();
  }

  notReached(slot: number, hasAccepted: boolean): void {
    const { refusals } = this.chooser;
    if (hasAccepted) refusals.failed(slot, this.clock.nowMs());
    else refusals.refused(slot, this.clock.nowMs());
    this.shared.control.reportConnectFailure(slot);
  }

  takeRetry(plan: PoolPlan, nowMs: number): boolean {
    return this.pools.takeRetry(plan, nowMs);
  }

  retryBudget(plan: PoolPlan): RetryBudget {
    return this.pools.of(plan).budget;
  }

  queue(plan: PoolPlan): WaitQueue {
    return this.pools.of(plan).queue;
  }

  slotFreed(plan: PoolPlan, slot: number): void {
    this.pools.slotFreed(plan, slot);
  }

  ownReply(
    kind: FailureKind,
    detail: string,
    fields: string,
    requestId: string,
    plan: PoolPlan | null,
    resetCode?: number,
  ): ReplyContent {
    const pages = [plan?.config.pages ?? NO_PAGES, this.#pages];
    return replyContent(kind, detail, fields, requestId, pages, resetCode);
  }

  tells({ side }: { readonly side: FailureSide }): boolean {
    return this.#showsDetails || side !== 'server';
  }
}

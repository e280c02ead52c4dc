// What all exchanges of one embedded balancer share: the stripe they count in, the chooser, the compiled revision, the
// connections to the servers, queues, limits and the access log. The counterpart of proxy/thread.ts, in the user's own
// thread.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { systemClock, TurnClock } from '../base/clock.ts';
import type { FailureSide } from '../base/failure.ts';
import type { LogLevel } from '../base/log.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { compileTrusted } from '../base/trusted.ts';
import { Chooser } from '../choose/chooser.ts';
import { compilePool, type PoolPlan, watchedHeaders } from '../choose/plan.ts';
import type { RetryBudget } from '../choose/retry.ts';
import { Router } from '../choose/route.ts';
import type { ListenConfig } from '../config/model.ts';
import { AccessLog } from '../exchange/access-log.ts';
import type { Gate } from '../exchange/admission.ts';
import { BadResponses } from '../exchange/bad-responses.ts';
import { ClientLimits } from '../exchange/client-limits.ts';
import { Deadlines } from '../exchange/deadlines.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { PoolRuntimes } from '../exchange/pool-runtimes.ts';
import type { ExchangeServices } from '../exchange/services.ts';
import type { WaitQueue } from '../exchange/wait-queue.ts';
import type { RequestHead } from '../http1/message.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import type { Stripe } from '../shared/stripe.ts';
import { type Client, Clients } from './clients.ts';
import { EmbeddedExchange } from './exchange.ts';
import { Guard } from './guard.ts';
import { Heads } from './heads.ts';
import { createHttpProxy, type HttpProxy, type HttpProxyEvents } from './http-proxy.ts';
import type { ClientServices, NodeClient } from './node-client.ts';
import type { NodeServer, ServerServices } from './node-server.ts';
import { ServerAgent } from './server-agent.ts';
import { NodeServers } from './servers.ts';

/** Exchanges kept for reuse. */
const SPARE_EXCHANGES_MAX = 4096;

export interface DataPathOptions {
  readonly shared: SharedState;
  /** Takes whole lines of the access log. */
  readonly onAccessLines: (lines: string) => void;
  /** Hears of what was thrown where a peer's bytes were handled: a fault of ours, and no reason to end. */
  readonly onThrown: (error: Error) => void;
  readonly log: (level: LogLevel, message: string) => void;
}

export class DataPath implements ExchangeServices, Gate, ClientServices, ServerServices {
  readonly shared: SharedState;
  readonly own: Stripe;
  readonly clock: TurnClock = new TurnClock(systemClock);
  readonly deadlines: Deadlines;
  readonly proxy: HttpProxy;
  readonly chooser: Chooser;
  readonly heads: Heads = new Heads();
  readonly accessLog: AccessLog;
  readonly limits: ClientLimits;
  readonly badResponses: BadResponses;
  readonly onThrown: (error: Error) => void;
  /** No other process takes over. */
  readonly barrier = null;
  router: Router;
  listen: ListenConfig;
  startsTraces = false;
  via: string | null = null;
  isStopping = false;
  isTrustedAddress: (address: string) => boolean = () => false;
  readonly #random = new SeededRandom(unpredictableSeed());
  readonly #servers: (NodeServers | undefined)[] = [];
  readonly #pools: PoolRuntimes;
  readonly #clients: Clients;
  /** Requests and upgrades whose responses are not all written. */
  readonly #underWay = new Set<NodeClient>();
  /** Where http-proxy's events go, by the request that they name; also after the exchange, for it may still speak of it. */
  readonly #attempts = new WeakMap<IncomingMessage, NodeServer>();
  readonly #spare: Exchange[] = [];
  readonly #onOver = (exchange: Exchange): void => {
    if (this.#spare.length < SPARE_EXCHANGES_MAX) this.#spare.push(exchange);
  };
  #onEmpty: () => void = () => undefined;
  #showsDetails = false;

  constructor({ shared, onAccessLines, onThrown, log }: DataPathOptions, revision: Revision) {
    this.onThrown = onThrown;
    // stripe 0, as the first worker thread of the standalone program would
    this.shared = SharedState.attach(shared.handles(), 0);
    this.own = this.shared.own;
    const guard = this.guard(onThrown);
    this.deadlines = new Deadlines(
      this.clock,
      guard.safe((nowMs: number) => this.#onTick(nowMs)),
    );
    this.#pools = new PoolRuntimes(this.shared, this.clock, this.deadlines);
    this.proxy = this.#createProxy();
    this.chooser = new Chooser(this.shared, this.#random);
    this.badResponses = new BadResponses(log);
    this.accessLog = new AccessLog(this.#random, onAccessLines);
    this.limits = new ClientLimits(this.shared.rateCells, this.shared.addresses);
    this.#clients = new Clients(this.own, this.limits);
    this.router = new Router(revision, []);
    this.listen = listenerOf(revision);
    this.apply(revision);
    this.deadlines.start();
  }

  /** One swap to a new revision. Exchanges keep the plan they began with, but those that wait for a server. */
  apply(revision: Revision): void {
    const { config } = revision;
    const watched = watchedHeaders(config);
    const plans = revision.pools.map((pool) => compilePool(pool, this.#random, watched));
    const present = new Set(revision.pools.flatMap((pool) => this.#applyServers(pool)));
    this.#servers.forEach((servers, slot) => {
      if (!present.has(slot)) servers?.agent.retire();
    });
    for (const plan of plans) this.#pools.configure(plan, this.chooser);
    this.listen = listenerOf(revision);
    this.heads.configure(this.listen.limits, watched);
    this.limits.configure(revision);
    this.chooser.addressLimit.most = config.sessions.perAddress;
    this.isTrustedAddress = compileTrusted(config.trusted);
    this.startsTraces = config.startsTraces;
    this.via = config.via?.toLowerCase() ?? null;
    this.#showsDetails = config.showsDetails;
    this.accessLog.configure(config.accessLog);
    this.router = new Router(revision, plans);
  }

  #applyServers(pool: PoolRevision): readonly number[] {
    pool.config.servers.forEach((server, index) => {
      const slot = pool.slots[index] as number;
      const generation = pool.generations[index] as number;
      const old = this.#servers[slot]?.agent;
      if (old?.isOf(server, generation) === true) old.configure(pool.config);
      else {
        old?.retire();
        this.chooser.refusals.reached(slot);
        const agent = new ServerAgent(slot, generation, server, this.own, pool.config);
        this.#servers[slot] = new NodeServers(agent, this, (client, attempt) =>
          this.#attempts.set(client.request, attempt),
        );
      }
    });
    return pool.slots;
  }

  /** The last head parsed. */
  get requestHead(): RequestHead {
    return this.heads.request;
  }

  servers(slot: number): NodeServers {
    const servers = this.#servers[slot];
    if (servers === undefined) throw new Error(`no connections for slot ${slot}`);
    return servers;
  }

  closeIdle(): void {
    for (const servers of this.#servers) servers?.agent.closeIdle();
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

  tells({ side }: { readonly side: FailureSide }): boolean {
    return this.#showsDetails || side !== 'server';
  }

  takeExchange(): Exchange {
    return this.#spare.pop() ?? new EmbeddedExchange(this, this.#onOver);
  }

  guard(onThrown: (error: Error) => void): Guard {
    return new Guard(this.clock, onThrown);
  }

  began(client: NodeClient): void {
    this.#underWay.add(client);
  }

  ended(client: NodeClient): void {
    if (this.#underWay.delete(client) && this.#underWay.size === 0) this.#onEmpty();
  }

  /** The client that has sent this request. */
  client(request: IncomingMessage): Client {
    return this.#clients.of(request.socket, this.listen, this.isTrustedAddress);
  }

  #onTick(nowMs: number): void {
    this.#pools.onTick(nowMs);
    this.#clients.look(this.listen, nowMs);
    this.accessLog.flush();
  }

  #createProxy(): HttpProxy {
    const attempts = this.#attempts;
    const proxy = createHttpProxy((cause, request) => {
      const attempt = attempts.get(request);
      // one that the application itself has given to http-proxy
      if (attempt === undefined) throw cause;
      attempt.client.listenerThrew(cause);
    });
    // http-proxy gives a DELETE without a length a length of 0, whatever the body
    proxy.on('start', (request) => {
      if (attempts.has(request)) delete request.headers['content-length'];
    });
    const hears = (request: IncomingMessage, hear: (attempt: NodeServer) => void): void => {
      const attempt = attempts.get(request);
      attempt?.client.guard.run(() => hear(attempt));
    };
    proxy.on('proxyReq', (outgoing, request) => hears(request, (attempt) => attempt.onProxyReq(outgoing)));
    proxy.on('proxyRes', (incoming, request) => hears(request, (attempt) => attempt.onProxyRes(incoming)));
    // within the call that begins the attempt, which hears of what is thrown
    proxy.on('proxyReqWs', (outgoing, request) => attempts.get(request)?.onProxyReq(outgoing));
    return proxy;
  }

  isHeard(event: keyof HttpProxyEvents): boolean {
    return this.proxy.listeners(event).length > 1;
  }

  report(error: Error, request: IncomingMessage, target: ServerResponse | Duplex): void {
    // http-proxy itself has one listener, which throws when it is the only one
    if (this.isHeard('error')) this.proxy.emit('error', error, request, target);
  }

  /** Resolves when nothing is under way. */
  empty(): Promise<void> {
    if (this.#underWay.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** Ends every connection. */
  destroy(): void {
    for (const client of [...this.#underWay]) client.stop();
    for (const servers of this.#servers) {
      servers?.agent.retire();
      servers?.agent.destroy();
    }
    this.deadlines.stop();
    this.accessLog.flush();
  }
}

function listenerOf({ config }: Revision): ListenConfig {
  const [listen] = config.listen;
  if (listen === undefined) throw new Error('the configuration has no listener');
  return listen;
}

// What all exchanges of one embedded balancer share: the stripe they count in, the chooser, the compiled revision, the
// connections to the servers, queues, limits and the access log. The counterpart of proxy/thread.ts, in the user's own
// thread.

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { systemClock } from '../base/clock.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { type Scheduled, systemScheduler } from '../base/scheduler.ts';
import { compileTrusted } from '../base/trusted.ts';
import { Chooser } from '../choose/chooser.ts';
import { compilePool, type PoolPlan, watchedHeaders } from '../choose/plan.ts';
import { RetryBudget } from '../choose/retry.ts';
import { Router } from '../choose/route.ts';
import type { ListenConfig } from '../config/model.ts';
import { AccessLog } from '../exchange/access-log.ts';
import { ClientLimits } from '../exchange/client-limits.ts';
import { ANY_SLOT, WaitQueue } from '../exchange/wait-queue.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import { PoolCounter, type Stripe } from '../shared/stripe.ts';
import { type Client, Clients } from './clients.ts';
import type { Guard } from './guard.ts';
import { Heads } from './heads.ts';
import { createHttpProxy, type HttpProxy } from './http-proxy.ts';
import { ServerAgent } from './server-agent.ts';

/** How often queues, slow clients and the access log are looked after, while there is anything to look after. */
const TICK_MS = 100;

/** What http-proxy's events are passed on to. */
export interface ProxiedExchange {
  readonly request: IncomingMessage;
  readonly guard: Guard;
  /** http-proxy is about to make the request to the server. */
  onStart(): void;
  /** The attempt has a connection, perhaps not open yet; header fields can still be set. */
  onProxyReq(outgoing: ClientRequest): void;
  /** The response head is here: ours is the first listener, the application's come after it. */
  onProxyRes(incoming: IncomingMessage): void;
  onProxyReqWs(outgoing: ClientRequest): void;
  /** Ends it now: the balancer closes. */
  cut(): void;
}

/** Per pool: what outlives a revision. */
interface PoolRuntime {
  readonly budget: RetryBudget;
  readonly budgetShare: number;
  readonly queue: WaitQueue;
}

export class DataPath {
  readonly shared: SharedState;
  readonly own: Stripe;
  readonly proxy: HttpProxy;
  readonly chooser: Chooser;
  readonly heads: Heads = new Heads();
  /** Exchanges under way, by the request that http-proxy's events name. */
  readonly exchanges: Map<IncomingMessage, ProxiedExchange> = new Map();
  readonly accessLog: AccessLog;
  readonly limits: ClientLimits;
  /** Hears of what was thrown where a peer's bytes were handled: a fault of ours, and no reason to end. */
  readonly onThrown: (error: Error) => void;
  /** Also those that have ended: http-proxy may still speak of them. */
  readonly #known = new WeakMap<IncomingMessage, ProxiedExchange>();
  readonly #clients: Clients;
  router: Router;
  /** Times and limits of the application's server as far as they are the balancer's. */
  listen: ListenConfig;
  startsTraces = false;
  via: string | null = null;
  isStopping = false;
  isTrusted: (address: string) => boolean = () => false;
  readonly #random = new SeededRandom(unpredictableSeed());
  readonly #agents = new Map<number, ServerAgent>();
  readonly #pools = new Map<number, PoolRuntime>();
  #onEmpty: () => void = () => undefined;
  #tick: Scheduled | null = null;
  #isDestroyed = false;

  /** `onAccessLines` takes whole lines of the access log. */
  constructor(
    shared: SharedState,
    revision: Revision,
    onAccessLines: (lines: string) => void,
    onThrown: (error: Error) => void,
  ) {
    this.onThrown = onThrown;
    // stripe 0, as the first worker thread of the standalone program would
    this.shared = SharedState.attach(shared.handles(), 0);
    this.own = this.shared.own;
    this.proxy = this.#createProxy();
    this.chooser = new Chooser(this.shared, this.#random);
    this.accessLog = new AccessLog(this.#random, onAccessLines);
    this.limits = new ClientLimits(this.shared.rateCells, this.shared.addresses);
    this.#clients = new Clients(this.own, this.limits);
    this.router = new Router(revision, []);
    this.listen = listenerOf(revision);
    this.apply(revision);
  }

  /** One swap to a new revision. Exchanges keep the plan they began with, but those that wait for a server. */
  apply(revision: Revision): void {
    const plans = revision.pools.map((pool) => compilePool(pool, this.#random));
    const present = new Set(revision.pools.flatMap((pool) => this.#applyAgents(pool)));
    for (const [slot, agent] of this.#agents) {
      if (present.has(slot)) continue;
      agent.retire();
      this.#agents.delete(slot);
    }
    for (const pool of revision.pools) this.#applyPool(pool);
    for (const plan of plans) this.queue(plan).adopt(plan, this.chooser);
    const { config } = revision;
    this.listen = listenerOf(revision);
    this.heads.configure(this.listen.limits, watchedHeaders(config));
    this.limits.configure(revision);
    this.chooser.addressLimit.most = config.sessions.perAddress;
    this.isTrusted = compileTrusted(config.trusted);
    this.startsTraces = config.startsTraces;
    this.via = config.via?.toLowerCase() ?? null;
    this.accessLog.configure(config.accessLog);
    this.router = new Router(revision, plans);
    this.wake();
  }

  #applyAgents(pool: PoolRevision): readonly number[] {
    return pool.slots.map((slot, index) => {
      const generation = pool.generations[index] ?? 0;
      const old = this.#agents.get(slot);
      const url = pool.config.servers[index]?.url ?? '';
      if (old?.generation === generation && old.url === url) old.configure(pool.config);
      else {
        old?.retire();
        this.chooser.refusals.reached(slot);
        this.#agents.set(slot, new ServerAgent(slot, generation, url, this.own, pool.config));
      }
      return slot;
    });
  }

  #applyPool(pool: PoolRevision): void {
    const { retry, queue } = pool.config;
    const old = this.#pools.get(pool.id);
    if (old !== undefined) old.queue.sizeMax = queue.size;
    const isKept = old !== undefined && old.budgetShare === retry.budget;
    this.#pools.set(pool.id, {
      budget: isKept ? old.budget : new RetryBudget(retry.budget),
      budgetShare: retry.budget,
      queue: old?.queue ?? new WaitQueue(queue.size),
    });
  }

  agent(slot: number): ServerAgent {
    const agent = this.#agents.get(slot);
    if (agent === undefined) throw new Error(`no connections for slot ${slot}`);
    return agent;
  }

  /** False: the slot's server has left the configuration since the exchange began. */
  hasAgent(slot: number): boolean {
    return this.#agents.has(slot);
  }

  retryBudget(plan: PoolPlan): RetryBudget {
    return this.#pool(plan).budget;
  }

  /** Whether the pool's budget has a retry left; takes it if so. */
  takeRetry(plan: PoolPlan, nowMs: number): boolean {
    const { budget, budgetShare } = this.#pool(plan);
    if (budget.take(nowMs)) return true;
    if (budgetShare > 0) this.own.countPool(plan.id, PoolCounter.retriesRefused);
    return false;
  }

  queue(plan: PoolPlan): WaitQueue {
    return this.#pool(plan).queue;
  }

  #pool(plan: PoolPlan): PoolRuntime {
    const pool = this.#pools.get(plan.id);
    if (pool === undefined) throw new Error(`no runtime for pool ${plan.config.name}`);
    return pool;
  }

  began(exchange: ProxiedExchange): void {
    this.exchanges.set(exchange.request, exchange);
    this.#known.set(exchange.request, exchange);
    if (this.listen.limits.minRate > 0) this.wake();
  }

  /** `slot`: the server that the exchange has left, negative for none. */
  ended(exchange: ProxiedExchange, plan: PoolPlan, slot: number): void {
    this.exchanges.delete(exchange.request);
    const { queue } = this.#pool(plan);
    if (slot >= 0 && queue.length > 0) queue.serve(slot, systemClock.nowMs());
    if (this.exchanges.size === 0) this.#onEmpty();
  }

  /** The client that has sent this request. */
  client(request: IncomingMessage): Client {
    return this.#clients.of(request.socket, this.listen, this.isTrusted);
  }

  /** Whether an earlier request of the same connection is under way. */
  isBusy(request: IncomingMessage): boolean {
    return this.#clients.isBusy(request.socket);
  }

  /** Something waits for the next tick. */
  wake(): void {
    if (this.#isDestroyed) return;
    this.#tick ??= systemScheduler.after(TICK_MS, () => {
      this.#tick = null;
      if (this.#onTick(systemClock.nowMs())) this.wake();
    });
  }

  /** True when there will be something to look after at the next one. */
  #onTick(nowMs: number): boolean {
    let isNeeded = this.listen.limits.minRate > 0 && this.#clients.size > 0;
    this.#clients.look(this.listen, nowMs);
    this.accessLog.flush();
    for (const { queue } of this.#pools.values()) {
      // a server may have become free by other means than an exchange that ends: it came back, or was allowed more
      if (queue.length > 0) queue.serve(ANY_SLOT, nowMs);
      isNeeded ||= queue.length > 0;
    }
    return isNeeded;
  }

  /** What a scrape reads that changes by time alone. */
  publish(): void {
    const nowMs = systemClock.nowMs();
    for (const [pool, { budget }] of this.#pools)
      this.own.setPool(pool, PoolCounter.retryTokens, budget.remaining(nowMs));
  }

  #createProxy(): HttpProxy {
    const proxy = createHttpProxy();
    const heard = (request: IncomingMessage, hear: (exchange: ProxiedExchange) => void): void => {
      const exchange = this.#known.get(request);
      exchange?.guard.run(() => hear(exchange));
    };
    proxy.on('start', (request) => heard(request, (exchange) => exchange.onStart()));
    proxy.on('proxyReq', (outgoing, request) => heard(request, (exchange) => exchange.onProxyReq(outgoing)));
    proxy.on('proxyRes', (incoming, request) => heard(request, (exchange) => exchange.onProxyRes(incoming)));
    proxy.on('proxyReqWs', (outgoing, request) =>
      heard(request, (exchange) => exchange.onProxyReqWs(outgoing)),
    );
    return proxy;
  }

  /** Tells the application's 'error' listeners, if there are any: they may answer in their own way. */
  report(error: Error, request: IncomingMessage, target: ServerResponse | Duplex): void {
    // http-proxy itself has one listener, which throws when it is the only one
    if (this.proxy.listeners('error').length < 2) return;
    this.proxy.emit('error', error, request, target);
  }

  /** Resolves when no exchange is under way. */
  empty(): Promise<void> {
    if (this.exchanges.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** Ends every connection. */
  destroy(): void {
    for (const exchange of [...this.exchanges.values()]) exchange.cut();
    for (const agent of this.#agents.values()) {
      agent.retire();
      agent.destroy();
    }
    this.#isDestroyed = true;
    this.#tick?.cancel();
    this.#tick = null;
    this.accessLog.flush();
  }
}

function listenerOf({ config }: Revision): ListenConfig {
  const [listen] = config.listen;
  if (listen === undefined) throw new Error('the configuration has no listener');
  return listen;
}

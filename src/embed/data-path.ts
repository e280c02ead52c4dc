// What all exchanges of one embedded balancer share: the stripe they count in, the chooser, the compiled revision, the
// connections to the servers, the waiting lists. The counterpart of proxy/thread.ts, in the user's own thread.

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import HttpProxy from 'http-proxy';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { compileTrusted } from '../base/trusted.ts';
import { Chooser } from '../choose/chooser.ts';
import { compilePool, type PoolPlan, watchedHeaders } from '../choose/plan.ts';
import { RetryBudget } from '../choose/retry.ts';
import { Router } from '../choose/route.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import type { Stripe } from '../shared/stripe.ts';
import { Heads } from './heads.ts';
import { ServerAgent } from './server-agent.ts';
import { WaitList } from './wait-list.ts';

/** What http-proxy's events are passed on to. */
export interface ProxiedExchange {
  readonly request: IncomingMessage;
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
  readonly waiting: WaitList;
}

export class DataPath {
  readonly shared: SharedState;
  readonly own: Stripe;
  readonly proxy: HttpProxy;
  readonly chooser: Chooser;
  readonly heads: Heads = new Heads();
  /** Exchanges under way, by the request that http-proxy's events name. */
  readonly exchanges: Map<IncomingMessage, ProxiedExchange> = new Map();
  router: Router;
  tunnelMs = 0;
  isStopping = false;
  isTrusted: (address: string) => boolean = () => false;
  readonly #random = new SeededRandom(unpredictableSeed());
  readonly #agents = new Map<number, ServerAgent>();
  readonly #pools = new Map<number, PoolRuntime>();
  #onEmpty: () => void = () => undefined;

  constructor(shared: SharedState, revision: Revision) {
    // stripe 0, as the first worker thread of the standalone program would
    this.shared = SharedState.attach(shared.handles(), 0);
    this.own = this.shared.own;
    this.proxy = this.#createProxy();
    this.chooser = new Chooser(this.shared, this.#random);
    this.router = new Router(revision, []);
    this.apply(revision);
  }

  /** One swap to a new revision. Exchanges in flight keep the plan they began with. */
  apply(revision: Revision): void {
    const plans = revision.pools.map((pool) => compilePool(pool, this.#random));
    const present = new Set(revision.pools.flatMap((pool) => this.#applyAgents(pool)));
    for (const [slot, agent] of this.#agents) {
      if (present.has(slot)) continue;
      agent.retire();
      this.#agents.delete(slot);
    }
    for (const pool of revision.pools) this.#applyPool(pool);
    this.heads.limits = { ...this.heads.limits, watched: watchedHeaders(revision.config) };
    this.chooser.addressLimit.most = revision.config.sessions.perAddress;
    this.isTrusted = compileTrusted(revision.config.trusted);
    this.tunnelMs = revision.config.listen[0]?.timeouts.tunnelMs ?? 0;
    this.router = new Router(revision, plans);
  }

  #applyAgents(pool: PoolRevision): readonly number[] {
    return pool.slots.map((slot, index) => {
      const generation = pool.generations[index] ?? 0;
      const old = this.#agents.get(slot);
      if (old?.generation === generation) old.configure(pool.config);
      else {
        old?.retire();
        this.#agents.set(slot, new ServerAgent(slot, generation, this.own, pool.config));
      }
      return slot;
    });
  }

  #applyPool(pool: PoolRevision): void {
    const { retry, queue } = pool.config;
    const old = this.#pools.get(pool.id);
    if (old !== undefined) old.waiting.sizeMax = queue.size;
    const isKept = old !== undefined && old.budgetShare === retry.budget;
    this.#pools.set(pool.id, {
      budget: isKept ? old.budget : new RetryBudget(retry.budget),
      budgetShare: retry.budget,
      waiting: old?.waiting ?? new WaitList(queue.size),
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

  waiting(plan: PoolPlan): WaitList {
    return this.#pool(plan).waiting;
  }

  #pool(plan: PoolPlan): PoolRuntime {
    const pool = this.#pools.get(plan.id);
    if (pool === undefined) throw new Error(`no runtime for pool ${plan.config.name}`);
    return pool;
  }

  began(exchange: ProxiedExchange): void {
    this.exchanges.set(exchange.request, exchange);
  }

  ended(exchange: ProxiedExchange, plan: PoolPlan): void {
    this.exchanges.delete(exchange.request);
    this.waiting(plan).serve();
    if (this.exchanges.size === 0) this.#onEmpty();
  }

  #createProxy(): HttpProxy {
    const proxy = HttpProxy.createProxyServer({});
    proxy.on('start', (request) => this.exchanges.get(request)?.onStart());
    proxy.on('proxyReq', (outgoing, request) => this.exchanges.get(request)?.onProxyReq(outgoing));
    proxy.on('proxyRes', (incoming, request) => this.exchanges.get(request)?.onProxyRes(incoming));
    proxy.on('proxyReqWs', (outgoing, request) => this.exchanges.get(request)?.onProxyReqWs(outgoing));
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
  }
}

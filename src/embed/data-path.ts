// What all exchanges of one embedded balancer share beside what the exchange room has for them. The counterpart of
// proxy/thread.ts, in the user's own thread.

import { systemClock } from '../base/clock.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import type { ListenConfig, PoolConfig, ServerConfig } from '../config/model.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { ExchangeHost, type HostOptions } from '../exchange/exchange-host.ts';
import type { RequestHead } from '../http1/message.ts';
import type { Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import { type Client, Clients } from './clients.ts';
import { EmbeddedExchange } from './exchange.ts';
import { Guard } from './guard.ts';
import { Heads } from './heads.ts';
import { type HttpProxy, ProxyEvents } from './http-proxy.ts';
import type { ClientServices, NodeClient } from './node-client.ts';
import { type NodeRequest, socketOf } from './node-messages.ts';
import type { ServerServices } from './node-server.ts';
import { NodeServers } from './servers.ts';

export interface DataPathOptions {
  readonly shared: SharedState;
  readonly log: HostOptions['log'];
  readonly onAccessLines: HostOptions['onAccessLines'];
  readonly proxy: HttpProxy;
  /** Listeners of 'proxyRes' answer in place of the servers. */
  readonly answersItself: boolean;
  /** Hears of what was thrown where a peer's bytes were handled: a fault of ours, and no reason to end. */
  readonly onThrown: (error: Error) => void;
}

export class DataPath extends ExchangeHost<NodeServers> implements ClientServices, ServerServices {
  readonly events: ProxyEvents;
  readonly answersItself: boolean;
  readonly heads: Heads = new Heads();
  readonly onThrown: (error: Error) => void;
  /** No other process takes over. */
  readonly barrier = null;
  listen: ListenConfig;
  readonly #guard: Guard;
  readonly #clients: Clients;
  /** Requests and upgrades whose responses are not all written. */
  readonly #underWay = new Set<NodeClient>();
  #onEmpty: () => void = () => undefined;

  constructor(options: DataPathOptions, revision: Revision) {
    const random = new SeededRandom(unpredictableSeed());
    // stripe 0, as the first worker thread of the standalone program would
    const shared = SharedState.attach(options.shared.handles(), 0);
    super({ ...options, shared, random, clock: systemClock }, revision, (nowMs) =>
      this.#guard.run(() => this.#onTick(nowMs)),
    );
    this.onThrown = options.onThrown;
    this.#guard = this.guard(options.onThrown);
    this.events = new ProxyEvents(options.proxy);
    this.answersItself = options.answersItself;
    this.#clients = new Clients(this.own, this.limits);
    this.listen = listenerOf(revision);
    this.apply(revision);
    this.deadlines.start();
  }

  protected connectionsTo(
    slot: number,
    generation: number,
    server: ServerConfig,
    config: PoolConfig,
  ): NodeServers {
    return new NodeServers(slot, generation, server, config, this);
  }

  protected configure(revision: Revision, watched: readonly string[]): void {
    this.listen = listenerOf(revision);
    this.heads.configure(this.listen.limits, watched);
  }

  protected override createExchange(): Exchange {
    return new EmbeddedExchange(this, this.onOver);
  }

  /** The last head parsed. */
  get requestHead(): RequestHead {
    return this.heads.request;
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
  client(request: NodeRequest): Client {
    return this.#clients.of(socketOf(request), this.listen, this.isTrustedAddress);
  }

  #onTick(nowMs: number): void {
    this.pools.onTick(nowMs);
    this.#clients.look(this.listen, nowMs);
    this.accessLog.flush();
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
    this.retireAll();
    for (const servers of this.connections) servers?.destroy();
    this.deadlines.stop();
    this.accessLog.flush();
  }
}

function listenerOf({ config }: Revision): ListenConfig {
  const [listen] = config.listen;
  if (listen === undefined) throw new Error('the configuration has no listener');
  return listen;
}

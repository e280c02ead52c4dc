// What one worker thread holds: the current revision, the listeners, upstream pools, queues and reused objects.

import type { ListeningSocket } from '../base/pass-sockets.ts';
import type { PoolConfig, ServerConfig } from '../config/model.ts';
import { ExchangeHost, type HostOptions } from '../exchange/exchange-host.ts';
import { Answer } from '../exchange/streams.ts';
import { TakeoverBarrier } from '../exchange/takeover-barrier.ts';
import { RequestHead, ResponseHead } from '../http1/message.ts';
import type { Revision } from '../shared/revision.ts';
import { CalmEnds } from './http2/calm-ends.ts';
import { Http2Pool, mayBeHttp2 } from './http2-server/server-pool.ts';
import { Listeners } from './listeners.ts';
import { ReadBuffers } from './read-buffers.ts';
import { TurnEnd } from './turn-end.ts';
import { UpstreamPool } from './upstream-pool.ts';

export interface ProxyThreadOptions extends HostOptions {
  /** Client connections at once that there are descriptors for, over all listeners and threads; absent: no limit. */
  readonly clientsMax?: number;
  /** Called when a stopping thread has closed its last connection. */
  readonly onDrained: () => void;
  /** Responses of a retiring thread wait for the successor to know these keys; `successorKnows` lets them go. */
  readonly onWithheld: (keys: readonly number[]) => void;
}

export class ProxyThread extends ExchangeHost<UpstreamPool | Http2Pool> {
  readonly buffers: ReadBuffers = new ReadBuffers();
  readonly turnEnd: TurnEnd = new TurnEnd();
  readonly calmEnds: CalmEnds = new CalmEnds();
  readonly requestHead: RequestHead = new RequestHead();
  readonly answer: Answer = new Answer(new ResponseHead());
  barrier: TakeoverBarrier | null = null;
  tokens: Readonly<Record<string, string>> | null = null;
  readonly clientsMax: number;
  readonly #onDrained: () => void;
  readonly #onWithheld: (keys: readonly number[]) => void;
  readonly #listeners: Listeners = new Listeners(this);

  constructor(options: ProxyThreadOptions, revision: Revision) {
    super(
      options,
      revision,
      (nowMs) => this.#onTick(nowMs),
      () => this.own.beat(),
    );
    this.clientsMax = options.clientsMax ?? Number.POSITIVE_INFINITY;
    this.#onDrained = options.onDrained;
    this.#onWithheld = options.onWithheld;
    this.apply(revision);
    this.deadlines.start();
  }

  protected connectionsTo(
    slot: number,
    generation: number,
    server: ServerConfig,
    config: PoolConfig,
  ): UpstreamPool | Http2Pool {
    const Pool = mayBeHttp2(server, config) ? Http2Pool : UpstreamPool;
    return new Pool(slot, generation, server, config, this);
  }

  protected configure(revision: Revision, watched: readonly string[]): void {
    this.tokens = revision.tokens ?? null;
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

  /** A thread that is full is not one that hangs. */
  protected override onStep(nowMs: number): void {
    this.own.beat();
    this.turnEnd.run();
    super.onStep(nowMs);
  }

  #onTick(nowMs: number): void {
    this.own.beat();
    if (this.isStopping) this.connectionClosed();
    this.pools.onTick(nowMs);
    this.limits.scan(this.#listeners.all, nowMs, this.clock.stoodStillMs);
    this.accessLog.flush();
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
    const were = this.#listeners.finish();
    const [requests, tunnels] = (['request', 'tunnel'] as const).map(
      (kind) => were.filter((what) => what === kind).length,
    );
    if (requests !== 0 || tunnels !== 0)
      this.log('warn', `the grace is over: cutting off ${requests} requests, ending ${tunnels} tunnels`);
  }

  /** At once. */
  destroy(): void {
    this.isStopping = true;
    this.deadlines.stop();
    this.#listeners.destroy();
    this.retireAll();
  }

  connectionClosed(): void {
    if (!this.isStopping || this.#listeners.hasConnections) return;
    this.retireAll();
    // what was written last is still on its way to a server, which may not take it: that has a deadline
    if (this.connections.some((upstream) => upstream?.isEmpty === false)) return;
    this.deadlines.stop();
    this.accessLog.flush();
    this.#onDrained();
  }
}

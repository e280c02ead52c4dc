// Keep-alive connections to one server, counted: a node:http agent that knows its slot.

import { Agent, type ClientRequest, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import { systemClock } from '../base/clock.ts';
import { isOwnTrouble } from '../base/own-trouble.ts';
import { runningScheduler } from '../base/scheduler.ts';
import { lookupServer } from '../base/server-lookup.ts';
import type { PoolConfig, ServerConfig } from '../config/model.ts';
import type { Unreachable } from '../exchange/streams.ts';
import { UpstreamSocket } from '../proxy/upstream-socket.ts';
import { Counter, Gauge, type Stripe } from '../shared/stripe.ts';

declare module 'node:http' {
  interface Agent {
    /** Node's own, which its types leave out. */
    addRequest(request: ClientRequest, options: object): void;
  }
}

/** What http-proxy is told of the server. */
export interface Target {
  readonly host: string;
  readonly hostname: string;
  readonly port: number;
  readonly protocol: string;
}

/** The server did not accept the connection in time. */
class ConnectTimeoutError extends Error {}

export class ServerAgent extends Agent {
  /** Node's own, which its types leave out. */
  declare readonly options: { timeout?: number };
  readonly slot: number;
  readonly generation: number;
  readonly target: Target;
  readonly #url: string;
  readonly #stripe: Stripe;
  readonly #idle = new WeakSet<Duplex>();
  #connectMs = 0;
  #idleMs = 0;
  #headBytesMax = 0;

  #isRetired = false;

  constructor(slot: number, generation: number, server: ServerConfig, stripe: Stripe, pool: PoolConfig) {
    super({ keepAlive: true, scheduling: 'lifo', timeout: pool.keepAlive.idleMs });
    this.slot = slot;
    this.generation = generation;
    this.target = targetOf(server);
    this.#url = server.url;
    this.#stripe = stripe;
  }

  /** Leads to this server, at this address, and is not retired: a server that was removed may come back. */
  isOf({ url }: ServerConfig, generation: number): boolean {
    return this.generation === generation && this.#url === url && !this.#isRetired;
  }

  /** New times and limits; those of connections that are idle already stay. */
  configure(pool: PoolConfig): void {
    this.#connectMs = pool.timeouts.connectMs;
    this.#idleMs = pool.keepAlive.idleMs;
    this.#headBytesMax = pool.limits.responseHeadBytes;
    // read by Node when a connection becomes idle
    this.options.timeout = pool.keepAlive.idleMs;
    this.maxFreeSockets = pool.keepAlive.max ?? Number.POSITIVE_INFINITY;
  }

  /** Idle connections end now, busy ones after their exchange. */
  retire(): void {
    this.#isRetired = true;
    this.maxFreeSockets = 0;
    this.closeIdle();
  }

  closeIdle(): void {
    for (const sockets of Object.values(this.freeSockets))
      for (const socket of sockets ?? []) socket.destroy();
  }

  /** http-proxy cannot be told how large a response head may be: node:http reads it here, when it begins to parse. */
  override addRequest(request: ClientRequest, options: object): void {
    Object.assign(request, { maxHeaderSize: this.#headBytesMax });
    super.addRequest(request, options);
  }

  override createConnection(options: ClientRequestArgs): Duplex {
    const socket = new UpstreamSocket({ noDelay: true });
    // before node:http hears of the error, and gives the response up
    socket.on('error', () => {
      if (socket.unreadResponse !== null) socket.emit('data', socket.unreadResponse);
    });
    socket.connect({ host: options.host ?? '', port: Number(options.port), lookup: lookupServer });
    const startedMs = systemClock.nowMs();
    const timer = runningScheduler.after(this.#connectMs, () =>
      socket.destroy(new ConnectTimeoutError('connect timed out')),
    );
    this.#stripe.addGauge(this.slot, Gauge.upstreamActive, 1);
    socket.once('connect', () => {
      timer.cancel();
      this.#stripe.observe(this.slot, Counter.connectSum, (systemClock.nowMs() - startedMs) / 1000);
    });
    socket.once('close', () => {
      timer.cancel();
      this.#stripe.addGauge(
        this.slot,
        this.#idle.has(socket) ? Gauge.upstreamIdle : Gauge.upstreamActive,
        -1,
      );
    });
    return socket;
  }

  override keepSocketAlive(socket: Duplex): boolean {
    const isKept: unknown = this.#idleMs > 0 && super.keepSocketAlive(socket);
    if (isKept !== true) return false;
    this.#idle.add(socket);
    this.#move(1);
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    super.reuseSocket(socket, request);
    if (this.#idle.delete(socket)) this.#move(-1);
  }

  #move(toIdle: number): void {
    this.#stripe.addGauge(this.slot, Gauge.upstreamActive, -toIdle);
    this.#stripe.addGauge(this.slot, Gauge.upstreamIdle, toIdle);
  }
}

function targetOf({ url, host, port }: ServerConfig): Target {
  const hostname = host.replace(/^\[|\]$/g, '');
  return { host: hostname, hostname, port, protocol: new URL(url).protocol };
}

/** Why there is no connection. */
export function unreachableKind(error: Error): Unreachable {
  if (isOwnTrouble(error)) return 'out-of-resources';
  return error instanceof ConnectTimeoutError ? 'connect-timeout' : 'connect-failed';
}

// Connections of one thread to one server. Idle ones are taken newest first, so that surplus ones grow old and go.

import { isDeepStrictEqual } from 'node:util';
import type { TurnClock } from '../base/clock.ts';
import { formatProxyHeader } from '../base/proxy-protocol.ts';
import { TlsClient } from '../base/tls-client.ts';
import { type Place, placeOf } from '../config/address.ts';
import type { PoolConfig, ServerConfig } from '../config/model.ts';
import type { Deadlines } from '../exchange/deadlines.ts';
import { type HeadChange, headChangeFor } from '../exchange/server-head.ts';
import type { Answer, ServerStreams, ServerStreamUser } from '../exchange/streams.ts';
import { Counter, Gauge, type Stripe } from '../shared/stripe.ts';
import type { ReadBuffers } from './read-buffers.ts';
import { type OtherWay, UpstreamConnection } from './upstream-connection.ts';

/** Taken off a server's own `Keep-Alive: timeout` hint, so that we close first (Node closes after 5 s). */
const HINT_MARGIN_MS = 1000;

/** What the thread lends to its pools. */
export interface UpstreamServices {
  readonly own: Stripe;
  readonly deadlines: Deadlines;
  readonly clock: TurnClock;
  readonly buffers: ReadBuffers;
  /** The last answer read on this thread. */
  readonly answer: Answer;
  /** Idle connections, to whatever server, are to be closed: they hold what new ones need. */
  closeIdle(): void;
}

export class UpstreamPool implements ServerStreams {
  readonly slot: number;
  readonly generation: number;
  readonly place: Place;
  readonly tls: TlsClient | null;
  headChange: HeadChange | null = null;
  connectTimeoutMs = 0;
  #keepAliveMax = 0;
  #keepAliveIdleMs = 0;
  #isRetired = false;
  readonly #idle: UpstreamConnection[] = [];
  readonly #server: ServerConfig;
  readonly #secure: PoolConfig['secure'];
  readonly #sendsHeader: PoolConfig['sendProxyProtocol'];
  readonly #protocol: PoolConfig['protocol'];
  readonly #all = new Set<UpstreamConnection>();
  readonly #stripe: Stripe;
  readonly #deadlines: Deadlines;
  readonly #services: UpstreamServices;
  readonly clock: TurnClock;
  readonly buffers: ReadBuffers;

  constructor(
    slot: number,
    generation: number,
    server: ServerConfig,
    config: PoolConfig,
    services: UpstreamServices,
  ) {
    this.slot = slot;
    this.generation = generation;
    this.#server = server;
    this.place = placeOf(server);
    this.#sendsHeader = config.sendProxyProtocol;
    this.#protocol = config.protocol;
    this.#secure = config.secure;
    this.tls = server.isTls ? new TlsClient(config.secure, server.host, true, 'h1') : null;
    this.#stripe = services.own;
    this.#deadlines = services.deadlines;
    this.#services = services;
    this.clock = services.clock;
    this.buffers = services.buffers;
  }

  get answer(): Answer {
    return this.#services.answer;
  }

  /** Leads to this server, this way, and is not retired: a server that was removed may come back. */
  isOf(
    { url }: ServerConfig,
    generation: number,
    { protocol, sendProxyProtocol, secure }: PoolConfig,
  ): boolean {
    const isThere = this.#server.url === url && this.#sendsHeader === sendProxyProtocol;
    const isSame =
      isThere &&
      this.#protocol === protocol &&
      (this.tls === null || isDeepStrictEqual(this.#secure, secure));
    return isSame && this.generation === generation && !this.#isRetired;
  }

  /** Takes over the times and sizes of a new revision. */
  configure(config: PoolConfig): void {
    this.headChange = headChangeFor(this.#server, config.host);
    this.connectTimeoutMs = config.timeouts.connectMs;
    this.#keepAliveMax = config.keepAlive.max ?? Number.POSITIVE_INFINITY;
    this.#keepAliveIdleMs = config.keepAlive.idleMs;
  }

  /** The PROXY header that a connection for the user begins with; null: none. */
  headerFor({ client }: ServerStreamUser): string | null {
    return this.#sendsHeader === 'off' ? null : formatProxyHeader(this.#sendsHeader, client?.ends ?? null);
  }

  /** An idle connection, or null. With a PROXY header it is one that carries this client's. O(idle) then. */
  takeIdle(user: ServerStreamUser): UpstreamConnection | null {
    const upstream = this.#sendsHeader === 'off' ? this.#idle.pop() : this.#takeSame(user);
    if (upstream === undefined) return null;
    this.#stripe.addGauge(this.slot, Gauge.upstreamIdle, -1);
    this.#stripe.addGauge(this.slot, Gauge.upstreamActive, 1);
    upstream.assign(user);
    return upstream;
  }

  #takeSame(user: ServerStreamUser): UpstreamConnection | undefined {
    const header = this.headerFor(user);
    const index = this.#idle.findLastIndex(({ proxyHeader }) => proxyHeader === header);
    return index < 0 ? undefined : this.#idle.splice(index, 1)[0];
  }

  /** Opens a new connection; `user` hears of its success or end later, never before this returns. */
  open(user: ServerStreamUser, nowMs: number, otherWay: OtherWay | null = null): UpstreamConnection {
    const upstream = new UpstreamConnection(this, user, nowMs, otherWay);
    this.#all.add(upstream);
    this.#stripe.addGauge(this.slot, Gauge.upstreamActive, 1);
    this.#deadlines.add(upstream);
    return upstream;
  }

  /** A new connection is established. */
  connected(upstream: UpstreamConnection): void {
    const seconds = (this.clock.nowMs() - upstream.startedMs) / 1000;
    this.#stripe.observe(this.slot, Counter.connectSum, seconds);
  }

  /** Puts a connection back, or closes it when there are enough. `hintMs`: the server's keep-alive timeout, 0 = none. */
  giveBack(upstream: UpstreamConnection, hintMs: number, nowMs: number): void {
    const idleMs =
      hintMs > 0 ? Math.min(this.#keepAliveIdleMs, hintMs - HINT_MARGIN_MS) : this.#keepAliveIdleMs;
    if (this.#isRetired || idleMs <= 0 || this.#idle.length >= this.#keepAliveMax) {
      upstream.destroy();
      return;
    }
    this.#idle.push(upstream);
    this.#stripe.addGauge(this.slot, Gauge.upstreamIdle, 1);
    this.#stripe.addGauge(this.slot, Gauge.upstreamActive, -1);
    upstream.park(nowMs + idleMs);
  }

  /** The connection is closed or about to be. */
  forget(upstream: UpstreamConnection): void {
    if (!this.#all.delete(upstream)) return;
    this.#deadlines.remove(upstream);
    const index = this.#idle.lastIndexOf(upstream);
    this.#stripe.addGauge(this.slot, index < 0 ? Gauge.upstreamActive : Gauge.upstreamIdle, -1);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  /** No connection is open, idle, busy or finishing. */
  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  shortOfDescriptors(): void {
    this.#services.closeIdle();
  }

  closeIdle(): void {
    for (const upstream of [...this.#idle]) upstream.destroy();
  }

  /** The server is no longer configured: idle connections go now, busy ones after their exchange. */
  retire(): void {
    this.#isRetired = true;
    this.closeIdle();
  }
}

// Connections of one thread to one server that speaks HTTP/2, or may.
//
//   an exchange ── a connection with room: the fullest ──> a stream of it
//       └── none ── one that is being opened, or a new one ──> a stream when it is open
//
// Another is opened before all are full. A request with a large head has one to itself. WebSockets are streams where the server
// says that it takes them so (RFC 8441), else they go over connections of HTTP/1, and so does all else while the server is known
// to speak nothing newer.

import type { TurnClock } from '../../base/clock.ts';
import { TlsClient } from '../../base/tls-client.ts';
import type { Place } from '../../config/address.ts';
import type { PoolConfig, ServerConfig } from '../../config/model.ts';
import { changedHead } from '../../exchange/server-head.ts';
import type { Answer, ServerStream, ServerStreamUser } from '../../exchange/streams.ts';
import { HEADER_COUNT_MAX } from '../../http1/message.ts';
import type { Http2Limits } from '../../http2/abuse.ts';
import { ENTRY_BYTES } from '../../http2/header-field.ts';
import { Counter, Gauge } from '../../shared/stripe.ts';
import type { ReadBuffers } from '../read-buffers.ts';
import type { TurnEnd } from '../turn-end.ts';
import { UpstreamPool, type UpstreamServices } from '../upstream-pool.ts';
import { Http2ServerConnection } from './server-connection.ts';
import type { ServerLine } from './server-line.ts';
import { Http2ServerStream, type StreamHome } from './server-stream.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Streams that a connection is expected to have room for until its server says. */
const STREAMS_EXPECTED = 100;
/** Another connection is opened when less than this share of the streams of one is left. */
const AHEAD_SHARE = 1 / 8;
/** How long a server that has chosen HTTP/1 is not asked again. */
const HTTP1_MS = 60_000;

/**
 * Servers end the connection, and not the request alone, where a head is larger than they take: nginx with a field of more than
 * 8 KiB, Netty with 10 KiB in all (each field counted with 32 bytes more), HAProxy with 16 KiB.
 */
const SHARED_HEAD_BYTES_MAX = 6 * KIB;

/** What a server may have on its way or make us do; it is the receiving side of what a listener's `http2` says. */
const LIMITS: Omit<Http2Limits, 'headerBytes'> = {
  streams: Number.POSITIVE_INFINITY,
  window: MIB,
  connectionWindow: 32 * MIB,
  resets: { count: Number.POSITIVE_INFINITY, withinMs: 1000 },
  frames: { count: 1000, withinMs: 1000 },
};

/** What the thread lends to its pools. */
export interface Http2Services extends UpstreamServices {
  readonly turnEnd: TurnEnd;
}

/** Whether servers of the pool are spoken to in HTTP/2, or asked for it. */
export function mayBeHttp2({ isTls }: ServerConfig, { protocol }: PoolConfig): boolean {
  return protocol === 'h2' || (protocol === 'auto' && isTls);
}

/** Its head may end its connection: nobody else shares it. */
function goesAlone({ request }: ServerStreamUser): boolean {
  return request.headText.length > SHARED_HEAD_BYTES_MAX;
}

export class Http2Pool implements ServerLine<Http2ServerConnection>, StreamHome {
  readonly slot: number;
  readonly tls: TlsClient | null;
  idleMs = 0;
  readonly #http1: UpstreamPool;
  readonly #services: Http2Services;
  readonly #isAsked: boolean;
  readonly #connections: Http2ServerConnection[] = [];
  #limits: Http2Limits = { ...LIMITS, headerBytes: 0 };
  #idleMax = 0;
  #idle = 0;
  #isRetired = false;
  #expected = STREAMS_EXPECTED;
  #http1UntilMs = 0;
  /** As the last connection has said; null: none has yet. */
  #takesSockets: boolean | null = null;

  constructor(
    slot: number,
    generation: number,
    server: ServerConfig,
    config: PoolConfig,
    services: Http2Services,
  ) {
    this.slot = slot;
    this.#services = services;
    this.#isAsked = config.protocol === 'auto';
    this.tls = server.isTls ? new TlsClient(config.secure, server.host, true, config.protocol) : null;
    this.#http1 = new UpstreamPool(slot, generation, server, config, services);
  }

  // -- as the thread sees it

  isOf(server: ServerConfig, generation: number, config: PoolConfig): boolean {
    return this.#http1.isOf(server, generation, config);
  }

  configure(config: PoolConfig): void {
    this.#http1.configure(config);
    this.idleMs = config.keepAlive.idleMs;
    this.#idleMax = config.keepAlive.max ?? Number.POSITIVE_INFINITY;
    // HPACK counts more for each field than HTTP/1 writes
    const headerBytes = config.limits.responseHeadBytes + ENTRY_BYTES * HEADER_COUNT_MAX;
    this.#limits = { ...LIMITS, headerBytes };
  }

  /** No connection is open. */
  get isEmpty(): boolean {
    return this.#connections.length === 0 && this.#http1.isEmpty;
  }

  closeIdle(): void {
    this.#http1.closeIdle();
    for (const connection of [...this.#connections]) if (connection.isIdle) connection.destroy();
  }

  retire(): void {
    this.#isRetired = true;
    this.#http1.retire();
    for (const connection of [...this.#connections]) connection.leave();
  }

  // -- as exchanges see it

  takeIdle(user: ServerStreamUser): ServerStream | null {
    if (this.#http1UntilMs > 0) this.#mayAskAgain(user);
    const isOverHttp1 = this.#isSocketOverHttp1(user);
    if (isOverHttp1 || this.#http1UntilMs > 0) {
      const idle = this.#http1.takeIdle(user);
      if (idle !== null || isOverHttp1) return idle;
    }
    const connection = this.#fullest(this.#http1.headerFor(user), user.wantsUpgrade, goesAlone(user));
    if (connection === null) return null;
    const stream = new Http2ServerStream(this, user);
    connection.take(stream);
    return stream;
  }

  /** A server that has chosen HTTP/1 is asked beside the requests, which go on as they did until it has answered. */
  #mayAskAgain(user: ServerStreamUser): void {
    const nowMs = this.clock.nowMs();
    if (nowMs < this.#http1UntilMs) return;
    this.#http1UntilMs = nowMs + HTTP1_MS;
    this.#openAhead(this.#http1.headerFor(user));
  }

  #isSocketOverHttp1({ wantsUpgrade }: ServerStreamUser): boolean {
    return wantsUpgrade && this.#takesSockets === false;
  }

  /** The one with the most streams that has room: the others grow idle, and go. O(connections). */
  #fullest(header: string | null, isSocket: boolean, isAlone: boolean): Http2ServerConnection | null {
    let fullest: Http2ServerConnection | null = null;
    let room = -1;
    for (const connection of this.#connections) {
      if (connection.room <= 0 || connection.proxyHeader !== header || connection.isForOne !== isAlone)
        continue;
      if (isSocket && !connection.http2.takesSockets) continue;
      room += connection.room;
      if (fullest === null || connection.room < fullest.room) fullest = connection;
    }
    if (fullest !== null && !isAlone && room < AHEAD_SHARE * fullest.http2.streamsMax)
      this.#openAhead(header);
    return fullest;
  }

  #openAhead(header: string | null): void {
    if (this.#isRetired || this.#connections.some(({ isOpen, isForOne }) => !isOpen && !isForOne)) return;
    this.#connect(header, false, this.clock.nowMs());
  }

  open(user: ServerStreamUser, nowMs: number): ServerStream {
    if (this.#isSocketOverHttp1(user)) return this.#http1.open(user, nowMs);
    if (nowMs < this.#http1UntilMs) return this.#http1.open(user, nowMs, this.#overHttp2);
    return this.#overHttp2(user);
  }

  /** Also where the server took HTTP/1 alone, and does no longer. */
  readonly #overHttp2 = (user: ServerStreamUser): ServerStream => {
    this.#http1UntilMs = 0;
    const stream = new Http2ServerStream(this, user);
    this.#await(stream, user, this.clock.nowMs());
    return stream;
  };

  #await(stream: Http2ServerStream, user: ServerStreamUser, nowMs: number): void {
    const header = this.#http1.headerFor(user);
    const isAlone = goesAlone(user);
    const opening = this.#connections.find(
      ({ isOpen, isClosed, isForOne, awaiting, proxyHeader }) =>
        !(isOpen || isClosed || isForOne || isAlone) &&
        proxyHeader === header &&
        awaiting.length < this.#expected,
    );
    (opening ?? this.#connect(header, isAlone, nowMs)).awaiting.push(stream);
  }

  #connect(header: string | null, isForOne: boolean, nowMs: number): Http2ServerConnection {
    const { own, deadlines } = this.#services;
    const limits = isForOne ? { ...this.#limits, streams: 1 } : this.#limits;
    const connection = new Http2ServerConnection(this, header, limits, nowMs);
    this.#connections.push(connection);
    own.addGauge(this.slot, Gauge.upstreamActive, 1);
    deadlines.add(connection);
    return connection;
  }

  // -- as its connections see it

  get place(): Place {
    return this.#http1.place;
  }

  get buffers(): ReadBuffers {
    return this.#services.buffers;
  }

  get clock(): TurnClock {
    return this.#services.clock;
  }

  get turnEnd(): TurnEnd {
    return this.#services.turnEnd;
  }

  get connectTimeoutMs(): number {
    return this.#http1.connectTimeoutMs;
  }

  get answer(): Answer {
    return this.#services.answer;
  }

  changed(headText: string): string {
    const { headChange } = this.#http1;
    return headChange === null ? headText : changedHead(headText, headChange);
  }

  opened(connection: Http2ServerConnection): void {
    const { streamsMax, takesSockets } = connection.http2;
    this.#takesSockets = takesSockets;
    const seconds = (this.clock.nowMs() - connection.startedMs) / 1000;
    this.#services.own.observe(this.slot, Counter.connectSum, seconds);
    if (!connection.isForOne) this.#expected = Math.max(1, Math.min(streamsMax, STREAMS_EXPECTED));
    this.#http1UntilMs = 0;
  }

  counted(connection: Http2ServerConnection, isIdle: boolean): void {
    if (connection.isCountedIdle === isIdle) return;
    const { own } = this.#services;
    const change = isIdle ? 1 : -1;
    connection.isCountedIdle = isIdle;
    this.#idle += change;
    own.addGauge(this.slot, Gauge.upstreamIdle, change);
    own.addGauge(this.slot, Gauge.upstreamActive, -change);
  }

  keepsIdle(): boolean {
    return !this.#isRetired && this.idleMs > 0 && this.#idle <= this.#idleMax;
  }

  forget(connection: Http2ServerConnection): void {
    const { own, deadlines } = this.#services;
    const index = this.#connections.indexOf(connection);
    if (index < 0) return;
    this.counted(connection, false);
    this.#connections.splice(index, 1);
    deadlines.remove(connection);
    own.addGauge(this.slot, Gauge.upstreamActive, -1);
  }

  reopen(stream: Http2ServerStream): void {
    if (stream.user !== null) this.#await(stream, stream.user, this.clock.nowMs());
  }

  overHttp1(stream: Http2ServerStream): void {
    if (stream.user !== null) stream.replace(this.#http1.open(stream.user, this.clock.nowMs()));
  }

  /** `auto`: so be it, for a while. Otherwise the server is not what it should be. */
  speaksHttp1(waiting: readonly Http2ServerStream[]): void {
    const nowMs = this.clock.nowMs();
    if (this.#isAsked) this.#http1UntilMs = nowMs + HTTP1_MS;
    for (const stream of waiting) {
      if (this.#isAsked) this.overHttp1(stream);
      else
        stream.user?.onUnreachable('tls-failed', 'the server does not offer HTTP/2 in the handshake (ALPN)');
    }
  }

  shortOfDescriptors(): void {
    this.#services.closeIdle();
  }
}

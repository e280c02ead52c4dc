// The client's side of an exchange behind node:http: what a request and an upgrade have in common.
//
//   begin ── exchange runs ── leave | reset | reply ── the rest is written ── closed
//                 \── the client goes: abort ─────────────────────────────────/

import type { Duplex } from 'node:stream';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import type { PoolPlan } from '../choose/plan.ts';
import type { ListenConfig } from '../config/model.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ReplyContent } from '../exchange/reply-content.ts';
import {
  type Answer,
  type ClientStream,
  NO_TRAILERS,
  type PartOwner,
  type Trailers,
} from '../exchange/streams.ts';
import type { Client, PacedExchange } from './clients.ts';
import { errorOf, type Guard, type Listened } from './guard.ts';
import type { Heads } from './heads.ts';
import type { ProxyEvents } from './http-proxy.ts';
import type { NodeBody } from './node-body.ts';
import type { NodeRequest, NodeResponse } from './node-messages.ts';
import { NodeParts } from './node-parts.ts';

/** What the balancer lends to its clients. */
export interface ClientServices {
  readonly heads: Heads;
  /** Times and limits of the application's server as far as they are the balancer's. */
  readonly listen: ListenConfig;
  takeExchange(): Exchange;
  guard(onThrown: (error: Error) => void): Guard;
  began(client: NodeClient): void;
  /** All that was to be written has been, or the client has gone. */
  ended(client: NodeClient): void;
  /** Hears of what was thrown where a peer's bytes were handled. */
  onThrown(error: Error): void;
  /** Where the application's listeners are told. */
  readonly events: ProxyEvents;
  /** Its listeners of 'proxyRes', if there are any, answer in place of the servers. */
  readonly answersItself: boolean;
}

export abstract class NodeClient extends NodeParts implements ClientStream, PacedExchange, Listened {
  abstract readonly isUpgrade: boolean;
  readonly request: NodeRequest;
  readonly connection: Client;
  /** Everything that calls the exchange back does it through here. */
  readonly guard: Guard;
  readonly requestBody: NodeBody;
  readonly takesFramed = false;
  /** Nobody asks for these here: servers get no PROXY header, and TLS is the application's. */
  readonly ends = null;
  readonly tls = null;
  readonly #services: ClientServices;
  bytes = 0;
  /** Listeners of 'proxyRes' answer, not we. */
  isLeftToListeners = false;
  isPaused = false;
  /** The last attempt's connection stands: what is thrown from then on comes of the server's answer. */
  isConnected = false;
  /** Of the last attempt, as node:http has reported it. */
  lastError: Error | null = null;
  #exchange: Exchange | null = null;

  constructor(services: ClientServices, request: NodeRequest, connection: Client, body: NodeBody) {
    super();
    this.#services = services;
    this.request = request;
    this.connection = connection;
    this.requestBody = body;
    this.guard = services.guard((error) => this.#onThrown(error));
  }

  /** Null before it has begun and once it is over. */
  get exchange(): Exchange | null {
    return this.#exchange;
  }

  protected get services(): ClientServices {
    return this.#services;
  }

  /** Begins its exchange, whose head was parsed last. */
  begin(plan: PoolPlan): void {
    const { heads } = this.#services;
    this.connection.exchanges.add(this);
    this.#services.began(this);
    const exchange = this.#services.takeExchange();
    this.#exchange = exchange;
    const { fieldsEnd } = heads.request;
    exchange.begin(this, plan, heads.buffer, fieldsEnd + 2, fieldsEnd + 2);
  }

  get config(): ListenConfig {
    return this.#services.listen;
  }

  get peerAddress(): string {
    return this.connection.peerAddress;
  }

  get isTrusted(): boolean {
    return this.connection.isTrusted;
  }

  get scheme(): 'http' | 'https' {
    return this.connection.scheme;
  }

  get localPort(): number {
    return this.connection.localPort;
  }

  get forwardingLines(): string {
    return this.connection.forwardingLines;
  }

  get streamId(): number {
    return this.connection.streamId;
  }

  get listenAuthority(): string {
    return this.connection.listenAuthority;
  }

  get lastHost(): string {
    return this.connection.lastHost;
  }

  set lastHost(host: string) {
    this.connection.lastHost = host;
  }

  get isReceiving(): boolean {
    const { isDone, bytes } = this.requestBody;
    return this.#exchange !== null && !isDone && bytes > 0 && !this.isPaused;
  }

  get isTunnel(): boolean {
    return this.#exchange?.response.tunnel.isOpen === true;
  }

  /** Nobody takes over from an embedded balancer: nothing is withheld. */
  withhold(): void {}
  release(): void {}

  /** What is answered on. */
  abstract readonly target: NodeResponse | Duplex;
  abstract readonly isFull: boolean;
  readonly window: number = Number.POSITIVE_INFINITY;
  abstract readonly isHolding: boolean;
  abstract pauseRequest(): void;
  abstract resumeRequest(): void;
  abstract holdResponse(): void;
  abstract writeHead(answer: Answer, setCookie: string, from: PartOwner): boolean;
  abstract writeBody(part: Buffer, from: PartOwner): boolean;
  abstract endResponse(trailers: Trailers): void;
  abstract openTunnel(answer: Answer, setCookie: string): Buffer | null;
  abstract writeTunnel(part: Buffer, from: PartOwner): boolean;
  abstract endTunnelHalf(): void;
  /** The response has been written, and the exchange is over. */
  protected abstract left(): void;
  /** Nothing more can be said to the client. */
  protected abstract cut(): void;
  /** Our own reply, unless somebody else has answered. Returns how many bytes. */
  protected abstract writeReply(kind: FailureKind, content: ReplyContent, requestId: string): number;

  /** Not passed on: node:http has no way for those that a server sends. */
  writeInterim(): boolean {
    return true;
  }

  leave(): void {
    this.#exchange = null;
    this.left();
  }

  reset(): void {
    this.#exchange = null;
    this.cut();
  }

  reply(kind: FailureKind, content: ReplyContent, requestId: string): number {
    this.#exchange = null;
    let bytes = 0;
    this.guard.run(() => {
      const error = this.lastError ?? new Error(FAILURES[kind].text);
      this.#report(error);
      bytes = this.writeReply(kind, content, requestId);
    });
    return bytes;
  }

  abortSlow(isReceiving: boolean): void {
    const detail = isReceiving ? 'the request body arrives too slowly' : '';
    this.guard.run(() => this.#exchange?.fail(isReceiving ? 'request-timeout' : 'client-too-slow', detail));
  }

  /** The connection has closed. */
  clientGone(): void {
    this.guard.run(() => this.closed(false));
  }

  /** Nothing more will be written. `isWhole`: all that was to be written has been, by whomever. Safe to call twice. */
  protected closed(isWhole: boolean): void {
    const exchange = this.#exchange;
    this.connection.exchanges.delete(this);
    this.#services.ended(this);
    if (exchange === null) return;
    if (isWhole) exchange.complete(NO_TRAILERS);
    else {
      this.#exchange = null;
      exchange.abort();
    }
  }

  /** Ends it now: the balancer closes. */
  stop(): void {
    const exchange = this.#exchange;
    this.guard.run(() => {
      if (exchange?.response.tunnel.isOpen === true) exchange.response.tunnel.end();
      else exchange?.fail('stopping', '');
    });
  }

  /**
   * A listener of the application has thrown: this exchange ends, and the 'error' listeners hear why, also where the
   * response can only be broken off.
   */
  listenerThrew(cause: unknown): void {
    const error = errorOf(cause);
    const exchange = this.#exchange;
    // who was reading a response hears in this way that it is over: no fault, and any client can have as many as it likes
    if (exchange === null && 'code' in error && error.code === 'ECONNRESET') return;
    const isBroken = exchange?.response.isHeadSent === true;
    this.lastError = error;
    this.isConnected = true;
    this.#onThrown(error);
    if (isBroken) this.#report(error);
  }

  /** The application's 'error' listeners, if there are any, may answer in their own way. */
  #report(error: Error): void {
    const { events } = this.#services;
    if (events.isHeard('error')) events.tell(this, 'error', error, this.request, this.target);
  }

  /** Something that called back has thrown: this exchange ends, and nothing else does. */
  #onThrown(error: Error): void {
    const exchange = this.#exchange;
    this.#services.onThrown(error);
    try {
      this.lastError ??= error;
      if (exchange === null) {
        // an answer that is whole stays
        if (!this.target.writableEnded) this.cut();
      } else if (this.isConnected) exchange.fail('bad-response', error.message);
      else exchange.fail('bad-request', '');
    } catch (again) {
      this.#services.onThrown(errorOf(again));
      this.cut();
    }
  }
}

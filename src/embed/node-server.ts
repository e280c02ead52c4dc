// The server's side of one attempt through http-proxy: what a request and an upgrade have in common.
//
//   opened ── proxyReq ── connected ── answered ── the response ends ── released
//      \───────────────────────────────────── fails: the exchange is told, once

import { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { badResponseDetail } from '../exchange/bad-responses.ts';
import type { PartOwner, RequestBody, ServerStream, ServerStreamUser } from '../exchange/streams.ts';
import { mayTrailersPass } from '../http1/chunked.ts';
import type { Stripe } from '../shared/stripe.ts';
import { catchListeners, errorOf, ignoreErrors, overhear } from './guard.ts';
import type { Heads, NodeAnswer } from './heads.ts';
import { type ForwardedAttempt, type ProxyEvents, STAND_IN_RESPONSE, StandInRequest } from './http-proxy.ts';
import { linesOf, setLines } from './lines.ts';
import type { NodeClient } from './node-client.ts';
import type { NodeRequest, NodeResponse } from './node-messages.ts';
import { NodeParts } from './node-parts.ts';
import { brokenRule } from './response-errors.ts';
import { type ServerAgent, unreachableKind } from './server-agent.ts';

/** In the words of the program (proxy/response-reader.ts). */
const UNWANTED_SWITCH = '101 to a request without an upgrade, or without Connection and Upgrade';

/** What the balancer lends to attempts on its servers. */
export interface ServerServices {
  readonly events: ProxyEvents;
  readonly heads: Heads;
  /** What its connections are counted in. */
  readonly own: Stripe;
  /** Idle connections, to whatever server, are to be closed: they hold what new ones need. */
  closeIdle(): void;
}

export abstract class NodeServer extends NodeParts implements ServerStream, ForwardedAttempt {
  readonly slot: number;
  protected readonly services: ServerServices;
  protected readonly agent: ServerAgent;
  /** Through whose guard all comes that calls back. */
  readonly client: NodeClient;
  /** Null once it has let go of the exchange. */
  protected user: ServerStreamUser | null;
  protected outgoing: ClientRequest | null = null;
  /** What is read of the server: a response's body, or a tunnel. Null before it has answered. */
  protected source: IncomingMessage | Duplex | null = null;
  #isConnected = false;
  /** Of its connection, before this exchange. */
  #readBefore = 0;

  constructor(services: ServerServices, agent: ServerAgent, client: NodeClient, user: ServerStreamUser) {
    super();
    this.services = services;
    this.agent = agent;
    this.slot = agent.slot;
    this.client = client;
    this.user = user;
    client.isConnected = false;
    client.lastError = null;
  }

  readonly mayRefuse = false;

  get isReused(): boolean {
    return this.outgoing?.reusedSocket === true;
  }

  /** Has http-proxy make the request. Throws where node:http refuses what it is asked for. */
  abstract open(headText: string): void;
  /** http-proxy has made the request, whose head is still to be set. */
  protected abstract onRequest(outgoing: ClientRequest): void;
  abstract writeBody(part: Buffer, from: PartOwner): boolean;
  abstract send(headText: string, body: Buffer | null, from: PartOwner): boolean;
  abstract endRequest(body: RequestBody): void;
  abstract release(isRequestDone: boolean): void;
  abstract endTunnelHalf(): void;
  abstract finish(): void;

  get request(): NodeRequest {
    return this.client.request;
  }

  get target(): NodeResponse | Duplex {
    return this.client.target;
  }

  hear(event: string, subject: unknown): boolean {
    const { guard } = this.client;
    if (subject instanceof ClientRequest) {
      guard.run(() => this.onRequest(subject));
      return this.user !== null;
    }
    // nothing to be heard of a response that goes nowhere: it was refused, or the request is repeated
    if (event === 'proxyRes' && subject instanceof IncomingMessage) {
      guard.run(() => this.answered(subject));
      return this.source === subject && this.user !== null;
    }
    if (event === 'error') {
      guard.run(() => this.failed(errorOf(subject)));
      return false;
    }
    return event !== 'end' || this.source !== null;
  }

  listenerThrew(cause: unknown): void {
    this.client.listenerThrew(cause);
  }

  /** Has http-proxy make the request, and show it to `onRequest`. `headers`: what it insists on. */
  protected forward(how: 'web' | 'ws', headers: Record<string, string>): void {
    const { agent, client } = this;
    const request = new StandInRequest(this, headers);
    const options = { target: agent.target, agent, selfHandleResponse: true };
    const promised = this.services.events.proxy[how](request, STAND_IN_RESPONSE, options);
    // httpxy's way to say what the others say by an event
    if (promised instanceof Promise) promised.catch(client.guard.safe((error: Error) => this.failed(error)));
  }

  /** In place of what http-proxy has made of the request. */
  protected setHead(outgoing: ClientRequest, headText: string): void {
    // http-proxy collapses slashes; the target goes on as it came
    outgoing.path = headText.slice(
      headText.indexOf(' ') + 1,
      headText.lastIndexOf(' ', headText.indexOf('\r\n')),
    );
    const lines = linesOf(headText);
    // http-proxy gives a DELETE without a length a length of 0, whatever the body
    outgoing.removeHeader('content-length');
    const isChunked = lines.some(([name]) => name.toLowerCase() === 'transfer-encoding');
    // node:http has answered Expect: 100-continue already; it takes Trailer along with a chunked body only
    setLines(
      outgoing,
      lines.filter(([name]) => {
        const lower = name.toLowerCase();
        return lower !== 'expect' && (lower !== 'trailer' || isChunked);
      }),
    );
  }

  /** Hears of what the request meets until it is answered. */
  protected listen(outgoing: ClientRequest): void {
    const { guard } = this.client;
    guard.on(outgoing, 'information', () => {
      if (this.isOn(outgoing)) this.user?.onInterim(this.services.heads.answer);
    });
    // a switch of protocols that nobody asked for: node:http closes the connection without an error
    guard.on(outgoing, 'close', () => {
      if (this.isOn(outgoing) && this.source === null) this.refuse(UNWANTED_SWITCH);
    });
  }

  protected isOn(outgoing: ClientRequest): boolean {
    return this.user !== null && outgoing === this.outgoing;
  }

  protected connected(): void {
    this.#isConnected = true;
    this.#readBefore = this.outgoing?.socket?.bytesRead ?? 0;
    this.client.isConnected = true;
  }

  /** The answer that this head makes, or null: it broke a rule, and the exchange has been told. */
  protected answerOf(message: IncomingMessage, user: ServerStreamUser): NodeAnswer | null {
    const { heads } = this.services;
    const end = heads.parseResponse(message, user.responseLimits, user.isHead);
    if (end > 0) return heads.answer;
    this.refuse(badResponseDetail(end, heads.answer.buffer, 0, user.responseLimits.headBytesMax));
    return null;
  }

  /** The response has come, and its head is none that switches protocols. */
  protected answered(incoming: IncomingMessage): void {
    const { user, client } = this;
    ignoreErrors(incoming);
    // who reads the response in a listener of 'proxyRes', to answer with what was made of it, is too late
    if (this.services.events.isHeard('proxyRes'))
      catchListeners(incoming, (cause) => client.listenerThrew(cause));
    if (user === null || !('req' in incoming) || incoming.req !== this.outgoing) {
      incoming.destroy();
      return;
    }
    // node:http takes a 101 for an answer where it names no protocol
    if (incoming.statusCode === 101) {
      this.refuse(UNWANTED_SWITCH);
      return;
    }
    const answer = this.answerOf(incoming, user);
    if (answer === null) return;
    this.source = incoming;
    user.onAnswer(answer);
    // listeners that answer read the response themselves, and when they like
    if (client.isLeftToListeners)
      overhear(
        incoming,
        'data',
        client.guard.safe((part: Buffer) => this.user?.onResponsePart(part)),
      );
    // after the listeners of 'proxyRes', which may change the head
    if (this.user !== null) client.guard.later(() => this.#read(incoming));
  }

  #read(incoming: IncomingMessage): void {
    const { guard } = this.client;
    if (!this.client.isLeftToListeners)
      guard.on(incoming, 'data', (chunk: Buffer) => this.user?.onResponsePart(chunk));
    guard.on(incoming, 'end', () => this.#onEnd(incoming));
    guard.on(incoming, 'close', () => {
      if (!incoming.complete) this.closed();
    });
  }

  #onEnd({ complete, rawTrailers }: IncomingMessage): void {
    if (!complete) return;
    if (mayTrailersPass(rawTrailers)) this.user?.onResponseEnd(rawTrailers);
    else this.refuse('malformed or forbidden trailer field');
  }

  pause(): void {
    this.source?.pause();
  }

  resume(): void {
    this.source?.resume();
  }

  /** What node:http reports of the attempt. */
  protected failed(error: Error): void {
    const { user, source } = this;
    // a response that is whole reaches its end by itself
    if (user === null || (source !== null && 'complete' in source && source.complete)) return;
    this.client.lastError = error;
    const rule = brokenRule(error, (this.outgoing?.socket?.bytesRead ?? 0) - this.#readBefore, user);
    if (rule !== null) this.refuse(rule);
    else if (this.#isConnected) this.closed();
    else this.#unreachable(error, user);
  }

  #unreachable(error: Error, user: ServerStreamUser): void {
    const kind = unreachableKind(error);
    if (kind === 'out-of-resources') this.services.closeIdle();
    this.destroy();
    const isReset = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    user.onUnreachable(kind, '', isReset);
  }

  protected closed(): void {
    const { user } = this;
    // the server closed a connection that we thought idle: its other idle ones are suspect too
    if (this.isReused && this.source === null) this.agent.closeIdle();
    this.destroy();
    user?.onServerClosed();
  }

  protected refuse(detail: string): void {
    const { user } = this;
    this.destroy();
    user?.onBadResponse(detail);
  }

  destroy(): void {
    this.user = null;
    const { outgoing } = this;
    if (outgoing === null) return;
    ignoreErrors(outgoing);
    outgoing.destroy();
  }

  /** The connection is there, or will be. `onConnected` comes after all listeners of the event that is running. */
  protected awaitConnection(outgoing: ClientRequest, socket: Duplex | null): void {
    const { guard } = this.client;
    const tell = (): void => {
      if (this.isOn(outgoing)) this.user?.onConnected(this);
    };
    if (socket !== null && 'connecting' in socket && socket.connecting === true) {
      guard.once(socket, 'connect', () => {
        if (!this.isOn(outgoing)) return;
        this.connected();
        tell();
      });
      return;
    }
    this.connected();
    guard.later(tell);
  }
}

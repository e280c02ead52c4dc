// The client's side of an exchange in HTTP/1: how the request's body is framed, how the response's is to be, and whether
// the connection goes on after it. One per connection, used for each of its exchanges.
//
// The server's framing is kept, except where the client could not read it: a body that ends with the connection becomes
// chunked for HTTP/1.1, a chunked one is unwrapped for HTTP/1.0.

import type { Socket } from 'node:net';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import { latin1 } from '../base/latin1.ts';
import type { Ends } from '../base/proxy-protocol.ts';
import type { ListenConfig } from '../config/model.ts';
import type { ReplyContent } from '../exchange/reply-content.ts';
import { ResponseBuffer } from '../exchange/response-buffer.ts';
import type { Answer, ClientStream, PartOwner, Sink, Trailers } from '../exchange/streams.ts';
import type { TlsFacts } from '../exchange/tls-facts.ts';
import { CHUNK_TAIL, encodeChunkHead, lastChunk } from '../http1/chunked.ts';
import { Body, type RequestHead } from '../http1/message.ts';
import { BodyReader } from './body-reader.ts';
import type { ClientFacts } from './client-facts.ts';
import type { ConnectionListener } from './connection-services.ts';
import { STRING_BYTES_MAX } from './read-buffers.ts';
import type { ReplyMore } from './replies.ts';
import { headEnd, Reframe, responseLines, tunnelLines } from './response-lines.ts';

/** The connection as its stream sees it. */
export interface ClientTransport {
  readonly facts: ClientFacts;
  readonly socket: Socket;
  readonly listener: ConnectionListener;
  /** Owns what was read from the client. */
  readonly reader: PartOwner;
  readonly isPaused: boolean;
  mayServeMore(): boolean;
  pause(): void;
  resume(): void;
  takePending(): Buffer | null;
  /** The exchange is over, its response written. */
  exchangeDone(isKept: boolean): void;
  /** The exchange is over: our own reply. */
  sendReply(kind: FailureKind, content: ReplyContent, isKept: boolean, more: ReplyMore): number;
  /** The exchange is over: the client sees that it is broken. */
  breakOff(): void;
  withhold(): void;
  release(): void;
}

export class Http1ClientStream implements ClientStream {
  readonly requestBody: BodyReader = new BodyReader();
  readonly scheme: 'http' | 'https';
  readonly tls: TlsFacts | null;
  readonly peerAddress: string;
  readonly isTrusted: boolean;
  readonly localPort: number;
  readonly forwardingLines: string;
  readonly listenAuthority: string;
  readonly streamId = 0;
  readonly window: number = Number.POSITIVE_INFINITY;
  bytes = 0;
  lastHost = '';
  /** The client asks for the connection to go on after this exchange. */
  keepAlive = true;
  readonly #transport: ClientTransport;
  readonly #held = new ResponseBuffer();
  #versionMinor = 1;
  #isHead = false;
  #isKept = false;
  #reframe: Reframe = Reframe.none;

  constructor(transport: ClientTransport) {
    this.#transport = transport;
    const { facts } = transport;
    this.peerAddress = facts.peerAddress;
    this.isTrusted = facts.isTrusted;
    this.localPort = facts.localPort;
    this.listenAuthority = facts.listenAuthority;
    this.tls = facts.tls;
    this.scheme = facts.scheme;
    this.forwardingLines = facts.forwardingLines;
  }

  /** Takes the request whose head was just parsed. Returns where its body ends in the buffer, as far as it is there. */
  begin(head: RequestHead, buffer: Buffer, headEnd: number): number {
    this.bytes = 0;
    this.keepAlive = head.keepAlive;
    this.#versionMinor = head.versionMinor;
    this.#isHead = head.method === 'HEAD';
    this.#isKept = false;
    this.#reframe = Reframe.none;
    this.requestBody.begin(head.body, head.contentLength, null);
    return this.requestBody.consume(buffer, headEnd, buffer.length);
  }

  get config(): ListenConfig {
    return this.#transport.listener.config;
  }

  get ends(): Ends | null {
    return this.#transport.facts.ends;
  }

  get isPaused(): boolean {
    return this.#transport.isPaused;
  }

  get isFull(): boolean {
    return this.#transport.socket.writableNeedDrain;
  }

  get isHolding(): boolean {
    return this.#held.isHolding;
  }

  get takesFramed(): boolean {
    return this.#versionMinor === 1;
  }

  pauseRequest(): void {
    this.#transport.pause();
  }

  resumeRequest(): void {
    this.#transport.resume();
  }

  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    return this.#transport.reader.writeTo(sink, part, before, after);
  }

  copy(part: Buffer): Buffer {
    return this.#transport.reader.copy(part);
  }

  withhold(): void {
    this.#transport.withhold();
  }

  release(): void {
    this.#transport.release();
  }

  holdResponse(): void {
    this.#held.begin();
  }

  writeInterim({ buffer, head }: Answer): boolean {
    // RFC 9110 section 15.2: HTTP/1.0 knows none
    if (this.#versionMinor === 0) return true;
    return this.#writeText(responseLines(buffer, head, Reframe.none, '', ''));
  }

  writeHead(answer: Answer, setCookie: string, from: PartOwner): boolean {
    const { buffer, head, bodyBegin, bodyEnd } = answer;
    const reframe = this.#reframeFor(head.body);
    this.#reframe = reframe;
    this.#isKept = this.#mayKeep();
    // a short body rides along in the text of the head
    const isShort = reframe === Reframe.none && bodyEnd - bodyBegin <= STRING_BYTES_MAX;
    const { hsts } = this.#transport.listener;
    const connection = this.#connectionValue();
    const text = responseLines(
      buffer,
      head,
      reframe,
      setCookie,
      connection,
      isShort ? bodyEnd : headEnd(head),
      hsts,
    );
    if (isShort) return this.#writeText(text);
    const body = buffer.subarray(bodyBegin, bodyEnd);
    if (reframe === Reframe.none) return this.#write(body, from, text);
    const isFlowing = this.#writeText(text);
    return body.length === 0 ? isFlowing : this.writeBody(body, from);
  }

  #reframeFor(body: Body): Reframe {
    const isOldClient = this.#versionMinor === 0;
    if (body === Body.untilClose) return isOldClient ? Reframe.toClose : Reframe.toChunked;
    return body === Body.chunked && isOldClient ? Reframe.toClose : Reframe.none;
  }

  #mayKeep(): boolean {
    const isDraining = this.#transport.listener.isStopping;
    // An answer before the end of the request: nobody knows whether the rest will ever come.
    const isOver = this.#reframe === Reframe.toClose || isDraining || !this.requestBody.isDone;
    return this.keepAlive && !isOver && this.#transport.mayServeMore();
  }

  #connectionValue(): string {
    if (!this.#isKept) return 'close';
    return this.#versionMinor === 0 ? 'keep-alive' : '';
  }

  writeBody(part: Buffer, from: PartOwner): boolean {
    if (this.#reframe !== Reframe.toChunked) return this.#write(part, from);
    return this.#write(part, from, encodeChunkHead(part.length), CHUNK_TAIL);
  }

  endResponse(trailers: Trailers): void {
    if (this.#reframe === Reframe.toChunked) this.#writeText(lastChunk(trailers));
    this.#sendHeld();
  }

  leave(): void {
    this.#transport.exchangeDone(this.#isKept && this.requestBody.isDone);
  }

  reset(): void {
    this.#held.release();
    this.#transport.breakOff();
  }

  reply(kind: FailureKind, content: ReplyContent, requestId: string): number {
    this.#held.release();
    const isDraining = this.#transport.listener.isStopping;
    const mayKeep = FAILURES[kind].side !== 'client' && this.#versionMinor === 1 && !isDraining;
    const isKept = mayKeep && this.keepAlive && this.requestBody.isDone && this.#transport.mayServeMore();
    return this.#transport.sendReply(kind, content, isKept, { isHead: this.#isHead, requestId });
  }

  openTunnel({ buffer, head }: Answer, setCookie: string): Buffer | null {
    this.#writeText(tunnelLines(buffer, head, setCookie));
    const early = this.#transport.takePending();
    if (early !== null) this.requestBody.bytes += early.length;
    return early;
  }

  writeTunnel(part: Buffer, from: PartOwner): boolean {
    return this.#write(part, from);
  }

  endTunnelHalf(): void {
    this.#transport.socket.end();
  }

  #writeText(text: string): boolean {
    this.bytes += text.length;
    return this.#isKeptBack(text) || this.#transport.socket.write(text, 'latin1');
  }

  #write(part: Buffer, from: PartOwner, before = '', after = ''): boolean {
    this.bytes += before.length + part.length + after.length;
    if (this.#held.isHolding && this.#isKeptBack(before + latin1(part, 0, part.length) + after)) return true;
    return from.writeTo(this.#transport.socket, part, before, after);
  }

  /** False when nothing is held, or no longer, because it is too much. */
  #isKeptBack(text: string): boolean {
    if (!this.#held.isHolding) return false;
    if (this.#held.add(text)) return true;
    this.#sendHeld();
    return false;
  }

  #sendHeld(): void {
    if (this.#held.isHolding) this.#transport.socket.write(this.#held.release(), 'latin1');
  }

  /** Drops what belonged to an exchange that was aborted. */
  clear(): void {
    this.#held.release();
    this.requestBody.clear();
  }
}

// Streams that a test plays: both sides of an exchange without sockets. Memory is spoilt after each event, so that what was
// not copied in time shows.

import type { FailureKind } from '../../src/base/failure.ts';
import type { ListenConfig } from '../../src/config/model.ts';
import {
  type Answer,
  type ClientStream,
  NO_TRAILERS,
  type PartOwner,
  type RequestBody,
  type ServerStream,
  type ServerStreamUser,
  type Sink,
  type Trailers,
} from '../../src/exchange/streams.ts';

/** How an exchange ended, as its client saw it. */
export type Outcome = 'whole' | 'broken' | FailureKind;

/** Takes bytes down as text. */
class Notes implements Sink {
  readonly writableLength = 0;
  text = '';
  write(data: string | Buffer): boolean {
    this.text += typeof data === 'string' ? data : data.toString('latin1');
    return true;
  }
  cork(): void {}
  uncork(): void {}
}

/** Memory that is read into again after each event: what is not copied in time is spoilt. */
class Memory implements PartOwner {
  readonly #buffer = Buffer.alloc(4096);

  hold(text: string): Buffer {
    return this.#buffer.subarray(0, this.#buffer.write(text, 'latin1'));
  }

  spoil(): void {
    this.#buffer.fill('?');
  }

  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    return sink.write(before + part.toString('latin1') + after);
  }

  copy(part: Buffer): Buffer {
    return Buffer.from(part);
  }
}

export class FakeClient implements ClientStream {
  window = Number.POSITIVE_INFINITY;
  readonly config: ListenConfig;
  readonly requestBody = {
    isDone: true,
    bytes: 0,
    expectedBytes: 0,
    refusal: 0,
    trailers: NO_TRAILERS as Trailers,
    needsChunks: false,
    isFramed: false,
  };
  /** After the response's body. */
  trailers: Trailers | null = null;
  readonly peerAddress: string;
  readonly isTrusted = false;
  readonly ends = null;
  readonly scheme = 'http';
  readonly tls = null;
  readonly localPort = 80;
  readonly forwardingLines = '';
  readonly listenAuthority = 'test';
  readonly streamId = 0;
  readonly memory = new Memory();
  /** What it has been sent of the body. */
  readonly body = new Notes();
  /** What is held of it. */
  readonly #held = new Notes();
  readonly outcomes: Outcome[] = [];
  readonly statuses: number[] = [];
  lastHost = '';
  bytes = 0;
  takesFramed = true;
  isPaused = false;
  isFull = false;
  isHolding = false;
  isWithheld = false;
  setCookie = '';
  interims = 0;
  isTunnel = false;
  halvesEnded = 0;
  early: Buffer | null = null;

  constructor(config: ListenConfig, peerAddress: string) {
    this.config = config;
    this.peerAddress = peerAddress;
  }

  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    return this.memory.writeTo(sink, part, before, after);
  }
  copy(part: Buffer): Buffer {
    return this.memory.copy(part);
  }
  pauseRequest(): void {
    this.isPaused = true;
  }
  resumeRequest(): void {
    this.isPaused = false;
  }
  holdResponse(): void {
    this.isHolding = true;
  }
  withhold(): void {
    this.isWithheld = true;
  }
  release(): void {
    this.isWithheld = false;
  }
  writeInterim(): boolean {
    this.interims += 1;
    return !this.isFull;
  }
  writeHead(answer: Answer, setCookie: string, from: PartOwner): boolean {
    this.statuses.push(answer.head.status);
    this.setCookie = setCookie;
    return this.writeBody(answer.buffer.subarray(answer.bodyBegin, answer.bodyEnd), from);
  }
  writeBody(part: Buffer, from: PartOwner): boolean {
    this.bytes += part.length;
    from.writeTo(this.isHolding ? this.#held : this.body, part);
    return this.isHolding || !this.isFull;
  }
  endResponse(trailers: Trailers): void {
    this.trailers = trailers;
    this.body.text += this.#held.text;
    this.#drop();
  }
  leave(): void {
    this.outcomes.push('whole');
  }
  reset(): void {
    this.#drop();
    this.outcomes.push('broken');
  }
  reply(kind: FailureKind): number {
    this.#drop();
    this.outcomes.push(kind);
    return REPLY_BYTES;
  }
  #drop(): void {
    this.isHolding = false;
    this.#held.text = '';
  }
  openTunnel(answer: Answer, setCookie: string): Buffer | null {
    this.statuses.push(answer.head.status);
    this.setCookie = setCookie;
    this.isTunnel = true;
    return this.early;
  }
  writeTunnel(part: Buffer, from: PartOwner): boolean {
    return this.writeBody(part, from);
  }
  endTunnelHalf(): void {
    this.halvesEnded += 1;
  }
}

/** As long as our own reply is said to be. */
export const REPLY_BYTES = 200;

export type StreamEnd = 'open' | 'released' | 'finished' | 'destroyed';

export class FakeServer implements ServerStream {
  readonly slot: number;
  readonly isReused: boolean;
  readonly mayRefuse = false;
  readonly memory = new Memory();
  /** The request as it was sent. */
  readonly received = new Notes();
  readonly user: ServerStreamUser;
  readonly ends: StreamEnd[] = [];
  /** How often the request's end was said, and the trailers that came with it. */
  readonly requestEnds: Trailers[] = [];
  /** Released while the client still owed some of its request. */
  wasRequestDone = true;
  isConnected: boolean;
  isPaused = false;
  isFull = false;
  halvesEnded = 0;

  constructor(slot: number, user: ServerStreamUser, isReused: boolean) {
    this.slot = slot;
    this.user = user;
    this.isReused = isReused;
    this.isConnected = isReused;
  }

  get isOpen(): boolean {
    return this.ends.length === 0;
  }

  send(headText: string, body: Buffer | null, from: PartOwner): boolean {
    this.received.write(headText);
    if (body !== null) from.writeTo(this.received, body);
    return !this.isFull;
  }
  writeBody(part: Buffer, from: PartOwner): boolean {
    const isTunnel = this.user.wantsUpgrade;
    if (!isTunnel && this.requestEnds.length > 0) throw new Error('more of the request after its end');
    from.writeTo(this.received, part);
    return !this.isFull;
  }
  endRequest({ trailers }: RequestBody): void {
    this.requestEnds.push(trailers);
  }
  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    return this.memory.writeTo(sink, part, before, after);
  }
  copy(part: Buffer): Buffer {
    return this.memory.copy(part);
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  release(isRequestDone: boolean): void {
    this.wasRequestDone = isRequestDone;
    this.ends.push('released');
  }
  endTunnelHalf(): void {
    this.halvesEnded += 1;
  }
  finish(): void {
    if (this.isOpen) this.ends.push('finished');
  }
  destroy(): void {
    if (this.isOpen) this.ends.push('destroyed');
  }
}

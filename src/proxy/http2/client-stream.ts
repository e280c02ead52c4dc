// The client's side of an exchange in HTTP/2: one stream.
//
//   DATA ── passed on; kept while the exchange does not want it ──> the window opens again once the server took it
//   head, body, trailers of the response ──> frames, in the windows that the client grants
//
// A WebSocket (RFC 8441) is a stream whose DATA is the tunnel, both ways.

import type { FailureKind } from '../../base/failure.ts';
import type { Exchange } from '../../exchange/exchange.ts';
import type { ReplyContent } from '../../exchange/reply-content.ts';
import { ResponseBuffer } from '../../exchange/response-buffer.ts';
import {
  type Answer,
  type ClientStream,
  NO_TRAILERS,
  type PartOwner,
  type Sink,
  type Trailers,
} from '../../exchange/streams.ts';
import type { RequestHead } from '../../http1/message.ts';
import { ErrorCode } from '../../http2/codes.ts';
import type { Http2Connection } from '../../http2/connection.ts';
import type { Http2Stream, StreamUser } from '../../http2/stream.ts';
import type { ConnectionListener, Unfinished } from '../connection-services.ts';
import { formatReply, type ReplyMore } from '../replies.ts';
import { Reframe, responseLines } from '../response-lines.ts';
import type { TurnEnd } from '../turn-end.ts';
import type { Http2RequestBody } from './request-body.ts';
import { encodeHead, withoutSocketLines } from './response-head.ts';
import { type FactsSource, StreamFacts } from './stream-facts.ts';
import { Upload, type UploadingStream } from './upload.ts';

const OK = 200;
/**
 * So many streams of a connection have something at hand that waits for the window of all, so that the more urgent has it when that opens.
 * With more streams it would be too much.
 */
const AHEAD_STREAMS = 8;

/** The connection as its streams see it. */
export interface StreamTransport extends PartOwner, FactsSource {
  readonly http2: Http2Connection;
  readonly listener: ConnectionListener;
  readonly thread: { readonly turnEnd: TurnEnd };
  withhold(): void;
  release(): void;
  /** A response is complete, but the client has not taken all of it. */
  onUntaken(stream: Http2Stream): void;
}

export class Http2ClientStream extends StreamFacts implements ClientStream, StreamUser, UploadingStream {
  readonly takesFramed = false;
  exchange: Exchange | null = null;
  bytes = 0;
  readonly #stream: Http2Stream;
  readonly #transport: StreamTransport;
  readonly #isHead: boolean;
  readonly isSocket: boolean;
  readonly #held = new ResponseBuffer();
  #heldHead: { readonly status: number; readonly text: string } | null = null;
  readonly #upload: Upload;

  constructor(stream: Http2Stream, transport: StreamTransport, isHead: boolean, isSocket: boolean) {
    super(transport);
    this.#stream = stream;
    this.#transport = transport;
    this.#isHead = isHead;
    this.isSocket = isSocket;
    this.#upload = new Upload(this);
  }

  /** `isWhole`: no body follows the head. */
  begin(exchange: Exchange, head: RequestHead, isWhole: boolean): void {
    this.exchange = exchange;
    this.requestBody.begin(head, isWhole);
  }

  /** What has come of its body until then follows. */
  onBegun(): void {
    this.#upload.goOn();
  }

  get streamId(): number {
    return this.#stream.id;
  }

  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    return this.#transport.writeTo(sink, part, before, after);
  }

  copy(part: Buffer): Buffer {
    return this.#transport.copy(part);
  }

  withhold(): void {
    this.#transport.withhold();
  }

  release(): void {
    this.#transport.release();
  }

  get turnEnd(): TurnEnd {
    return this.#transport.thread.turnEnd;
  }

  get requestBody(): Http2RequestBody {
    return this.#upload.body;
  }

  get isPaused(): boolean {
    return this.#upload.isPaused;
  }

  /** The client owes some of it. */
  get isReceiving(): boolean {
    const { isDone, bytes } = this.requestBody;
    return this.exchange !== null && !isDone && bytes > 0 && !this.isPaused;
  }

  onData(buffer: Buffer, begin: number, end: number): void {
    this.#upload.add(buffer.subarray(begin, end));
  }

  onEnd(trailers: Trailers): void {
    this.#upload.end(trailers);
  }

  taken(bytes: number): void {
    this.#transport.http2.taken(this.#stream, bytes);
  }

  pauseRequest(): void {
    this.#upload.pause();
  }

  resumeRequest(): void {
    this.#upload.resume();
  }

  onReset(): void {
    const { exchange } = this;
    this.#clear();
    exchange?.abort();
  }

  get isFull(): boolean {
    return this.#stream.waitingBytes > 0;
  }

  get window(): number {
    const { sender, streams } = this.#transport.http2;
    return sender.windowOf(this.#stream, streams.size > AHEAD_STREAMS);
  }

  get isHolding(): boolean {
    return this.#held.isHolding;
  }

  onDrained(): void {
    this.exchange?.onClientDrain();
  }

  holdResponse(): void {
    this.#held.begin();
  }

  writeInterim({ buffer, head }: Answer): boolean {
    this.#sendHead(head.status, responseLines(buffer, head, Reframe.none, '', ''), false);
    return true;
  }

  writeHead(answer: Answer, setCookie: string): boolean {
    const { buffer, head, bodyBegin, bodyEnd, isLast } = answer;
    const { hsts } = this.#transport.listener;
    const text = responseLines(buffer, head, Reframe.toStream, setCookie, '', undefined, hsts);
    const hasBody = bodyEnd > bodyBegin;
    if (this.isHolding) this.#heldHead = { status: head.status, text };
    else this.#sendHead(head.status, text, isLast && !hasBody);
    return hasBody ? this.#write(buffer.subarray(bodyBegin, bodyEnd), isLast) : true;
  }

  #sendHead(status: number, text: string, isLast: boolean): void {
    const { sender } = this.#transport.http2;
    encodeHead(sender.encoder, status, text);
    this.bytes += sender.encoder.length;
    sender.headers(this.#stream, isLast);
  }

  writeBody(part: Buffer): boolean {
    return this.#write(part, false);
  }

  #write(part: Buffer, isLast: boolean): boolean {
    if (this.isHolding) {
      if (this.#held.add(part.toString('latin1'))) return true;
      this.#sendHeld();
    }
    this.bytes += part.length;
    return this.#transport.http2.sender.write(this.#stream, part, isLast);
  }

  #sendHeld(): void {
    const head = this.#heldHead;
    const text = this.#held.release();
    this.#heldHead = null;
    if (head !== null) this.#sendHead(head.status, head.text, false);
    if (text !== '') this.#write(Buffer.from(text, 'latin1'), false);
  }

  endResponse(trailers: Trailers): void {
    if (this.isHolding) this.#sendHeld();
    this.#transport.http2.sender.end(this.#stream, trailers);
  }

  leave(): void {
    this.#clear();
    this.#transport.http2.leave(this.#stream);
    if (this.#stream.waitingBytes > 0) this.#transport.onUntaken(this.#stream);
  }

  reset(trailers: Trailers): void {
    const { http2 } = this.#transport;
    if (trailers.length > 0) {
      http2.sender.end(this.#stream, trailers);
      this.leave();
      return;
    }
    this.#clear();
    http2.reset(this.#stream, ErrorCode.internalError);
  }

  /** Also where there was no exchange. */
  reply(kind: FailureKind, content: ReplyContent, requestId: string, more?: ReplyMore): number {
    this.#held.release();
    const { hsts } = this.#transport.listener;
    const text = formatReply(kind, content, false, { ...more, isHead: this.#isHead, requestId, hsts });
    const headEnd = text.indexOf('\r\n\r\n') + 4;
    const isLast = headEnd === text.length;
    this.#sendHead(Number(text.slice(9, 12)), text.slice(0, headEnd), isLast);
    if (!isLast) this.#write(Buffer.from(text.slice(headEnd), 'latin1'), true);
    this.leave();
    return this.bytes;
  }

  /** What the client has sent ahead follows when the tunnel asks for it. */
  openTunnel({ buffer, head }: Answer, setCookie: string): null {
    const { hsts } = this.#transport.listener;
    const text = responseLines(buffer, head, Reframe.toStream, setCookie, '', undefined, hsts);
    this.#sendHead(OK, withoutSocketLines(text), false);
    return null;
  }

  writeTunnel(part: Buffer): boolean {
    return this.#write(part, false);
  }

  endTunnelHalf(): void {
    this.#transport.http2.sender.end(this.#stream, NO_TRAILERS);
  }

  /** The grace of a stop is over: a tunnel ends politely, a request is told. Says what it was. */
  finish(): Unfinished {
    const { isTunnel } = this.#upload;
    if (isTunnel) this.exchange?.response.tunnel.end();
    else this.exchange?.fail('stopping', '');
    return isTunnel ? 'tunnel' : 'request';
  }

  #clear(): void {
    this.exchange = null;
    this.#held.release();
    this.#heldHead = null;
    this.#upload.clear();
  }
}

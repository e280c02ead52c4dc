// The client's side of an ordinary request: node:http's message and response. The head is written only after all
// listeners of 'proxyRes' have run, with what they have changed; until then, and while a response is held, the client
// can still be told otherwise.

import type { IncomingMessage } from 'node:http';
import type { FailureKind } from '../base/failure.ts';
import type { PoolPlan } from '../choose/plan.ts';
import type { ReplyContent } from '../exchange/reply-content.ts';
import { ResponseBuffer } from '../exchange/response-buffer.ts';
import type { Answer, PartOwner, Trailers } from '../exchange/streams.ts';
import { forOneClient } from '../http1/caching.ts';
import { Body } from '../http1/message.ts';
import { Reframe, responseLines } from '../proxy/response-lines.ts';
import type { Client } from './clients.ts';
import { linesOf, type RawLine, setLines } from './lines.ts';
import { changedLines, type Fields, fieldsOf } from './listened-fields.ts';
import type { NodeBody } from './node-body.ts';
import { type ClientServices, NodeClient } from './node-client.ts';
import {
  addTrailers,
  breakOff,
  linesFor,
  type NodeRequest,
  type NodeResponse,
  setStatus,
} from './node-messages.ts';
import { replyTo, stopUpload } from './replies.ts';

const NOTHING = Buffer.alloc(0);
/** What the application may have set for a body of its own. */
const FRAMING: readonly string[] = ['content-length', 'transfer-encoding', 'trailer'];

/** A response head that is to be written. */
interface WaitingHead {
  readonly message: IncomingMessage;
  readonly text: string;
  /** Our cookie is among the lines: the response is one client's. */
  readonly isOnes: boolean;
  /** As the listeners of 'proxyRes' found them; null when there are none. */
  readonly before: Fields | null;
}

export class WebClient extends NodeClient {
  readonly isUpgrade = false;
  readonly response: NodeResponse;
  readonly #hold = new ResponseBuffer();
  #head: WaitingHead | null = null;
  #isHeadWritten = false;
  /** A listener of 'proxyRes' has thrown, or node:http does not take the head that they have made. */
  #isHeadRefused = false;

  constructor(
    services: ClientServices,
    request: NodeRequest,
    response: NodeResponse,
    connection: Client,
    body: NodeBody,
  ) {
    super(services, request, connection, body);
    this.response = response;
    this.guard.on(response, 'close', () => this.closed(response.writableFinished));
  }

  /** `read`: the body, where somebody has read it already. */
  override begin(plan: PoolPlan, read: Buffer | null = null): void {
    super.begin(plan);
    const { request, requestBody, guard } = this;
    if (requestBody.isDone) {
      // reading to the end is what lets node:http see the client go
      request.resume();
    } else if (read !== null) this.#onData(read);
    else {
      guard.on(request, 'data', (chunk: Buffer) => this.#onData(chunk));
      guard.on(request, 'end', () => this.#onEnd());
      // whoever begins with a full server has been paused already
      if (!this.isPaused) request.resume();
    }
  }

  #onData(chunk: Buffer): void {
    if (this.exchange === null || this.requestBody.isDone) return;
    this.requestBody.add(chunk.length);
    this.exchange.onRequestPart(chunk, this);
  }

  #onEnd(): void {
    if (this.exchange === null || this.requestBody.isDone) return;
    // node:http2 ends a body that was broken off like any other
    if (this.request.aborted) {
      this.closed(false);
      return;
    }
    this.requestBody.end(this.request.rawTrailers);
    this.exchange.onRequestPart(NOTHING, this);
  }

  pauseRequest(): void {
    this.isPaused = true;
    this.request.pause();
  }

  resumeRequest(): void {
    this.isPaused = false;
    this.request.resume();
  }

  get target(): NodeResponse {
    return this.response;
  }

  get isFull(): boolean {
    return this.response.writableNeedDrain;
  }

  get isHolding(): boolean {
    if (this.isLeftToListeners) return !this.response.headersSent;
    return this.#hold.isHolding || this.#isHeadRefused;
  }

  holdResponse(): void {
    this.#hold.begin();
  }

  writeHead({ buffer, head }: Answer, setCookie: string): boolean {
    const { message } = this.services.heads.answer;
    if (message === null) return true;
    const isHeard = this.services.events.isHeard('proxyRes');
    if (isHeard && this.services.answersItself) {
      this.#leaveToListeners(message, setCookie);
      return true;
    }
    // without chunks there are no trailers, and node:http refuses a Trailer field then
    const isChunked = head.body === Body.chunked && this.request.httpVersion === '1.1';
    const text = responseLines(buffer, head, isChunked ? Reframe.none : Reframe.toClose, setCookie, '');
    const isOnes = setCookie !== '';
    if (isHeard && isOnes) addCookie(message, setCookie);
    this.#head = { message, text, isOnes, before: isHeard ? fieldsOf(message) : null };
    this.guard.later(() => {
      if (this.exchange !== null && !this.#hold.isHolding) this.#sendHead();
    });
    return true;
  }

  /** A listener of 'proxyRes' answers. Our cookie is where it is seen, and where it does not have to be seen to be sent. */
  #leaveToListeners(message: IncomingMessage, setCookie: string): void {
    this.#hold.release();
    this.isLeftToListeners = true;
    if (setCookie === '') return;
    this.response.appendHeader('set-cookie', setCookie);
    keepFromCaches(this.response);
    addCookie(message, setCookie);
    const { headers } = message;
    const kept = keptForOne(headers);
    for (const name of Object.keys(headers)) if (!kept.has(name)) delete headers[name];
    headers['cache-control'] = kept.get('cache-control') ?? 'private';
  }

  /** A listener of 'proxyRes' answers or has answered in its own way: what the server sends is read away. */
  get #isAnsweredElsewhere(): boolean {
    if (this.isLeftToListeners) return true;
    return !this.#isHeadWritten && (this.response.headersSent || this.response.writableEnded);
  }

  override listenerThrew(cause: unknown): void {
    if (this.#head !== null && !this.#isAnsweredElsewhere) this.#isHeadRefused = true;
    super.listenerThrew(cause);
  }

  /** Replaces what the application had set. Its framing goes in any case: the body is the server's. */
  #sendHead(): void {
    const { response } = this;
    const head = this.#head;
    this.#head = null;
    if (head === null || this.#isAnsweredElsewhere) return;
    const { message, before } = head;
    const received = linesOf(head.text);
    const lines = before === null ? received : changedLines(received, before, fieldsOf(message));
    const names = new Set(lines.map(([name]) => name.toLowerCase()));
    for (const name of FRAMING) if (!names.has(name) && response.hasHeader(name)) response.removeHeader(name);
    try {
      setLines(response, linesFor(response, lines));
    } catch (error) {
      this.#isHeadRefused = true;
      for (const name of names) response.removeHeader(name);
      throw error;
    }
    if (head.isOnes) keepFromCaches(response);
    setStatus(response, message.statusCode ?? 502, message.statusMessage ?? '');
    this.#isHeadWritten = true;
    this.bytes += head.text.length;
    if (message.readableLength === 0 && !message.readableEnded && 'flushHeaders' in response)
      response.flushHeaders();
  }

  writeBody(part: Buffer, from: PartOwner): boolean {
    if (this.#hold.isHolding) {
      if (this.#hold.add(part.toString('latin1'))) return true;
      this.#sendHeld();
    }
    if (this.#isAnsweredElsewhere) return true;
    this.bytes += part.length;
    if (from.writeTo(this.response, part)) return true;
    this.guard.once(this.response, 'drain', () => this.exchange?.onClientDrain());
    return false;
  }

  #sendHeld(): void {
    const text = this.#hold.release();
    this.#sendHead();
    if (text === '' || this.#isAnsweredElsewhere) return;
    this.bytes += text.length;
    this.writeTo(this.response, Buffer.from(text, 'latin1'));
  }

  endResponse(trailers: Trailers): void {
    if (this.#hold.isHolding) this.#sendHeld();
    if (this.#isAnsweredElsewhere) return;
    addTrailers(this.response, trailers);
    this.response.end();
  }

  /** The server may have answered before it had the whole request: the rest is read away. */
  protected left(): void {
    this.request.resume();
  }

  protected cut(): void {
    this.#head = null;
    breakOff(this.response);
  }

  protected writeReply(kind: FailureKind, content: ReplyContent, requestId: string): number {
    this.#head = null;
    this.request.resume();
    const bytes = replyTo(this.response, kind, content, { requestId });
    if (kind === 'body-too-large') stopUpload(this.request);
    return bytes;
  }

  /** Requests without an upgrade lead to no tunnel. */
  openTunnel(): null {
    return null;
  }

  writeTunnel(): boolean {
    return true;
  }

  endTunnelHalf(): void {}
}

/** Also what the application and its listeners have set does not let a shared cache keep our cookie. */
function keepFromCaches(response: NodeResponse): void {
  const kept = keptForOne(response.getHeaders());
  for (const name of response.getHeaderNames()) if (!kept.has(name)) response.removeHeader(name);
  response.setHeader('cache-control', kept.get('cache-control') ?? 'private');
}

/** Names and values of the fields that stay where our cookie is, by which no shared cache keeps it. */
function keptForOne(fields: object): ReadonlyMap<string, string> {
  const lines = Object.entries(fields).map(
    ([name, value]): RawLine => [name, Array.isArray(value) ? value.join(', ') : String(value)],
  );
  return new Map(forOneClient(lines).map(([name, value]) => [name, value]));
}

/** The listeners of 'proxyRes' see it among the server's. */
function addCookie({ headers }: IncomingMessage, setCookie: string): void {
  headers['set-cookie'] = [...(headers['set-cookie'] ?? []), setCookie];
}

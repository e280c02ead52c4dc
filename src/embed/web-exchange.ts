// An ordinary request and its response through http-proxy's `web`. http-proxy makes the request to the server and
// emits its events; the body goes through RequestBody and the response is relayed here, because http-proxy alone would
// read the body before there is a connection, leave a truncated response open, and join or drop header lines.

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Stream } from 'node:stream';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import { ResponseBuffer, shouldHold } from '../exchange/response-buffer.ts';
import { forOneClient } from '../http1/caching.ts';
import { Body } from '../http1/message.ts';
import { Exchange } from './exchange.ts';
import { withHeaders } from './forwarding.ts';
import { ignoreErrors } from './guard.ts';
import { linesOf, type RawLine, setLines, trailersOf, withoutNames } from './lines.ts';
import type { ParsedRequest } from './parsed.ts';
import { replyTo } from './replies.ts';
import { RequestBody } from './request-body.ts';
import type { ServerAgent, Target } from './server-agent.ts';

/** Header fields as the application's listeners see them. */
type Fields = ReadonlyMap<string, string | readonly string[] | undefined>;

/** Stands in for the request where http-proxy pipes it: RequestBody writes, once there is a connection. */
class NothingToPipe extends Stream {
  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    return destination;
  }
}

/** What the application may have set for a body of its own. */
const FRAMING: readonly string[] = ['content-length', 'transfer-encoding', 'trailer'];

/** As in the standalone program. */
const LINGER_MS = 2000;
const NOTHING_TO_PIPE = new NothingToPipe();

export class WebExchange extends Exchange {
  readonly #response: ServerResponse;
  readonly #body: RequestBody;
  readonly #isChunked: boolean;
  readonly #isHead: boolean;
  #outgoing: ClientRequest | null = null;
  #incoming: IncomingMessage | null = null;
  /** Our cookie is among the response's: it is one client's. */
  #isOnes = false;
  /** node:http does not take the head that the listeners of 'proxyRes' have made. */
  #isHeadRefused = false;
  readonly #hold = new ResponseBuffer();
  #responseBytes = 0;

  constructor(parsed: ParsedRequest, response: ServerResponse) {
    super(parsed, false);
    const { path, request } = parsed;
    const { body } = path.heads.request;
    this.#response = response;
    this.#isHead = request.method === 'HEAD';
    this.#isChunked = body === Body.chunked;
    const { timeouts, limits } = path.listen;
    this.#body = new RequestBody(request, body !== Body.none, {
      guard: this.guard,
      silenceMs: timeouts.bodyMs,
      bytesMax: limits.bodyBytes,
      onEnd: () => this.#onBodyEnd(),
      onSilence: () => this.#onBodySilence(),
      onTooLarge: () => this.fail('body-too-large', null),
    });
    this.guard.on(response, 'close', () => this.onClientClose());
  }

  protected get isReplayable(): boolean {
    return this.#body.isReplayable;
  }

  protected get isAnswering(): boolean {
    return this.#incoming !== null && !this.#hold.isHolding && !this.#isHeadRefused;
  }

  get isReceiving(): boolean {
    return this.#body.isWanted && this.#body.bytes > 0;
  }

  get isTunnel(): boolean {
    return false;
  }

  protected get isReused(): boolean {
    return this.#outgoing?.reusedSocket === true;
  }

  protected get bytes(): { readonly request: number; readonly response: number } {
    return { request: this.#body.bytes, response: this.#responseBytes };
  }

  protected send(target: Target, agent: ServerAgent): void {
    const { request, attempt } = this;
    this.#outgoing = null;
    withHeaders(request, {}, () => {
      this.path.proxy.web(
        request,
        this.#response,
        { target, agent, buffer: NOTHING_TO_PIPE, selfHandleResponse: true, toProxy: true },
        this.guard.safe((error: Error) => this.#onError(attempt, error)),
      );
    });
  }

  /** http-proxy gives a DELETE without a length a length of 0, whatever the body. */
  override onStart(): void {
    delete this.request.headers['content-length'];
  }

  override onProxyReq(outgoing: ClientRequest): void {
    if (this.isOver) {
      outgoing.destroy();
      return;
    }
    this.#outgoing = outgoing;
    // http-proxy collapses slashes; the target goes on as it came
    outgoing.path = this.head.target;
    setLines(outgoing, this.head.lines);
    const { attempt, guard } = this;
    const isCurrent = (): boolean => !this.isOver && attempt === this.attempt;
    guard.on(outgoing, 'information', () => {
      if (isCurrent()) this.onInterim();
    });
    // a switch of protocols that nobody asked for: node:http closes the connection without an error
    guard.on(outgoing, 'close', () => {
      if (isCurrent() && this.#incoming === null) this.attemptFailed('bad-response', null);
    });
    const { socket } = outgoing;
    if (socket?.connecting === true) guard.once(socket, 'connect', () => this.#onConnected(outgoing));
    else this.#onConnected(outgoing);
  }

  #onConnected(outgoing: ClientRequest): void {
    if (this.isOver || outgoing !== this.#outgoing) return;
    this.connected();
    outgoing.setTimeout(this.plan.config.timeouts.responseMs);
    this.guard.on(outgoing, 'timeout', () => this.#onSilence(outgoing));
    // after the other listeners of 'proxyReq', which may still set header fields
    this.guard.later(() => {
      if (!this.isOver && outgoing === this.#outgoing) this.#body.sendTo(outgoing);
    });
  }

  /** A server that has begun to answer may not want the rest: then the client is not hurried. */
  #onBodySilence(): void {
    if (this.#incoming === null) this.fail('request-timeout', null);
  }

  #onSilence(outgoing: ClientRequest): void {
    if (this.isOver || outgoing !== this.#outgoing) return;
    if (this.#incoming === null) this.attemptFailed('response-timeout', null);
    else this.truncated(null);
  }

  #onError(attempt: number, error: Error): void {
    if (this.isOver || attempt !== this.attempt) return;
    if (this.#incoming === null) this.attemptFailed(this.kindOf(error), error);
    else if (!this.#incoming.complete) this.truncated(error);
  }

  override onProxyRes(incoming: IncomingMessage): void {
    ignoreErrors(incoming);
    if (this.isOver || !('req' in incoming) || incoming.req !== this.#outgoing) {
      incoming.destroy();
      return;
    }
    const { statusCode = 0 } = incoming;
    if (this.retryStatus(statusCode)) return;
    // 1xx is no answer; node:http takes a 101 for one that names no protocol
    const answer =
      statusCode < 200 ? null : this.answer(incoming, this.#isHead, this.request.httpVersion === '1.1', '');
    if (answer === null) {
      this.attemptFailed('bad-response', null);
      return;
    }
    this.#incoming = incoming;
    if (shouldHold(this.plan.config.holdUntilComplete, this.path.heads.response)) this.#hold.begin();
    this.#isOnes = answer.cookie !== '';
    if (this.#isOnes) {
      incoming.headers['set-cookie'] = [...(incoming.headers['set-cookie'] ?? []), answer.cookie];
    }
    const before = fieldsOf(incoming);
    const lines = linesOf(answer.text);
    this.guard.later(() => this.#relay(incoming, changedLines(lines, before, fieldsOf(incoming))));
  }

  #relay(incoming: IncomingMessage, lines: readonly RawLine[]): void {
    if (this.isOver) return;
    const response = this.#response;
    const { plan, path, guard } = this;
    const isEventStream = /^text\/event-stream/i.test(incoming.headers['content-type'] ?? '');
    this.#outgoing?.setTimeout(isEventStream ? path.listen.timeouts.tunnelMs : plan.config.timeouts.idleMs);
    guard.on(incoming, 'data', (chunk: Buffer) => {
      this.#responseBytes += chunk.length;
    });
    guard.on(incoming, 'close', () => {
      if (!incoming.complete) this.truncated(null);
    });
    // a listener of 'proxyRes' may have answered in its own way
    if (response.headersSent || response.writableEnded) {
      this.#hold.release();
      return;
    }
    // before the listener that ends the response
    guard.on(incoming, 'end', () => this.#passTrailers(incoming));
    if (this.#hold.isHolding) this.#withhold(incoming, lines);
    else this.#pass(incoming, lines);
  }

  #passTrailers(incoming: IncomingMessage): void {
    if (this.isOver || incoming.rawTrailers.length === 0) return;
    const trailers = trailersOf(incoming.rawTrailers);
    if (trailers === null) this.truncated(null);
    else this.#response.addTrailers(trailers);
  }

  #pass(incoming: IncomingMessage, lines: readonly RawLine[]): void {
    const response = this.#response;
    this.#writeHead(incoming, lines);
    incoming.pipe(response);
    if (incoming.readableLength === 0 && !incoming.readableEnded) response.flushHeaders();
  }

  /** Nothing goes out before all is there, or more than is held. */
  #withhold(incoming: IncomingMessage, lines: readonly RawLine[]): void {
    const response = this.#response;
    let isLetGo = false;
    const release = (): void => {
      isLetGo = true;
      const text = this.#hold.release();
      this.#writeHead(incoming, lines);
      if (text !== '') response.write(text, 'latin1');
    };
    this.guard.on(incoming, 'data', (chunk: Buffer) => {
      if (isLetGo || this.isOver || this.#hold.add(chunk.toString('latin1'))) return;
      release();
      response.write(chunk);
      incoming.pipe(response);
    });
    this.guard.on(incoming, 'end', () => {
      if (isLetGo || this.isOver || !incoming.complete) return;
      release();
      response.end();
    });
  }

  /** Replaces what the application had set. Its framing goes in any case: the body is the server's. */
  #writeHead(incoming: IncomingMessage, lines: readonly RawLine[]): void {
    const response = this.#response;
    const names = new Set(lines.map(([name]) => name.toLowerCase()));
    for (const name of FRAMING) if (!names.has(name) && response.hasHeader(name)) response.removeHeader(name);
    try {
      setLines(response, lines);
    } catch (error) {
      this.#isHeadRefused = true;
      for (const name of names) response.removeHeader(name);
      throw error;
    }
    if (this.#isOnes) keepFromCaches(response);
    response.statusCode = incoming.statusCode ?? 502;
    response.statusMessage = incoming.statusMessage ?? '';
  }

  protected abandon(): void {
    const outgoing = this.#outgoing;
    const incoming = this.#incoming;
    this.attempt += 1;
    this.#outgoing = null;
    this.#body.detach();
    if (outgoing === null || incoming?.complete === true) return;
    ignoreErrors(outgoing);
    outgoing.destroy();
  }

  protected tell(kind: FailureKind, isBroken: boolean, error: Error | null): void {
    const response = this.#response;
    if (isBroken) {
      this.cutClient();
      return;
    }
    this.#body.discard();
    this.path.report(error ?? new Error(FAILURES[kind].text), this.request, response);
    replyTo(response, kind);
    if (kind === 'body-too-large') this.#stopUpload();
  }

  /** The client may read our reply before it has to stop. */
  #stopUpload(): void {
    const { request } = this;
    const timer = this.guard.after(LINGER_MS, () => {
      if (!request.complete) request.socket.destroy();
    });
    this.guard.once(request, 'close', () => timer.cancel());
  }

  protected cutClient(): void {
    this.#response.destroy();
  }

  protected onClientClose(): void {
    if (this.isOver) return;
    if (!this.#response.writableFinished) this.abort();
    else this.#complete();
  }

  #complete(): void {
    // the server may have answered before it had the whole request: the rest is read away
    this.#body.discard();
    this.end(Math.floor(this.status / 100));
  }

  /** The whole request has been read. False: its trailers must not pass. */
  #onBodyEnd(): boolean {
    const { rawTrailers } = this.request;
    const outgoing = this.#outgoing;
    const trailers = trailersOf(rawTrailers);
    if (trailers === null) {
      this.fail('bad-request', null);
      return false;
    }
    if (trailers.length > 0 && this.#isChunked) outgoing?.addTrailers(trailers);
    if (this.#incoming === null) this.awaitAnswer();
    return true;
  }
}

function fieldsOf({ headers }: IncomingMessage): Fields {
  return new Map(Object.entries(headers).map(([name, value]) => [name, copyOf(value)]));
}

function copyOf(value: string | readonly string[] | undefined): string | readonly string[] | undefined {
  return typeof value === 'object' ? [...value] : value;
}

/** Lines that the listeners of 'proxyRes' left alone go on as they came; the others as the listeners made them. */
function changedLines(lines: readonly RawLine[], before: Fields, after: Fields): readonly RawLine[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  const changed = new Set([...names].filter((name) => String(before.get(name)) !== String(after.get(name))));
  if (changed.size === 0) return lines;
  const added = [...changed].flatMap((name) =>
    [after.get(name) ?? []].flat().map((value): RawLine => [name, value]),
  );
  return [...withoutNames(lines, (name) => changed.has(name)), ...added];
}

/** Also what the application and its listeners have set does not let a shared cache keep our cookie. */
function keepFromCaches(response: ServerResponse): void {
  const lines = Object.entries(response.getHeaders()).map(
    ([name, value]): RawLine => [name, Array.isArray(value) ? value.join(', ') : String(value)],
  );
  const kept = forOneClient(lines);
  const names = new Set(kept.map(([name]) => name));
  for (const [name] of lines) if (!names.has(name)) response.removeHeader(name);
  for (const [name, value] of kept) if (name === 'cache-control') response.setHeader(name, value);
}

// An ordinary request and its response through http-proxy's `web`. http-proxy makes the request to the server and
// emits its events; the body goes through RequestBody and the response is relayed here, because http-proxy alone would
// read the body before there is a connection, leave a truncated response open, and join or drop header lines.

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Stream } from 'node:stream';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import { systemScheduler } from '../base/scheduler.ts';
import { Body } from '../http1/message.ts';
import { ResponseHold, shouldHold } from '../proxy/response-hold.ts';
import { Exchange, type ParsedRequest, type Target } from './exchange.ts';
import type { RawLine } from './heads.ts';
import { replyTo } from './replies.ts';
import { RequestBody } from './request-body.ts';
import type { ServerAgent } from './server-agent.ts';

type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Methods whose body http-proxy drops when it comes without a length. */
const LENGTH_LOST: readonly string[] = ['DELETE', 'OPTIONS'];

/** Stands in for the request where http-proxy pipes it: RequestBody writes, once there is a connection. */
class NothingToPipe extends Stream {
  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    return destination;
  }
}

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
  readonly #hold = new ResponseHold();
  #responseBytes = 0;

  constructor(parsed: ParsedRequest, response: ServerResponse) {
    super(parsed);
    const { path, request } = parsed;
    const { body } = path.heads.request;
    this.#response = response;
    this.#isHead = request.method === 'HEAD';
    this.#isChunked = body === Body.chunked;
    const { timeouts, limits } = path.listen;
    this.#body = new RequestBody(request, body !== Body.none, {
      silenceMs: timeouts.bodyMs,
      bytesMax: limits.bodyBytes,
      onEnd: () => this.#passTrailers(),
      onSilence: () => this.#onBodySilence(),
      onTooLarge: () => this.fail('body-too-large', null),
    });
    response.on('close', () => this.#onClientClose());
  }

  protected get isReplayable(): boolean {
    return this.#body.isReplayable;
  }

  protected get isAnswering(): boolean {
    return this.#incoming !== null && !this.#hold.isHolding;
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
    const original = request.headers;
    // http-proxy copies request.headers, synchronously
    request.headers = { ...this.fields };
    try {
      this.path.proxy.web(
        request,
        this.#response,
        { target, agent, buffer: NOTHING_TO_PIPE, selfHandleResponse: true, toProxy: true },
        (error) => this.#onError(attempt, error),
      );
    } finally {
      request.headers = original;
    }
  }

  /** Mends what http-proxy did to the framing of a DELETE. */
  override onStart(): void {
    const { request } = this;
    if (!LENGTH_LOST.includes(request.method ?? '')) return;
    if (this.#isChunked) request.headers['transfer-encoding'] = 'chunked';
    if (this.fields['content-length'] === undefined) delete request.headers['content-length'];
  }

  override onProxyReq(outgoing: ClientRequest): void {
    if (this.isOver) {
      outgoing.destroy();
      return;
    }
    this.#outgoing = outgoing;
    // http-proxy collapses slashes; the target goes on as it came
    outgoing.path = this.request.url ?? '/';
    const { socket } = outgoing;
    if (socket?.connecting === true) socket.once('connect', () => this.#onConnected(outgoing));
    else this.#onConnected(outgoing);
  }

  #onConnected(outgoing: ClientRequest): void {
    if (this.isOver || outgoing !== this.#outgoing) return;
    this.connected();
    outgoing.setTimeout(this.plan.config.timeouts.responseMs, () => this.#onSilence(outgoing));
    // after the other listeners of 'proxyReq', which may still set header fields
    process.nextTick(() => {
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
    incoming.on('error', () => {
      // 'close' follows and does the work
    });
    if (this.isOver) {
      incoming.destroy();
      return;
    }
    if (this.retryStatus(incoming.statusCode ?? 0)) return;
    const answer = this.answer(incoming, this.#isHead);
    if (answer === null) {
      this.attemptFailed('bad-response', null);
      return;
    }
    this.#incoming = incoming;
    if (shouldHold(this.plan.config.holdUntilComplete, this.path.heads.response)) this.#hold.begin();
    if (answer.cookie !== '') {
      incoming.headers['set-cookie'] = [...(incoming.headers['set-cookie'] ?? []), answer.cookie];
    }
    const before = { ...incoming.headers, 'set-cookie': [...(incoming.headers['set-cookie'] ?? [])] };
    process.nextTick(() => this.#relay(incoming, changedLines(answer.lines, before, incoming.headers)));
  }

  #relay(incoming: IncomingMessage, lines: readonly RawLine[]): void {
    if (this.isOver) return;
    const response = this.#response;
    const { plan, path } = this;
    const isEventStream = /^text\/event-stream/i.test(incoming.headers['content-type'] ?? '');
    this.#outgoing?.setTimeout(isEventStream ? path.listen.timeouts.tunnelMs : plan.config.timeouts.idleMs);
    incoming.on('data', (chunk: Buffer) => {
      this.#responseBytes += chunk.length;
    });
    incoming.on('close', () => {
      if (!incoming.complete) this.truncated(null);
    });
    // a listener of 'proxyRes' may have answered in its own way
    if (response.headersSent || response.writableEnded) {
      this.#hold.release();
      return;
    }
    incoming.on('end', () => {
      if (incoming.rawTrailers.length > 0) response.addTrailers(pairs(incoming.rawTrailers));
    });
    if (this.#hold.isHolding) this.#holdBack(incoming, lines);
    else this.#pass(incoming, lines);
  }

  #pass(incoming: IncomingMessage, lines: readonly RawLine[]): void {
    const response = this.#response;
    writeHead(response, incoming, lines);
    incoming.pipe(response);
    if (incoming.readableLength === 0 && !incoming.readableEnded) response.flushHeaders();
  }

  /** Nothing goes out before all is there, or more than is held. */
  #holdBack(incoming: IncomingMessage, lines: readonly RawLine[]): void {
    const response = this.#response;
    const letGo = (): void => {
      incoming.off('data', onData).off('end', onEnd);
      const text = this.#hold.release();
      writeHead(response, incoming, lines);
      if (text !== '') response.write(text, 'latin1');
    };
    const onData = (chunk: Buffer): void => {
      if (this.isOver || this.#hold.add(chunk.toString('latin1'))) return;
      letGo();
      response.write(chunk);
      incoming.pipe(response);
    };
    const onEnd = (): void => {
      if (this.isOver || !incoming.complete) return;
      letGo();
      response.end();
    };
    incoming.on('data', onData).on('end', onEnd);
  }

  protected abandon(): void {
    const outgoing = this.#outgoing;
    const incoming = this.#incoming;
    this.attempt += 1;
    this.#body.detach();
    if (outgoing === null || incoming?.complete === true) return;
    outgoing.on('error', () => {
      // destroyed by us
    });
    outgoing.destroy();
  }

  protected tell(kind: FailureKind, isBroken: boolean, error: Error | null): void {
    const response = this.#response;
    if (isBroken) {
      response.destroy();
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
    const timer = systemScheduler.after(LINGER_MS, () => {
      if (!request.complete) request.socket.destroy();
    });
    request.once('close', () => timer.cancel());
  }

  #onClientClose(): void {
    if (this.isOver) return;
    if (!this.#response.writableFinished) this.abort();
    else this.#complete();
  }

  #complete(): void {
    // the server may have answered before it had the whole request: the rest is read away
    this.#body.discard();
    this.end(Math.floor(this.status / 100));
  }

  #passTrailers(): void {
    const { rawTrailers } = this.request;
    const outgoing = this.#outgoing;
    if (rawTrailers.length > 0 && this.#isChunked && outgoing !== null)
      outgoing.addTrailers(pairs(rawTrailers));
  }
}

/** Lines that the listeners of 'proxyRes' left alone go on as they came; the others as the listeners made them. */
function changedLines(lines: readonly RawLine[], before: Fields, after: Fields): readonly RawLine[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changed = [...names].filter((name) => String(before[name]) !== String(after[name]));
  if (changed.length === 0) return lines;
  const kept = lines.filter(([name]) => !changed.includes(name.toLowerCase()));
  const added = changed.flatMap((name) => [after[name] ?? []].flat().map((value): RawLine => [name, value]));
  return [...kept, ...added];
}

/** Replaces what the application had set, except cookies: those come together. */
function writeHead(response: ServerResponse, incoming: IncomingMessage, lines: readonly RawLine[]): void {
  response.statusCode = incoming.statusCode ?? 502;
  response.statusMessage = incoming.statusMessage ?? '';
  for (const [name] of lines) if (name.toLowerCase() !== 'set-cookie') response.removeHeader(name);
  for (const [name, value] of lines) response.appendHeader(name, value);
}

function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ''] as [string, string]] : []));
}

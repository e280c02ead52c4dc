// The way back: the server's response head is checked and rewritten, its body passed on as it comes.
//
//   waiting -> (1xx passed on)* -> started -> done
//                    \-> 101 -> tunnel
//
// Framing is kept as the server chose it, except where the client could not read it: a body that ends with the
// connection becomes chunked for HTTP/1.1, a chunked one is unwrapped for HTTP/1.0.

import type { FailureKind } from '../base/failure.ts';
import { latin1 } from '../base/latin1.ts';
import type { ChunkSink } from '../http1/chunked.ts';
import { CHUNK_TAIL, encodeChunkHead, LAST_CHUNK } from '../http1/chunked.ts';
import { Body, Field, INCOMPLETE, type ResponseHead } from '../http1/message.ts';
import { parseResponseHead } from '../http1/response.ts';
import { countFailure, countGatewayError } from './accounts.ts';
import { badResponseDetail } from './bad-responses.ts';
import { BodyReader } from './body-reader.ts';
import type { ClientPart, RelayedExchange, RelayPart } from './parts.ts';
import { STRING_BYTES_MAX } from './read-buffers.ts';
import { requestRefusal } from './refusals.ts';
import { isEventStream, Reframe, responseLines } from './response-lines.ts';
import { ResponseOutput } from './response-output.ts';
import { Tunnel } from './tunnel.ts';

const SWITCHING_PROTOCOLS = 101;

export class ResponseRelay implements ChunkSink, RelayPart {
  /** The final response head has arrived. */
  isStarted = false;
  status = 0;
  readonly output: ResponseOutput;
  readonly tunnel: Tunnel;
  /** What we told the client about its connection. */
  isClientKept = false;
  readonly #exchange: RelayedExchange;
  readonly #body = new BodyReader();
  #pending: Buffer | null = null;
  #reframe: Reframe = Reframe.none;
  #isServerKept = false;
  #hintMs = 0;
  #silenceMs = 0;
  #interimsLeft = 0;

  constructor(exchange: RelayedExchange) {
    this.#exchange = exchange;
    this.output = new ResponseOutput(exchange);
    this.tunnel = new Tunnel(exchange, this.output);
  }

  /** A new exchange: its server may send so many interim responses, all attempts together. */
  begin(interimsMax: number): void {
    this.reset();
    this.#interimsLeft = interimsMax;
  }

  /** Sent to the client, heads included. */
  get bytes(): number {
    return this.output.bytes;
  }

  /** Bytes of the final response head are on their way to the client: no other reply is possible. */
  get isHeadSent(): boolean {
    return this.isStarted && !this.output.isHolding;
  }

  reset(): void {
    this.output.reset();
    this.tunnel.reset();
    this.isStarted = false;
    this.status = 0;
    this.isClientKept = false;
    this.#pending = null;
    this.#reframe = Reframe.none;
    this.#hintMs = 0;
    this.#body.clear();
  }

  onData(chunk: Buffer): void {
    const { client } = this.#exchange;
    if (client === null) return;
    if (this.tunnel.isOpen) this.tunnel.fromServer(chunk);
    else if (this.isStarted) this.#onBody(chunk);
    else this.#onHead(this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]), client);
  }

  #onHead(buffer: Buffer, client: ClientPart): void {
    const { thread, isHead, wantsUpgrade, plan } = this.#exchange;
    if (plan === null) return;
    const head = thread.responseHead;
    this.#pending = null;
    let begin = 0;
    while (begin < buffer.length) {
      const headEnd = parseResponseHead(buffer, begin, buffer.length, plan.responseLimits, isHead, head);
      if (headEnd === INCOMPLETE) {
        this.#pending = Buffer.from(buffer.subarray(begin));
        return;
      }
      const isUpgradeAnswer = head.status === SWITCHING_PROTOCOLS;
      if (headEnd < 0) {
        this.#refuse(badResponseDetail(headEnd, buffer, begin, plan.responseLimits.headBytesMax));
        return;
      }
      if (isUpgradeAnswer && !(wantsUpgrade && head.isUpgrade)) {
        this.#refuse('101 to a request without an upgrade, or without Connection and Upgrade');
        return;
      }
      if (head.status >= 200 || isUpgradeAnswer) {
        this.#start(buffer, headEnd, head, client);
        return;
      }
      if (this.#interimsLeft === 0) {
        this.#refuse('too many interim responses (limits.interimResponses)');
        return;
      }
      this.#interimsLeft -= 1;
      if (this.#exchange.clientVersionMinor === 1)
        this.output.writeText(responseLines(buffer, head, Reframe.none, '', ''));
      begin = headEnd;
    }
  }

  /** What the server sent is not a response we may pass on. */
  #refuse(detail: string): void {
    const { upstream, thread, plan, slot } = this.#exchange;
    if (plan !== null) thread.badResponses.note(plan, slot, detail, thread.clock.nowMs());
    upstream?.destroy();
    this.#exchange.attemptFailed('bad-response', detail);
  }

  #start(buffer: Buffer, headEnd: number, head: ResponseHead, client: ClientPart): void {
    const exchange = this.#exchange;
    const { thread, plan, affinity, slot } = exchange;
    const nowMs = thread.clock.nowMs();
    exchange.record?.answered(nowMs);
    if (head.status >= 502 && head.status <= 504) countGatewayError(thread.own, slot);
    if (plan === null || exchange.retryStatus(head.status)) return;
    const wallMs = thread.clock.wallMs();
    thread.own.smoothFirstByte(slot, nowMs - exchange.sentMs);
    this.#body.begin(head.body, head.contentLength, null);
    this.#reframe = this.#reframeFor(head);
    if (this.#reframe === Reframe.toClose && head.body === Body.chunked) this.#body.begin(head.body, 0, this);
    this.status = head.status;
    this.#isServerKept = head.keepAlive;
    this.#hintMs = head.keepAliveHintMs;
    this.#silenceMs = isEventStream(buffer, head)
      ? client.listener.config.timeouts.tunnelMs
      : plan.config.timeouts.idleMs;
    thread.heldBack?.note(affinity);
    const setCookie = thread.chooser.answered(
      plan,
      affinity,
      slot,
      buffer,
      head,
      nowMs,
      wallMs,
      exchange.isSecure,
    );
    thread.heldBack?.hold(client, affinity);
    if (head.status === SWITCHING_PROTOCOLS) {
      this.#openTunnel(buffer, headEnd, head, setCookie, client);
      return;
    }
    this.isClientKept = this.#mayKeepClient(client);
    this.output.holdIfWanted(plan.config.holdUntilComplete, head);
    this.#writeFirst(setCookie, buffer, headEnd, nowMs);
  }

  #reframeFor(head: ResponseHead): Reframe {
    const isOldClient = this.#exchange.clientVersionMinor === 0;
    if (head.body === Body.untilClose) return isOldClient ? Reframe.toClose : Reframe.toChunked;
    return head.body === Body.chunked && isOldClient ? Reframe.toClose : Reframe.none;
  }

  #mayKeepClient(client: ClientPart): boolean {
    const { keepAlive, requestBody } = this.#exchange;
    const isOver = this.#reframe === Reframe.toClose || client.listener.isStopping;
    // An answer before the end of the request: nobody knows whether the rest will ever come.
    return keepAlive && requestBody.isDone && !isOver && client.mayServeMore();
  }

  #connectionValue(): string {
    if (!this.isClientKept) return 'close';
    return this.#exchange.clientVersionMinor === 0 ? 'keep-alive' : '';
  }

  /** The head, together with what is there of the body. */
  #writeFirst(setCookie: string, buffer: Buffer, headEnd: number, nowMs: number): void {
    const head = this.#exchange.thread.responseHead;
    const reframe = this.#reframe;
    if (reframe !== Reframe.none) {
      this.isStarted = true;
      this.output.writeText(responseLines(buffer, head, reframe, setCookie, this.#connectionValue()));
      this.#onReframedBody(buffer, headEnd);
      return;
    }
    const bodyEnd = this.#body.consume(buffer, headEnd, buffer.length);
    if (this.#body.refusal !== 0) {
      this.#refuse(requestRefusal(this.#body.refusal).detail);
      return;
    }
    this.isStarted = true;
    // a short body rides along in the text of the head
    const textEnd = bodyEnd - headEnd <= STRING_BYTES_MAX ? bodyEnd : headEnd;
    const text = responseLines(buffer, head, reframe, setCookie, this.#connectionValue(), textEnd);
    if (textEnd === bodyEnd) this.output.writeText(text);
    else this.output.write(buffer.subarray(headEnd, bodyEnd), text);
    this.#afterBody(bodyEnd === buffer.length, nowMs);
  }

  #onBody(chunk: Buffer): void {
    if (this.#reframe !== Reframe.none) {
      this.#onReframedBody(chunk, 0);
      return;
    }
    const bodyEnd = this.#body.consume(chunk, 0, chunk.length);
    const part = bodyEnd === chunk.length ? chunk : chunk.subarray(0, bodyEnd);
    if (part.length > 0) this.output.write(part);
    if (this.#body.refusal !== 0) this.onBroken();
    else this.#afterBody(bodyEnd === chunk.length, this.#exchange.thread.clock.nowMs());
  }

  /** Body bytes whose framing changes on the way. */
  #onReframedBody(buffer: Buffer, begin: number): void {
    // Data of a chunked body reaches the client through onChunkData while this runs.
    const bodyEnd = this.#body.consume(buffer, begin, buffer.length);
    if (this.#body.refusal !== 0) {
      this.onBroken();
      return;
    }
    const part = buffer.subarray(begin, bodyEnd);
    if (this.#body.kind === Body.untilClose && part.length > 0) {
      if (this.#reframe === Reframe.toChunked)
        this.output.write(part, encodeChunkHead(part.length), CHUNK_TAIL);
      else this.output.write(part);
    }
    this.#afterBody(bodyEnd === buffer.length, this.#exchange.thread.clock.nowMs());
  }

  /** Data of a chunked body on its way to an HTTP/1.0 client. */
  onChunkData(buffer: Buffer, begin: number, end: number): void {
    if (end > begin) this.output.write(buffer.subarray(begin, end));
  }

  #afterBody(isAllConsumed: boolean, nowMs: number): void {
    if (this.#body.isDone) {
      this.output.letGo();
      this.#exchange.complete(this.#isServerKept && isAllConsumed, this.#hintMs);
    } else this.awaitProgress(nowMs);
  }

  /** The server has finished sending. */
  onEnd(): void {
    const { client, upstream } = this.#exchange;
    if (client === null) return;
    if (this.tunnel.isOpen) this.tunnel.onServerEnd();
    else if (this.#body.kind === Body.untilClose) {
      if (this.#reframe === Reframe.toChunked) this.output.writeText(LAST_CHUNK);
      this.output.letGo();
      this.#exchange.complete(false, 0);
    } else {
      upstream?.destroy();
      this.onBroken();
    }
  }

  /** The server has broken its response off. */
  onBroken(): void {
    if (this.tunnel.isOpen) this.tunnel.end();
    else this.#breakOff('bad-response');
  }

  /** Neither side has moved a byte for too long. */
  onSilence(): void {
    if (this.tunnel.isOpen) this.tunnel.end();
    else if (this.output.isFull) this.#exchange.fail('client-too-slow', '');
    else this.#breakOff('response-timeout');
  }

  /** The response cannot be completed: a client that has seen none of it is told `kind`, others must see that it is truncated. */
  #breakOff(kind: FailureKind): void {
    const { thread, slot } = this.#exchange;
    countFailure(thread.own, slot, 'response-truncated');
    this.#exchange.fail(this.isHeadSent ? 'response-truncated' : kind, '');
  }

  /** Sets the deadline for the next sign of life of the response. */
  awaitProgress(nowMs: number): void {
    if (this.tunnel.isOpen) this.tunnel.awaitProgress();
    else this.#exchange.client?.setDeadline('progress', nowMs + this.#silenceMs);
  }

  #openTunnel(
    buffer: Buffer,
    headEnd: number,
    head: ResponseHead,
    setCookie: string,
    client: ClientPart,
  ): void {
    this.isStarted = true;
    const lines = head.lines;
    const index = lines.indexOf(Field.upgrade);
    const protocol = latin1(buffer, lines.valueBegin[index] as number, lines.valueEnd[index] as number);
    const connection = `upgrade\r\nupgrade: ${protocol}`;
    this.output.writeText(responseLines(buffer, head, Reframe.none, setCookie, connection));
    this.tunnel.open(buffer.subarray(headEnd), client);
  }
}

// The way back: the server's response head is checked and rewritten, its body passed on as it comes.
//
//   waiting -> (1xx passed on)* -> started -> done
//                    \-> 101 -> tunnel
//
// Framing is kept as the server chose it, except where the client could not read it: a body that ends with the
// connection becomes chunked for HTTP/1.1, a chunked one is unwrapped for HTTP/1.0.

import { latin1 } from '../base/latin1.ts';
import type { ChunkSink } from '../http1/chunked.ts';
import { CHUNK_TAIL, encodeChunkHead, LAST_CHUNK } from '../http1/chunked.ts';
import { Body, Field, INCOMPLETE, type ResponseHead } from '../http1/message.ts';
import { parseResponseHead } from '../http1/response.ts';
import { countFailure, countGatewayError } from './accounts.ts';
import { BodyReader } from './body-reader.ts';
import type { ClientPart, RelayedExchange, RelayPart } from './parts.ts';
import { STRING_BYTES_MAX } from './read-buffers.ts';
import { ResponseHold, shouldHold } from './response-hold.ts';
import { isEventStream, Reframe, responseLines } from './response-lines.ts';

/** How long one side of a tunnel may stay open after the other has closed. */
const HALF_CLOSED_MS = 30_000;
const SWITCHING_PROTOCOLS = 101;

export class ResponseRelay implements ChunkSink, RelayPart {
  /** The final response head has arrived. */
  isStarted = false;
  /** Bytes of the final response head are on their way to the client: no other reply is possible. */
  isHeadSent = false;
  isTunnel = false;
  status = 0;
  /** Sent to the client, head included. */
  bytes = 0;
  /** What we told the client about its connection. */
  isClientKept = false;
  readonly #exchange: RelayedExchange;
  readonly #body = new BodyReader();
  readonly #hold = new ResponseHold();
  #pending: Buffer | null = null;
  #reframe: Reframe = Reframe.none;
  #isServerKept = false;
  #hintMs = 0;
  #silenceMs = 0;
  #isClientEnded = false;
  #isServerEnded = false;

  constructor(exchange: RelayedExchange) {
    this.#exchange = exchange;
  }

  reset(): void {
    this.#hold.release();
    this.isStarted = false;
    this.isHeadSent = false;
    this.isTunnel = false;
    this.status = 0;
    this.bytes = 0;
    this.isClientKept = false;
    this.#pending = null;
    this.#reframe = Reframe.none;
    this.#hintMs = 0;
    this.#isClientEnded = false;
    this.#isServerEnded = false;
    this.#body.clear();
  }

  onData(chunk: Buffer): void {
    const { client } = this.#exchange;
    if (client === null) return;
    if (this.isTunnel) this.#toClient(chunk, client);
    else if (this.isStarted) this.#onBody(chunk, client);
    else this.#onHead(this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]), client);
  }

  #onHead(buffer: Buffer, client: ClientPart): void {
    const { thread, isHead, wantsUpgrade } = this.#exchange;
    const head = thread.responseHead;
    this.#pending = null;
    let begin = 0;
    while (begin < buffer.length) {
      const headEnd = parseResponseHead(buffer, begin, buffer.length, thread.responseLimits, isHead, head);
      if (headEnd === INCOMPLETE) {
        this.#pending = Buffer.from(buffer.subarray(begin));
        return;
      }
      const isUpgradeAnswer = head.status === SWITCHING_PROTOCOLS;
      if (headEnd < 0 || (isUpgradeAnswer && !(wantsUpgrade && head.isUpgrade))) {
        this.#refuse();
        return;
      }
      if (head.status >= 200 || isUpgradeAnswer) {
        this.#start(buffer, headEnd, head, client);
        return;
      }
      if (this.#exchange.clientVersionMinor === 1)
        this.#write(client, responseLines(buffer, head, Reframe.none, '', ''));
      begin = headEnd;
    }
  }

  /** What the server sent is not a response we may pass on. */
  #refuse(): void {
    const { upstream } = this.#exchange;
    upstream?.destroy();
    this.#exchange.attemptFailed('bad-response');
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
    if (shouldHold(plan.config.holdUntilComplete, head)) this.#hold.begin();
    this.#writeFirst(client, setCookie, buffer, headEnd, nowMs);
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
  #writeFirst(client: ClientPart, setCookie: string, buffer: Buffer, headEnd: number, nowMs: number): void {
    const head = this.#exchange.thread.responseHead;
    const reframe = this.#reframe;
    if (reframe !== Reframe.none) {
      this.#markStarted();
      this.#write(client, responseLines(buffer, head, reframe, setCookie, this.#connectionValue()));
      this.#onReframedBody(buffer, headEnd, client);
      return;
    }
    const bodyEnd = this.#body.consume(buffer, headEnd, buffer.length);
    if (this.#body.refusal !== 0) {
      this.#refuse();
      return;
    }
    this.#markStarted();
    const doesRide = bodyEnd - headEnd <= STRING_BYTES_MAX;
    const text = responseLines(
      buffer,
      head,
      reframe,
      setCookie,
      this.#connectionValue(),
      doesRide ? bodyEnd : headEnd,
    );
    if (doesRide) this.#write(client, text);
    else {
      this.#corked(client, () => {
        this.#write(client, text);
        this.#toClient(buffer.subarray(headEnd, bodyEnd), client);
      });
    }
    this.#afterBody(bodyEnd === buffer.length, nowMs);
  }

  #markStarted(): void {
    this.isStarted = true;
    this.isHeadSent = !this.#hold.isHolding;
  }

  #onBody(chunk: Buffer, client: ClientPart): void {
    if (this.#reframe !== Reframe.none) {
      this.#onReframedBody(chunk, 0, client);
      return;
    }
    const bodyEnd = this.#body.consume(chunk, 0, chunk.length);
    const part = bodyEnd === chunk.length ? chunk : chunk.subarray(0, bodyEnd);
    if (part.length > 0) this.#toClient(part, client);
    if (this.#body.refusal !== 0) this.onBroken();
    else this.#afterBody(bodyEnd === chunk.length, this.#exchange.thread.clock.nowMs());
  }

  /** Body bytes whose framing changes on the way. */
  #onReframedBody(buffer: Buffer, begin: number, client: ClientPart): void {
    // Data of a chunked body reaches the client through onChunkData while this runs.
    const bodyEnd = this.#body.consume(buffer, begin, buffer.length);
    if (this.#body.refusal !== 0) {
      this.onBroken();
      return;
    }
    const part = buffer.subarray(begin, bodyEnd);
    if (this.#reframe === Reframe.toChunked && part.length > 0) {
      this.#corked(client, () => {
        this.#write(client, encodeChunkHead(part.length));
        this.#toClient(part, client);
        this.#write(client, CHUNK_TAIL);
      });
    } else if (this.#body.kind === Body.untilClose && part.length > 0) this.#toClient(part, client);
    this.#afterBody(bodyEnd === buffer.length, this.#exchange.thread.clock.nowMs());
  }

  /** Data of a chunked body on its way to an HTTP/1.0 client. */
  onChunkData(buffer: Buffer, begin: number, end: number): void {
    const { client } = this.#exchange;
    if (client !== null && end > begin) this.#toClient(buffer.subarray(begin, end), client);
  }

  #afterBody(isAllConsumed: boolean, nowMs: number): void {
    if (this.#body.isDone) {
      this.#letGo();
      this.#exchange.complete(this.#isServerKept && isAllConsumed, this.#hintMs);
    } else this.awaitProgress(nowMs);
  }

  /** Sends what was held back. */
  #letGo(): void {
    const { client } = this.#exchange;
    if (!this.#hold.isHolding || client === null) return;
    this.isHeadSent = true;
    client.socket.write(this.#hold.release(), 'latin1');
  }

  /** The server has finished sending. */
  onEnd(): void {
    const { client, upstream } = this.#exchange;
    if (client === null) return;
    if (this.isTunnel) {
      this.#isServerEnded = true;
      client.socket.end();
      this.#afterHalfClose(client);
    } else if (this.#body.kind === Body.untilClose) {
      if (this.#reframe === Reframe.toChunked) this.#write(client, LAST_CHUNK);
      this.#letGo();
      this.#exchange.complete(false, 0);
    } else {
      upstream?.destroy();
      this.onBroken();
    }
  }

  /** The response cannot be completed: the client must see that it is truncated. */
  onBroken(): void {
    if (this.isTunnel) {
      this.endTunnel();
      return;
    }
    const { thread, slot } = this.#exchange;
    countFailure(thread.own, slot, 'response-truncated');
    // Held back, nothing has reached the client: it can be told.
    this.#exchange.fail(this.#hold.isHolding ? 'bad-response' : 'response-truncated', '');
  }

  /** Neither side has moved a byte for too long. */
  onSilence(): void {
    if (this.isTunnel) this.endTunnel();
    else this.#exchange.fail('response-truncated', '');
  }

  /** Sets the deadline for the next sign of life of the response. */
  awaitProgress(nowMs: number): void {
    const { client } = this.#exchange;
    if (client === null) return;
    const silenceMs =
      this.isTunnel && (this.#isClientEnded || this.#isServerEnded) ? HALF_CLOSED_MS : this.#silenceMs;
    client.setDeadline('progress', nowMs + silenceMs);
  }

  #openTunnel(
    buffer: Buffer,
    headEnd: number,
    head: ResponseHead,
    setCookie: string,
    client: ClientPart,
  ): void {
    const { upstream, thread } = this.#exchange;
    if (upstream === null) return;
    this.#markStarted();
    this.isTunnel = true;
    this.#silenceMs = client.listener.config.timeouts.tunnelMs;
    const lines = head.lines;
    const index = lines.indexOf(Field.upgrade);
    const protocol = latin1(buffer, lines.valueBegin[index] as number, lines.valueEnd[index] as number);
    const connection = `upgrade\r\nupgrade: ${protocol}`;
    this.#write(client, responseLines(buffer, head, Reframe.none, setCookie, connection));
    if (headEnd < buffer.length) this.#toClient(buffer.subarray(headEnd), client);
    const early = client.takePending();
    if (early !== null) this.fromClient(early);
    client.resume();
    this.awaitProgress(thread.clock.nowMs());
  }

  /** Bytes of the client inside a tunnel. */
  fromClient(chunk: Buffer): void {
    const { upstream, client, thread, requestBody } = this.#exchange;
    if (upstream === null || client === null) return;
    requestBody.bytes += chunk.length;
    if (!client.passOn(chunk, upstream.socket)) client.pause();
    this.awaitProgress(thread.clock.nowMs());
  }

  /** The client has closed its half of the tunnel. */
  onClientEnd(): void {
    const { upstream, client } = this.#exchange;
    if (client === null) return;
    this.#isClientEnded = true;
    upstream?.socket.end();
    this.#afterHalfClose(client);
  }

  #afterHalfClose(client: ClientPart): void {
    if (this.#isClientEnded && this.#isServerEnded) this.endTunnel();
    else client.setDeadline('progress', this.#exchange.thread.clock.nowMs() + HALF_CLOSED_MS);
  }

  /** Both sides of the tunnel are closed in order. */
  endTunnel(): void {
    this.isClientKept = false;
    this.#exchange.complete(false, 0);
  }

  /** Writes bytes of the current read. Short ones as a string, which Node copies and writes at once. */
  #toClient(part: Buffer, client: ClientPart): void {
    const { upstream } = this.#exchange;
    if (upstream === null) return;
    this.bytes += part.length;
    if (this.#hold.isHolding) {
      if (this.#hold.add(latin1(part, 0, part.length))) return;
      this.#letGo();
    }
    let isFlowing = true;
    if (part.length <= STRING_BYTES_MAX)
      isFlowing = client.socket.write(latin1(part, 0, part.length), 'latin1');
    else {
      isFlowing = client.socket.write(upstream.reader.keep(part));
      if (client.socket.writableCorked === 0) upstream.reader.settle(client.socket);
    }
    if (!isFlowing) upstream.socket.pause();
    if (this.isTunnel) this.awaitProgress(this.#exchange.thread.clock.nowMs());
  }

  /** Several writes in one call to the system. */
  #corked(client: ClientPart, write: () => void): void {
    const { upstream } = this.#exchange;
    client.socket.cork();
    write();
    client.socket.uncork();
    upstream?.reader.settle(client.socket);
  }

  #write(client: ClientPart, text: string): void {
    this.bytes += text.length;
    if (this.#hold.isHolding) {
      if (this.#hold.add(text)) return;
      this.#letGo();
    }
    client.socket.write(text, 'latin1');
  }
}

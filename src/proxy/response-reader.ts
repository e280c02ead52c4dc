// A server's HTTP/1 bytes on one connection as answers, parts and ends.
//
//   heads (1xx)* -> final head -> body -> over        a byte after the end is no answer to anything
//                \-> 101 -> tunnel

import { badResponseDetail } from '../exchange/bad-responses.ts';
import { requestRefusal } from '../exchange/refusals.ts';
import { type Answer, NO_TRAILERS, type ServerStreamUser } from '../exchange/streams.ts';
import type { ChunkSink } from '../http1/chunked.ts';
import { Body, INCOMPLETE } from '../http1/message.ts';
import { parseResponseHead } from '../http1/response.ts';
import { BodyReader } from './body-reader.ts';

const SWITCHING_PROTOCOLS = 101;

/** The connection whose bytes these are. */
export interface ReadConnection {
  /** Null once the exchange has let go of it. */
  readonly user: ServerStreamUser | null;
  readonly answer: Answer;
  /** The bytes are no response that may be passed on. */
  refuse(detail: string): void;
  /** The response is broken. */
  broken(): void;
}

export class ResponseReader implements ChunkSink {
  /** The whole response has been read, and nothing behind it; the server keeps the connection. */
  isReusable = false;
  /** The server's keep-alive timeout, 0 = none given. */
  hintMs = 0;
  readonly #connection: ReadConnection;
  readonly #body = new BodyReader();
  #pending: Buffer | null = null;
  #isStarted = false;
  #isTunnel = false;
  #isServerKept = false;

  constructor(connection: ReadConnection) {
    this.#connection = connection;
  }

  /** Another response is awaited on the connection. */
  begin(): void {
    this.isReusable = false;
    this.hintMs = 0;
    this.#pending = null;
    this.#isStarted = false;
    this.#isTunnel = false;
    this.#body.clear();
  }

  /** `chunk` is valid only until this returns. */
  read(chunk: Buffer, user: ServerStreamUser): void {
    if (this.#isTunnel) user.onResponsePart(chunk);
    else if (this.#isStarted) this.#onBody(chunk, 0, user);
    else this.#onHeads(this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]), user);
  }

  #onHeads(buffer: Buffer, user: ServerStreamUser): void {
    const connection = this.#connection;
    const { answer } = connection;
    const { head } = answer;
    this.#pending = null;
    let begin = 0;
    while (begin < buffer.length && connection.user === user) {
      const headEnd = parseResponseHead(buffer, begin, buffer.length, user.responseLimits, user.isHead, head);
      if (headEnd === INCOMPLETE) {
        this.#pending = Buffer.from(buffer.subarray(begin));
        return;
      }
      const isUpgradeAnswer = head.status === SWITCHING_PROTOCOLS;
      if (headEnd < 0) {
        connection.refuse(badResponseDetail(headEnd, buffer, begin, user.responseLimits.headBytesMax));
        return;
      }
      if (isUpgradeAnswer && !(user.wantsUpgrade && head.isUpgrade)) {
        connection.refuse('101 to a request without an upgrade, or without Connection and Upgrade');
        return;
      }
      answer.buffer = buffer;
      answer.bodyBegin = headEnd;
      answer.bodyEnd = headEnd;
      answer.isLast = false;
      if (head.status >= 200 || isUpgradeAnswer) {
        this.#start(answer, user);
        return;
      }
      user.onInterim(answer);
      begin = headEnd;
    }
  }

  #start(answer: Answer, user: ServerStreamUser): void {
    const { head, buffer, bodyBegin } = answer;
    this.#isStarted = true;
    this.#isServerKept = head.keepAlive;
    this.hintMs = head.keepAliveHintMs;
    if (head.status === SWITCHING_PROTOCOLS) {
      this.#isTunnel = true;
      answer.bodyEnd = buffer.length;
      user.onAnswer(answer);
      return;
    }
    const isUnframed = head.body === Body.chunked && !user.takesFramed;
    this.#body.begin(head.body, head.contentLength, isUnframed ? this : null);
    if (isUnframed) {
      user.onAnswer(answer);
      if (this.#connection.user === user) this.#onBody(buffer, bodyBegin, user);
      return;
    }
    answer.bodyEnd = this.#body.consume(buffer, bodyBegin, buffer.length);
    if (this.#body.refusal !== 0) {
      this.#connection.refuse(requestRefusal(this.#body.refusal).detail);
      return;
    }
    answer.isLast = this.#body.isDone;
    this.isReusable = answer.isLast && this.#isServerKept && answer.bodyEnd === buffer.length;
    user.onAnswer(answer);
  }

  #onBody(buffer: Buffer, begin: number, user: ServerStreamUser): void {
    const connection = this.#connection;
    // Data of a chunked body reaches the user through onChunkData while this runs.
    const bodyEnd = this.#body.consume(buffer, begin, buffer.length);
    if (connection.user !== user) return;
    const isUnframed = this.#body.kind === Body.chunked && !user.takesFramed;
    if (bodyEnd > begin && !isUnframed)
      user.onResponsePart(
        begin === 0 && bodyEnd === buffer.length ? buffer : buffer.subarray(begin, bodyEnd),
      );
    if (connection.user !== user) return;
    if (this.#body.refusal !== 0) connection.broken();
    else if (this.#body.isDone) {
      this.isReusable = this.#isServerKept && bodyEnd === buffer.length;
      user.onResponseEnd(this.#body.trailers);
    }
  }

  /** Data of a chunked body without its framing. */
  onChunkData(buffer: Buffer, begin: number, end: number): void {
    if (end > begin) this.#connection.user?.onResponsePart(buffer.subarray(begin, end));
  }

  /** The server has sent its last byte. */
  end(user: ServerStreamUser): void {
    if (this.#isTunnel) user.onTunnelHalfClosed();
    else if (this.#isStarted && this.#body.kind === Body.untilClose) user.onResponseEnd(NO_TRAILERS);
    else this.#connection.broken();
  }
}

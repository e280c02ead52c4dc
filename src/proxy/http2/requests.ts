// The requests of one HTTP/2 connection: fields to heads, heads to exchanges, one for each stream.
//
//   HEADERS ── until the read is over ──> taken back meanwhile: nothing has begun
//                                   \──> so many begin now, others with the next turns: who floods shares the thread

import { fillRandomBytes } from '../../base/random.ts';
import { requestRefusal } from '../../exchange/refusals.ts';
import { NO_TRAILERS } from '../../exchange/streams.ts';
import { type TurnedAway, turnAway } from '../../exchange/turn-away.ts';
import { RequestHead } from '../../http1/message.ts';
import { parseRequestHead } from '../../http1/request.ts';
import type { RequestFields } from '../../http2/request-fields.ts';
import type { Http2Stream } from '../../http2/stream.ts';
import type { ConnectionListener, ConnectionServices } from '../connection-services.ts';
import { answer, enter } from '../entry.ts';
import type { ReplyMore } from '../replies.ts';
import type { TurnEnding } from '../turn-end.ts';
import { Http2ClientStream, type StreamTransport } from './client-stream.ts';

/** Requests of one connection that begin in one turn, each with a write to a server, */
const BEGUN_PER_TURN = 16;
/** and what one counts for that opens a connection to a server: those that are taken back lose theirs, so who floods opens one for each. */
const OPENING_COUNTS = 8;
const SOCKET_KEY_BYTES = 16;
const EMPTY = Buffer.alloc(0);
const NO_HEAD = new RequestHead();
/** Of the thread: what is parsed here is used up before the next. */
let headBytes: Buffer = Buffer.allocUnsafe(16 * 1024);

/** The connection as its requests see it. */
export interface RequestOrigin extends StreamTransport {
  readonly thread: ConnectionServices;
  readonly listener: ConnectionListener;
}

/** A request that has come. `text`: its head as HTTP/1 has it. */
interface Arrived {
  readonly stream: Http2Stream;
  readonly client: Http2ClientStream;
  readonly text: string;
  readonly hasBody: boolean;
}

export class ArrivedRequests implements TurnEnding {
  readonly #origin: RequestOrigin;
  #waiting: Arrived[] = [];
  #isPutOff = false;
  #count = 0;

  constructor(origin: RequestOrigin) {
    this.#origin = origin;
  }

  /** `fields` describe it until this returns. The how manieth it is of the connection. */
  add(stream: Http2Stream, fields: RequestFields, hasBody: boolean): number {
    this.#count += 1;
    const { isWebSocket, method, protocol } = fields;
    const client = new Http2ClientStream(stream, this.#origin, method === 'HEAD', isWebSocket);
    stream.user = client;
    if (protocol !== '' && !isWebSocket) refuse(this.#origin, client, EMPTY, NO_HEAD, UNKNOWN_PROTOCOL);
    else {
      if (isWebSocket && !hasBody) client.onEnd(NO_TRAILERS); // its half of the tunnel ends with its head
      const text = fields.headText(hasBody, isWebSocket ? socketKey() : '');
      this.#waiting.push({ stream, client, text, hasBody: hasBody && !isWebSocket });
    }
    return this.#count;
  }

  /** The read is over. */
  begin(): void {
    if (this.#waiting.length > 0 && !this.#isPutOff) this.#beginSome();
  }

  #beginSome(): void {
    const waiting = this.#waiting;
    let begun = 0;
    let at = 0;
    for (; at < waiting.length && begun < BEGUN_PER_TURN; at += 1) {
      const { stream, client, text, hasBody } = waiting[at] as Arrived;
      if (stream.isGone) continue;
      beginRequest(this.#origin, client, text, hasBody);
      begun += isOpening(client) ? OPENING_COUNTS : 1;
    }
    this.#waiting = at === waiting.length ? [] : waiting.slice(at);
    if (this.#waiting.length === 0) return;
    this.#isPutOff = true;
    this.#origin.thread.turnEnd.add(this);
  }

  onTurnEnd(): void {
    this.#isPutOff = false;
    this.#beginSome();
  }
}

/** Its server is known, and not connected yet. */
function isOpening({ exchange }: Http2ClientStream): boolean {
  return exchange !== null && exchange.server !== null && !exchange.attempts.isSent;
}

/** Begins its exchange, or answers it. */
function beginRequest(
  origin: RequestOrigin,
  client: Http2ClientStream,
  text: string,
  hasBody: boolean,
): void {
  const { thread, listener } = origin;
  const head = thread.requestHead;
  const length = writeHead(text);
  const headEnd = parseRequestHead(headBytes, 0, length, listener.headLimits, head);
  if (headEnd !== length) {
    const { kind, detail } = requestRefusal(Math.min(headEnd, -1));
    refuse(origin, client, EMPTY, NO_HEAD, { kind, detail, plan: null });
    return;
  }
  const plan = enter(thread, listener, headBytes, head, client);
  if (plan === null) {
    refuse(origin, client, headBytes, head, answer, answer);
    return;
  }
  const exchange = thread.takeExchange();
  client.begin(exchange, head, !hasBody);
  exchange.begin(client, plan, headBytes, headEnd, headEnd);
  client.onBegun();
}

/** A head that is larger than allowed. `isHead`: of a HEAD, as far as it was read. */
export function refuseLarge(origin: RequestOrigin, stream: Http2Stream, isHead: boolean): void {
  const client = new Http2ClientStream(stream, origin, isHead, false);
  refuse(origin, client, EMPTY, NO_HEAD, { kind: 'head-too-large', plan: null });
}

const UNKNOWN_PROTOCOL: TurnedAway = {
  kind: 'not-implemented',
  detail: 'only websocket is supported as :protocol',
  plan: null,
};

function writeHead(text: string): number {
  if (headBytes.length < text.length) headBytes = Buffer.allocUnsafe(2 * text.length);
  return headBytes.write(text, 'latin1');
}

function socketKey(): string {
  const bytes = Buffer.allocUnsafe(SOCKET_KEY_BYTES);
  fillRandomBytes(bytes, 0, SOCKET_KEY_BYTES);
  return bytes.toString('base64');
}

/** Answers, counts and logs a request that does not become an exchange. */
function refuse(
  { thread }: RequestOrigin,
  client: Http2ClientStream,
  buffer: Buffer,
  head: RequestHead,
  why: TurnedAway,
  more?: ReplyMore,
): void {
  turnAway(thread, client, buffer, head, why, (content, requestId) =>
    client.reply(why.kind, content, requestId, more),
  );
}

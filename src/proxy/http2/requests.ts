// The requests of one HTTP/2 connection: fields to heads, heads to exchanges, one for each stream.

import { fillRandomBytes } from '../../base/random.ts';
import { admit, refused } from '../../exchange/admission.ts';
import { requestRefusal } from '../../exchange/refusals.ts';
import { type TurnedAway, turnAway } from '../../exchange/turn-away.ts';
import { RequestHead } from '../../http1/message.ts';
import { parseRequestHead } from '../../http1/request.ts';
import type { RequestFields } from '../../http2/request-fields.ts';
import type { Http2Stream } from '../../http2/stream.ts';
import type { ConnectionListener, ConnectionServices } from '../connection-services.ts';
import type { ReplyMore } from '../replies.ts';
import { secureUrl } from '../secure-url.ts';
import { Http2ClientStream, type StreamTransport } from './client-stream.ts';

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

/** Begins the exchange of a request, or answers it. */
export function beginRequest(
  origin: RequestOrigin,
  stream: Http2Stream,
  fields: RequestFields,
  hasBody: boolean,
): void {
  const { thread, listener } = origin;
  const head = thread.requestHead;
  const { isWebSocket } = fields;
  const isSupported = fields.protocol === '' || isWebSocket;
  const client = new Http2ClientStream(stream, origin, fields.method === 'HEAD', isWebSocket);
  stream.user = client;
  const length = writeHead(fields.headText(hasBody, isWebSocket ? socketKey() : ''));
  const headEnd = parseRequestHead(headBytes, 0, length, listener.headLimits, head);
  if (headEnd !== length || !isSupported) {
    const { kind, detail } = isSupported ? requestRefusal(Math.min(headEnd, -1)) : UNKNOWN_PROTOCOL;
    refuse(origin, client, EMPTY, NO_HEAD, { kind, detail, plan: null });
    return;
  }
  const { address, redirectToHttps } = listener.config;
  if (redirectToHttps) {
    const location = secureUrl(headBytes, head, listener.authority, thread.httpsPort);
    refuse(origin, client, headBytes, head, { kind: 'redirected', plan: null }, { location });
    return;
  }
  const plan = admit(thread, headBytes, head, client, address, thread.clock.nowMs());
  if (plan === null) {
    refuse(origin, client, headBytes, head, refused, refused);
    return;
  }
  const exchange = thread.takeExchange();
  client.exchange = exchange;
  client.requestBody.begin(head, !hasBody || isWebSocket);
  exchange.begin(client, plan, headBytes, headEnd, headEnd);
}

/** A head that is larger than allowed. */
export function refuseLarge(origin: RequestOrigin, stream: Http2Stream): void {
  const client = new Http2ClientStream(stream, origin, false, false);
  refuse(origin, client, EMPTY, NO_HEAD, { kind: 'head-too-large', plan: null });
}

const UNKNOWN_PROTOCOL = {
  kind: 'not-implemented',
  detail: 'only websocket is supported as :protocol',
} as const;

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

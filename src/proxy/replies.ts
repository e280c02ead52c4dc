// The balancer's own replies as bytes: short, not to be cached, marked with x-holdfast-error.

import { FAILURES, type FailureKind } from '../base/failure.ts';
import { plainContent, type ReplyContent, reasonOf } from '../exchange/reply-content.ts';

/** What only some replies have. */
export interface ReplyMore {
  /** The request was HEAD: no body follows. */
  readonly isHead?: boolean;
  readonly retryAfterSeconds?: number;
  readonly location?: string;
  /** As in the access log; '' : none. */
  readonly requestId?: string;
  /** Strict-Transport-Security; null: none. */
  readonly hsts?: string | null;
}

/** What a call of gRPC has for a status is in the lines of its reply. */
export function statusOf(kind: FailureKind, { lines }: ReplyContent): number {
  return lines === undefined ? FAILURES[kind].status : 200;
}

/**
 * The whole reply to a failure, as latin1 text. `close`: the connection ends after it.
 * `retryAfterSeconds` goes out with 503 and 429, `location` where there is one.
 */
export function formatReply(
  kind: FailureKind,
  content: ReplyContent,
  close: boolean,
  { isHead = false, retryAfterSeconds = 1, location = '', requestId = '', hsts = null }: ReplyMore = {},
): string {
  const { type, body, lines = '' } = content;
  const status = statusOf(kind, content);
  const retryAfter = status === 503 || status === 429 ? `retry-after: ${retryAfterSeconds}\r\n` : '';
  const id = requestId === '' ? '' : `x-request-id: ${requestId}\r\n`;
  const secured = hsts === null ? '' : `strict-transport-security: ${hsts}\r\n`;
  return (
    `HTTP/1.1 ${status} ${reasonOf(status)}\r\n` +
    `x-holdfast-error: ${kind}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n` +
    `cache-control: no-store\r\n${lines}${id}${location === '' ? '' : `location: ${location}\r\n`}${retryAfter}${secured}${close ? 'connection: close\r\n' : ''}\r\n${isHead ? '' : body}`
  );
}

/** In plain text: to who has not sent a request that could be read. */
export function formatPlainReply(kind: FailureKind, detail: string): string {
  return formatReply(kind, plainContent(kind, detail), true);
}

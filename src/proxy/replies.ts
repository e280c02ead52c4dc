// The balancer's own replies: short, plain text, marked with x-holdfast-error.

import { FAILURES, type FailureKind } from '../base/failure.ts';

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  404: 'Not Found',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  508: 'Loop Detected',
};

/** What only some replies have. */
export interface ReplyMore {
  readonly retryAfterSeconds?: number;
  readonly location?: string;
  /** As in the access log; '' : none. */
  readonly requestId?: string;
  /** Strict-Transport-Security; null: none. */
  readonly hsts?: string | null;
  /** The body as it is, instead of a sentence. */
  readonly content?: string;
}

/**
 * The whole reply to a failure. `isHead`: no body follows; `close`: the connection ends after it. `retryAfterSeconds`
 * goes out with 503 and 429, `location` where there is one.
 */
export function formatReply(
  kind: FailureKind,
  detail: string,
  isHead: boolean,
  close: boolean,
  { retryAfterSeconds = 1, location = '', requestId = '', content = '', hsts = null }: ReplyMore = {},
): string {
  const { status, text } = FAILURES[kind];
  const sentence = `${status} ${REASONS[status] ?? ''}: ${detail === '' ? text : detail}\n`;
  const body = content === '' ? sentence : content;
  const retryAfter = status === 503 || status === 429 ? `retry-after: ${retryAfterSeconds}\r\n` : '';
  const id = requestId === '' ? '' : `x-request-id: ${requestId}\r\n`;
  const secured = hsts === null ? '' : `strict-transport-security: ${hsts}\r\n`;
  return (
    `HTTP/1.1 ${status} ${REASONS[status] ?? ''}\r\n` +
    `x-holdfast-error: ${kind}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\n` +
    `cache-control: no-store\r\n${id}${location === '' ? '' : `location: ${location}\r\n`}${retryAfter}${secured}${close ? 'connection: close\r\n' : ''}\r\n${isHead ? '' : body}`
  );
}

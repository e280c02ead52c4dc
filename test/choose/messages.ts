// Requests and responses from text, by the real codec. `head`: one to be used again, as a connection does.

import { type HeadLimits, RequestHead, ResponseHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { parseResponseHead } from '../../src/http1/response.ts';

const LIMITS: HeadLimits = {
  headBytesMax: 65_536,
  headerCountMax: 100,
  watched: ['x-other', 'x-session-id'],
};

/** For who looks at no head after the event: one of each kind serves all exchanges. */
export const requestHead: RequestHead = new RequestHead();
export const responseHead: ResponseHead = new ResponseHead();

export function requestOf(
  headers: readonly string[],
  target = '/',
  host = 'shop.example',
  method = 'GET',
  head: RequestHead = new RequestHead(),
): { buffer: Buffer; head: RequestHead } {
  const lines = headers.map((line) => `${line}\r\n`).join('');
  const text = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`;
  const buffer = Buffer.from(text, 'latin1');
  const end = parseRequestHead(buffer, 0, buffer.length, LIMITS, head);
  if (end !== buffer.length) throw new Error(`the test's own request is refused: ${end} ${text}`);
  return { buffer, head };
}

export function responseOf(
  headers: readonly string[],
  status = 200,
  head: ResponseHead = new ResponseHead(),
): { buffer: Buffer; head: ResponseHead } {
  const lines = headers.map((line) => `${line}\r\n`).join('');
  const buffer = Buffer.from(`HTTP/1.1 ${status} OK\r\nContent-Length: 0\r\n${lines}\r\n`, 'latin1');
  const end = parseResponseHead(buffer, 0, buffer.length, LIMITS, false, head);
  if (end !== buffer.length) throw new Error(`the test's own response is refused: ${end}`);
  return { buffer, head };
}

/** `name=value` of a Set-Cookie value: what a browser would send back. */
export function cookiePair(setCookie: string): string {
  return setCookie.split(';')[0] as string;
}

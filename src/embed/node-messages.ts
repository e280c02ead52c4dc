// A request and its response as the application's server hands them over: node:http's, or those of the compatibility API
// of node:http2. The two are alike but for what stands here.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import type { Trailers } from '../exchange/streams.ts';
import { pairsOf, type RawLine } from './lines.ts';

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Lines of HTTP/1 that HTTP/2 has no place for (RFC 9113 section 8.2.2). */
const OF_HTTP1: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade']);

/**
 * The connection that a request came on. HTTP/2 shows a stand-in for each request, and one for each session, of which
 * most calls throw once the session ends; what a listener's registration returns is the socket itself.
 */
export function socketOf(request: NodeRequest): Socket {
  if (!('stream' in request)) return request.socket;
  const { session } = request.stream;
  // a session that has ended shows no socket
  return session === undefined || session.destroyed ? request.socket : session.socket.off('close', ignore);
}

function ignore(): void {}

/** Name and value of each header line, in HTTP/1's form: HTTP/2 has the first line and the body's framing beside them. */
export function linesOfRequest(request: NodeRequest): readonly string[] {
  if (!('stream' in request)) return request.rawHeaders;
  const { rawHeaders, headers, stream } = request;
  const lines: string[] = [];
  const cookies: string[] = [];
  let hasLength = false;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const value = rawHeaders[at + 1] ?? '';
    if (name === ':authority') lines.push('host', value);
    else if (name === 'cookie') cookies.push(value);
    // one that says the same as :authority is allowed, and no second Host
    else if (name[0] !== ':' && !(name === 'host' && value === headers[':authority']))
      lines.push(name, value);
    hasLength ||= name === 'content-length';
  }
  // RFC 9113 section 8.2.3: a cookie field may come in parts
  if (cookies.length > 0) lines.push('cookie', cookies.join('; '));
  if (!hasLength && !stream.endAfterHeaders) lines.push('transfer-encoding', 'chunked');
  return lines;
}

/** HTTP/2 is none of the versions that a head may name. */
export function versionOf({ httpVersion }: NodeRequest): string {
  return httpVersion === '2.0' ? '1.1' : httpVersion;
}

/** Those that the response's protocol has. */
export function linesFor(response: NodeResponse, lines: readonly RawLine[]): readonly RawLine[] {
  return 'stream' in response ? lines.filter(([name]) => !OF_HTTP1.has(name.toLowerCase())) : lines;
}

/** The head goes out with this status; HTTP/2 has no words for it, and says what it does not take here. */
export function setStatus(response: NodeResponse, status: number, words: string): void {
  response.statusCode = status;
  if ('stream' in response) response.writeHead(status);
  else response.statusMessage = words;
}

export function addTrailers(response: NodeResponse, trailers: Trailers): void {
  if (trailers.length === 0) return;
  const pairs = pairsOf(trailers);
  // node:http2 takes no list
  if ('stream' in response) response.addTrailers(Object.fromEntries(pairs));
  else response.addTrailers(pairs);
}

/** What was not sent whole must not look as if it were: an HTTP/2 stream that is destroyed ends without an error. */
export function breakOff(response: NodeResponse): void {
  if ('stream' in response && !response.stream.closed)
    response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.destroy();
}

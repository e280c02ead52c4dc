// A request head as the balancer writes it for HTTP/1, as a header block.

import type { HpackEncoder } from '../../http2/hpack-encoder.ts';
import { CONNECTION_FIELDS } from '../../http2/trailer-fields.ts';

/** They belong to a connection of HTTP/1, or are said by a pseudo-field. */
const LEFT_OUT: ReadonlySet<string> = new Set(['host', 'te', ...CONNECTION_FIELDS]);
/** 1 at the length of each. */
const LEFT_OUT_LENGTHS: Uint8Array = lengthsOf(LEFT_OUT);
/** Of a handshake over HTTP/1 alone. */
const KEY_LINE = /^sec-websocket-key:[ \t]*([^\r]*)/im;
const HOST_LINE = /\r\nhost:[ \t]*([^\r]*)/i;

function lengthsOf(names: ReadonlySet<string>): Uint8Array {
  const lengths = new Uint8Array(64);
  for (const name of names) lengths[name.length] = 1;
  return lengths;
}

/** `text`: request line, lines and an empty one. `isSocket`: of a WebSocket, which is an extended CONNECT (RFC 8441). */
export function encodeRequest(
  encoder: HpackEncoder,
  text: string,
  scheme: 'http' | 'https',
  isSocket: boolean,
): void {
  const lineEnd = text.indexOf('\r\n');
  const methodEnd = text.indexOf(' ');
  const authority = (HOST_LINE.exec(text)?.[1] ?? '').trimEnd();
  encoder.begin();
  encoder.line(isSocket ? ':method: CONNECT' : `:method: ${text.slice(0, methodEnd)}`);
  encoder.line(`:scheme: ${scheme}`);
  if (authority !== '') encoder.line(`:authority: ${authority}`);
  encoder.line(`:path: ${text.slice(methodEnd + 1, text.lastIndexOf(' ', lineEnd))}`);
  // what comes behind a body is passed on, or dropped where the client could not read it
  encoder.line(isSocket ? ':protocol: websocket' : 'te: trailers');
  let begin = lineEnd + 2;
  for (let end = text.indexOf('\r\n', begin); end > begin; end = text.indexOf('\r\n', begin)) {
    const length = text.indexOf(':', begin) - begin;
    const isCut =
      LEFT_OUT_LENGTHS[length] === 1 && LEFT_OUT.has(text.slice(begin, begin + length).toLowerCase());
    if (!isCut && !(isSocket && KEY_LINE.test(text.slice(begin, end)))) encoder.line(text.slice(begin, end));
    begin = end + 2;
  }
}

/** The key of the handshake that the client has made over HTTP/1; '' : none. */
export function socketKeyOf(text: string): string {
  return (KEY_LINE.exec(text)?.[1] ?? '').trimEnd();
}

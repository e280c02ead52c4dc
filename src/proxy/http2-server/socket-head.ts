// A server's consent to a WebSocket over a stream (RFC 8441 section 5) as HTTP/1 says it.

import { createHash } from 'node:crypto';

const STATUS_LINE = /^[^\r]*\r\n/;
/** They belong to a body, or to the handshake of another hop. */
const LEFT_OUT = /^(?:content-length|sec-websocket-accept):.*\r\n/gim;
/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** `text`: the head of a response with a status of 2xx. `key`: of the client's handshake. */
export function switchedHead(text: string, key: string): string {
  const accept = createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`, 'latin1').digest('base64');
  const first = `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n`;
  return first + text.replace(STATUS_LINE, '').replace(LEFT_OUT, '');
}

// A response head as the balancer writes it for HTTP/1, as a header block.

import type { HpackEncoder } from '../../http2/hpack-encoder.ts';

/** `text`: first line, which is passed over, lines and an empty one. */
export function encodeHead(encoder: HpackEncoder, status: number, text: string): void {
  encoder.begin();
  encoder.status(status);
  let begin = text.indexOf('\r\n') + 2;
  for (let end = text.indexOf('\r\n', begin); end > begin; end = text.indexOf('\r\n', begin)) {
    encoder.line(text.slice(begin, end));
    begin = end + 2;
  }
}

/** What belongs to the handshake of a WebSocket over HTTP/1 alone (RFC 8441 section 5). */
export function withoutSocketLines(text: string): string {
  return text.replace(/^(?:sec-websocket-accept|content-length):.*\r\n/gim, '');
}

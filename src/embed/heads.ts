// node:http's messages as the codec sees them: the head is written down again and parsed by our own parser, so that
// routing, session keys, hop-by-hop rules and strictness are those of the standalone program, not a second version.
//
//   rawHeaders  [ name, value, name, value, ... ]
//   bytes       first line CRLF name: value CRLF name: value CRLF CRLF

import type { IncomingMessage } from 'node:http';
import type { ListenConfig } from '../config/model.ts';
import { type HeadLimits, RequestHead, ResponseHead } from '../http1/message.ts';
import { parseRequestHead } from '../http1/request.ts';
import { parseResponseHead } from '../http1/response.ts';

const CAPACITY_FIRST_BYTES = 16 * 1024;
/** Of a response: more than node:http lets through. */
const HEAD_BYTES_MAX = 1024 * 1024;
const HEADER_COUNT_MAX = 1000;

const RESPONSE_LIMITS: HeadLimits = {
  headBytesMax: HEAD_BYTES_MAX,
  headerCountMax: HEADER_COUNT_MAX,
  watched: [],
};

/** One per balancer: what was parsed last is valid until the next parse. */
export class Heads {
  buffer: Buffer = Buffer.allocUnsafe(CAPACITY_FIRST_BYTES);
  readonly request: RequestHead = new RequestHead();
  readonly response: ResponseHead = new ResponseHead();
  #requestLimits = RESPONSE_LIMITS;
  #responseLimits = RESPONSE_LIMITS;

  /** From now on; what node:http itself refuses (heads over 16 KiB, unless raised) does not come here. */
  configure(limits: ListenConfig['limits'], watched: readonly string[]): void {
    this.#requestLimits = { headBytesMax: limits.headerBytes, headerCountMax: limits.headerCount, watched };
    this.#responseLimits = { ...RESPONSE_LIMITS, watched };
  }

  /** Fills `request`: the length of the head, or a negative Refusal. */
  parseRequest(message: IncomingMessage): number {
    const line = `${message.method ?? ''} ${message.url ?? ''} HTTP/${message.httpVersion}\r\n`;
    const length = this.#write(line, message.rawHeaders);
    const end = parseRequestHead(this.buffer, 0, length, this.#requestLimits, this.request);
    return end === length ? length : Math.min(end, -1);
  }

  /** Fills `response`: the length of the head, or a negative Refusal. */
  parseResponse(message: IncomingMessage, requestWasHead: boolean): number {
    const line = `HTTP/1.1 ${message.statusCode ?? 0} ${message.statusMessage ?? ''}\r\n`;
    const length = this.#write(line, message.rawHeaders);
    const end = parseResponseHead(
      this.buffer,
      0,
      length,
      this.#responseLimits,
      requestWasHead,
      this.response,
    );
    return end === length ? length : Math.min(end, -1);
  }

  #write(firstLine: string, raw: readonly string[]): number {
    let text = firstLine;
    for (let at = 0; at + 1 < raw.length; at += 2) text += `${raw[at]}: ${raw[at + 1]}\r\n`;
    text += '\r\n';
    if (text.length > this.buffer.length) this.buffer = Buffer.allocUnsafe(text.length * 2);
    return this.buffer.write(text, 'latin1');
  }
}

// node:http's messages as the codec sees them: the head is written down again and parsed by our own parser, so that
// routing, session keys, hop-by-hop rules and strictness are those of the standalone program, not a second version.
//
//   rawHeaders  [ name, value, name, value, ... ]
//   bytes       first line CRLF name: value CRLF name: value CRLF CRLF

import type { IncomingMessage } from 'node:http';
import type { ListenConfig } from '../config/model.ts';
import { Answer } from '../exchange/streams.ts';
import { type HeadLimits, RequestHead, ResponseHead } from '../http1/message.ts';
import { parseRequestHead } from '../http1/request.ts';
import { parseResponseHead } from '../http1/response.ts';
import { linesOfRequest, type NodeRequest, versionOf } from './node-messages.ts';

const CAPACITY_FIRST_BYTES = 16 * 1024;

/** A response head, and the message of node:http that it came in. */
export class NodeAnswer extends Answer {
  message: IncomingMessage | null = null;
}

/** How a request head is to be read. */
export interface RequestReading {
  /** An upgrade that it offers is left in. */
  readonly upgrade: boolean;
  /** Length of the body that goes in place of the one that came; -1: that one goes. */
  readonly bodyBytes: number;
}

const BODY_FIELDS: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'content-encoding',
  'trailer',
]);

/** One per balancer: what was parsed last is valid until the next parse. */
export class Heads {
  buffer: Buffer = Buffer.allocUnsafe(CAPACITY_FIRST_BYTES);
  readonly request: RequestHead = new RequestHead();
  readonly answer: NodeAnswer = new NodeAnswer(new ResponseHead());
  #limits: HeadLimits = { headBytesMax: 0, headerCountMax: 0, watched: [] };

  /** From now on; what node:http itself refuses (heads over 16 KiB, unless raised) does not come here. */
  configure(limits: ListenConfig['limits'], watched: readonly string[]): void {
    this.#limits = { headBytesMax: limits.headerBytes, headerCountMax: limits.headerCount, watched };
  }

  /** Fills `request`: the length of the head, or a negative Refusal. */
  parseRequest(message: NodeRequest, reading: RequestReading): number {
    const length = this.#write(requestText(message, reading));
    const end = parseRequestHead(this.buffer, 0, length, this.#limits, this.request);
    return end === length ? length : Math.min(end, -1);
  }

  /** Fills `answer`: the length of the head, or a negative Refusal. */
  parseResponse(message: IncomingMessage, limits: HeadLimits, requestWasHead: boolean): number {
    const { answer } = this;
    const line = `HTTP/1.1 ${message.statusCode ?? 0} ${message.statusMessage ?? ''}\r\n`;
    const length = this.#write(`${line}${linesText(message.rawHeaders)}\r\n`);
    const end = parseResponseHead(this.buffer, 0, length, limits, requestWasHead, answer.head);
    answer.message = message;
    answer.buffer = this.buffer;
    answer.bodyBegin = length;
    answer.bodyEnd = length;
    answer.isLast = false;
    return end === length ? length : Math.min(end, -1);
  }

  #write(text: string): number {
    if (text.length > this.buffer.length) this.buffer = Buffer.allocUnsafe(text.length * 2);
    return this.buffer.write(text, 'latin1');
  }
}

function linesText(raw: readonly string[]): string {
  let text = '';
  for (let at = 0; at + 1 < raw.length; at += 2) text += `${raw[at]}: ${raw[at + 1]}\r\n`;
  return text;
}

function requestText(message: NodeRequest, { upgrade, bodyBytes }: RequestReading): string {
  const raw = linesOfRequest(message);
  let text = `${message.method ?? ''} ${message.url ?? ''} HTTP/${versionOf(message)}\r\n`;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? '';
    if (!upgrade && name.length === 7 && name.toLowerCase() === 'upgrade') continue;
    if (bodyBytes >= 0 && BODY_FIELDS.has(name.toLowerCase())) continue;
    text += `${name}: ${raw[at + 1]}\r\n`;
  }
  return bodyBytes < 0 ? `${text}\r\n` : `${text}content-length: ${bodyBytes}\r\n\r\n`;
}

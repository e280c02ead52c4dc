// A response head out of fields, through the same strict parser as one of HTTP/1, with what of the body came with it.

import { badResponseDetail } from '../../exchange/bad-responses.ts';
import type { Answer, ServerStreamUser } from '../../exchange/streams.ts';
import { Body, type ResponseHead } from '../../http1/message.ts';
import { parseResponseHead } from '../../http1/response.ts';

/** Of the thread: what is parsed here is used up before the next. */
let bytes: Buffer = Buffer.allocUnsafe(32 * 1024);

/** Fills `answer`; `isLast`: nothing follows. Returns what is wrong with the head, '' for nothing. */
export function readAnswer(
  answer: Answer,
  user: ServerStreamUser,
  text: string,
  part: Buffer | null,
  isLast: boolean,
): string {
  const { head } = answer;
  const { length } = text;
  const bodyBytes = part?.length ?? 0;
  if (bytes.length < length + bodyBytes) bytes = Buffer.allocUnsafe(2 * (length + bodyBytes));
  bytes.write(text, 'latin1');
  part?.copy(bytes, length);
  const { responseLimits, isHead } = user;
  const headEnd = parseResponseHead(bytes, 0, length, responseLimits, isHead, head);
  if (headEnd !== length)
    return badResponseDetail(Math.min(headEnd, -1), bytes, 0, responseLimits.headBytesMax);
  answer.buffer = bytes;
  answer.bodyBegin = length;
  answer.bodyEnd = length + bodyBytes;
  answer.isLast = isLast;
  if (isLast && head.body === Body.untilClose) giveLength(head, bodyBytes);
  return '';
}

/** A body that is here as a whole needs no chunks in HTTP/1. */
function giveLength(head: ResponseHead, length: number): void {
  head.framingLine = `content-length: ${length}\r\n`;
  head.body = length > 0 ? Body.length : Body.none;
  head.contentLength = length;
}

/** The part lies where the next head will. */
export function isInAnswer({ buffer }: Buffer): boolean {
  return buffer === bytes.buffer;
}

// The head sent to the client: the server's head with ranges cut out and our lines added, as one latin1 string.

import { latin1 } from '../base/latin1.ts';
import { forOneClient } from '../http1/caching.ts';
import { RESPONSE_CUT } from '../http1/hop-by-hop.ts';
import { Field, type ResponseHead } from '../http1/message.ts';

/** How the body goes to the client when its framing has to change on the way. */
export const Reframe = { none: 0, toChunked: 1, toClose: 2, toStream: 3 } as const;
export type Reframe = (typeof Reframe)[keyof typeof Reframe];

/** Where the body begins in the buffer. */
export function headEnd(head: ResponseHead): number {
  return head.fieldsEnd + 2;
}

/**
 * The head and what rides along of the body: `bodyEnd` is the end of the body bytes to append, the head's own end when
 * there are none. `setCookie`: value of our one Set-Cookie line, '' for none. `connection`: value of the Connection
 * line, '' for none. `hsts`: Strict-Transport-Security, instead of the server's; null: as the server has it.
 */
export function responseLines(
  buffer: Buffer,
  head: ResponseHead,
  reframe: Reframe,
  setCookie: string,
  connection: string,
  bodyEnd: number = headEnd(head),
  hsts: string | null = null,
): string {
  const { lines } = head;
  const isUnframed = reframe === Reframe.toClose || reframe === Reframe.toStream;
  const isUsual = head.isVersion11 && head.reasonEnd > head.reasonBegin;
  let text = isUsual ? '' : `HTTP/1.1 ${head.status} ${latin1(buffer, head.reasonBegin, head.reasonEnd)}\r\n`;
  let copiedTo = isUsual ? head.lineBegin : head.fieldsBegin;
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index] as number;
    const isCut =
      RESPONSE_CUT[field] === 1 ||
      (hsts !== null && field === Field.strictTransport) ||
      (isUnframed &&
        (field === Field.transferEncoding || (reframe === Reframe.toClose && field === Field.trailer)));
    if (!isCut) continue;
    const lineBegin = lines.lineBegin[index] as number;
    if (lineBegin > copiedTo) text += latin1(buffer, copiedTo, lineBegin);
    copiedTo = lines.lineEnd[index] as number;
  }
  const framingLine = reframe === Reframe.none ? head.framingLine : '';
  const hasOwnLines = setCookie !== '' || connection !== '' || hsts !== null;
  if (hasOwnLines || reframe === Reframe.toChunked || framingLine !== '') {
    if (head.fieldsEnd > copiedTo) text += latin1(buffer, copiedTo, head.fieldsEnd);
    copiedTo = head.fieldsEnd;
    if (setCookie !== '') text = `${withoutSharing(text)}set-cookie: ${setCookie}\r\n`;
    text += framingLine;
    if (reframe === Reframe.toChunked) text += 'transfer-encoding: chunked\r\n';
    if (connection !== '') text += `connection: ${connection}\r\n`;
    if (hsts !== null) text += `strict-transport-security: ${hsts}\r\n`;
  }
  // The empty line and the body follow in the received bytes just as they have to be sent.
  return text + latin1(buffer, copiedTo, bodyEnd);
}

/** The head of a 101 that agrees to the upgrade that was asked for. */
export function tunnelLines(buffer: Buffer, head: ResponseHead, setCookie: string): string {
  const { lines } = head;
  const index = lines.indexOf(Field.upgrade);
  const protocol = latin1(buffer, lines.valueBegin[index] as number, lines.valueEnd[index] as number);
  return responseLines(buffer, head, Reframe.none, setCookie, `upgrade\r\nupgrade: ${protocol}`);
}

/** Our cookie is one client's: a shared cache that kept it would give one home to everybody. */
function withoutSharing(head: string): string {
  const firstEnd = head.indexOf('\r\n') + 2;
  const lines = head
    .slice(firstEnd, -2)
    .split('\r\n')
    .map(
      (line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim(), line] as const,
    );
  const text = forOneClient(firstEnd === head.length ? [] : lines)
    .map((line) => `${line[2] ?? `${line[0]}: ${line[1]}`}\r\n`)
    .join('');
  return head.slice(0, firstEnd) + text;
}

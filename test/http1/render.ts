// Renders whole parse results as text a person can read; goldens and fuzz compare these.

import { type ChunkedLimits, ChunkedScanner } from '../../src/http1/chunked.ts';
import { CookieRange, findCookie, parseSetCookie, SetCookie } from '../../src/http1/cookies.ts';
import { isCutFromRequest, isCutFromResponse } from '../../src/http1/hop-by-hop.ts';
import {
  Body,
  Field,
  type FieldLines,
  type HeadLimits,
  INCOMPLETE,
  NOT_WATCHED,
  Refusal,
  RequestHead,
  ResponseHead,
} from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { parseResponseHead } from '../../src/http1/response.ts';

export const LIMITS: HeadLimits = { headBytesMax: 32768, headerCountMax: 100, watched: [] };

/** Visible form: \r \n \t \0 \\ and \xNN, everything else as it is. */
export function escapeBytes(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[^ -[\]-~]/g, (char) => {
    const known = { '\r': '\\r', '\n': '\\n', '\t': '\\t', '\0': '\\0', '\\': '\\\\' }[char];
    return known ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** Inverse of escapeBytes; real line breaks in the text are ignored. */
export function unescapeBytes(text: string): Buffer {
  const plain = text.replace(/\n/g, '').replace(/\\(x[0-9a-f]{2}|.)/g, (_, code: string) => {
    if (code.startsWith('x')) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    const known = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' }[code];
    if (known === undefined) throw new Error(`unknown escape \\${code}`);
    return known;
  });
  return Buffer.from(plain, 'latin1');
}

export function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(table).find((key) => table[key] === value) ?? `unknown ${value}`;
}

function quoted(bytes: Buffer, begin: number, end: number): string {
  return `"${escapeBytes(bytes.subarray(begin, end))}"`;
}

function renderLines(bytes: Buffer, lines: FieldLines, isCut: (field: number) => boolean): string[] {
  const rendered: string[] = [];
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index]!;
    const line = quoted(bytes, lines.lineBegin[index]!, lines.lineEnd[index]!);
    const value = quoted(bytes, lines.valueBegin[index]!, lines.valueEnd[index]!);
    const watched = lines.watchedIndex[index] === NOT_WATCHED ? '' : ` watched[${lines.watchedIndex[index]}]`;
    rendered.push(
      `line ${nameOf(Field, field)}${watched} ${line} value ${value}${isCut(field) ? ' cut' : ''}`,
    );
  }
  return rendered;
}

function renderVerdict(result: number, begin: number, end: number): string {
  if (result === INCOMPLETE) return 'incomplete';
  if (result < 0) return `refused ${nameOf(Refusal, result)}`;
  return `accepted ${result - begin} bytes, ${end - result} left`;
}

function renderBody(body: number, contentLength: number): string {
  return `body ${nameOf(Body, body)}${body === Body.length ? ` ${contentLength}` : ''}`;
}

/** What has to be written again when the head is passed on. */
function renderAnew(head: RequestHead | ResponseHead): string[] {
  const line =
    head.framingLine === '' ? [] : [`written anew "${escapeBytes(Buffer.from(head.framingLine))}"`];
  return head.isVersion11 || head.versionMinor === 0 ? line : ['first line written anew', ...line];
}

export function renderRequest(bytes: Buffer, begin: number, end: number, limits: HeadLimits): string {
  const head = new RequestHead();
  const result = parseRequestHead(bytes, begin, end, limits, head);
  const verdict = renderVerdict(result, begin, end);
  if (result <= 0) return verdict;
  const host =
    head.hostBegin === head.hostEnd ? 'no host' : `host ${quoted(bytes, head.hostBegin, head.hostEnd)}`;
  return [
    verdict,
    `${head.method} path ${quoted(bytes, head.pathBegin, head.pathEnd)} ${host} HTTP/1.${head.versionMinor}${head.isAbsoluteForm ? ' absolute-form' : ''}${head.isIdempotent ? ' idempotent' : ''}`,
    `${renderBody(head.body, head.contentLength)}, connection ${head.keepAlive ? 'kept' : 'closed'}`,
    ...renderAnew(head),
    ...(head.expectsContinue ? ['expects 100-continue'] : []),
    ...(head.upgradeEnd > 0 ? [`upgrade ${quoted(bytes, head.upgradeBegin, head.upgradeEnd)}`] : []),
    ...renderLines(bytes, head.lines, isCutFromRequest),
  ].join('\n');
}

export function renderResponse(
  bytes: Buffer,
  begin: number,
  end: number,
  limits: HeadLimits,
  requestWasHead: boolean,
): string {
  const head = new ResponseHead();
  const result = parseResponseHead(bytes, begin, end, limits, requestWasHead, head);
  const verdict = renderVerdict(result, begin, end);
  if (result <= 0) return verdict;
  return [
    verdict,
    `status ${head.status} reason ${quoted(bytes, head.reasonBegin, head.reasonEnd)} HTTP/1.${head.versionMinor}`,
    `${renderBody(head.body, head.contentLength)}, connection ${head.keepAlive ? 'kept' : 'closed'}${head.keepAliveHintMs > 0 ? ` for ${head.keepAliveHintMs} ms` : ''}${head.isUpgrade ? ', upgraded' : ''}`,
    ...renderAnew(head),
    ...renderLines(bytes, head.lines, isCutFromResponse),
  ].join('\n');
}

/** Feeds the pieces one after the other to a scanner. */
export function renderChunked(pieces: readonly Buffer[], limits?: ChunkedLimits): string {
  const scanner = new ChunkedScanner();
  scanner.reset(limits);
  const data: Buffer[] = [];
  scanner.sink = { onChunkData: (buffer, begin, end) => data.push(Buffer.from(buffer.subarray(begin, end))) };
  let consumed = 0;
  let total = 0;
  for (const piece of pieces) {
    total += piece.length;
    if (!scanner.done && scanner.refusal === 0) consumed += scanner.scan(piece, 0, piece.length);
  }
  const all = Buffer.concat(data);
  let verdict = 'incomplete';
  if (scanner.refusal !== 0) verdict = `refused ${nameOf(Refusal, scanner.refusal)} at byte ${consumed}`;
  else if (scanner.done) verdict = `done ${consumed} bytes, ${total - consumed} left`;
  if (all.length !== scanner.dataBytes) verdict += ' AND COUNTED WRONG';
  return `${verdict}\ndata ${quoted(all, 0, all.length)}`;
}

export function renderCookie(bytes: Buffer, begin: number, end: number, name: string): string {
  const range = new CookieRange();
  const count = findCookie(bytes, begin, end, Buffer.from(name), range);
  return count === 0 ? 'absent' : `found ${count} value ${quoted(bytes, range.valueBegin, range.valueEnd)}`;
}

export function renderSetCookie(bytes: Buffer, begin: number, end: number, nowMs: number): string {
  const out = new SetCookie();
  if (!parseSetCookie(bytes, begin, end, nowMs, out)) return 'ignored';
  const name = quoted(bytes, out.nameBegin, out.nameEnd);
  const value = quoted(bytes, out.valueBegin, out.valueEnd);
  return `${out.isDeletion ? 'deletes' : 'sets'} ${name} value ${value}`;
}

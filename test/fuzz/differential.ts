// What the differential fuzzes of requests and responses have in common: mutated goldens, a socket without a network,
// batches read by Node and compared, and the report.

import fs from 'node:fs';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { ChunkedScanner } from '../../src/http1/chunked.ts';
import { Field, type RequestHead } from '../../src/http1/message.ts';
import { unescapeBytes } from '../http1/render.ts';

const BATCH = 250;
const FAILURES_MAX = 20;

export interface Report {
  inputs: number;
  bothAccept: number;
  bothRefuse: number;
  /** Holdfast is the stricter one. */
  onlyNodeAccepts: number;
  excused: number;
  failures: string[];
}

/** How one kind of message is read by Node, and compared with what Holdfast makes of it. */
export interface Differential<Reading> {
  readonly read: (inputs: readonly Buffer[]) => Promise<readonly Reading[]>;
  /** Counts the input in one of the report's fields, or adds a failure. */
  readonly compare: (bytes: Buffer, theirs: Reading, report: Report) => void;
}

/** Runs that many mutated inputs from that seed; stops early after twenty failures. */
export async function runMutated<Reading>(
  seed: number,
  inputs: number,
  seeds: readonly Buffer[],
  { read, compare }: Differential<Reading>,
): Promise<Report> {
  const random = randomOf(seed);
  const report: Report = {
    inputs: 0,
    bothAccept: 0,
    bothRefuse: 0,
    onlyNodeAccepts: 0,
    excused: 0,
    failures: [],
  };
  while (report.inputs < inputs && report.failures.length < FAILURES_MAX) {
    const length = Math.min(BATCH, inputs - report.inputs);
    const batch = Array.from({ length }, () => mutate(seeds, random));
    const theirs = await read(batch);
    for (const [index, bytes] of batch.entries()) {
      report.inputs += 1;
      compare(bytes, theirs[index]!, report);
    }
  }
  return report;
}

/** Every golden of that kind, and every chunked golden as the body behind `chunkedHead`. */
export function goldens(kind: 'request' | 'response', chunkedHead: string): Buffer[] {
  const folder = path.join(import.meta.dirname, '../http1/goldens');
  return fs.readdirSync(folder).flatMap((file) => {
    const text = fs.readFileSync(path.join(folder, file), 'utf8');
    const blocks = [...text.matchAll(/```(request|response|chunked).*\n((?:(?!```).*\n)*)```/g)];
    return blocks
      .filter(([, found]) => found === kind || found === 'chunked')
      .map(([, found, input]) => {
        const bytes = unescapeBytes(input!);
        return found === kind ? bytes : Buffer.concat([Buffer.from(chunkedHead), bytes]);
      });
  });
}

/** White space before or behind a ";" or "=" in the first line of a chunk. */
export const LOOSE_CHUNK = /(?:^|\n)[0-9a-f]+(?:[ \t]+;|[^\r\n]*?(?:;[ \t]|[ \t][;=]|=[ \t]))/i;

/** A chunked body as Holdfast reads it. */
export function readChunked(
  bytes: Buffer,
  begin: number,
): { readonly body: string; readonly isComplete: boolean; readonly end: number } {
  let body = '';
  const scanner = new ChunkedScanner();
  scanner.sink = {
    onChunkData: (buffer, from, to) => {
      body += buffer.toString('latin1', from, to);
    },
  };
  const end = scanner.scan(bytes, begin, bytes.length);
  return { body, isComplete: scanner.done, end };
}

/** The first line as it is passed on: in the version we speak. */
export function firstLineAnew(line: string): string {
  return line.replace(/^HTTP\/1\.[2-9]| HTTP\/1\.[2-9](?=\r\n$)/, (version) => `${version.slice(0, -1)}1`);
}

/** The header section as it is passed on: framing lines that were dropped are not there, ours is. */
export function fieldsAnew(
  bytes: Buffer,
  head: Pick<RequestHead, 'fieldsBegin' | 'fieldsEnd' | 'framingLine' | 'lines'>,
): string {
  const { lines } = head;
  let text = '';
  let position = head.fieldsBegin;
  for (let index = 0; index < lines.count; index += 1) {
    const [begin, end] = [lines.lineBegin[index]!, lines.lineEnd[index]!];
    const line = bytes.toString('latin1', begin, end);
    if (lines.field[index] !== Field.dropped || !/^(content-length|transfer-encoding):/i.test(line)) continue;
    text += `${bytes.toString('latin1', position, begin)}${head.framingLine}`;
    position = end;
  }
  return `${text}${bytes.toString('latin1', position, head.fieldsEnd)}`;
}

/** Names and values in the order of the bytes, as Node's rawHeaders. */
export function headerPairs(fields: string): string[] {
  return fields
    .split('\r\n')
    .slice(0, -1)
    .flatMap((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
    });
}

/** A connection without a network: what is pushed is what the peer sent, what is written is dropped. */
export class MemorySocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

/** mulberry32: the same inputs for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PIECES: readonly Buffer[] = [
  ...[
    '\\r',
    '\\n',
    '\\r\\n',
    '\\r\\n\\r\\n',
    '\\n\\n',
    ' ',
    '\\t',
    ':',
    ',',
    ';',
    '\\0',
    '\\x0b',
    '\\x7f',
    '\\x80',
    '"',
    '\\\\',
  ],
  ...[
    '0',
    '5',
    'a',
    '+',
    '-',
    '_',
    '=',
    '/',
    '*',
    '#',
    '?',
    '@',
    '%',
    '[',
    ']',
    '{',
    '(',
    '0x',
    '\\xff',
    '\\xa0',
  ],
  ...[
    'Content-Length: 5\\r\\n',
    'Content-Length: 0\\r\\n',
    'Content-Length: 5, 5\\r\\n',
    'Content-Length : 5\\r\\n',
    'Content-Length:\\t5\\t\\r\\n',
    'Transfer-Encoding:\\tchunked \\t\\r\\n',
    '5 ; a\\t= b\\r\\nhello\\r\\n',
    'HTTP/1.2',
  ],
  ...[
    'Transfer-Encoding: chunked\\r\\n',
    'Transfer-Encoding: gzip, chunked\\r\\n',
    'transfer-encoding:chunked\\r\\n',
  ],
  ...[
    'Transfer-Encoding: identity\\r\\n',
    'Transfer-Encoding:\\r\\n chunked\\r\\n',
    'Host: b\\r\\n',
    'Host: a:80\\r\\n',
  ],
  ...[
    'Connection: close\\r\\n',
    'Connection: keep-alive\\r\\n',
    'Connection: X-A, upgrade\\r\\n',
    'X-A: 1\\r\\n',
  ],
  ...[
    'Upgrade: websocket\\r\\n',
    'Expect: 100-continue\\r\\n',
    'X-B:\\r\\n',
    ' folded\\r\\n',
    'HTTP/1.0',
    'HTTP/1.1',
  ],
  ...[
    '0\\r\\n\\r\\n',
    '5\\r\\nhello\\r\\n',
    '5;a=b\\r\\nhello\\r\\n',
    'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n',
    'http://b.example/',
  ],
].map(unescapeBytes);

/** One of the corpus with up to four wounds. */
export function mutate(seeds: readonly Buffer[], random: () => number): Buffer {
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  let bytes = pick(seeds);
  for (let left = below(5); left > 0; left -= 1) {
    const at = below(bytes.length + 1);
    const to = Math.min(bytes.length, at + below(random() < 0.5 ? 3 : 30));
    const [before, middle, after] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)];
    const other = pick(seeds);
    const lineBegin = bytes.lastIndexOf(10, at) + 1;
    const makers: readonly (() => Buffer[])[] = [
      () => [before, pick(PIECES), bytes.subarray(at)],
      () => [bytes.subarray(0, lineBegin), pick(PIECES), bytes.subarray(lineBegin)],
      () => [before, Buffer.from([below(256)]), after],
      () => [before, after],
      () => [before, middle, middle, after],
      () => [before, other.subarray(below(other.length))],
      () => [before, Buffer.from(middle.toString('latin1').toUpperCase(), 'latin1'), after],
    ];
    bytes = Buffer.concat(pick(makers)());
  }
  return bytes;
}

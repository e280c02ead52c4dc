// Differential fuzz of the request codec against Node's own HTTP parser: mutated requests go through both.
// Holdfast may refuse more than Node; it must never accept what Node refuses (but for `EXCUSES`), and where both
// accept, method, target, version, header pairs, body and the beginning of the next message must be the same.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { ChunkedScanner } from '../../src/http1/chunked.ts';
import { Body, INCOMPLETE, RequestHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { escapeBytes, LIMITS, unescapeBytes } from '../http1/render.ts';

export interface Message {
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly headers: readonly string[];
  body: string;
  isComplete: boolean;
}

/** Cases in which Node refuses a message that Holdfast accepts, each with its reason. */
export const EXCUSES: readonly {
  readonly reason: string;
  readonly applies: (message: Message) => boolean;
}[] = [
  {
    reason: 'Node knows a fixed list of methods; any token is a method, and the server behind decides',
    applies: (message) => !http.METHODS.includes(message.method),
  },
];

export interface Report {
  inputs: number;
  bothAccept: number;
  bothRefuse: number;
  /** Holdfast is the stricter one. */
  onlyNodeAccepts: number;
  excused: number;
  failures: string[];
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

/** Every request golden, and every chunked golden as the body of a request; accepted ones four times. */
export function corpus(): Buffer[] {
  const folder = path.join(import.meta.dirname, '../http1/goldens');
  const chunkedHead = 'POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  const seeds = fs.readdirSync(folder).flatMap((file) => {
    const text = fs.readFileSync(path.join(folder, file), 'utf8');
    return [...text.matchAll(/```(request|chunked).*\n((?:(?!```).*\n)*)```/g)].map(([, kind, input]) => {
      const bytes = unescapeBytes(input!);
      return kind === 'request' ? bytes : Buffer.concat([Buffer.from(chunkedHead), bytes]);
    });
  });
  const accepted = seeds.filter((bytes) => readByHoldfast(bytes)[0]?.isComplete);
  return [...seeds, ...accepted, ...accepted, ...accepted];
}

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

/**
 * Messages that Holdfast sees in these bytes, up to the first refusal, incomplete one or close. An upgrade request
 * ends them too: Node takes what follows for the other protocol, the proxy waits for the server's answer.
 */
export function readByHoldfast(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  const head = new RequestHead();
  let position = 0;
  while (position < bytes.length) {
    const headEnd = parseRequestHead(bytes, position, bytes.length, LIMITS, head);
    if (headEnd <= INCOMPLETE) break;
    const message: Message = {
      method: head.method,
      url: bytes.toString('latin1', head.targetBegin, head.targetEnd),
      version: `1.${head.versionMinor}`,
      headers: headerPairs(bytes, head),
      body: '',
      isComplete: true,
    };
    messages.push(message);
    position = readBody(bytes, headEnd, head, message);
    if (!message.isComplete || !head.keepAlive || head.upgradeEnd > 0) break;
  }
  return messages;
}

function readBody(bytes: Buffer, begin: number, head: RequestHead, message: Message): number {
  if (head.body === Body.none) return begin;
  if (head.body === Body.length) {
    const end = Math.min(bytes.length, begin + head.contentLength);
    message.body = bytes.toString('latin1', begin, end);
    message.isComplete = end - begin === head.contentLength;
    return end;
  }
  const scanner = new ChunkedScanner();
  scanner.sink = {
    onChunkData: (buffer, from, to) => {
      message.body += buffer.toString('latin1', from, to);
    },
  };
  const end = scanner.scan(bytes, begin, bytes.length);
  message.isComplete = scanner.done;
  return end;
}

/** Names and values in the order of the bytes, as Node's rawHeaders. */
export function headerPairs(
  bytes: Buffer,
  head: { readonly fieldsBegin: number; readonly fieldsEnd: number },
): string[] {
  const text = bytes.toString('latin1', head.fieldsBegin, head.fieldsEnd);
  return text
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

/** Node's parser behind an http.Server that is fed from memory. */
export class NodeReader {
  readonly #server = http.createServer({
    insecureHTTPParser: false,
    maxHeaderSize: LIMITS.headBytesMax,
    requestTimeout: 0,
    headersTimeout: 0,
    keepAliveTimeout: 0,
    connectionsCheckingInterval: 2 ** 30,
  });
  readonly #messages = new WeakMap<object, Message[]>();

  constructor() {
    const onRequest = (request: http.IncomingMessage): void => {
      const message: Message = {
        method: request.method ?? '',
        url: request.url ?? '',
        version: request.httpVersion,
        headers: request.rawHeaders,
        body: '',
        isComplete: false,
      };
      this.#messages.get(request.socket)?.push(message);
      request.on('error', () => {});
      request.on('data', (data: Buffer) => {
        message.body += data.toString('latin1');
      });
      request.on('end', () => {
        message.isComplete = request.complete;
      });
    };
    this.#server.on('request', onRequest);
    this.#server.on('checkContinue', onRequest);
    this.#server.on('checkExpectation', onRequest);
    this.#server.on('clientError', () => {});
  }

  /** Messages that Node sees in each of these inputs. */
  async read(inputs: readonly Buffer[]): Promise<Message[][]> {
    const sockets = inputs.map((bytes) => {
      const socket = new MemorySocket();
      socket.on('error', () => {});
      this.#messages.set(socket, []);
      this.#server.emit('connection', socket);
      socket.push(bytes);
      return socket;
    });
    for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const results = sockets.map((socket) => this.#messages.get(socket) ?? []);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    return results;
  }
}

function compare(bytes: Buffer, ours: readonly Message[], theirs: readonly Message[], report: Report): void {
  report.inputs += 1;
  for (const [index, message] of ours.entries()) {
    const other = theirs[index];
    const isRefused = other === undefined || (message.isComplete && !other.isComplete);
    if (isRefused && EXCUSES.some(({ applies }) => applies(message))) {
      report.excused += 1;
      return;
    }
    const mine = JSON.stringify(message.isComplete ? message : { ...message, body: '', isComplete: false });
    const same =
      other && JSON.stringify(message.isComplete ? other : { ...other, body: '', isComplete: false });
    if (isRefused || mine !== same) {
      report.failures.push(`${escapeBytes(bytes)}\n  holdfast ${mine}\n  node     ${same ?? 'refuses'}`);
      return;
    }
  }
  if (ours.length > 0) report.bothAccept += 1;
  else if (theirs.length > 0) report.onlyNodeAccepts += 1;
  else report.bothRefuse += 1;
}

/** Runs that many mutated inputs from that seed; stops early after twenty failures. */
export async function runDifferential(seed: number, inputs: number): Promise<Report> {
  const random = randomOf(seed);
  const seeds = corpus();
  const reader = new NodeReader();
  const report: Report = {
    inputs: 0,
    bothAccept: 0,
    bothRefuse: 0,
    onlyNodeAccepts: 0,
    excused: 0,
    failures: [],
  };
  while (report.inputs < inputs && report.failures.length < 20) {
    const batch = Array.from({ length: Math.min(250, inputs - report.inputs) }, () => mutate(seeds, random));
    const theirs = await reader.read(batch);
    for (const [index, bytes] of batch.entries())
      compare(bytes, readByHoldfast(bytes), theirs[index]!, report);
  }
  return report;
}

// Differential fuzz of the request codec against Node's own HTTP parser: mutated requests go through both.
// Holdfast may refuse more than Node; it must never accept what Node refuses (but for `EXCUSES`), and where both
// accept, method, target, version, header pairs, body and the beginning of the next message must be the same.
// Node reads what Holdfast would pass on: the first line and a framing field may have been written again.

import http from 'node:http';
import { Body, INCOMPLETE, RequestHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { escapeBytes, LIMITS } from '../http1/render.ts';
import {
  fieldsAnew,
  firstLineAnew,
  goldens,
  headerPairs,
  LOOSE_CHUNK,
  MemorySocket,
  type Report,
  readChunked,
  runMutated,
} from './differential.ts';

export interface Message {
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly headers: readonly string[];
  body: string;
  isComplete: boolean;
}

/** Messages with bad white space in a chunk extension. */
const looseChunks = new WeakSet<Message>();

/** Cases in which Node refuses a message that Holdfast accepts, each with its reason. */
export const EXCUSES: readonly {
  readonly reason: string;
  readonly applies: (message: Message) => boolean;
}[] = [
  {
    reason: 'Node knows a fixed list of methods; any token is a method, and the server behind decides',
    applies: (message) => !http.METHODS.includes(message.method),
  },
  {
    reason: 'Node refuses white space in chunk extensions, which recipients must read over',
    applies: (message) => looseChunks.has(message),
  },
];

/** Every request golden, and every chunked golden as the body of a request; accepted ones four times. */
export function corpus(): Buffer[] {
  const seeds = goldens('request', 'POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  const accepted = seeds.filter((bytes) => readByHoldfast(bytes).messages[0]?.isComplete);
  return [...seeds, ...accepted, ...accepted, ...accepted];
}

/**
 * Messages that Holdfast sees in these bytes, up to the first refusal, incomplete one or close. An upgrade request
 * ends them too: Node takes what follows for the other protocol, the proxy waits for the server's answer.
 */
export function readByHoldfast(bytes: Buffer): { messages: Message[]; passedOn: Buffer } {
  const messages: Message[] = [];
  let passedOn = '';
  const head = new RequestHead();
  let position = 0;
  while (position < bytes.length) {
    const headEnd = parseRequestHead(bytes, position, bytes.length, LIMITS, head);
    if (headEnd <= INCOMPLETE) break;
    const fields = fieldsAnew(bytes, head);
    const message: Message = {
      method: head.method,
      url: bytes.toString('latin1', head.targetBegin, head.targetEnd),
      version: `1.${head.versionMinor}`,
      headers: headerPairs(fields),
      body: '',
      isComplete: true,
    };
    messages.push(message);
    passedOn += `${firstLineAnew(bytes.toString('latin1', position, head.fieldsBegin))}${fields}\r\n`;
    position = readBody(bytes, headEnd, head, message);
    passedOn += bytes.toString('latin1', headEnd, position);
    if (!message.isComplete || !head.keepAlive || head.upgradeEnd > 0) break;
  }
  passedOn += bytes.toString('latin1', position);
  return { messages, passedOn: Buffer.from(passedOn, 'latin1') };
}

function readBody(bytes: Buffer, begin: number, head: RequestHead, message: Message): number {
  if (head.body === Body.none) return begin;
  if (head.body === Body.length) {
    const end = Math.min(bytes.length, begin + head.contentLength);
    message.body = bytes.toString('latin1', begin, end);
    message.isComplete = end - begin === head.contentLength;
    return end;
  }
  const chunked = readChunked(bytes, begin);
  message.body = chunked.body;
  message.isComplete = chunked.isComplete;
  if (LOOSE_CHUNK.test(bytes.toString('latin1', begin, chunked.end))) looseChunks.add(message);
  return chunked.end;
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
export function runDifferential(seed: number, inputs: number): Promise<Report> {
  const reader = new NodeReader();
  return runMutated(seed, inputs, corpus(), {
    read: (batch) => reader.read(batch.map((bytes) => readByHoldfast(bytes).passedOn)),
    compare: (bytes, theirs, report) => compare(bytes, readByHoldfast(bytes).messages, theirs, report),
  });
}

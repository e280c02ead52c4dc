// Differential fuzz of the response codec against Node's HTTP client: whatever Holdfast reads to its end, Node must
// read to its end as well, with the same status, reason, header pairs and body.

import http from 'node:http';
import { Body, ResponseHead } from '../../src/http1/message.ts';
import { parseResponseHead } from '../../src/http1/response.ts';
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

interface Response {
  status: number;
  reason: string;
  headers: readonly string[];
  body: string;
}

interface Read {
  /** The final response, read to its end; null when refused, unfinished, or only interim. */
  readonly response: Response | null;
  /** What a client would get of these bytes, as far as they could be read. */
  readonly passedOn: Buffer;
  readonly hasLooseChunk: boolean;
}

function readByHoldfast(bytes: Buffer): Read {
  const head = new ResponseHead();
  let position = 0;
  let heads = '';
  do {
    const headEnd = parseResponseHead(bytes, position, bytes.length, LIMITS, false, head);
    if (headEnd <= 0 || head.status === 101) return { response: null, passedOn: bytes, hasLooseChunk: false };
    const firstLine = firstLineAnew(bytes.toString('latin1', position, head.fieldsBegin));
    heads += `${firstLine}${fieldsAnew(bytes, head)}\r\n`;
    position = headEnd;
  } while (head.status < 200);
  const response: Response = {
    status: head.status,
    reason: bytes.toString('latin1', head.reasonBegin, head.reasonEnd),
    headers: headerPairs(fieldsAnew(bytes, head)),
    body: '',
  };
  const rest = head.body === Body.none && !head.keepAlive ? '' : bytes.toString('latin1', position);
  const passedOn = Buffer.from(`${heads}${rest}`, 'latin1');
  if (head.body === Body.none) return { response, passedOn, hasLooseChunk: false };
  if (head.body === Body.chunked) {
    const { body, isComplete, end } = readChunked(bytes, position);
    response.body = body;
    const hasLooseChunk = LOOSE_CHUNK.test(bytes.toString('latin1', position, end));
    return { response: isComplete ? response : null, passedOn, hasLooseChunk };
  }
  const end = head.body === Body.length ? position + head.contentLength : bytes.length;
  response.body = bytes.toString('latin1', position, end);
  return { response: end <= bytes.length ? response : null, passedOn, hasLooseChunk: false };
}

/** What Node's client makes of each input when the server closes behind it. */
async function readByNode(inputs: readonly Buffer[]): Promise<(Response | null)[]> {
  const results: (Response | null)[] = inputs.map(() => null);
  const sockets = inputs.map((bytes, index) => {
    const socket = new MemorySocket();
    socket.on('error', () => {});
    const request = http.request({ createConnection: () => socket, maxHeaderSize: LIMITS.headBytesMax });
    request.on('error', () => {});
    request.on('response', (message) => {
      const response: Response = {
        status: message.statusCode ?? 0,
        reason: message.statusMessage ?? '',
        headers: message.rawHeaders,
        body: '',
      };
      message.on('error', () => {});
      message.on('data', (data: Buffer) => {
        response.body += data.toString('latin1');
      });
      message.on('end', () => {
        if (message.complete) results[index] = response;
      });
    });
    request.end();
    setImmediate(() => {
      socket.push(bytes);
      socket.push(null);
    });
    return socket;
  });
  for (let turn = 0; turn < 6; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  return results;
}

function compare(bytes: Buffer, other: Response | null, report: Report): void {
  const { response: ours, hasLooseChunk } = readByHoldfast(bytes);
  if (ours === null && other === null) report.bothRefuse += 1;
  else if (ours === null) report.onlyNodeAccepts += 1;
  else if (JSON.stringify(ours) === JSON.stringify(other)) report.bothAccept += 1;
  else if (hasLooseChunk && other === null) report.excused += 1;
  else {
    const both = `  holdfast ${JSON.stringify(ours)}\n  node     ${JSON.stringify(other)}`;
    report.failures.push(`${escapeBytes(bytes)}\n${both}`);
  }
}

/** Runs that many mutated responses from that seed; stops early after twenty failures. */
export function runResponseDifferential(seed: number, inputs: number): Promise<Report> {
  const all = goldens('response', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  const accepted = all.filter((bytes) => readByHoldfast(bytes).response !== null);
  return runMutated(seed, inputs, [...all, ...accepted, ...accepted], {
    read: (batch) => readByNode(batch.map((bytes) => readByHoldfast(bytes).passedOn)),
    compare,
  });
}

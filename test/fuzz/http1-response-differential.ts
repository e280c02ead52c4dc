// Differential fuzz of the response codec against Node's HTTP client: whatever Holdfast reads to its end, Node must
// read to its end as well, with the same status, reason, header pairs and body.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { ChunkedScanner } from '../../src/http1/chunked.ts';
import { Body, ResponseHead } from '../../src/http1/message.ts';
import { parseResponseHead } from '../../src/http1/response.ts';
import { escapeBytes, LIMITS, unescapeBytes } from '../http1/render.ts';
import { headerPairs, MemorySocket, mutate, type Report, randomOf } from './http1-differential.ts';

interface Response {
  status: number;
  reason: string;
  headers: readonly string[];
  body: string;
}

/** Every response golden, and every chunked golden as the body of a response. */
function corpus(): Buffer[] {
  const folder = path.join(import.meta.dirname, '../http1/goldens');
  const chunkedHead = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  return fs.readdirSync(folder).flatMap((file) => {
    const text = fs.readFileSync(path.join(folder, file), 'utf8');
    return [...text.matchAll(/```(response|chunked).*\n((?:(?!```).*\n)*)```/g)].map(([, kind, input]) => {
      const bytes = unescapeBytes(input!);
      return kind === 'response' ? bytes : Buffer.concat([chunkedHead, bytes]);
    });
  });
}

/** The final response in these bytes, read to its end; null when refused, unfinished, or only interim. */
function readByHoldfast(bytes: Buffer): Response | null {
  const head = new ResponseHead();
  let position = 0;
  do {
    const headEnd = parseResponseHead(bytes, position, bytes.length, LIMITS, false, head);
    if (headEnd <= 0 || head.status === 101) return null;
    position = headEnd;
  } while (head.status < 200);
  const response: Response = {
    status: head.status,
    reason: bytes.toString('latin1', head.reasonBegin, head.reasonEnd),
    headers: headerPairs(bytes, head),
    body: '',
  };
  if (head.body === Body.none) return response;
  if (head.body === Body.chunked) {
    const scanner = new ChunkedScanner();
    scanner.sink = {
      onChunkData: (buffer, begin, end) => {
        response.body += buffer.toString('latin1', begin, end);
      },
    };
    scanner.scan(bytes, position, bytes.length);
    return scanner.done ? response : null;
  }
  const end = head.body === Body.length ? position + head.contentLength : bytes.length;
  response.body = bytes.toString('latin1', position, end);
  return end <= bytes.length ? response : null;
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

/** Runs that many mutated responses from that seed; stops early after twenty failures. */
export async function runResponseDifferential(seed: number, inputs: number): Promise<Report> {
  const random = randomOf(seed);
  const all = corpus();
  const accepted = all.filter((bytes) => readByHoldfast(bytes) !== null);
  const seeds = [...all, ...accepted, ...accepted];
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
    const theirs = await readByNode(batch);
    for (const [index, bytes] of batch.entries()) {
      report.inputs += 1;
      const ours = readByHoldfast(bytes);
      const other = theirs[index] ?? null;
      if (ours === null && other === null) report.bothRefuse += 1;
      else if (ours === null) report.onlyNodeAccepts += 1;
      else if (JSON.stringify(ours) === JSON.stringify(other)) report.bothAccept += 1;
      else {
        const both = `  holdfast ${JSON.stringify(ours)}\n  node     ${JSON.stringify(other)}`;
        report.failures.push(`${escapeBytes(bytes)}\n${both}`);
      }
    }
  }
  return report;
}

// A server whose every byte is told by the number in the request's path, and which checks every byte it is sent:
//
//   /POOL/FRAMING/NUMBER/LENGTH     FRAMING: length, chunked, close, empty (204), unchanged (304), found (302)

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './authority.ts';
import { whenDone } from './lifetime.ts';

/** Written at once; the parts of a body come in turns of the event loop, as from an application. */
const PART_BYTES = 16_000;

const NUMBER_STEP = 0x9e37_79b1;
/** NUMBER_STEP × this = 1, modulo 2 ** 32. */
const NUMBER_STEP_INVERSE = 0xe8b2f51;
/** As the signed number that it is: twenty times as fast. */
const BODY_STEP = 0x85eb_ca77 | 0;

/** The bytes that belong to a number: no two numbers have four in common at one place. */
export function bytesOf(number: number, length: number): Buffer {
  const words = new Int32Array(Math.ceil(length / 4));
  let word = Math.imul(number, NUMBER_STEP);
  for (let index = 0; index < words.length; index += 1) {
    words[index] = word;
    word = (word + BODY_STEP) | 0;
  }
  return Buffer.from(words.buffer, 0, length);
}

/** Whose bytes these are, when they stand at `at` of a body. */
export function ownerOf(bytes: Buffer, at: number): number {
  const from = at + ((4 - (at % 4)) % 4);
  if (from + 4 > bytes.length) return -1;
  return Math.imul(bytes.readInt32LE(from) - Math.imul(from / 4, BODY_STEP), NUMBER_STEP_INVERSE) >>> 0;
}

/** An upload carries the bytes of another number than the answer to it. */
export const uploadNumber = (number: number): number => number + 0x4000_0000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function hasRightBody(request: IncomingMessage, number: number): Promise<boolean> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const body = Buffer.concat(parts);
  return body.equals(bytesOf(uploadNumber(number), body.length)) && body.length === announced(request);
}

/** What the client says that it sends. */
function announced(request: IncomingMessage): number {
  return Number(request.headers['x-length'] ?? 0);
}

async function send(response: ServerResponse, body: Buffer): Promise<void> {
  for (let begin = 0; begin < body.length && !response.destroyed; begin += PART_BYTES) {
    const isTaken = response.write(body.subarray(begin, begin + PART_BYTES));
    await (isTaken
      ? turn()
      : new Promise((resolve) => void response.once('drain', resolve).once('close', resolve)));
  }
  response.end();
}

/** Node puts an interim response behind the final head when the answer before it is not quite over on that connection. */
async function untilFirstInLine({ socket }: IncomingMessage, response: ServerResponse): Promise<void> {
  if (response.socket !== null || socket.destroyed) return;
  await new Promise<unknown>((resolve) => {
    response.once('socket', resolve);
    // nobody tells a response that never was the first
    socket.once('close', resolve);
  });
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  await untilFirstInLine(request, response);
  if (request.headers.expect !== undefined) response.writeContinue();
  const [, , framing, number = '', length = ''] = (request.url ?? '').split('/');
  const isRight = await hasRightBody(request, Number(number)).catch(() => false);
  const body = bytesOf(Number(number), Number(length));
  response.setHeader('x-number', number);
  response.setHeader('x-upload', isRight ? 'right' : 'wrong');
  if (framing === 'empty' || framing === 'unchanged') {
    response.writeHead(framing === 'empty' ? 204 : 304).end();
    return;
  }
  if (framing === 'found') response.setHeader('location', '/').statusCode = 302;
  if (Number(number) % 5 === 0) response.writeEarlyHints({ link: `</${number}>; rel=preload` });
  if (framing === 'close') response.useChunkedEncodingByDefault = false;
  else if (framing !== 'chunked') response.setHeader('content-length', body.length);
  await send(response, body);
}

/** Resolves with its URL. `certificate`: it speaks TLS. */
export async function integrityServer(certificate: Certificate | null = null): Promise<string> {
  const options = { keepAliveTimeout: 60_000 };
  const server: Server =
    certificate === null
      ? createServer(options)
      : createSecureServer({ ...options, cert: certificate.cert, key: certificate.key });
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('error', () => undefined);
    answer(request, response).catch(() => response.destroy());
  };
  server.on('request', onRequest).on('checkContinue', onRequest);
  server.on('upgrade', (_request, socket, early) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.write(early);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    server.closeAllConnections();
    server.close();
  });
  return `${certificate === null ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

// A client that sends exactly the bytes it is given and reads whole responses, checking their framing on the way.

import { connect, type Socket } from 'node:net';
import { whenDone } from './lifetime.ts';

export interface Reply {
  readonly status: number;
  readonly startLine: string;
  /** Header lines as they came. */
  readonly lines: readonly (readonly [string, string])[];
  /** Values of a header, by its lower-case name. */
  all(name: string): string[];
  get(name: string): string | undefined;
  /** Without chunk framing, latin1. */
  readonly body: string;
  /** Trailer lines as they came. */
  readonly trailers: readonly string[];
}

export type Ending = 'open' | 'end' | 'reset';

export interface Talker {
  readonly socket: Socket;
  send(bytes: string | Buffer): void;
  /** The next response, 1xx ones included. `isHead`: it answers a HEAD. Rejects when it is truncated. */
  reply(options?: { readonly isHead?: boolean; readonly deadlineMs?: number }): Promise<Reply>;
  /** Resolves once the unread bytes contain `text`, with all of them; they stay unread. */
  until(text: string, deadlineMs?: number): Promise<string>;
  /** Resolves with how the connection ended. */
  ended(deadlineMs?: number): Promise<Ending>;
  /** Bytes received and not read yet, latin1. */
  unread(): string;
}

const DEADLINE_MS = 5000;

/** Connects. The client's own half stays open until the test closes it. */
export async function talkTo(port: number, host = '127.0.0.1'): Promise<Talker> {
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
  let unread: Buffer = Buffer.alloc(0);
  let ending: Ending = 'open';
  let wake: () => void = () => undefined;
  socket.on('data', (part: Buffer) => {
    unread = unread.length === 0 ? part : Buffer.concat([unread, part]);
    wake();
  });
  const finish = (how: Ending): void => {
    if (ending !== 'reset') ending = how;
    wake();
  };
  socket.on('end', () => finish('end'));
  socket.on('error', () => finish('reset'));
  socket.on('close', () => finish(ending === 'open' ? 'end' : ending));
  whenDone(() => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });

  /** Polls `probe` after each event; null means not yet. */
  const when = <T>(probe: () => T | null, deadlineMs: number, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        reject(
          new Error(`${why} for ${what}; unread: ${JSON.stringify(unread.toString('latin1').slice(0, 500))}`),
        );
      };
      const timer = setTimeout(() => fail(`waited ${deadlineMs} ms`), deadlineMs);
      const look = (): void => {
        try {
          const result = probe();
          if (result === null) return;
          clearTimeout(timer);
          wake = () => undefined;
          resolve(result);
        } catch (error) {
          fail(String(error));
        }
      };
      wake = look;
      look();
    });

  return {
    socket,
    send: (bytes) => void socket.write(Buffer.from(bytes as string, 'latin1')),
    unread: () => unread.toString('latin1'),
    until: (text, deadlineMs = DEADLINE_MS) =>
      when(
        () => {
          const all = unread.toString('latin1');
          if (all.includes(text)) return all;
          if (ending !== 'open') throw new Error(`the connection ended (${ending})`);
          return null;
        },
        deadlineMs,
        JSON.stringify(text),
      ),
    ended: (deadlineMs = DEADLINE_MS) =>
      when(() => (ending === 'open' ? null : ending), deadlineMs, 'the end'),
    reply: ({ isHead = false, deadlineMs = DEADLINE_MS } = {}) =>
      when(
        () => {
          const parsed = parseReply(unread.toString('latin1'), isHead, ending === 'end');
          if (parsed === null && ending !== 'open') throw new Error(`the response was truncated (${ending})`);
          if (parsed === null) return null;
          unread = unread.subarray(parsed.end);
          return parsed.reply;
        },
        deadlineMs,
        'a response',
      ),
  };
}

/** One request on a connection of its own, which is closed afterwards. */
export async function askOnce(port: number, bytes: string, isHead = false): Promise<Reply> {
  const talker = await talkTo(port);
  talker.send(bytes);
  const reply = await talker.reply({ isHead });
  talker.socket.destroy();
  return reply;
}

/** GET of a path on a connection of its own. */
export function get(port: number, path: string, lines = ''): Promise<Reply> {
  return askOnce(port, `GET ${path} HTTP/1.1\r\nHost: t\r\n${lines}\r\n`);
}

function parseReply(text: string, isHead: boolean, hasEnded: boolean): { reply: Reply; end: number } | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const [startLine = '', ...fieldLines] = text.slice(0, headEnd).split('\r\n');
  const lines = fieldLines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  const all = (name: string): string[] =>
    lines.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
  const status = Number(startLine.split(' ')[1]);
  const begin = headEnd + 4;
  const body = readBody(text, begin, status, isHead, all, hasEnded);
  if (body === null) return null;
  return { reply: { status, startLine, lines, all, get: (name) => all(name)[0], ...body }, end: body.end };
}

interface ReadBody {
  readonly body: string;
  readonly trailers: readonly string[];
  readonly end: number;
}

function readBody(
  text: string,
  begin: number,
  status: number,
  isHead: boolean,
  all: (name: string) => string[],
  hasEnded: boolean,
): ReadBody | null {
  if (isHead || status < 200 || status === 204 || status === 304)
    return { body: '', trailers: [], end: begin };
  if (all('transfer-encoding').length > 0) return readChunks(text, begin);
  const [length] = all('content-length');
  if (length === undefined) {
    return hasEnded ? { body: text.slice(begin), trailers: [], end: text.length } : null;
  }
  const end = begin + Number(length);
  return text.length >= end ? { body: text.slice(begin, end), trailers: [], end } : null;
}

function readChunks(text: string, begin: number): ReadBody | null {
  let position = begin;
  let body = '';
  for (;;) {
    const lineEnd = text.indexOf('\r\n', position);
    if (lineEnd < 0) return null;
    const line = text.slice(position, lineEnd);
    if (!/^[0-9a-f]+(;.*)?$/i.test(line)) throw new Error(`not a chunk size: ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    position = lineEnd + 2;
    if (size === 0) return readTrailers(text, position, body);
    if (text.length < position + size + 2) return null;
    body += text.slice(position, position + size);
    if (text.slice(position + size, position + size + 2) !== '\r\n')
      throw new Error('a chunk does not end with CRLF');
    position += size + 2;
  }
}

function readTrailers(text: string, begin: number, body: string): ReadBody | null {
  const trailers: string[] = [];
  let position = begin;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', position);
    if (lineEnd < 0) return null;
    if (lineEnd === position) return { body, trailers, end: lineEnd + 2 };
    trailers.push(text.slice(position, lineEnd));
    position = lineEnd + 2;
  }
}

// A raw TCP server that acts by script: the path of each request says which. It follows no rules of its own, so it can
// misbehave in every way, and it keeps what it heard.

import type { Socket } from 'node:net';
import { type Backend, tcpBackend } from './backend.ts';
import { eventually } from './eventually.ts';

/** One request as heard on one connection. */
export interface Heard {
  readonly socket: Socket;
  /** Request line and header lines, without the empty line. */
  readonly head: string;
  readonly method: string;
  readonly target: string;
  /** Everything received after the head, latin1. */
  body(): string;
  send(bytes: string | Buffer): void;
  /** The connection has ended, or our side has seen its last byte. */
  hasEnded(): boolean;
  /** Sends the last of the answer; another request may come on this connection. */
  finish(bytes: string | Buffer): void;
  /** Calls `listener` now and whenever more has come, until the answer is finished. */
  onBody(listener: () => void): void;
}

export type Script = (heard: Heard) => void;

export interface ScriptedBackend extends Backend {
  readonly heard: Heard[];
  /** Waits until a request for that target has come. */
  hears(target: string, deadlineMs?: number): Promise<Heard>;
}

/** `scripts`: by path, query not counted; '*' for the others. */
export async function scriptedBackend(
  scripts: Readonly<Record<string, Script>>,
  port = 0,
): Promise<ScriptedBackend> {
  const heard: Heard[] = [];
  const backend = await tcpBackend((socket) => converse(socket, scripts, heard), port);
  return Object.assign(backend, {
    heard,
    hears: (target: string, deadlineMs = 5000) =>
      eventually(() => heard.find((one) => one.target === target) ?? null, {
        deadlineMs,
        what: () => `a request for ${target}; heard ${heard.map((one) => one.target).join(' ')}`,
      }),
  });
}

function converse(socket: Socket, scripts: Readonly<Record<string, Script>>, heard: Heard[]): void {
  let received = '';
  let hasEnded = false;
  let current: Heard | null = null;
  let onBody: () => void = () => undefined;
  socket.on('error', () => undefined);
  socket.on('end', () => {
    hasEnded = true;
  });
  socket.on('close', () => {
    hasEnded = true;
  });
  const begin = (): void => {
    const headEnd = received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = received.slice(0, headEnd);
    received = received.slice(headEnd + 4);
    const [method = '', target = ''] = head.split(' ');
    current = {
      socket,
      head,
      method,
      target,
      body: () => received,
      send: (bytes) => void socket.write(Buffer.from(bytes as string, 'latin1')),
      hasEnded: () => hasEnded,
      finish: (bytes) => {
        current = null;
        received = '';
        onBody = () => undefined;
        socket.write(Buffer.from(bytes as string, 'latin1'));
      },
      onBody: (listener) => {
        onBody = listener;
        listener();
      },
    };
    heard.push(current);
    const path = target.split('?')[0] ?? '';
    (scripts[path] ?? scripts['*'] ?? answer('ok'))(current);
  };
  socket.on('data', (part: Buffer) => {
    received += part.toString('latin1');
    if (current === null) begin();
    else onBody();
  });
}

/** Answers with that body and keeps the connection. */
export function answer(body: string, lines = ''): Script {
  return (heard) => heard.finish(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${lines}\r\n${body}`);
}

/** Waits for a body of that many bytes and answers with it. */
export function echoBody(bytes: number): Script {
  return (heard) =>
    heard.onBody(() => {
      if (heard.body().length >= bytes) answer(heard.body())(heard);
    });
}

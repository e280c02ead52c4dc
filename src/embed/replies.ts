// The balancer's own replies, on a node:http response or on the bare socket of an upgrade: as the standalone program's.

import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import { systemScheduler } from '../base/scheduler.ts';

/** After these nothing more is read of the connection. */
const CLOSING: readonly FailureKind[] = ['request-timeout', 'too-many-connections'];

/** How long a client may take to read the reply on a connection that ends with it. */
const LINGER_MS = 2000;

/** Answers, unless somebody has already; the connection stays usable where node:http allows it. */
export function replyTo(response: ServerResponse, kind: FailureKind, retryAfterSeconds = 1): void {
  if (response.headersSent || response.writableEnded) return;
  const { status } = FAILURES[kind];
  // what the application had set for its own answer does not belong to this one
  for (const name of ['transfer-encoding', 'trailer', 'content-encoding', 'etag'])
    if (response.hasHeader(name)) response.removeHeader(name);
  const body = textOf(kind);
  for (const [name, value] of fieldsOf(kind, retryAfterSeconds)) response.setHeader(name, value);
  response.setHeader('content-length', body.length);
  if (CLOSING.includes(kind)) response.setHeader('connection', 'close');
  response.writeHead(status, STATUS_CODES[status] ?? '');
  response.end(body);
}

/** Answers on the bare connection and closes it, in bounded time. */
export function replyOn(socket: Duplex, kind: FailureKind, retryAfterSeconds = 1): void {
  if (socket.writableEnded || socket.destroyed) return;
  const { status } = FAILURES[kind];
  const body = textOf(kind);
  const fields = [
    ...fieldsOf(kind, retryAfterSeconds),
    ['content-length', String(body.length)],
    ['connection', 'close'],
  ];
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const timer = systemScheduler.after(LINGER_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines}\r\n${body}`, () =>
    socket.destroy(),
  );
}

function fieldsOf(kind: FailureKind, retryAfterSeconds: number): readonly (readonly [string, string])[] {
  const { status } = FAILURES[kind];
  return [
    ['x-holdfast-error', kind],
    ['content-type', 'text/plain; charset=utf-8'],
    ['cache-control', 'no-store'],
    ...(status === 503 || status === 429 ? [['retry-after', String(retryAfterSeconds)] as const] : []),
  ];
}

function textOf(kind: FailureKind): string {
  const { status, text } = FAILURES[kind];
  return `${status} ${STATUS_CODES[status] ?? ''}: ${text}\n`;
}

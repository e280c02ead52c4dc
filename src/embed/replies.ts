// The balancer's own replies, on a node:http response or on the bare socket of an upgrade: as the standalone program's.

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FailureKind } from '../base/failure.ts';
import { systemScheduler } from '../base/scheduler.ts';
import { plainContent, type ReplyContent } from '../exchange/reply-content.ts';
import { formatReply, type ReplyMore, statusOf } from '../proxy/replies.ts';
import { linesOf, setLines } from './lines.ts';
import { linesFor, type NodeRequest, type NodeResponse, setStatus } from './node-messages.ts';

/** After these nothing more is read of the connection. */
const CLOSING: readonly FailureKind[] = ['request-timeout', 'too-many-connections'];
/** What the application had set for its own answer does not belong to this one. */
const OTHERS: readonly string[] = ['transfer-encoding', 'trailer', 'content-encoding', 'etag'];

/** After our last byte we read on for so long, as in the program. */
const LINGER_MS = 2000;
/** How long a slow reader may take for what was written last. */
const FLUSH_MS = 60_000;

/**
 * Answers, unless somebody has already; the connection stays usable where node:http allows it. Returns how many bytes, as
 * HTTP/1 has them.
 */
export function replyTo(
  response: NodeResponse,
  kind: FailureKind,
  content: ReplyContent,
  more?: ReplyMore,
): number {
  if (response.headersSent || response.writableEnded) return 0;
  const status = statusOf(kind, content);
  const text = formatReply(kind, content, CLOSING.includes(kind), more);
  for (const name of OTHERS) if (response.hasHeader(name)) response.removeHeader(name);
  setLines(response, linesFor(response, linesOf(text)));
  setStatus(response, status, STATUS_CODES[status] ?? '');
  // node:http leaves it out where the request was HEAD
  response.end(content.body, 'latin1');
  return text.length;
}

/** Answers on the bare connection and closes it, in bounded time. Returns how many bytes. */
export function replyOn(
  socket: Duplex,
  kind: FailureKind,
  content: ReplyContent = plainContent(kind, ''),
  more?: ReplyMore,
): number {
  if (socket.writableEnded || socket.destroyed) return 0;
  const text = formatReply(kind, content, true, more);
  socket.write(text, 'latin1');
  endPolitely(socket);
  return text.length;
}

/** What was written is still sent, what comes is dropped; the connection goes in bounded time, whatever the client does. */
export function endPolitely(socket: Duplex): void {
  let timer = systemScheduler.after(FLUSH_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
  socket.end(() => {
    timer.cancel();
    if (!socket.destroyed) timer = systemScheduler.after(LINGER_MS, () => socket.destroy());
  });
  socket.resume();
}

/** The client of a body that is refused may read our reply before it has to stop. */
export function stopUpload(request: NodeRequest): void {
  const timer = systemScheduler.after(LINGER_MS, () => {
    if (!request.complete) request.socket.destroy();
  });
  request.once('close', () => timer.cancel());
}

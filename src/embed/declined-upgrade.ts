// An upgrade that is not taken: another protocol than WebSocket, or one with a body. It is a request like any other
// (RFC 9110 section 7.8), but node:http has let go of the connection already, so that a response has to be put on it
// here, and the connection ends with it. Or it is none of ours, and another listener's.

import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemScheduler } from '../base/scheduler.ts';
import { ignoreErrors } from './guard.ts';
import { endPolitely } from './replies.ts';

/** How long the application's other listeners may take to answer an upgrade. */
const LEFT_MS = 30_000;

/** A response on the connection of an upgrade request. */
export function responseTo(request: IncomingMessage): ServerResponse {
  const { socket } = request;
  const response = new ServerResponse(request);
  for (const emitter of [socket, request, response]) ignoreErrors(emitter);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  // what the server of node:http does for its own
  socket.on('drain', () => response.emit('drain'));
  response.once('finish', () => {
    response.detachSocket(socket);
    response.emit('close');
    endPolitely(socket);
  });
  return response;
}

/** Whether the server has other 'upgrade' listeners than ours. `onNobody` runs when none of them answers in time. */
export function isLeftToOthers({ socket }: IncomingMessage, client: Duplex, onNobody: () => void): boolean {
  if (listenersOf(socket) < 2) return false;
  const written = socket.bytesWritten;
  const timer = systemScheduler.after(LEFT_MS, () => {
    if (socket.bytesWritten === written && !client.destroyed) onNobody();
  });
  client.once('close', () => timer.cancel());
  return true;
}

/** node:http names the server of a connection. */
function listenersOf(socket: Socket): number {
  const server: unknown = 'server' in socket ? socket.server : null;
  if (typeof server !== 'object' || server === null || !('listenerCount' in server)) return 0;
  const { listenerCount } = server;
  return typeof listenerCount === 'function' ? Number(listenerCount.call(server, 'upgrade')) : 0;
}

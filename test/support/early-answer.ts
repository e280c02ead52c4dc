// A server that answers before it has the whole request, and a client that uploads until it is answered.

import { type Backend, tcpBackend } from './backend.ts';
import { type RawClient, rawClient } from './raw-client.ts';

const BODY_BYTES = 50_000_000;
const CHUNK = Buffer.alloc(64 * 1024, 'x');
const ENOUGH_BYTES = 200_000;

/** Answers after some bytes, with more of them unread, and closes at once: the system resets the connection. */
export function earlyResponder(reply: string): Promise<Backend> {
  return tcpBackend((socket) => {
    let received = 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received < ENOUGH_BYTES || socket.isPaused()) return;
      socket.pause();
      socket.write(reply, () => socket.destroy());
    });
  });
}

/** Sends a large body until something is answered; what was, and whether the connection broke. */
export async function uploadUntilAnswered(port: number): ReturnType<RawClient['closed']> {
  const client = await rawClient(port);
  client.send(`POST / HTTP/1.1\r\nHost: t\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`);
  const pour = (): void => {
    if (client.received() !== '' || client.socket.destroyed) client.socket.end();
    else client.socket.write(CHUNK, () => setImmediate(pour));
  };
  pour();
  return client.closed();
}

// Listening, with the options that all listeners have.

import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';

const BACKLOG = 4096;

/**
 * Sockets of a thread at one port. Of each the event loop accepts one connection in a turn, which takes up to a thousand events: by
 * one socket alone a full thread let in so few newcomers that they timed out.
 */
export const SOCKETS_PER_PORT = 4;

/** Resolves when it listens; rejects with the system's error. `onError` hears of later ones. */
export function openServer(
  options: ListenOptions,
  onConnection: (socket: Socket) => void,
  onError: (error: Error) => void,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(
      { noDelay: true, allowHalfOpen: true, highWaterMark: 64 * 1024 },
      onConnection,
    );
    server.once('error', reject);
    // with a descriptor, a backlog among the options is not looked at
    server.listen(options, BACKLOG, () => {
      server.off('error', reject);
      server.on('error', onError);
      resolve(server);
    });
  });
}

/** Listens on a port as often as one thread does. Rejects as `open` does for the first. */
export async function openPort(
  options: ListenOptions,
  open: (options: ListenOptions) => Promise<Server>,
): Promise<readonly Server[]> {
  const first = await open(options);
  const address = first.address();
  if (options.reusePort !== true || address === null || typeof address === 'string') return [first];
  const again = { ...options, port: address.port };
  const more = await Promise.allSettled(Array.from({ length: SOCKETS_PER_PORT - 1 }, () => open(again)));
  // it serves with fewer as well, where descriptors have run out
  return [first, ...more.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))];
}

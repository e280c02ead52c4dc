// Listening, with the options that all listeners have.

import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';

const BACKLOG = 4096;

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

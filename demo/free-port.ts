// A port for programs that have to be told one before they start.
import { type AddressInfo, createServer } from 'node:net';

/** A port of 127.0.0.1 that nobody had a moment ago. */
export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

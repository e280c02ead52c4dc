// Whether a port can be listened on, and what to say when it cannot.

import { createServer } from 'node:net';
import type { HoldfastConfig } from '../config/model.ts';
import { StartError } from '../control/start-error.ts';

export function listenMessage(failed: { address: string; code: string; message: string }): string {
  if (failed.code === 'EADDRINUSE') return portTaken(failed.address);
  if (failed.code === 'EACCES')
    return `may not listen on ${failed.address}: ports below 1024 need a privilege`;
  if (failed.code === 'EADDRNOTAVAIL')
    return `cannot listen on ${failed.address}: this machine does not have that address`;
  return `cannot listen on ${failed.address}: ${failed.message}`;
}

export function portTaken(address: string): string {
  return `cannot listen on ${address}: the port is taken by another process; stop it or choose another port`;
}

/** Whether several sockets may share a port here (SO_REUSEPORT with load balancing: Linux, some BSDs). */
export function supportsReusePort(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Rejects with StartError when somebody listens there already. Needed because SO_REUSEPORT would let a second
 * process of the same user share the port silently.
 */
export function assertPortFree(address: string, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new StartError(listenMessage({ address, code: error.code ?? '', message: error.message })));
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

/** For the listeners that a reload adds. */
export async function assertNewPortsFree(old: HoldfastConfig, next: HoldfastConfig): Promise<void> {
  for (const { address, host, port } of next.listen) {
    const isOpen = old.listen.some((listen) => listen.address === address);
    if (!isOpen && port !== 0) await assertPortFree(address, host, port);
  }
}

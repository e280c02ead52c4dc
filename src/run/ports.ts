// Whether a port can be listened on, and what to say when it cannot.

import { existsSync, lstatSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';
import type { HoldfastConfig, ListenConfig } from '../config/model.ts';
import { StartError } from '../control/start-error.ts';

export function listenMessage(failed: { address: string; code: string; message: string }): string {
  if (failed.address.includes('unix:')) return socketMessage(failed);
  if (failed.code === 'EADDRINUSE') return portTaken(failed.address);
  if (failed.code === 'EACCES')
    return `may not listen on ${failed.address}: ports below 1024 need a privilege`;
  if (failed.code === 'EADDRNOTAVAIL')
    return `cannot listen on ${failed.address}: this machine does not have that address`;
  return `cannot listen on ${failed.address}: ${failed.message}`;
}

function socketMessage({
  address,
  code,
  message,
}: {
  address: string;
  code: string;
  message: string;
}): string {
  if (code === 'EADDRINUSE')
    return `cannot listen on ${address}: another process listens there; stop it first`;
  if (code === 'EACCES')
    return `may not listen on ${address}: the directory must be writable, the socket is made in it`;
  if (code === 'ENOENT') return `cannot listen on ${address}: there is no such directory`;
  return `cannot listen on ${address}: ${message}`;
}

export function portTaken(address: string): string {
  return `cannot listen on ${address}: the port is taken by another process; stop it or choose another port`;
}

/** Whether several sockets may share a port here (SO_REUSEPORT with load balancing: Linux, some BSDs). */
export function supportsReusePort(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Rejects with StartError when somebody listens there already. Needed because SO_REUSEPORT would let a second
 * process of the same user share the port silently, and because a unix socket is put in the place of what is there.
 */
export function assertListenerFree({ address, host, port, socket }: ListenConfig): Promise<void> {
  if (socket !== null) return assertSocketFree(address, socket.path);
  return port === 0 ? Promise.resolve() : assertPortFree(address, host, port);
}

export function assertPortFree(address: string, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (error: NodeJS.ErrnoException) => {
      reject(new StartError(listenMessage({ address, code: error.code ?? '', message: error.message })));
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

/** What a process that has ended has left there may be replaced, and nothing else. */
function assertSocketFree(address: string, path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    // the system says EACCES for it
    const isMissing = !existsSync(dirname(path));
    const message = listenMessage({ address, code: 'ENOENT', message: '' });
    return isMissing ? Promise.reject(new StartError(message)) : Promise.resolve();
  }
  if (!found.isSocket()) {
    const message = `cannot listen on ${address}: there is a file that is no socket, and it is not replaced`;
    return Promise.reject(new StartError(message));
  }
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve();
      else
        reject(new StartError(`cannot listen on ${address}, what is there cannot be looked at: ${message}`));
    });
    socket.once('connect', () => {
      socket.destroy();
      reject(new StartError(listenMessage({ address, code: 'EADDRINUSE', message: '' })));
    });
  });
}

/** For the listeners that a reload adds. */
export async function assertNewPortsFree(old: HoldfastConfig, next: HoldfastConfig): Promise<void> {
  for (const listen of next.listen)
    if (!old.listen.some(({ address }) => address === listen.address)) await assertListenerFree(listen);
}

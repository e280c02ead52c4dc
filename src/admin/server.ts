// The admin server: binds the routes to an address.

import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo, Socket } from 'node:net';
import { EventFeed } from './events.ts';
import { isLoopback } from './guards.ts';
import { createRoutes } from './routes.ts';
import type { AdminSource } from './source.ts';

/** Not by `import`: its own imports of node:http and node:http2 would compile all of fetch, a tenth of a start. */
const { getRequestListener }: typeof import('@hono/node-server') = createRequire(import.meta.url)(
  '@hono/node-server',
);

const CONNECTIONS_MAX = 256;

export interface AdminOptions {
  readonly host: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  readonly token: string;
  readonly source: AdminSource;
  /** Most connections at once, event streams included; default 256. */
  readonly connectionsMax?: number;
  /** The source threw while answering; the client is told nothing of it. */
  readonly onError?: (error: Error) => void;
}

export interface AdminServer {
  readonly kind: 'listening';
  readonly address: string;
  readonly port: number;
  /** As printed and opened: `http://127.0.0.1:9090`. */
  readonly url: string;
  /** Ends all connections, event streams too. */
  close(): Promise<void>;
}

export interface AdminFailure {
  readonly kind: 'failed';
  readonly code: string;
  /** As text, for the user. */
  readonly message: string;
}

/** Listens; a taken port or an address of another machine is a failure to report, not an exception. */
export function startAdmin(options: AdminOptions): Promise<AdminServer | AdminFailure> {
  const { host, port, token, source, onError = () => undefined } = options;
  const feed = new EventFeed();
  const routes = createRoutes({ source, feed, token, onError, isLoopbackOnly: isLoopback(host) });
  const server = createServer(oneAtATime(getRequestListener(routes.fetch)));
  server.on('error', () => undefined);
  // an own property only once it is set
  Object.assign(server, { maxConnections: options.connectionsMax ?? CONNECTIONS_MAX });
  return new Promise((resolve) => {
    server.once('error', (error) => resolve(describeFailure(error, host, port)));
    server.listen({ host: host.replace(/^\[|\]$/g, ''), port, exclusive: true }, () => {
      const bound = server.address() as AddressInfo;
      const close = (): Promise<void> =>
        new Promise((closed) => {
          feed.close();
          server.close(() => closed());
          server.closeAllConnections();
        });
      const shown = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
      const url = `http://${shown}:${bound.port}`;
      resolve({ kind: 'listening', address: bound.address, port: bound.port, url, close });
    });
  });
}

/**
 * Who asks again before the answer has been taken loses the connection: no client that needs this server does, and each answer
 * costs main's time and, where nobody reads it, memory.
 */
function oneAtATime(answer: RequestListener): RequestListener {
  const answering = new WeakSet<Socket>();
  return (request, response) => {
    const { socket } = request;
    if (answering.has(socket)) {
      socket.destroy();
      return;
    }
    answering.add(socket);
    response.on('close', () => answering.delete(socket));
    answer(request, response);
  };
}

function describeFailure(error: Error, host: string, port: number): AdminFailure {
  const code = 'code' in error ? String(error.code) : 'unknown';
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program listens there',
    EADDRNOTAVAIL: 'this machine does not have that address',
    EACCES: 'the system does not permit it',
  };
  return {
    kind: 'failed',
    code,
    message: `admin cannot listen on ${host}:${port}: ${reasons[code] ?? error.message}`,
  };
}

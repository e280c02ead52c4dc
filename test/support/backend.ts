// Servers to put behind the balancer: real sockets in the test's own process.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  type AddressInfo,
  BoundSocket,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { whenDone } from './lifetime.ts';

export interface Backend {
  readonly url: string;
  readonly port: number;
  readonly server: Server | TcpServer;
  /** Sockets open now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Connections accepted so far. */
  connections(): number;
  /**
   * Stops listening and cuts all connections. Nobody else gets the port before the test ends, so that it refuses connections, until
   * a new backend asks for it.
   */
  close(): Promise<void>;
}

/** Of backends that are closed, by port: a test beside this one would get it, and what is meant for this one. */
const places = new Map<number, BoundSocket>();

/** An HTTP server of node:http. The default answers with its name, the method, the target and the body it got. */
export async function httpBackend(
  name: string,
  handler: (request: IncomingMessage, response: ServerResponse) => void = echo(name),
): Promise<Backend> {
  return open(createServer({ keepAliveTimeout: 60_000 }, handler));
}

/** A raw TCP server. */
export async function tcpBackend(onSocket: (socket: Socket) => void, port = 0): Promise<Backend> {
  return open(createTcpServer({ allowHalfOpen: true }, onSocket), port);
}

/** Answers each request on a raw socket with the given bytes, once its head has arrived. */
export function cannedBackend(
  reply: string | Buffer,
  then: 'keep' | 'end' | 'destroy' = 'keep',
): Promise<Backend> {
  return tcpBackend((socket) => {
    let received = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (!received.includes('\r\n\r\n')) return;
      received = '';
      socket.write(reply);
      if (then === 'end') socket.end();
      if (then === 'destroy') setImmediate(() => socket.destroy());
    });
  });
}

async function open(server: Server | TcpServer, port = 0): Promise<Backend> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const place = places.get(port);
    places.delete(port);
    if (place === undefined) server.listen(port, '127.0.0.1', resolve);
    else server.listen(place, resolve);
  });
  const end = (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  whenDone(end);
  const bound = (server.address() as AddressInfo).port;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    await end();
    const place = new BoundSocket({ host: '127.0.0.1', port: bound });
    places.set(bound, place);
    whenDone(() => {
      places.delete(bound);
      place[Symbol.dispose]();
    });
  };
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    server,
    sockets,
    connections: () => connections,
    close,
  };
}

/** JSON of what arrived. */
export function echo(name: string): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          server: name,
          method: request.method,
          target: request.url,
          headers: request.headers,
          rawHeaders: request.rawHeaders,
          body: body.length > 4096 ? `${body.length} bytes` : body.toString('latin1'),
        }),
      );
    });
  };
}

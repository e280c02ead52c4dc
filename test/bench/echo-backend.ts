/** The talkative backend of the correctness check: tells what reached it, so that any change is seen. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { LARGE_BODY_BYTES } from './scenarios.ts';

export type EchoBackend = { readonly name: string; readonly port: number; readonly close: () => void };

/** The body `/item/N` must have: different for every N in content and in length. */
export function itemBody(item: number): string {
  return `item ${item} `.repeat(1 + (item % 40));
}

/** The body of `/large`: every 8 bytes tell their own position, so a lost or moved piece shows. */
export function largeBody(): Buffer {
  const body = Buffer.alloc(LARGE_BODY_BYTES);
  for (let at = 0; at < body.length; at += 8) body.writeDoubleBE(at, at);
  return body;
}

/** Starts an echo backend in this process on a free port; every reply names it in `x-backend`. */
export async function startEchoBackend(name: string): Promise<EchoBackend> {
  const large = largeBody();
  const server = createServer((request, response) => reply(name, large, request, response));
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port from listen');
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { name, port: address.port, close };
}

function reply(name: string, large: Buffer, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  response.setHeader('x-backend', name);
  request.on('error', () => response.destroy());
  if (path.startsWith('/item/')) response.end(itemBody(Number(path.slice('/item/'.length))));
  else if (path === '/large') response.end(large);
  else if (path === '/chunked') for (const part of ['one', 'two', null]) endOrWrite(response, part);
  else if (path === '/headers') response.end(JSON.stringify(request.headers));
  else if (path.startsWith('/status/')) {
    response.statusCode = Number(path.slice('/status/'.length));
    response.end(response.statusCode === 204 ? undefined : 'status');
  } else if (path === '/echo') request.pipe(response);
  else response.end('ok');
}

function endOrWrite(response: ServerResponse, part: string | null): void {
  if (part === null) response.end();
  else response.write(part);
}

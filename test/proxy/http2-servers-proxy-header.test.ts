// PROXY headers to servers of HTTP/2: a connection begins with one, so that it carries the requests of one client alone.

import { connect, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { parseProxyHeader } from '../../src/base/proxy-protocol.ts';
import { type Backend, tcpBackend } from '../support/backend.ts';
import { whenDone } from '../support/lifetime.ts';
import { runThread } from '../support/proxy-thread.ts';

/** Takes a PROXY header and then HTTP/2, and answers every request with the client's port as the header has it. */
async function believing(): Promise<Backend> {
  const ports = new Map<Socket, number>();
  const http2 = createHttp2Server();
  http2.on('sessionError', () => undefined);
  http2.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    const socket = stream.session?.socket;
    const own = [...ports].find(([each]) => each.remotePort === socket?.remotePort);
    stream.end(String(own?.[1]));
  });
  return tcpBackend((socket) => {
    let received = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const header = parseProxyHeader(received);
      if (header.kind !== 'header') return;
      socket.off('data', onData);
      ports.set(socket, header.ends?.port ?? 0);
      socket.pause();
      http2.emit('connection', socket);
      socket.unshift(received.subarray(header.bytes));
    };
    socket.on('error', () => undefined).on('data', onData);
  });
}

test.each(['v1', 'v2'] as const)('two clients, each with streams of their own: %s', async (version) => {
  const server = await believing();
  const running = await runThread(
    `pools: { web: { protocol: h2, health: off, sendProxyProtocol: ${version}, servers: ["${server.url}"] } }`,
    'h2c: true',
  );
  const clients = [0, 1].map(() => {
    const client = connect(`http://127.0.0.1:${running.port}`);
    whenDone(() => client.destroy());
    return client;
  });
  for (let round = 0; round < 3; round += 1)
    for (const client of clients) {
      const answers = await Promise.all(
        Array.from(
          { length: 10 },
          () =>
            new Promise<string>((resolve, reject) => {
              let body = '';
              client
                .request({ ':path': '/' })
                .on('data', (part: Buffer) => (body += part.toString()))
                .on('end', () => resolve(body))
                .on('error', reject);
            }),
        ),
      );
      expect([...new Set(answers)]).toEqual([String(client.socket?.localPort)]);
    }
  expect(server.connections()).toBe(2);
  for (const client of clients) client.close();
  await running.isQuiet();
});

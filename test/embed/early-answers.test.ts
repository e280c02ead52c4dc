// A server that answers before it has the whole request, and then resets the connection: its answer reaches the client.

import { expect, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed } from './embedded.ts';

const REPLY = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\n';
const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** What a client gets who uploads until it is answered. */
async function upload(port: number): Promise<string> {
  const client = await rawClient(port);
  client.send('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 50000000\r\n\r\n');
  const pour = (): void => {
    if (client.received() !== '' || client.socket.destroyed) client.socket.end();
    else client.socket.write(CHUNK, () => setImmediate(pour));
  };
  pour();
  return (await client.closed()).text;
}

test.each([
  ['whole', 'too large', /^HTTP\/1\.1 413 [\s\S]*too large/],
  ['half', 'too', /^$|^HTTP\/1\.1 413 [\s\S]*too$/],
])('an answer that is %s', async (_what, body, expected) => {
  const backend = await tcpBackend((socket) => {
    let received = 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received < 200_000 || socket.isPaused()) return;
      socket.pause();
      socket.write(REPLY + body, () => socket.destroy());
    });
  });
  const pool = { health: 'off', passive: 'off', retry: { attempts: 0 }, servers: [backend.url] };
  const { port, balancer } = await embed({ pools: { web: pool } });
  for (let round = 0; round < 20; round += 1) expect(await upload(port)).toMatch(expected);
  const server = () => balancer.status().pools[0]?.servers[0];
  await eventually(() => server()?.inFlight === 0 && server()?.connections.active === 0);
  expect(server()?.connections.idle).toBe(0);
});

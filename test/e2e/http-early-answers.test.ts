// A server that answers before it has the whole request, and then resets the connection: its answer reaches the client.

import { expect, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { isQuiet, socketsOf } from '../support/quiet.ts';
import { rawClient } from '../support/raw-client.ts';

const BODY_BYTES = 50_000_000;
const ROUNDS = 20;
const WHOLE = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large';
const HALF = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo';

/** Sends a large body until something is answered; what was, and whether the connection broke. */
async function upload(port: number): Promise<{ text: string; reset: boolean }> {
  const client = await rawClient(port);
  client.send(`POST / HTTP/1.1\r\nHost: t\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`);
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const pour = (): void => {
    if (client.received() !== '' || client.socket.destroyed) client.socket.end();
    else client.socket.write(chunk, () => setImmediate(pour));
  };
  pour();
  return client.closed();
}

/** Answers after some bytes, with more of them unread, and closes at once: the system resets the connection. */
async function scene(reply: string) {
  const backend = await tcpBackend((socket) => {
    let received = 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received < 200_000 || socket.isPaused()) return;
      socket.pause();
      socket.write(reply, () => socket.destroy());
    });
  });
  const holdfast = await runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools: { web: { health: off, passive: off, retry: { attempts: 0 }, servers: ["${backend.url}"] } }
`);
  return { holdfast, before: socketsOf(holdfast) };
}

test('the whole answer arrives, every time', async () => {
  const { holdfast, before } = await scene(WHOLE);
  for (let round = 0; round < ROUNDS; round += 1) {
    const { text } = await upload(holdfast.port);
    expect(text).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*too large$/i);
  }
  await isQuiet(holdfast, before);
  expect(await holdfast.metric('holdfast_upstream_connections', { state: 'idle' })).toBe(0);
});

test('half an answer is seen to be half', async () => {
  const { holdfast, before } = await scene(HALF);
  for (let round = 0; round < 5; round += 1) {
    const { text, reset } = await upload(holdfast.port);
    expect([text === '' || text.endsWith('too'), reset]).toEqual([true, true]);
  }
  await isQuiet(holdfast, before);
});

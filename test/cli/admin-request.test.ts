// What a command says of an admin server that does not answer as it should.

import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { send, textOf } from '../../src/cli/admin-request.ts';
import { tcpBackend } from '../support/backend.ts';

const asked = async (onSocket: (socket: Socket) => unknown): Promise<string> => {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined).once('data', () => onSocket(socket));
  });
  const url = new URL('/api/status', backend.url);
  const response = await send({ method: 'GET', url, headers: {}, body: null });
  return textOf(response, 6);
};

test('an answer is read to its end, as far as it may be long', async () => {
  expect(await asked((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nas long as it likes'))).toBe('as lon');
});

test.each<[string, string, (socket: Socket) => unknown]>([
  ['at once', 'closed without an answer', (socket) => socket.destroy()],
  [
    'half-way',
    'the answer stopped half-way',
    (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
  ],
  [
    'with something else',
    'Parse Error: Expected HTTP/, RTSP/ or ICE/',
    (socket) => socket.end('220 smtp ready\r\n'),
  ],
])('an answer that ends %s: %s', async (_name, message, onSocket) => {
  await expect(asked(onSocket)).rejects.toThrow(message);
});

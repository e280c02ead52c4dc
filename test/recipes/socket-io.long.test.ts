// Socket.IO by long polling behind Holdfast, as docs/recipes/socket-io.md has it: every poll of a connection reaches the
// server that knows it, and after the death of that server clients connect to another by themselves.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { recipe } from '../support/recipe.ts';

const CLIENTS = 9;

interface ChatServer {
  readonly name: string;
  readonly url: string;
  clients(): number;
  kill(): Promise<void>;
}

async function chatServer(name: string): Promise<ChatServer> {
  const http = createServer((_request, response) => response.end('ok'));
  const server = new Server(http, { cookie: { name: 'io', httpOnly: true, sameSite: 'lax' } });
  server.on('connection', (socket) => {
    let count = 0;
    socket.on('raise', (done: (answer: string) => void) => {
      count += 1;
      done(`${name} ${count}`);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const kill = async (): Promise<void> => {
    http.closeAllConnections();
    await server.close();
  };
  onTestFinished(kill);
  const { port } = http.address() as AddressInfo;
  return { name, url: `http://127.0.0.1:${port}`, clients: () => server.engine.clientsCount, kill };
}

function connect({ url }: RunningHoldfast): Socket {
  const socket = io(url, {
    transports: ['polling'],
    withCredentials: true,
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
  });
  onTestFinished(() => void socket.close());
  return socket;
}

const raise = (socket: Socket): Promise<string> => socket.emitWithAck('raise');

test('polls find their server; when it dies its clients find another', async () => {
  const servers = await Promise.all(['a', 'b', 'c'].map((name) => chatServer(name)));
  const holdfast = await runHoldfast(recipe(readFileSync('docs/recipes/socket-io.md', 'utf8'), servers));
  const sockets = Array.from({ length: CLIENTS }, () => connect(holdfast));
  const troubles: string[] = [];
  for (const socket of sockets) {
    socket.on('connect_error', (error) => void troubles.push(error.message));
    socket.on('disconnect', (reason) => void troubles.push(reason));
  }
  const homes = (await Promise.all(sockets.map(raise))).map((answer) => answer.split(' ')[0] ?? '');
  expect(new Set(homes)).toEqual(new Set(['a', 'b', 'c']));
  for (const count of [2, 3, 4, 5])
    expect(await Promise.all(sockets.map(raise))).toEqual(homes.map((home) => `${home} ${count}`));
  expect(troubles).toEqual([]);
  await eventually(async () => {
    const counts = servers.map(({ name }) => holdfast.metric('holdfast_sessions', { server: name }));
    return (await Promise.all(counts)).join() === servers.map(({ clients }) => clients()).join();
  });
  const ids = sockets.map(({ id }) => id);
  await servers[1]?.kill();
  await eventually(() =>
    sockets.every(({ connected, id }, index) => connected && (id !== ids[index]) === (homes[index] === 'b')),
  );
  const answers = await Promise.all(sockets.map(raise));
  for (const [index, answer] of answers.entries()) {
    if (homes[index] === 'b') expect(answer).toMatch(/^[ac] 1$/);
    else expect(answer).toBe(`${homes[index]} 6`);
  }
});

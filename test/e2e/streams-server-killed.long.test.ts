// A thousand WebSockets and two hundred event streams, and one server of the pool is killed under them.

import { type ChildProcess, spawn } from 'node:child_process';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';
import { isQuiet, socketsOf } from '../support/quiet.ts';

const SERVER = fileURLToPath(new URL('../support/stream-server.ts', import.meta.url));
const WEB_SOCKETS = 1000;
const STREAMS = 200;

interface StreamServer {
  readonly child: ChildProcess;
  readonly name: string;
  readonly url: string;
}

async function streamServer(name: string): Promise<StreamServer> {
  const child = spawn(process.execPath, [SERVER, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  whenDone(() => child.kill('SIGKILL'));
  const port = await new Promise<string>((resolve) =>
    child.stdout.once('data', (text) => resolve(String(text).trim())),
  );
  return { child, name, url: `http://127.0.0.1:${port}` };
}

/** One long-lived exchange: which server it landed on, what it got, whether it ended. */
interface Line {
  server: string;
  count: number;
  hasEnded: boolean;
  ask(): void;
  close(): void;
}

function webSocketLine(port: number): Promise<Line> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  const line: Line = {
    server: '',
    count: 0,
    hasEnded: false,
    ask: () => socket.send('hello'),
    close: () => socket.close(),
  };
  socket.on('message', (data) => {
    line.server = data.toString().split(' ')[0] ?? '';
    line.count += 1;
  });
  socket.on('close', () => {
    line.hasEnded = true;
  });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => resolve(line));
  });
}

function eventLine(port: number): Promise<Line> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path: '/events', agent: false }, (response) => {
      const line: Line = {
        server: String(response.headers['x-server']),
        count: 0,
        hasEnded: false,
        ask: () => undefined,
        close: () => asked.destroy(),
      };
      response.on('data', () => {
        line.count += 1;
      });
      response.on('error', () => undefined);
      response.on('close', () => {
        line.hasEnded = true;
      });
      resolve(line);
    });
    asked.on('error', reject);
    asked.end();
  });
}

async function inGroups<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  while (all.length < count) all.push(...(await Promise.all(Array.from({ length: 50 }, make))));
  return all;
}

test('a server that is killed takes its own streams with it and no other', { timeout: 60_000 }, async () => {
  const servers = await Promise.all(['a', 'b', 'c', 'd'].map(streamServer));
  const holdfast = await runHoldfast(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 2
pools:
  p:
    health: { interval: 500ms, timeout: 400ms, rise: 1, fall: 1 }
    servers: [${servers.map(({ url, name }) => `{ url: ${url}, name: ${name} }`).join(', ')}]
`);
  const before = socketsOf(holdfast);
  const sockets = await inGroups(WEB_SOCKETS, () => webSocketLine(holdfast.port));
  const streams = await inGroups(STREAMS, () => eventLine(holdfast.port));
  const all = [...sockets, ...streams];
  for (const line of sockets) line.ask();
  await eventually(() => all.every(({ count }) => count > 0) || null, {
    what: () => 'a first message on every line',
  });

  const victims = all.filter(({ server }) => server === 'b');
  const others = all.filter(({ server }) => server !== 'b');
  expect(victims.length).toBeGreaterThan(200);
  servers[1]?.child.kill('SIGKILL');
  await eventually(() => victims.every(({ hasEnded }) => hasEnded) || null, {
    what: () => 'the lines of the dead server to end',
  });

  const counts = others.map(({ count }) => count);
  for (const line of others) line.ask();
  await eventually(() => others.every(({ count }, index) => count > (counts[index] ?? 0)) || null, {
    what: () => 'another message on every other line',
  });
  expect(others.filter(({ hasEnded }) => hasEnded)).toEqual([]);
  const afresh = await inGroups(50, () => webSocketLine(holdfast.port));
  for (const line of afresh) line.ask();
  await eventually(() => afresh.every(({ count }) => count === 1) || null);
  expect(afresh.filter(({ server }) => server === 'b')).toEqual([]);

  for (const line of [...others, ...afresh]) line.close();
  await isQuiet(holdfast, before, 15_000);
  expect(holdfast.log()).not.toContain('worker thread');
});

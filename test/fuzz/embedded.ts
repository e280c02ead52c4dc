// Fuzz of the embedded form, both directions: clients send mutated requests, upgrades among them, and servers answer with
// mutated responses, whole, cut and reset. An error that surfaces outside ends the process with status 1.
//
//   SEED=7 FUZZ=2000 node test/fuzz/embedded.ts

import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { createBalancer } from '../../src/embed/balancer.ts';
import { goldens, mutate, randomOf } from './differential.ts';

const environment = process.env as { readonly SEED?: string; readonly FUZZ?: string };
const SEED = Number(environment.SEED ?? 1);
const INPUTS = Number(environment.FUZZ ?? 300);
const AT_ONCE = 16;
const TALK_MS = 150;

const UPGRADE = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n';
const REQUESTS = [
  ...goldens('request', 'POST / HTTP/1.1\r\nHost: a\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n'),
  ...[
    `GET / HTTP/1.1\r\n${UPGRADE}\r\nearly`,
    `POST / HTTP/1.1\r\n${UPGRADE}Content-Length: 3\r\n\r\nabcd`,
    `GET / HTTP/1.1\r\n${UPGRADE}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nx`,
    'GET / HTTP/1.1\r\nHost: a\r\n__proto__: x\r\nTrailer: x\r\n\r\n'.repeat(3),
  ].map((text) => Buffer.from(text)),
];
const RESPONSES = [
  ...goldens('response', 'HTTP/1.1 200 OK\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n'),
  ...[
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello',
    'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  ].map((text) => Buffer.from(text)),
];

const random = randomOf(SEED);
const surfaced: string[] = [];
process.on('uncaughtException', (error) => surfaced.push(String(error.stack)));
process.on('unhandledRejection', (error) => surfaced.push(String(error)));

const backend = createTcpServer((socket) => {
  socket.on('error', () => undefined);
  socket.on('data', () => {
    const answer = mutate(RESPONSES, random);
    const cut = Math.floor(random() * answer.length);
    socket.write(answer.subarray(0, cut));
    setImmediate(() => socket.write(answer.subarray(cut)));
    const fate = random();
    if (fate < 0.2) socket.end();
    else if (fate < 0.3) setImmediate(() => socket.resetAndDestroy());
  });
});
await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
const balancer = await createBalancer(
  {
    sessions: { max: 1000 },
    pools: {
      web: {
        health: 'off',
        passive: 'off',
        sticky: { mode: 'cookie-pin' },
        holdUntilComplete: 'small',
        retry: { attempts: 1, status: [503] },
        timeouts: { response: '100ms', idle: '100ms' },
        queue: { size: 100, timeout: '100ms' },
        servers: [url],
      },
    },
  },
  { log: { info: () => undefined, warn: () => undefined } },
);
const server = createServer(balancer.middleware()).on('upgrade', balancer.upgrade);
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;

function talk(): Promise<void> {
  return new Promise((resolve) => {
    const bytes = mutate(REQUESTS, random);
    const cut = Math.floor(random() * bytes.length);
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes.subarray(0, cut));
      setImmediate(() => socket.write(bytes.subarray(cut)));
      const fate = random();
      if (fate < 0.2) socket.end();
      else if (fate < 0.3) setImmediate(() => socket.resetAndDestroy());
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    if (random() < 0.9) socket.resume();
    setTimeout(() => socket.destroy(), TALK_MS);
  });
}

for (let done = 0; done < INPUTS; done += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, talk));
const inFlight = (): number => balancer.status().pools[0]?.servers[0]?.inFlight ?? -1;
for (let looks = 0; inFlight() !== 0 && looks < 100; looks += 1)
  await new Promise((resolve) => setTimeout(resolve, 50));
console.log(
  JSON.stringify({ seed: SEED, inputs: INPUTS, inFlight: inFlight(), surfaced: surfaced.slice(0, 3) }),
);
process.exit(surfaced.length === 0 && inFlight() === 0 ? 0 : 1);

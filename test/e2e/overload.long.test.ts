// Too many slow clients, and too many requests: normal traffic goes on.

import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { type PlainClient, plainClient } from '../support/plain-client.ts';

const SLOW_CLIENTS = 2000;
const HEADER_MS = 6000;

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((first, second) => first - second);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Times of one request after another on a few connections, until `isDone`. */
async function timesUntil(port: number, isDone: (count: number) => boolean): Promise<number[]> {
  const times: number[] = [];
  const one = async (): Promise<void> => {
    const client = plainClient(port);
    while (!isDone(times.length)) {
      const beganMs = performance.now();
      expect((await client.ask('GET', '/')).status).toBe(200);
      times.push(performance.now() - beganMs);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  };
  await Promise.all([one(), one()]);
  return times;
}

test('two thousand clients that send a byte a second do not slow down others, and are cut at the time limit', async () => {
  const backend = await httpBackend('a', (_request, response) => response.end('ok'));
  const holdfast = await runHoldfast(`
threads: 2
listen: [{ address: "127.0.0.1:0", timeouts: { header: ${HEADER_MS}ms } }]
admin: { address: 127.0.0.1:0 }
pools: { shop: { servers: ["${backend.url}"] } }
`);
  const sockets = new Set<Socket>();
  let connected = 0;
  let shortestMs = Number.POSITIVE_INFINITY;
  let reset = 0;
  let answered = 0;
  onTestFinished(() => sockets.forEach((socket) => void socket.destroy()));
  for (let client = 0; client < SLOW_CLIENTS; client += 1) {
    const socket = connect({
      port: holdfast.port,
      host: '127.0.0.1',
      localAddress: `127.2.${client >> 7}.${(client & 127) + 1}`,
    });
    sockets.add(socket);
    let connectedMs = Number.NaN;
    socket.once('connect', () => {
      connected += 1;
      connectedMs = performance.now();
    });
    socket.on('error', () => (reset += 1));
    socket.on(
      'data',
      (text: Buffer) => (answered += text.toString('latin1').startsWith('HTTP/1.1 408') ? 1 : 0),
    );
    socket.on('close', () => {
      sockets.delete(socket);
      shortestMs = Math.min(shortestMs, performance.now() - connectedMs);
    });
    if (client % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
  }
  const open = (): Promise<number> => holdfast.metric('holdfast_client_connections');
  await eventually(() => connected === SLOW_CLIENTS);
  const line = 'GET /a-long-path-that-takes-its-time HTTP/1.1\r\nhost: x\r\n';
  let tick = 0;
  // a twentieth of them every twentieth of a second, so that the test's own event loop is not the bottleneck
  const drip = setInterval(() => {
    let index = 0;
    for (const socket of sockets) {
      if (index % 20 === tick % 20 && socket.writable)
        socket.write(line[Math.floor(tick / 20) % line.length] ?? 'x');
      index += 1;
    }
    tick += 1;
  }, 50);
  // as many as go before the first slow client is cut: each is served, at once as far as those are concerned
  const during = await timesUntil(holdfast.port, () => answered + reset > 0);
  await eventually(() => sockets.size === 0, { deadlineMs: HEADER_MS + 5000 });
  await eventually(async () => (await open()) < 10);
  clearInterval(drip);
  // none before its time; a tenth of a second is what the deadlines are walked in
  expect(shortestMs).toBeGreaterThan(HEADER_MS - 200);
  console.log(
    `${during.length} served, p99 ${percentile(during, 0.99).toFixed(2)} ms, with ${SLOW_CLIENTS} slow`,
  );
  expect(during.length).toBeGreaterThan(100);
});

test('three times more than the servers can take: what is accepted is quick, the rest is refused at once, then all is well', async () => {
  const WORK_MS = 50;
  const LIMIT = 10;
  let most = 0;
  let running = 0;
  const backends = await Promise.all(
    ['a', 'b'].map((name) =>
      httpBackend(name, (_request, response) => {
        running += 1;
        most = Math.max(most, running);
        setTimeout(() => {
          running -= 1;
          response.end(name);
        }, WORK_MS);
      }),
    ),
  );
  const servers = backends.map(({ url }) => `{ url: "${url}", maxConnections: ${LIMIT} }`);
  const holdfast = await runHoldfast(`
threads: 2
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools: { shop: { policy: least-connections, health: { interval: 10s }, queue: { size: 5, timeout: 100ms }, servers: [${servers.join(', ')}] } }
`);
  const accepted: number[] = [];
  const refused: string[] = [];
  const other: number[] = [];
  let isOver = false;
  const closed = async (client: PlainClient): Promise<void> => {
    while (!isOver) {
      const beganMs = performance.now();
      const reply = await client.ask('GET', '/');
      const tookMs = performance.now() - beganMs;
      if (reply.status === 200) accepted.push(tookMs);
      else if (reply.status === 503 && reply.header('retry-after') === '1') {
        refused.push(reply.header('x-holdfast-error') ?? '');
        await new Promise((resolve) => setTimeout(resolve, WORK_MS));
      } else other.push(reply.status);
    }
  };
  const clients = Array.from({ length: 6 * LIMIT }, () => plainClient(holdfast.port));
  const load = clients.map(closed);
  await eventually(() => accepted.length > 600, { deadlineMs: 15_000 });
  isOver = true;
  await Promise.all(load);
  expect(other).toEqual([]);
  expect(most).toBeLessThanOrEqual(2 * LIMIT);
  expect(refused.length).toBeGreaterThan(100);
  console.log(`accepted p99 ${percentile(accepted, 0.99).toFixed(0)} ms, refused ${refused.length}`);
  // at once, for the queue was full, or when its time was over
  expect(refused.filter((kind) => kind !== 'queue-full' && kind !== 'queue-timeout')).toEqual([]);
  expect(refused).toContain('queue-full');
  const queued = (): Promise<number> => holdfast.metric('holdfast_queued_requests_total');
  const before = await queued();
  for (let request = 0; request < 20; request += 1)
    expect((await clients[0]!.ask('GET', '/')).status).toBe(200);
  expect(await queued()).toBe(before);
});

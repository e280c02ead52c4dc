// What an exchange has taken is given back on every way out: its server's place, its place in the queue, its connection.

import { createServer, type ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { createBalancer } from '../../src/embed/balancer.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed, listen, nothingLeft, SMALL } from './embedded.ts';

const get = (target: string, lines = ''): string => `GET ${target} HTTP/1.1\r\nHost: t\r\n${lines}\r\n`;
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n';

/** Answers at once, except what begins with /held: that is answered, or not, by the test. */
async function holding(): Promise<{ url: string; held: Map<string, ServerResponse>; answered: Set<string> }> {
  const held = new Map<string, ServerResponse>();
  const answered = new Set<string>();
  const { url } = await httpBackend('a', (request, response) => {
    const target = request.url ?? '';
    response.on('error', () => undefined);
    if (target.startsWith('/held')) held.set(target, response);
    else {
      answered.add(target);
      response.end(target);
    }
  });
  return { url, held, answered };
}

test.each(['reset', 'destroyed'] as const)(
  'pipelined requests whose connection is %s while the first has no answer',
  async (how) => {
    const { url, held, answered } = await holding();
    const embedded = await embed({ pools: { web: { health: 'off', servers: [url] } } });
    const client = await rawClient(embedded.port);
    client.send(get('/held') + get('/1') + get('/2'));
    await eventually(() => held.has('/held') && answered.has('/2'));
    if (how === 'reset') client.socket.resetAndDestroy();
    else client.socket.destroy();
    await nothingLeft(embedded);
  },
);

test('a pipelined request that waits for a server when its connection goes leaves the queue', async () => {
  const { url, held, answered } = await holding();
  const pool = { health: 'off', queue: { timeout: '60s' }, servers: [{ url, maxConnections: 1 }] };
  const embedded = await embed({ pools: { web: pool } });
  const first = await rawClient(embedded.port);
  first.send(get('/held'));
  await eventually(() => held.has('/held'));
  const second = await rawClient(embedded.port);
  second.send(get('/1') + get('/2'));
  await eventually(async () =>
    (await embedded.balancer.metrics()).body.includes('queued_requests_total{pool="web"} 2'),
  );
  second.socket.resetAndDestroy();
  const third = await rawClient(embedded.port);
  third.send(get('/3'));
  await eventually(async () =>
    (await embedded.balancer.metrics()).body.includes('queued_requests_total{pool="web"} 3'),
  );
  held.get('/held')?.end('done');
  await third.until('/3');
  expect([...answered]).toEqual(['/3']);
  first.socket.destroy();
  third.socket.destroy();
  await nothingLeft(embedded);
});

test('an upgrade that comes while an earlier request of its connection is under way ends both', async () => {
  const { url, held } = await holding();
  const embedded = await embed({ pools: { web: { health: 'off', servers: [url] } } });
  for (let count = 0; count < 3; count += 1) {
    const client = await rawClient(embedded.port);
    client.send(get(`/held/${count}`));
    await eventually(() => held.has(`/held/${count}`));
    client.send(get('/upgrade', UPGRADE));
    // not one byte of the one answer may stand where the other is expected
    expect((await client.closed()).text).toBe('');
    await nothingLeft(embedded);
  }
});

test('a request whose client has gone before the balancer is asked goes to no server', async () => {
  const { url, answered } = await holding();
  const warnings: string[] = [];
  const log = {
    info: () => undefined,
    warn: (_fields: object, message: string): number => warnings.push(message),
  };
  const config = { ...SMALL, pools: { web: { health: 'off', servers: [url] } } } as const;
  const balancer = await createBalancer(config, { log });
  const handler = balancer.middleware();
  let seen = 0;
  let asked = 0;
  const server = createServer((request, response) => {
    seen += 1;
    request.socket.once('close', () =>
      setImmediate(() => {
        handler(request, response);
        asked += 1;
      }),
    );
    request.resume();
  });
  server.on('upgrade', (request, socket, head) => {
    seen += 1;
    socket.on('error', () => undefined);
    socket.once('close', () =>
      setImmediate(() => {
        balancer.upgrade(request, socket, head);
        asked += 1;
      }),
    );
    socket.resume();
  });
  const port = Number(new URL(await listen(server)).port);
  for (const [index, lines] of ['', UPGRADE].entries()) {
    const client = await rawClient(port);
    client.send(get('/late', lines));
    await eventually(() => seen === index + 1);
    client.socket.resetAndDestroy();
  }
  await eventually(() => asked === 2);
  await nothingLeft({ balancer });
  expect([...answered]).toEqual([]);
  // it is no fault of ours
  expect(warnings).toEqual([]);
  await balancer.close(0);
});

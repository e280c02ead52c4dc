// What clients saw go wrong is what the metric says went wrong, pool by pool, whatever the reason was.

import { expect, test } from 'vitest';
import { cannedBackend, httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runInside } from '../support/holdfast.ts';
import { plainClient } from '../support/plain-client.ts';
import { rawClient } from '../support/raw-client.ts';

const NOBODY = 'http://127.0.0.1:9';
const ASKED = 12;

test('errors as clients see them: by pool, over all requests', async () => {
  let count = 0;
  const half = await httpBackend('half', (_request, response) => {
    count += 1;
    response.writeHead(count % 2 === 0 ? 500 : 200, { 'content-length': 1 }).end('x');
  });
  const slow = await httpBackend('slow', () => undefined);
  const garbage = await cannedBackend('garbage\r\n\r\n', 'end');
  const cut = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', 'end');
  const pool = (name: string, url: string, more = ''): string =>
    `  ${name}: { health: off, queue: { size: 0, timeout: 0s, whenDown: 0s }, passive: off, timeouts: { response: 300ms }, ${more} servers: [{ url: "${url}", maxConnections: 64 }] }\n`;
  const holdfast = await runInside(`
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
routes:
  - { path: /half, pool: half }
  - { path: /down, pool: down }
  - { path: /garbage, pool: garbage }
  - { path: /cut, pool: cut }
  - { path: /slow, pool: slow }
  - { path: /limited, pool: limited, rateLimit: { key: address, rate: 1/h, burst: 5 } }
pools:
${pool('half', half.url)}${pool('down', NOBODY)}${pool('garbage', garbage.url)}${pool('cut', cut.url)}${pool('slow', slow.url)}${pool('limited', half.url)}`);
  const seen: Record<string, number> = {};
  for (const name of ['half', 'down', 'garbage', 'cut', 'slow', 'limited', 'nowhere']) {
    const client = plainClient(holdfast.port);
    seen[name] = 0;
    for (let asked = 0; asked < ASKED; asked += 1) {
      const reply = await client.ask('GET', `/${name}`).catch(() => null);
      if (reply === null || reply.status >= 500 || reply.status === 429) seen[name] += 1;
    }
  }
  // a client that gives up has seen nothing
  const leaver = await rawClient(holdfast.port);
  leaver.send('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n');
  await eventually(
    async () => (await holdfast.metric('holdfast_requests_in_flight', { pool: 'slow' })) === 1,
  );
  leaver.socket.destroy();
  await eventually(
    async () => (await holdfast.metric('holdfast_requests_in_flight', { pool: 'slow' })) === 0,
  );

  expect(seen).toMatchObject({ down: ASKED, garbage: ASKED, cut: ASKED, slow: ASKED });
  expect([seen['half'], seen['limited']]).toEqual([ASKED / 2, expect.any(Number)]);
  for (const name of ['half', 'down', 'garbage', 'cut', 'slow', 'limited']) {
    expect([name, await holdfast.metric('holdfast_client_errors_total', { pool: name })]).toEqual([
      name,
      seen[name],
    ]);
    const asked = ASKED + (name === 'slow' ? 1 : 0);
    expect(await holdfast.metric('holdfast_pool_requests_total', { pool: name })).toBe(asked);
  }
  const unrouted = { pool: '', reason: 'no-route' };
  expect(await holdfast.metric('holdfast_rejected_requests_total', unrouted)).toBe(ASKED);
  const limited = { pool: 'limited', reason: 'too-many-requests' };
  expect(await holdfast.metric('holdfast_rejected_requests_total', limited)).toBe(ASKED - 5);
});

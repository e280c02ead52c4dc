// holdUntilComplete of an embedded balancer: what is held reaches nobody before it is whole.

import { expect, onTestFinished, test } from 'vitest';
import { cannedBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { logInLikeABrowser, type SaveAfter, slowSessionApp } from '../support/slow-session-app.ts';
import { embed } from './embedded.ts';

const LOG_INS = 50;
const GET = 'GET / HTTP/1.1\r\nHost: t\r\n\r\n';

async function lostLogIns(holdUntilComplete: string, saveAfter: SaveAfter): Promise<number> {
  const app = await slowSessionApp(saveAfter);
  onTestFinished(() => app.close());
  const sticky = { mode: 'learn', cookie: 'connect.sid' };
  const { url } = await embed({ pools: { app: { holdUntilComplete, sticky, servers: [app.url] } } });
  const statuses = await Promise.all(Array.from({ length: LOG_INS }, () => logInLikeABrowser(url)));
  return statuses.filter((status) => status !== 200).length;
}

test('off: a browser that follows the redirect at once finds no session; redirects: every one does', async () => {
  expect(await lostLogIns('off', 'the next request')).toBe(LOG_INS);
  expect(await lostLogIns('redirects', 20)).toBe(0);
});

test('a held response that breaks off is a 502, for nothing has been sent', async () => {
  const backend = await cannedBackend(
    'HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 10\r\n\r\nhalf',
    'destroy',
  );
  const { url, balancer } = await embed({
    pools: { app: { health: 'off', holdUntilComplete: 'redirects', servers: [backend.url] } },
  });
  const reply = await fetch(url, { redirect: 'manual' });
  expect([reply.status, reply.headers.get('x-holdfast-error'), reply.headers.get('location')]).toEqual([
    502,
    'bad-response',
    null,
  ]);
  expect(balancer.status().pools[0]?.servers[0]?.failures).toBe(1);
});

test('a response that grows past the limit is let go and arrives whole; one that is not held flows', async () => {
  const body = 'x'.repeat(40_000);
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
  const large = await cannedBackend(
    `HTTP/1.1 302 Found\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}0\r\n\r\n`,
  );
  const plain = await cannedBackend('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst');
  const { url, port } = await embed({
    routes: [{ path: '/plain', pool: 'plain' }, { pool: 'large' }],
    pools: {
      large: { health: 'off', holdUntilComplete: 'redirects', servers: [large.url] },
      plain: { health: 'off', holdUntilComplete: 'redirects', servers: [plain.url] },
    },
  });
  const reply = await fetch(url, { redirect: 'manual' });
  expect([reply.status, (await reply.text()) === body.repeat(3)]).toEqual([302, true]);
  const client = await rawClient(port);
  client.send(GET.replace('/', '/plain'));
  expect(await client.until('first')).toContain('200 OK');
});

test('small: a held response with trailers and length arrives as it came', async () => {
  const backend = await cannedBackend(
    'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n',
  );
  const { port } = await embed({
    pools: { app: { health: 'off', holdUntilComplete: 'small', servers: [backend.url] } },
  });
  const client = await rawClient(port);
  client.send(GET);
  const text = await client.until('x-sum: 5\r\n\r\n');
  expect(text).toContain('\r\n5\r\nhello\r\n0\r\n');
  await eventually(() => backend.sockets.size === 1);
});

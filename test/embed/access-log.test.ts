// The access log of an embedded balancer has the lines of the program's, and traces begin where they should.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed, NOBODY } from './embedded.ts';

type Line = Readonly<Record<string, unknown>>;

function logFile(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-embed-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return join(path, 'access.log');
}

async function linesWhen(file: string, count: number): Promise<Line[]> {
  // the last may be on its way
  const read = (): Line[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  return eventually(() => (read().length >= count ? read() : null), {
    what: () => readFileSync(file, 'utf8'),
  });
}

test('a line says who asked for what, who answered, how long it took and how it ended', async () => {
  const backend = await httpBackend('a');
  const file = logFile();
  const { url } = await embed({
    accessLog: { file },
    traceparent: 'on',
    pools: { shop: { sticky: { mode: 'cookie-hash' }, servers: [{ name: 'a', url: backend.url }] } },
  });
  const response = await fetch(`${url}/buy?what="x"`, { method: 'POST', body: 'hello' });
  const { headers } = (await response.json()) as { headers: Record<string, string> };
  const [line] = await linesWhen(file, 1);
  expect(Object.keys(line ?? {})).toEqual(
    'time requestId traceId client method target host status pool server affinity ms bytesIn bytesOut endedBy error sampled'.split(
      ' ',
    ),
  );
  expect(line).toMatchObject({
    client: '127.0.0.1',
    method: 'POST',
    target: '/buy?what=%22x%22',
    host: new URL(url).host,
    status: 200,
    pool: 'shop',
    server: 'a',
    affinity: 'new',
    endedBy: 'server',
    error: null,
    sampled: 1,
    requestId: headers['x-request-id'],
    traceId: headers['traceparent']?.slice(3, 35),
  });
  expect(line?.['bytesIn']).toBeGreaterThan(50);
  expect(line?.['bytesOut']).toBeGreaterThan(200);
});

test('a traceparent that came is passed on and logged; off starts none', async () => {
  const backend = await httpBackend('a');
  const file = logFile();
  const { url } = await embed({ accessLog: { file }, pools: { shop: { servers: [backend.url] } } });
  const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
  const seen = async (init: RequestInit): Promise<string | undefined> =>
    ((await (await fetch(url, init)).json()) as { headers: Record<string, string> }).headers['traceparent'];
  expect(await seen({ headers: { traceparent } })).toBe(traceparent);
  expect(await seen({})).toBeUndefined();
  const lines = await linesWhen(file, 2);
  expect(lines.map((line) => line['traceId'])).toEqual(['ab'.repeat(16), undefined]);
});

test('our own replies say the id that is in the log', async () => {
  const file = logFile();
  const { url } = await embed({
    accessLog: { file },
    routes: [{ path: '/gone', pool: 'gone' }],
    pools: { gone: { health: 'off', queue: { timeout: '0ms' }, servers: [NOBODY] } },
  });
  const ids: (string | null)[] = [];
  for (let count = 0; count < 2; count += 1)
    ids.push((await fetch(`${url}/gone`)).headers.get('x-request-id'));
  const lines = await linesWhen(file, 2);
  expect(lines.map((line) => line['requestId'])).toEqual(ids);
  expect(ids.every((id) => /^[0-9a-f]{16}-\d+$/.test(id ?? ''))).toBe(true);
});

test('attempts, refusals and aborts are told as they were; what the application answers is not ours to log', async () => {
  const backend = await httpBackend('a', (request, response) => {
    if (request.url !== '/slow') response.end('ok');
  });
  const file = logFile();
  const { url, port } = await embed({
    accessLog: { file },
    routes: [
      { path: '/shop', pool: 'shop' },
      { path: '/slow', pool: 'slow' },
    ],
    pools: {
      shop: {
        health: 'off',
        policy: 'round-robin',
        servers: [
          { url: NOBODY, name: 'gone' },
          { url: backend.url, name: 'a' },
        ],
      },
      slow: { health: 'off', servers: [{ url: backend.url, name: 'a' }] },
    },
  });
  for (let count = 0; count < 2; count += 1) await (await fetch(`${url}/shop`)).text();
  await (await fetch(`${url}/nowhere`)).text();
  const client = await rawClient(port);
  client.send('GET /slow HTTP/1.1\r\nHost: t\r\n\r\n');
  await eventually(() => backend.connections() > 1);
  client.socket.destroy();
  const lines = await linesWhen(file, 4);
  const attempts = [
    { server: 'gone', outcome: 'connect-failed' },
    { server: 'a', outcome: 'answered' },
  ];
  expect(lines.filter((line) => line['attempts'] !== undefined).map((line) => line['attempts'])).toEqual([
    attempts,
  ]);
  expect(lines[2]).toMatchObject({
    target: '/nowhere',
    status: 404,
    pool: null,
    error: 'no-route',
    endedBy: 'client',
  });
  expect(lines[3]).toMatchObject({
    target: '/slow',
    status: 0,
    server: 'a',
    error: 'client-aborted',
    endedBy: 'client',
  });
});

test('a log that cannot be written is said and counted, and requests go on', async () => {
  const backend = await httpBackend('a');
  const said: string[] = [];
  const log = { info: () => undefined, warn: (_fields: object, message: string) => said.push(message) };
  const { url, balancer } = await embed(
    { accessLog: { file: '/nowhere/access.log' }, pools: { shop: { servers: [backend.url] } } },
    { log },
  );
  expect((await fetch(url)).status).toBe(200);
  await eventually(async () => /holdfast_access_log_dropped_total 1/.test((await balancer.metrics()).body));
  expect(said.join('\n')).toContain('the access log cannot be opened');
});

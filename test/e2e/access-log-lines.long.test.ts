// The access log tells of every exchange what happened to it, one JSON object per line.

import { once } from 'node:events';
import { readFileSync, renameSync } from 'node:fs';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cannedBackend, httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { PlainClient } from '../support/plain-client.ts';
import { rawClient } from '../support/raw-client.ts';

interface Line {
  readonly time: string;
  readonly requestId: string;
  readonly traceId?: string;
  readonly client: string;
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly status: number;
  readonly pool: string | null;
  readonly server: string | null;
  readonly attempts?: readonly { readonly server: string; readonly outcome: string }[];
  readonly affinity: string;
  readonly ms: {
    readonly queue: number;
    readonly connect: number;
    readonly firstByte: number | null;
    readonly total: number;
  };
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly endedBy: string;
  readonly error: string | null;
  readonly sampled: number;
}

const HEAD = `
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
`;

/** Those that have come whole. */
function linesOf(text: string): Line[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);
}

async function linesWhen(holdfast: RunningHoldfast, count: number): Promise<Line[]> {
  return eventually(() => (linesOf(holdfast.output()).length >= count ? linesOf(holdfast.output()) : null), {
    what: () => `${count} lines in ${holdfast.output()}`,
  });
}

test('a line says who asked for what, who answered, how long it took and how it ended', async () => {
  const backend = await httpBackend('a');
  const holdfast = await runHoldfast(`${HEAD}
accessLog: json
pools:
  shop:
    sticky: { mode: cookie-hash }
    servers: [{ name: a, url: "${backend.url}" }]
`);
  const response = await fetch(`${holdfast.url}/buy?what="x"`, { method: 'POST', body: 'hello' });
  const echoed = (await response.json()) as { headers: Record<string, string> };
  const [line] = await linesWhen(holdfast, 1);
  expect(line).toMatchObject({
    client: '127.0.0.1',
    method: 'POST',
    target: '/buy?what=%22x%22',
    host: `127.0.0.1:${holdfast.port}`,
    status: 200,
    pool: 'shop',
    server: 'a',
    affinity: 'new',
    endedBy: 'server',
    error: null,
    sampled: 1,
  });
  expect(line?.requestId).toBe(echoed.headers['x-request-id']);
  expect(Math.abs(Date.parse(line?.time ?? '') - Date.now())).toBeLessThan(10_000);
  expect(line?.ms.total).toBeGreaterThanOrEqual(line?.ms.firstByte ?? 0);
  expect(line?.ms.connect).toBeGreaterThan(0);
  expect(line?.bytesIn).toBeGreaterThan(100);
  expect(line?.bytesOut).toBeGreaterThan(100);
  expect(line?.attempts).toBeUndefined();
  expect(echoed.headers['traceparent']).toBeUndefined();
});

test('attempts, refusals and clients that went away are told apart', async () => {
  const closing = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.destroy());
  });
  const silent = await tcpBackend((socket) => socket.on('error', () => undefined));
  const good = await cannedBackend('HTTP/1.1 204 No Content\r\n\r\n');
  const holdfast = await runHoldfast(`${HEAD}
accessLog: json
routes: [{ path: /two, pool: two }, { path: /silent, pool: silent }]
pools:
  two:
    servers: [{ name: closing, url: "${closing.url}" }, { name: good, url: "${good.url}", backup: true }]
  silent:
    servers: [{ name: silent, url: "${silent.url}" }]
`);
  expect((await fetch(`${holdfast.url}/two`)).status).toBe(204);
  expect((await fetch(`${holdfast.url}/nowhere`)).status).toBe(404);
  const malformed = await rawClient(holdfast.port);
  malformed.send('GET / HTTP/1.1\r\nbad header: x\r\n\r\n');
  await malformed.until('400');
  const impatient = await rawClient(holdfast.port);
  impatient.send('GET /silent HTTP/1.1\r\nhost: x\r\n\r\n');
  await eventually(
    () => silent.connections() > 0 && holdfast.metric('holdfast_requests_in_flight', { pool: 'silent' }),
  );
  impatient.socket.destroy();
  const lines = await linesWhen(holdfast, 4);
  const short = lines.map(({ target, status, server, attempts, endedBy, error }) => ({
    target,
    status,
    server,
    ...(attempts === undefined ? {} : { attempts }),
    endedBy,
    error,
  }));
  expect(short).toEqual([
    {
      target: '/two',
      status: 204,
      server: 'good',
      attempts: [
        { server: 'closing', outcome: 'server-closed' },
        { server: 'good', outcome: 'answered' },
      ],
      endedBy: 'server',
      error: null,
    },
    { target: '/nowhere', status: 404, server: null, endedBy: 'client', error: 'no-route' },
    { target: '', status: 400, server: null, endedBy: 'client', error: 'bad-request' },
    { target: '/silent', status: 0, server: 'silent', endedBy: 'client', error: 'client-aborted' },
  ]);
});

test('our own replies say the id that is in the log: of exchanges, refusals and garbage, by HTTP/1 and HTTP/2', async () => {
  const holdfast = await runHoldfast(`
threads: 1
listen: { address: 127.0.0.1:0, h2c: true }
admin: { address: 127.0.0.1:0 }
accessLog: json
trusted: [127.0.0.2]
routes: [{ path: /gone, pool: gone }]
pools: { gone: { health: off, queue: { timeout: 0ms }, servers: ["http://127.0.0.1:9"] } }
`);
  const ids: string[] = [];
  for (const path of ['/gone', '/nowhere']) {
    const reply = await fetch(`${holdfast.url}${path}`, { headers: { 'x-request-id': 'not-believed' } });
    ids.push(reply.headers.get('x-request-id') ?? '');
  }
  const malformed = await rawClient(holdfast.port);
  malformed.send('GET / HTTP/1.1\r\nbad header: x\r\n\r\n');
  const { text } = await malformed.closed();
  ids.push(/^x-request-id: (.*)\r$/m.exec(text)?.[1] ?? '');
  const session = connect(holdfast.url);
  for (const path of ['/gone', '/nowhere']) {
    const [headers] = await once(session.request({ ':path': path }).resume(), 'response');
    ids.push(String((headers as IncomingHttpHeaders)['x-request-id']));
  }
  session.close();
  const trusted = new PlainClient(holdfast.port, '127.0.0.2');
  for (const path of ['/gone', '/nowhere']) {
    const reply = await trusted.ask('GET', path, { 'X-Request-Id': `  theirs ${path} ` });
    expect(reply.header('x-request-id')).toBe(`theirs ${path}`);
  }
  const lines = await linesWhen(holdfast, 7);
  expect(lines.map(({ requestId }) => requestId)).toEqual([...ids, 'theirs /gone', 'theirs /nowhere']);
  expect(new Set(ids).size).toBe(5);
  expect(ids.every((id) => /^[0-9a-f]{16}-\d+$/.test(id))).toBe(true);
});

test('a file is appended to, and let go of at a reload after it was renamed', async () => {
  const backend = await cannedBackend('HTTP/1.1 204 No Content\r\n\r\n');
  const holdfast = await runHoldfast(
    `${HEAD}
accessLog: { file: "\${LOG_FILE}", sample: 1 }
pools: { shop: { servers: ["${backend.url}"] } }
`,
    { env: { LOG_FILE: `/tmp/holdfast-access-${process.pid}.log` } },
  );
  const file = `/tmp/holdfast-access-${process.pid}.log`;
  const moved = join(holdfast.directory, 'old.log');
  await fetch(`${holdfast.url}/first`);
  await eventually(() => readFileSync(file, 'utf8').includes('/first'));
  renameSync(file, moved);
  expect((await fetch(`${holdfast.adminUrl}/api/reload`, { method: 'POST' })).status).toBe(200);
  await fetch(`${holdfast.url}/second`);
  await eventually(() => readFileSync(file, 'utf8').includes('/second'));
  renameSync(file, join(holdfast.directory, 'new.log'));
  expect(linesOf(readFileSync(moved, 'utf8')).map(({ target }) => target)).toEqual(['/first']);
  expect(linesOf(holdfast.output())).toEqual([]);
});

test('under load on two threads every line is whole and none is missing', async () => {
  const backend = await cannedBackend('HTTP/1.1 204 No Content\r\n\r\n');
  const holdfast = await runHoldfast(`${HEAD.replace('threads: 1', 'threads: 2')}
accessLog: json
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`);
  const clients = await Promise.all(Array.from({ length: 16 }, () => rawClient(holdfast.port)));
  const requests = 100;
  for (const [index, client] of clients.entries()) {
    for (let request = 0; request < requests; request += 1)
      client.send(`GET /${index}/${request} HTTP/1.1\r\nhost: x\r\n\r\n`);
  }
  const lines = await linesWhen(holdfast, clients.length * requests);
  expect(new Set(lines.map(({ target }) => target)).size).toBe(clients.length * requests);
  expect(await holdfast.metric('holdfast_access_log_dropped_total')).toBe(0);
});

test('sampling logs its share, and the line says which', async () => {
  const backend = await cannedBackend('HTTP/1.1 204 No Content\r\n\r\n');
  const holdfast = await runHoldfast(`${HEAD}
accessLog: { sample: 0.2 }
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`);
  const client = await rawClient(holdfast.port);
  for (let request = 0; request < 1000; request += 1) client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await eventually(async () => (await holdfast.metric('holdfast_requests_total', { code: '2xx' })) === 1000);
  await holdfast.stop();
  const lines = linesOf(holdfast.output());
  expect(lines.length).toBeGreaterThan(120);
  expect(lines.length).toBeLessThan(280);
  expect(lines[0]?.sampled).toBe(0.2);
});

test('a trace is started where there is none, and the one that came is passed on untouched', async () => {
  const backend = await httpBackend('a');
  const holdfast = await runHoldfast(`${HEAD}
accessLog: json
traceparent: on
pools: { shop: { servers: ["${backend.url}"] } }
`);
  const own = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';
  const sent = async (headers: Record<string, string>): Promise<string> => {
    const echoed = (await (await fetch(holdfast.url, { headers })).json()) as {
      headers: Record<string, string>;
    };
    return echoed.headers['traceparent'] ?? '';
  };
  expect(await sent({ traceparent: own })).toBe(own);
  const started = await sent({});
  expect(started).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  const lines = await linesWhen(holdfast, 2);
  expect(lines.map(({ traceId }) => traceId)).toEqual([own.slice(3, 35), started.slice(3, 35)]);
});

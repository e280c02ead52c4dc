import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { serverAt } from '../../src/config/address.ts';
import type { HealthConfig, ServerConfig } from '../../src/config/model.ts';
import { createProbe, type Probe } from '../../src/health/probe.ts';
import type { Road } from '../../src/health/road.ts';
import { http2Backend } from '../support/http2-backend.ts';

const SECURE = { isVerified: true, serverName: null, groups: null, ca: null, cert: null, key: null };
const SAYS_NOTHING = { mode: 'ready', weight: null, unbacked: 0 };
const open: (Server | TcpServer)[] = [];
const probes: Probe[] = [];
afterEach(async () => {
  for (const probe of probes.splice(0)) probe.close();
  for (const server of open.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(server: Server | TcpServer): Promise<number> {
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function probe(port: number, health: Partial<HealthConfig> = {}, road: Partial<Road> = {}): Probe {
  const server: ServerConfig = {
    name: 'a',
    ...serverAt('127.0.0.1', port),
    weight: 1,
    maxConnections: 0,
    maxSessions: 0,
    backup: false,
    mode: 'ready',
  };
  const made = createProbe(
    server,
    {
      path: '/healthz',
      grpc: null,
      host: null,
      headers: {},
      method: 'GET',
      port: null,
      body: null,
      intervalMs: 1_000,
      timeoutMs: 5000,
      rise: 2,
      fall: 3,
      status: [[200, 399]],
      ...health,
    },
    { protocol: 'h1', sendProxyProtocol: 'off', secure: SECURE, ...road },
  );
  probes.push(made);
  return made;
}

const serve = (listener: RequestListener): Promise<number> => listen(createServer(listener));

describe('an HTTP check', () => {
  test('in HTTP/2 as well, each time on a new connection', async () => {
    const backend = await http2Backend((stream, headers) => {
      stream.respond({ ':status': headers[':path'] === '/healthz' ? 200 : 404 });
      stream.end('all well');
    });
    const port = Number(new URL(backend.url).port);
    const checked = probe(port, { body: 'well' }, { protocol: 'h2' });
    for (let round = 1; round <= 2; round += 1) {
      expect(await checked.check()).toMatchObject({ result: 'success', detail: 'status 200' });
      expect(backend.connections()).toBe(round);
    }
    expect(await probe(port, { path: '/other' }, { protocol: 'h2' }).check()).toMatchObject({
      result: 'failure',
      detail: 'status 404',
    });
  });

  test('asks for the path as holdfast-health, each time on a new connection', async () => {
    const seen: string[] = [];
    const port = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['user-agent']} ${request.headers.host}`);
      response.end('ok');
    });
    let connections = 0;
    open[0]?.on('connection', () => {
      connections += 1;
    });
    const checked = probe(port);
    for (let round = 0; round < 3; round += 1) {
      expect(await checked.check()).toEqual({
        result: 'success',
        isRefused: false,
        isReached: true,
        detail: 'status 200',
        report: SAYS_NOTHING,
      });
    }
    expect(seen).toEqual(Array(3).fill(`GET /healthz holdfast-health 127.0.0.1:${port}`));
    expect(connections).toBe(3);
  });

  test('asks as the application wants to be asked', async () => {
    const seen: string[] = [];
    const port = await serve(({ method, headers }, response) => {
      seen.push(`${method} ${headers.host} ${headers['x-check']} ${headers['user-agent']}`);
      response.statusCode = headers.host === 'shop.example.com' ? 200 : 400;
      response.end();
    });
    const how = {
      host: 'shop.example.com',
      headers: { 'x-check': '1', 'user-agent': 'me' },
      method: 'HEAD',
    } as const;
    // a port where nobody listens: the check's own is asked
    expect((await probe(1, { ...how, port }).check()).result).toBe('success');
    expect((await probe(port).check()).detail).toBe('status 400');
    expect(seen[0]).toBe('HEAD shop.example.com 1 me');
  });

  test('looks for a text in the body, and no further than 64 KiB', async () => {
    const port = await serve(({ url }, response) => {
      if (url === '/hangs') response.write('not y');
      else response.end(url === '/far' ? `${'x'.repeat(70_000)}all good` : 'it is all good');
    });
    const result = async (path: string, body: string, how: Partial<HealthConfig> = {}): Promise<string> =>
      (await probe(port, { path, body, ...how }).check()).result;
    expect(await result('/', 'all good')).toBe('success');
    expect(await result('/', 'all bad')).toBe('failure');
    expect(await result('/far', 'all good')).toBe('failure');
    expect(await result('/hangs', 'all good', { timeoutMs: 300 })).toBe('timeout');
  });

  test.each([
    [204, 'success'],
    [302, 'success'],
    [404, 'failure'],
    [503, 'failure'],
  ])('judges status %i as %s', async (status, result) => {
    const port = await serve((_request, response) => response.writeHead(status).end());
    expect(await probe(port).check()).toEqual({
      result,
      isRefused: false,
      isReached: true,
      detail: `status ${status}`,
      report: SAYS_NOTHING,
    });
  });

  test('accepts what the ranges say and nothing else', async () => {
    const port = await serve((_request, response) => response.writeHead(418).end());
    expect(
      (
        await probe(port, {
          status: [
            [200, 200],
            [418, 418],
          ],
        }).check()
      ).result,
    ).toBe('success');
    expect((await probe(port, { status: [[200, 417]] }).check()).result).toBe('failure');
  });

  test('a server that accepts and never answers is a timeout, and the next check works again', async () => {
    let isSilent = true;
    const port = await serve((_request, response) => {
      if (!isSilent) response.end();
    });
    const checked = probe(port, { timeoutMs: 300 });
    expect((await checked.check()).result).toBe('timeout');
    isSilent = false;
    expect((await checked.check()).result).toBe('success');
  });

  test('a refused connection is a failure that says so', async () => {
    const port = await listen(createTcpServer());
    const server = open.pop();
    await new Promise((resolve) => server?.close(resolve));
    const outcome = await probe(port).check();
    expect(outcome).toMatchObject({ result: 'failure', isRefused: true });
    expect(outcome.detail).toBe('connection refused');
  });

  test('a server that closes without an answer, or talks nonsense, is a failure', async () => {
    const closing = await listen(
      createTcpServer((socket) => socket.on('data', () => socket.end()).on('error', () => undefined)),
    );
    expect((await probe(closing).check()).result).toBe('failure');
    const nonsense = await listen(
      createTcpServer((socket) =>
        socket.on('data', () => socket.end('hello\r\n\r\n')).on('error', () => undefined),
      ),
    );
    expect((await probe(nonsense).check()).result).toBe('failure');
  });

  test('a body without end does not change the verdict and ends with the check', async () => {
    const port = await serve((_request, response) => {
      response.on('error', () => undefined);
      const chunk = Buffer.alloc(65_536);
      const push = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', push);
      };
      push();
    });
    const checked = probe(port);
    const beginMs = performance.now();
    expect((await checked.check()).result).toBe('success');
    expect((await checked.check()).result).toBe('success');
    expect(performance.now() - beginMs).toBeLessThan(900);
  });

  test('closing ends a check under way', async () => {
    const port = await serve(() => undefined);
    const checked = probe(port, { timeoutMs: 60_000 });
    const outcome = checked.check();
    setTimeout(() => checked.close(), 20);
    expect((await outcome).result).toBe('failure');
  });
});

describe('a TCP check', () => {
  test('is a success as soon as the connection stands', async () => {
    const port = await listen(createTcpServer());
    expect(await probe(port, { path: null }).check()).toEqual({
      result: 'success',
      isRefused: false,
      detail: 'connected',
    });
  });

  test('says when it was refused', async () => {
    const port = await listen(createTcpServer());
    const server = open.pop();
    await new Promise((resolve) => server?.close(resolve));
    expect(await probe(port, { path: null }).check()).toMatchObject({ result: 'failure', isRefused: true });
  });
});

// Forwarding fields, caching, Via and loops, half-closed clients: as the standards mean them, embedded too.

import { createServer } from 'node:http';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed, listen } from './embedded.ts';

interface Echo {
  readonly rawHeaders: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
}

const SPOOFED = [
  ...['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Port', 'X-Forwarded-Prefix'],
  ...['X-Forwarded-Server', 'X-Forwarded-Anything', 'X-Real-IP', 'Forwarded', 'X_Forwarded_For', 'X_Real_IP'],
  ...['X-Forwarded_Proto', 'x_forwarded-host'],
];

test('forwarding fields of a peer that is not trusted do not reach the server, however they are spelt', async () => {
  const backend = await httpBackend('a');
  const config = { pools: { web: { servers: [backend.url] } } };
  const untrusting = await embed({ ...config, trusted: [] });
  const headers = Object.fromEntries(SPOOFED.map((name) => [name, 'for=6.6.6.6']));
  const seen = (await (await fetch(untrusting.url, { headers })).json()) as Echo;
  expect(seen.rawHeaders.join('\n')).not.toContain('6.6.6.6');
  expect(seen.headers).toMatchObject({ 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' });
  const trusting = await embed({ ...config, trusted: ['127.0.0.0/8'] });
  const believed = (await (
    await fetch(trusting.url, {
      headers: { 'x-forwarded-for': '[2001:db8::1]:4711', 'x-forwarded-proto': 'https' },
    })
  ).json()) as Echo;
  expect(believed.headers['x-forwarded-for']).toContain('2001:db8::1');
  expect(believed.headers['x-forwarded-proto']).toBe('https');
});

test('a response with our cookie is for no shared cache, whatever it, the application and its listeners say', async () => {
  const fields: Readonly<Record<string, string>> = {
    'cache-control': 'public, max-age=60, s-maxage=600',
    expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
    'surrogate-control': 'max-age=600',
    'cdn-cache-control': 'max-age=600',
  };
  const backend = await httpBackend('a', (_request, response) => {
    response.writeHead(200, fields).end('x');
  });
  const { balancer } = await embed({
    pools: { web: { sticky: { mode: 'cookie-pin' }, servers: [backend.url] } },
  });
  const handler = balancer.middleware();
  const url = await listen(
    createServer((request, response) => {
      response.setHeader('edge-control', 'max-age=600');
      response.setHeader('cache-control', 'public');
      handler(request, response);
    }),
  );
  const check = async (): Promise<string> => {
    const { headers } = await fetch(url);
    expect(headers.getSetCookie()).toHaveLength(1);
    for (const name of ['surrogate-control', 'cdn-cache-control', 'edge-control'])
      expect(headers.get(name)).toBe(null);
    return headers.get('cache-control') ?? '';
  };
  expect(await check()).toBe('max-age=60, private');
  balancer.proxy.on('proxyRes', (incoming) => {
    incoming.headers['cache-control'] = 'public, s-maxage=9';
    incoming.headers['surrogate-control'] = 'max-age=9';
  });
  expect(await check()).toBe('private');
});

test('Via goes along, a loop is cut with 508, and who is forwarded no further is answered here', async () => {
  const backend = await httpBackend('a');
  const config = { pools: { web: { health: 'off', servers: [backend.url] } } };
  const { url, port, balancer } = await embed(config);
  const { headers } = (await (await fetch(url, { headers: { via: '1.0 before' } })).json()) as Echo;
  expect(headers['via']).toMatch(/^1\.0 before, 1\.1 \S+$/);
  const none = await rawClient(port);
  none.send('OPTIONS / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n');
  expect((await none.closed()).text).toContain('x-holdfast-error: max-forwards');
  const once = await rawClient(port);
  once.send('OPTIONS / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 3\r\nConnection: close\r\n\r\n');
  expect((await once.closed()).text).toContain('"max-forwards":"2"');
  // now it is its own server
  expect(
    await balancer.reload({ sessions: { max: 1000 }, pools: { web: { health: 'off', servers: [url] } } }),
  ).toMatchObject({ ok: true });
  const looped = await fetch(url);
  expect(looped.status).toBe(508);
  await looped.text();
  await eventually(() => balancer.status().pools[0]?.servers[0]?.inFlight === 0);
});

test.each([false, true])(
  'a client that has sent its end is answered as httpAllowHalfOpen of the server says (%s)',
  async (isAllowed) => {
    let release = (): void => undefined;
    const backend = await httpBackend('a', (_request, response) => {
      release = () => void response.end('late');
    });
    const { port, server, balancer } = await embed({
      pools: { web: { health: 'off', servers: [backend.url] } },
    });
    Object.assign(server, { httpAllowHalfOpen: isAllowed });
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    let received = '';
    let isEnded = false;
    socket.on('data', (chunk) => {
      received += String(chunk);
    });
    socket.on('end', () => {
      isEnded = true;
    });
    socket.end('GET / HTTP/1.1\r\nHost: t\r\n\r\n');
    const inFlight = (): number => balancer.status().pools[0]?.servers[0]?.inFlight ?? -1;
    if (isAllowed) {
      await eventually(() => backend.sockets.size === 1 && inFlight() === 1);
      await eventually(() => {
        release();
        return isEnded;
      });
      expect(received).toMatch(/^HTTP\/1\.1 200 [\s\S]*late/);
    } else {
      await eventually(() => isEnded);
      expect(received).toBe('');
    }
    socket.destroy();
    await eventually(() => inFlight() === 0);
  },
);

test('100 (Continue) of a pipelined request comes before its answer, not in it', async () => {
  let release = (): void => undefined;
  const backend = await httpBackend('a', (request, response) => {
    if (request.url === '/held') release = () => void response.end('first');
    else request.resume().on('end', () => response.end('second'));
  });
  const { port, balancer } = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } });
  const client = await rawClient(port);
  client.send('GET /held HTTP/1.1\r\nHost: t\r\n\r\n');
  client.send('POST /second HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi');
  await eventually(() => balancer.status().pools[0]?.servers[0]?.inFlight === 1);
  await eventually(() => {
    release();
    return client.received().includes('first');
  });
  expect(await client.until('second')).toMatch(
    /^HTTP\/1\.1 200 [\s\S]*first(?:\r\n0\r\n\r\n)?HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /,
  );
});

// `selfHandleResponse`: listeners of 'proxyRes' answer in place of the servers, as interceptors of responses do.

import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { createBalancer } from '../../src/embed/balancer.ts';
import type { NodeResponse } from '../../src/embed/node-messages.ts';
import { cannedBackend, httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed, nothingLeft, SMALL } from './embedded.ts';

const OPTIONS = { selfHandleResponse: true } as const;

async function textOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of incoming) text += String(part);
  return text;
}

/** As applications intercept: read all, change it, answer. */
async function intercept(incoming: IncomingMessage, response: NodeResponse): Promise<void> {
  const text = await textOf(incoming);
  response.statusCode = incoming.statusCode ?? 500;
  response.setHeader('x-seen-cookies', String(incoming.headers['set-cookie']?.length ?? 0));
  response.end(text.toUpperCase());
}

test('what an interceptor makes of the response is the answer, with our cookie', async () => {
  const backend = await httpBackend('a', (_request, response) => {
    response.setHeader('cache-control', 'public, max-age=60');
    response.end('text');
  });
  const pool = { sticky: { mode: 'cookie-hash' }, servers: [backend.url] };
  const all = await embed({ pools: { web: pool } }, OPTIONS);
  all.balancer.proxy.on('proxyRes', (incoming, _request, response) => intercept(incoming, response));
  for (let count = 0; count < 3; count += 1) {
    const response = await fetch(all.url);
    expect(await response.text()).toBe('TEXT');
    expect(response.headers.get('x-seen-cookies')).toBe('1');
    expect(response.headers.getSetCookie()).toEqual([expect.stringMatching(/^holdfast=/)]);
    expect(response.headers.get('cache-control')).toBe('private');
  }
  await nothingLeft(all);
  expect((await all.balancer.metrics()).body).toMatch(/holdfast_requests_total\{.*code="2xx"\} 3/);
});

test('an interceptor that copies the fields of the response sends our cookie once', async () => {
  const backend = await httpBackend('a', (_request, response) => {
    response.writeHead(201, {
      'set-cookie': 'own=1',
      'cache-control': 's-maxage=9',
      'cdn-cache-control': 'max-age=9',
    });
    response.end('text');
  });
  const pool = { sticky: { mode: 'cookie-hash' }, servers: [backend.url] };
  const { url, balancer } = await embed({ pools: { web: pool } }, OPTIONS);
  balancer.proxy.on('proxyRes', async (incoming, _request, response) => {
    const text = await textOf(incoming);
    for (const [name, value] of Object.entries(incoming.headers))
      if (name !== 'transfer-encoding' && name !== 'connection') response.setHeader(name, value ?? '');
    response.setHeader('content-length', text.length);
    response.writeHead(incoming.statusCode ?? 500).end(text);
  });
  const { status, headers } = await fetch(url);
  expect([status, headers.getSetCookie().length, headers.get('cache-control')]).toEqual([201, 2, 'private']);
  expect(headers.get('cdn-cache-control')).toBeNull();
});

test('without listeners responses go on as they came', async () => {
  const backend = await httpBackend('a', (_request, response) => response.end('text'));
  const { url } = await embed({ pools: { web: { servers: [backend.url] } } }, OPTIONS);
  expect(await (await fetch(url)).text()).toBe('text');
});

test('an interceptor that fails makes a 502, whether it throws or its promise is rejected', async () => {
  const backend = await httpBackend('a', (_request, response) => response.end('text'));
  const all = await embed({ pools: { web: { servers: [backend.url] } } }, OPTIONS);
  const errors: string[] = [];
  all.balancer.proxy.on('error', ({ message }) => errors.push(message));
  all.balancer.proxy.on('proxyRes', (_incoming, request) => {
    if (request.url === '/now') throw new Error('thrown');
    return Promise.reject(new Error('rejected'));
  });
  for (const path of ['/now', '/later']) {
    const { status, headers } = await fetch(new URL(path, all.url));
    expect([status, headers.get('x-holdfast-error')]).toEqual([502, 'bad-response']);
  }
  expect(errors).toEqual(['thrown', 'rejected']);
  await nothingLeft(all);
});

test('a response that breaks off while an interceptor reads it makes a 502', async () => {
  const backend = await cannedBackend('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345', 'destroy');
  const all = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } }, OPTIONS);
  all.balancer.proxy.on('proxyRes', (incoming, _request, response) => intercept(incoming, response));
  const { status, headers } = await fetch(all.url);
  expect([status, headers.get('x-holdfast-error')]).toEqual([502, 'bad-response']);
  await nothingLeft(all);
});

test('a response that is not used, because the request is repeated, is not shown to listeners', async () => {
  const failing = await httpBackend('a', (_request, response) => response.writeHead(503).end('no'));
  const good = await httpBackend('b', (_request, response) => response.end('yes'));
  const pool = { health: 'off', retry: { attempts: 2, status: [503] }, servers: [failing.url, good.url] };
  const all = await embed({ pools: { web: pool } }, OPTIONS);
  const heard: (number | undefined)[] = [];
  all.balancer.proxy.on('proxyRes', (incoming, _request, response) => {
    heard.push(incoming.statusCode);
    return intercept(incoming, response);
  });
  for (let count = 0; count < 4; count += 1) expect(await (await fetch(all.url)).text()).toBe('YES');
  expect(heard).toEqual([200, 200, 200, 200]);
  await nothingLeft(all);
});

test('the client that goes while an interceptor works leaves nothing behind', async () => {
  let isAsked = false;
  const release = Promise.withResolvers<void>();
  const backend = await httpBackend('a', (_request, response) => response.end('text'));
  const all = await embed({ pools: { web: { servers: [backend.url] } } }, OPTIONS);
  all.balancer.proxy.on('proxyRes', async (incoming, _request, response) => {
    isAsked = true;
    await release.promise;
    await intercept(incoming, response);
  });
  const client = await rawClient(all.port);
  client.send('GET / HTTP/1.1\r\nHost: t\r\n\r\n');
  await eventually(() => isAsked);
  client.socket.resetAndDestroy();
  await eventually(async () =>
    /^holdfast_client_connections\{.*\} 0$/m.test((await all.balancer.metrics()).body),
  );
  release.resolve();
  await nothingLeft(all);
  expect(await (await fetch(all.url)).text()).toBe('TEXT');
});

test('asynchronous listeners of every event may fail: the request ends, and the process goes on', async () => {
  const backend = await httpBackend('a', (_request, response) => response.end('text'));
  const { url, balancer } = await embed({ pools: { web: { servers: [backend.url] } } });
  const fail = async (): Promise<void> => {
    await Promise.resolve();
    throw new Error('a fault of the application');
  };
  for (const event of ['proxyReq', 'proxyRes', 'end', 'error'] as const) {
    balancer.proxy.on(event, fail);
    // answered, or broken off, but never silent
    await fetch(url)
      .then((response) => response.text())
      .catch(() => 'broken off');
    balancer.proxy.off(event, fail);
    expect(await (await fetch(url)).text()).toBe('text');
  }
});

test('listeners that were taken off are not called, and taking all off leaves the balancer its own', async () => {
  const backend = await httpBackend('a', (_request, response) => response.end('text'));
  const { url, balancer } = await embed({ pools: { web: { servers: [backend.url] } } });
  let calls = 0;
  const listener = (): void => {
    calls += 1;
  };
  balancer.proxy.on('proxyReq', listener).once('proxyRes', listener);
  await (await fetch(url)).text();
  expect(calls).toBe(2);
  await (await fetch(url)).text();
  expect(calls).toBe(3);
  balancer.proxy.off('proxyReq', listener);
  await (await fetch(url)).text();
  expect(calls).toBe(3);
  balancer.proxy.removeAllListeners('proxyReq').removeAllListeners('proxyRes');
  expect(await (await fetch(url)).text()).toBe('text');
});

test('a proxy server with options of its own is refused, and what is none', async () => {
  const { createProxyServer } = await import('httpxy');
  const config = { ...SMALL, pools: { web: { servers: ['http://127.0.0.1:1'] } } };
  const proxy = createProxyServer({ target: 'http://127.0.0.1:2' });
  await expect(createBalancer(config, { httpProxy: proxy })).rejects.toThrow(/made with options \(target\)/);
  await expect(createBalancer(config, { httpProxy: {} })).rejects.toThrow(/no proxy server/);
});

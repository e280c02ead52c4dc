// Listeners of the application that throw where http-proxy calls them: one request ends by it, and the process never.

import { type IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import type { EmbeddedBalancer } from '../../src/embed/balancer.ts';
import { SILENT } from '../../src/embed/options.ts';
import { cannedBackend, httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed } from './embedded.ts';

const GET = 'GET / HTTP/1.1\r\nHost: t\r\n\r\n';
const TOO_LATE = expect.stringMatching(/headers after they are sent/);

interface Listened {
  readonly port: number;
  readonly balancer: EmbeddedBalancer;
  /** What the 'error' listeners have heard. */
  readonly errors: readonly string[];
}

async function listened(server: string, pool: object = {}): Promise<Listened> {
  const config = { pools: { web: { health: 'off', ...pool, servers: [server] } } };
  const { port, balancer } = await embed(config, { log: SILENT });
  const errors: string[] = [];
  balancer.proxy.on('error', ({ message }) => errors.push(message));
  return { port, balancer, errors };
}

/** As an application does that has not looked at `headersSent`. */
function answer(response: unknown, text: string): void {
  if (response instanceof ServerResponse) response.writeHead(203).end(text);
}

/** All that came on a connection that the request ended. */
async function cut(port: number): Promise<string> {
  const client = await rawClient(port);
  client.send(GET);
  return (await client.closed()).text;
}

test.each(['proxyReq', 'proxyRes'] as const)(
  'a listener of %s that throws makes a 502, and the connection goes on',
  async (event) => {
    const backend = await httpBackend('a');
    const { port, balancer, errors } = await listened(backend.url);
    const thrower = (): void => {
      throw new Error('a fault of the application');
    };
    balancer.proxy.on(event, thrower);
    const client = await rawClient(port);
    for (const count of [1, 2]) {
      client.send(GET);
      await eventually(() => client.received().split('x-holdfast-error: bad-response').length === count + 1);
      expect(errors).toEqual(Array(count).fill('a fault of the application'));
    }
    balancer.proxy.off(event, thrower);
    client.send(GET);
    expect(await client.until('"server":"a"')).toContain('HTTP/1.1 200');
    expect(balancer.status().pools[0]?.servers[0]?.inFlight).toBe(0);
  },
);

test('a listener that answers a response which was refused already leaves the reply as it is', async () => {
  const backend = await cannedBackend('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  const { port, balancer, errors } = await listened(backend.url);
  balancer.proxy.on('proxyRes', (_incoming, _request, response) => answer(response, 'late'));
  const client = await rawClient(port);
  client.send(GET);
  expect(await client.until('x-holdfast-error: bad-response')).toContain('HTTP/1.1 502');
  expect(errors).toEqual(['the server sent an invalid response']);
  client.send('GET /nowhere HTTP/1.1\r\n\r\n');
  expect(await client.until('HTTP/1.1 400')).not.toContain('late');
});

test('a listener that answers after another has is told to the error listeners, and what was sent is broken off', async () => {
  const backend = await httpBackend('a');
  const { port, balancer, errors } = await listened(backend.url);
  balancer.proxy.on('proxyRes', (_incoming, _request, response) => response.write('first'));
  balancer.proxy.on('proxyRes', (_incoming, _request, response) => answer(response, 'second'));
  expect(await cut(port)).not.toContain('second');
  expect(errors).toEqual([TOO_LATE]);
});

test('a listener that reads the response to answer with it is too late: error listeners hear of it', async () => {
  const backend = await httpBackend('a');
  const { port, balancer, errors } = await listened(backend.url);
  balancer.proxy.on('proxyRes', (incoming: IncomingMessage, _request, response) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => answer(response, Buffer.concat(parts).toString()));
  });
  expect(await cut(port)).not.toContain('203');
  expect(errors).toEqual([TOO_LATE]);
  expect(balancer.status().pools[0]?.servers[0]?.inFlight).toBe(0);
});

test('a listener of the end of a response that answers breaks it off', async () => {
  const backend = await httpBackend('a');
  const { port, balancer, errors } = await listened(backend.url);
  balancer.proxy.on('end', (_request, response) => answer(response, 'late'));
  expect(await cut(port)).not.toContain('late');
  expect(errors).toEqual([TOO_LATE]);
});

test('an error listener that throws leaves a request without an answer, and nothing else', async () => {
  const { port, balancer } = await listened('http://127.0.0.1:1', { queue: { whenDown: '0s' } });
  balancer.proxy.on('error', () => {
    throw new Error('a fault of the application');
  });
  expect(await cut(port)).toBe('');
  expect(balancer.status().pools[0]?.servers[0]?.inFlight).toBe(0);
});

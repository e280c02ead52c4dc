// PROXY headers on real sockets: who the client is, who may say so, and what becomes of those who may not.

import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { FAILURE_KINDS } from '../../src/base/failure.ts';
import { type Ends, formatProxyHeader, type ProxyVersion } from '../../src/base/proxy-protocol.ts';
import { NO_POOL } from '../../src/shared/stripe.ts';
import { httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';
import { rawClient } from '../support/raw-client.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n';
const headerOf = (version: ProxyVersion, ends: Ends | null): Buffer =>
  Buffer.from(formatProxyHeader(version, ends), 'latin1');
const ENDS = { address: '192.0.2.7', port: 56_324, localAddress: '198.51.100.1', localPort: 443 };
const V1 = headerOf('v1', ENDS);
const V2 = headerOf('v2', ENDS);

async function scene(mode: string, trusted = '127.0.0.1', listener = ''): Promise<RunningThread> {
  const server = await httpBackend('a');
  return runThread(
    `trusted: ["${trusted}"]\npools: { shop: { servers: ["${server.url}"] } }`,
    `proxyProtocol: ${mode}, ${listener}`,
  );
}

async function answered(port: number, bytes: Buffer | string): Promise<Record<string, string> | null> {
  const client = await rawClient(port);
  client.send(bytes);
  const { text } = await client.closed();
  const json = /\r\n\r\n\w*\r?\n?(\{.*\})/.exec(text)?.[1];
  return json === undefined ? null : (JSON.parse(json) as { headers: Record<string, string> }).headers;
}

const refusals = ({ thread }: RunningThread): number =>
  thread.own.rejected(FAILURE_KINDS.indexOf('bad-proxy-header'), NO_POOL);

describe.each(['optional', 'required'])('%s', (mode) => {
  test.each([
    ['v1', V1],
    ['v2', V2],
    [
      'v2 with TLVs',
      Buffer.concat([
        V2.subarray(0, 14),
        Buffer.from([0, 19]),
        V2.subarray(16),
        Buffer.from([3, 0, 4, 1, 2, 3, 4]),
      ]),
    ],
  ])('the client is the one that the header names: %s', async (_, header) => {
    const running = await scene(mode);
    const headers = await answered(running.port, Buffer.concat([header, Buffer.from(GET)]));
    // which is not trusted: what it says of itself is dropped
    expect(headers).toMatchObject({ 'x-forwarded-for': '192.0.2.7', 'x-forwarded-port': '443' });
    expect(refusals(running)).toBe(0);
    await running.isQuiet();
  });

  test('cut at every byte it is the same', async () => {
    const running = await scene(mode);
    const bytes = Buffer.concat([V2, Buffer.from(GET)]);
    for (let cut = 1; cut <= V2.length + 1; cut += 3) {
      const client = await rawClient(running.port);
      client.socket.setNoDelay(true);
      client.send(bytes.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.send(bytes.subarray(cut));
      expect((await client.closed()).text).toContain('"x-forwarded-for":"192.0.2.7"');
    }
    await running.isQuiet();
  });

  test('a connection of the peer itself is the peer, and believed as before', async () => {
    const running = await scene(mode);
    for (const version of ['v1', 'v2'] as const) {
      const header = headerOf(version, null);
      const headers = await answered(running.port, Buffer.concat([header, Buffer.from(GET)]));
      expect(headers?.['x-forwarded-for']).toBe('203.0.113.9, 127.0.0.1');
    }
  });

  test.each([
    ['a header from a peer that is not trusted', V2, '192.0.2.1'],
    ['the same in version 1', V1, '192.0.2.1'],
    ['a malformed one', Buffer.from('PROXY TCP4 nobody\r\n'), '127.0.0.1'],
  ])('%s is refused without a reply, and counted', async (_, header, trusted) => {
    const running = await scene(mode, trusted);
    expect(await answered(running.port, Buffer.concat([header, Buffer.from(GET)]))).toBeNull();
    expect(refusals(running)).toBe(1);
    await running.isQuiet();
  });

  test('one that does not come in time is refused', async () => {
    const running = await scene(mode);
    const client = await rawClient(running.port);
    client.send(V2.subarray(0, 5));
    await eventually(() => running.thread.own.clientConnections(0) === 1);
    running.pass(9_000);
    expect(client.socket.destroyed).toBe(false);
    running.pass(2_000);
    expect((await client.closed()).text).toBe('');
    expect(refusals(running)).toBe(1);
    await running.isQuiet();
  });

  test('who goes without a word is not counted', async () => {
    const running = await scene(mode);
    const client = await rawClient(running.port);
    client.socket.end();
    await client.closed();
    const other = await rawClient(running.port);
    other.socket.resetAndDestroy();
    await running.isQuiet();
    expect(refusals(running)).toBe(0);
  });

  test('a stop does not wait for headers', async () => {
    const running = await scene(mode);
    const client = await rawClient(running.port);
    await eventually(() => running.thread.own.clientConnections(0) === 1);
    running.thread.stop();
    expect((await client.closed()).text).toBe('');
    await running.isQuiet();
  });

  test('connections are limited by the address in the header', async () => {
    const running = await scene(mode, '127.0.0.1', 'limits: { connectionsPerAddress: 1 }');
    const first = await rawClient(running.port);
    first.send(Buffer.concat([V2, Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')]));
    await first.until('200 OK');
    expect(await answered(running.port, Buffer.concat([V2, Buffer.from(GET)]))).toBeNull();
    const another = headerOf('v2', { ...ENDS, address: '192.0.2.8' });
    expect(await answered(running.port, Buffer.concat([another, Buffer.from(GET)]))).not.toBeNull();
  });

  test('who is not trusted is limited by its own address before it has said anything', async () => {
    const running = await scene(mode, '192.0.2.1', 'limits: { connectionsPerAddress: 2 }');
    const waiting = [await rawClient(running.port), await rawClient(running.port)];
    await eventually(() => running.thread.own.clientConnections(0) === 2);
    const told = mode === 'optional' ? /^HTTP\/1.1 503 [\s\S]*from this address/ : /^$/;
    expect((await (await rawClient(running.port)).closed()).text).toMatch(told);
    for (const { socket } of waiting) socket.destroy();
    await running.isQuiet();
    // nobody is counted twice, or longer than it is there
    const first = await rawClient(running.port);
    if (mode === 'optional') {
      first.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await first.until('200 OK');
    }
    const second = await rawClient(running.port);
    await eventually(() => running.thread.own.clientConnections(0) === 2);
    expect([first.socket.readyState, second.socket.readyState]).toEqual(['open', 'open']);
    second.socket.destroy();
    first.socket.destroy();
    await running.isQuiet();
  });

  test('beyond the limit of connections nobody is awaited', async () => {
    const running = await scene(mode, '127.0.0.1', 'limits: { connections: 2 }');
    await rawClient(running.port);
    await rawClient(running.port);
    await eventually(() => running.thread.own.clientConnections(0) === 2);
    expect((await (await rawClient(running.port)).closed()).text).toBe('');
    expect(running.thread.own.clientConnections(0)).toBe(2);
    expect(running.thread.own.rejected(FAILURE_KINDS.indexOf('too-many-connections'), NO_POOL)).toBe(1);
  });
});

test('where it is required nobody comes without, where it is optional anybody may, trusted or not', async () => {
  const required = await scene('required');
  expect(await answered(required.port, GET)).toBeNull();
  expect(refusals(required)).toBe(1);
  for (const trusted of ['127.0.0.1', '192.0.2.1']) {
    const optional = await scene('optional', trusted);
    const headers = await answered(optional.port, GET);
    expect(headers?.['x-forwarded-for']).toBe(
      trusted === '127.0.0.1' ? '203.0.113.9, 127.0.0.1' : '127.0.0.1',
    );
    expect(refusals(optional)).toBe(0);
  }
});

test('where it is off a header is no valid request', async () => {
  const running = await scene('off');
  const client = await rawClient(running.port);
  client.send(Buffer.concat([V1, Buffer.from(GET)]));
  expect((await client.closed()).text).toMatch(/^HTTP\/1.1 400 /);
});

/** Answers each request with the bytes that its connection began with. */
function begins(): ReturnType<typeof tcpBackend> {
  return tcpBackend((socket) => {
    let received = '';
    let first: string | null = null;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (!received.includes('\r\n\r\n', first === null ? 20 : 0)) return;
      first ??= received.slice(0, received.indexOf('GET '));
      received = '';
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${first.length}\r\n\r\n${first}`, 'latin1');
    });
  });
}

test.each(['v1', 'v2'] as const)('servers are told between whom it is: %s', async (version) => {
  const server = await begins();
  const { port, isQuiet } = await runThread(
    `pools: { shop: { sendProxyProtocol: ${version}, servers: ["${server.url}"] } }`,
    'proxyProtocol: optional',
  );
  const ask = async (client: Awaited<ReturnType<typeof rawClient>>, count: number): Promise<string> => {
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const parts = (): string[] => client.received().split('HTTP/1.1 200 OK').slice(1);
    await eventually(
      () => parts().length === count && client.received().endsWith(parts()[0]?.slice(-4) ?? '?'),
    );
    return parts().at(-1)?.split('\r\n\r\n').slice(1).join('\r\n\r\n') ?? '';
  };
  const first = await rawClient(port);
  const own = {
    address: '127.0.0.1',
    port: first.socket.localPort ?? 0,
    localAddress: '127.0.0.1',
    localPort: port,
  };
  const expected = formatProxyHeader(version, own);
  expect(await ask(first, 1)).toBe(expected);
  expect(await ask(first, 2)).toBe(expected);
  // its connection to the server carried both
  expect(server.connections()).toBe(1);
  // another client's requests never go over it, though it is idle
  const second = connect({ port, host: '127.0.0.1' });
  let heard = '';
  second.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  second.write(Buffer.concat([V2, Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')]));
  const passedOn = formatProxyHeader(version, ENDS);
  await eventually(() => heard.endsWith(passedOn));
  expect(server.connections()).toBe(2);
  second.destroy();
  first.socket.destroy();
  await isQuiet();
});

// What a client sends first: TLS in small pieces, or one protocol where the other is spoken, which is told to both sides.

import { once } from 'node:events';
import { type AddressInfo, connect as connectPlainly, createServer } from 'node:net';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { FAILURE_KINDS } from '../../src/base/failure.ts';
import { NO_POOL } from '../../src/shared/stripe.ts';
import { whenDone } from '../support/lifetime.ts';
import { runThread } from '../support/proxy-thread.ts';
import { rawClient } from '../support/raw-client.ts';

const POOL = 'pools: { web: { health: off, servers: ["http://127.0.0.1:1"] } }';
const TLS = 'tls: { selfSigned: true }';

test('a long hello that comes byte by byte is one like others', async () => {
  const running = await runThread(POOL, TLS);
  const relay = createServer((client) => {
    const onward = connectPlainly(running.port, '127.0.0.1').setNoDelay();
    client.on('data', (part: Buffer) => {
      for (const byte of part) onward.write(Buffer.of(byte));
    });
    onward.pipe(client);
    for (const socket of [client, onward]) socket.on('error', () => undefined);
    client.on('close', () => onward.destroy());
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  whenDone(() => relay.close());
  const { port } = relay.address() as AddressInfo;
  const ALPNProtocols = [...Array.from({ length: 50 }, (_, index) => `${index}`.repeat(60)), 'http/1.1'];
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'a.test',
    ALPNProtocols,
    rejectUnauthorized: false,
  });
  whenDone(() => socket.destroy());
  socket.write('GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 50[23] /);
  expect(socket.alpnProtocol).toBe('http/1.1');
  socket.destroy();
  await running.isQuiet();
});

test('who speaks plain HTTP where TLS is spoken is told so in what it speaks, and so is the log, once', async () => {
  const running = await runThread(POOL, TLS);
  for (const request of [
    'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
    `POST / HTTP/1.1\r\n\r\n${'x'.repeat(300_000)}`,
  ]) {
    const client = await rawClient(running.port);
    client.send(request);
    const { text } = await client.closed();
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nx-holdfast-error: bad-request\r\n/);
    expect(text).toContain('speaks TLS: use https:// here');
  }
  expect(running.log).toEqual([
    'warn listener 127.0.0.1:0: request of 127.0.0.1: a request in plain HTTP came to a listener that speaks TLS: use https:// here',
  ]);
  expect(running.thread.own.rejected(FAILURE_KINDS.indexOf('bad-request'), NO_POOL)).toBe(2);
  await running.isQuiet();
});

test('who speaks TLS where plain HTTP is spoken is told so, and so is the log, once', async () => {
  const running = await runThread(POOL);
  const hello = Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), Buffer.alloc(64, 7)]);
  for (const bytes of [hello, '\x16\x03\x01\r\n\r\n']) {
    const client = await rawClient(running.port);
    client.send(bytes);
    const { text } = await client.closed();
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('this looks like TLS, but this listener speaks plain HTTP');
  }
  expect(running.log).toEqual([
    'warn listener 127.0.0.1:0: request of 127.0.0.1: this looks like TLS, but this listener speaks plain HTTP: use http:// here',
  ]);
  await running.isQuiet();
});

// A route for clients with a certificate is closed to everybody else, whatever listener and protocol they come by, and
// however they write its name.

import { connect as connectHttp2 } from 'node:http2';
import { connect as connectPlainly, type Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { expect, test } from 'vitest';
import { echo, httpBackend } from '../support/backend.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';

let holdfast: Holdfast;
let files: CertificateFiles;

forFile(async (skip) => {
  files = new CertificateFiles(needs('openssl', skip));
  files.issue('root', { names: ['Root'], isAuthority: true });
  files.issue('alice', { names: ['alice'], by: 'root' });
  files.issue('stranger', { names: ['stranger'] });
  const admin = await httpBackend('admin', echo('admin'));
  const shop = await httpBackend('shop', echo('shop'));
  holdfast = await runInside(`
threads: 1
listen:
  - { address: "127.0.0.1:0", tls: { selfSigned: true, clientAuth: request, ca: ${files.file('root.pem')} } }
  - { address: "127.0.0.1:0", tls: { selfSigned: true } }
  - { address: "127.0.0.1:0" }
admin: { address: 127.0.0.1:0 }
routes:
  - { host: admin.test, clientAuth: require, pool: admin }
  - { host: shop.test, pool: shop }
pools:
  admin: { health: off, servers: ["${admin.url}"] }
  shop: { health: off, servers: ["${shop.url}"] }
`);
});

const by = (name: string): ConnectionOptions => ({
  cert: files.text(`${name}.pem`),
  key: files.text(`${name}.key`),
});

/** What is answered to the head, which asks for the connection to end. */
async function answered(socket: Socket, head: string): Promise<string> {
  whenDone(() => socket.destroy());
  let text = '';
  let isOver = false;
  socket.on('data', (part: Buffer) => {
    text += part.toString('latin1');
  });
  socket
    .on('error', () => undefined)
    .on('close', () => {
      isOver = true;
    });
  socket.write(`${head}\r\nConnection: close\r\n\r\n`);
  await eventually(() => isOver);
  return `${/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]} ${/x-holdfast-error: (\S+)/.exec(text)?.[1] ?? 'served'}`;
}

const OPEN = '200 served';
const CLOSED = '403 certificate-required';
const MISDIRECTED = '421 misdirected';
const ADMIN = 'GET / HTTP/1.1\r\nHost: admin.test';
const overTls = (listener: number, options: ConnectionOptions, head = ADMIN): Promise<string> =>
  answered(
    connect({
      port: holdfast.ports[listener] ?? 0,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...options,
    }),
    head,
  );

test('a good certificate opens it, and nothing else is asked for one', async () => {
  expect(await overTls(0, by('alice'))).toBe(OPEN);
  expect(await overTls(0, {})).toBe(CLOSED);
  expect(await overTls(0, by('stranger'))).toBe(CLOSED);
  expect(await overTls(0, {}, 'GET / HTTP/1.1\r\nHost: shop.test')).toBe(OPEN);
  expect(await holdfast.metric('holdfast_rejected_requests_total', { reason: 'certificate-required' })).toBe(
    2,
  );
});

test('a listener that asks nobody does not lead around it', async () => {
  expect(await overTls(1, by('alice'))).toBe(CLOSED);
  const clear = connectPlainly(holdfast.ports[2] ?? 0, '127.0.0.1');
  expect(await answered(clear, ADMIN)).toBe(CLOSED);
});

test.each([
  ['in capitals', 'GET / HTTP/1.1\r\nHost: ADMIN.Test'],
  ['with a port', 'GET / HTTP/1.1\r\nHost: admin.test:443'],
  ['with its last dot', 'GET / HTTP/1.1\r\nHost: admin.test.'],
  ['in the target', 'GET https://admin.test/ HTTP/1.1\r\nHost: shop.test'],
  [
    'with what a trusted peer says',
    `${ADMIN}\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Client-Verify: good`,
  ],
  ['to be upgraded', `${ADMIN}\r\nUpgrade: websocket`],
])('its name %s', async (_how, head) => {
  expect(await overTls(0, { servername: 'Admin.test' }, head)).toBe(CLOSED);
  // on a connection for another name its client may not have been asked which certificate it has for this one
  expect(await overTls(0, { servername: 'shop.test' }, head)).toBe(MISDIRECTED);
  expect(await overTls(1, { servername: 'shop.test' }, head)).toBe(CLOSED);
});

test('by HTTP/2, on a connection that was opened for another name: its client is told to open one', async () => {
  const ask = async (servername: string, options: ConnectionOptions): Promise<unknown> => {
    const session = connectHttp2(`https://127.0.0.1:${holdfast.ports[0]}`, {
      rejectUnauthorized: false,
      servername,
      ...options,
    });
    whenDone(() => session.destroy());
    const status = await new Promise((resolve) => {
      session.request({ ':authority': 'admin.test' }).on('response', (fields) => resolve(fields[':status']));
    });
    session.close();
    return status;
  };
  expect(await ask('shop.test', by('alice'))).toBe(200);
  expect(await ask('shop.test', by('stranger'))).toBe(421);
  expect(await ask('shop.test', {})).toBe(421);
  expect(await ask('admin.test', {})).toBe(403);
});

// What an authority that gives certificates is answered: over HTTP to a token of ours alone, in the handshake by its protocol.

import { createHash } from 'node:crypto';
import { type ConnectionOptions, connect, type DetailedPeerCertificate } from 'node:tls';
import { expect, test } from 'vitest';
import { challengeCertificate } from '../../src/tls/self-signed.ts';
import { httpBackend } from '../support/backend.ts';
import { Http2Peer, request } from '../support/http2-peer.ts';
import { runThread } from '../support/proxy-thread.ts';
import { rawClient } from '../support/raw-client.ts';

const TOKEN = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ';
const ANSWER = `${TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI`;
const PLACE = '/.well-known/acme-challenge/';

test.each(['', 'redirectToHttps: true'])(
  'a token of ours is answered by a listener with "%s"',
  async (listener) => {
    const backend = await httpBackend('a');
    const { port, apply, isQuiet } = await runThread(
      `pools: { web: { servers: ["${backend.url}"] } }`,
      listener,
    );
    apply({ tokens: { [TOKEN]: ANSWER } });
    const client = await rawClient(port);
    client.send(`GET ${PLACE}${TOKEN} HTTP/1.1\r\nhost: a.test\r\n\r\n`);
    await client.until(ANSWER);
    client.send(`HEAD ${PLACE}${TOKEN} HTTP/1.1\r\nhost: a.test\r\n\r\n`);
    client.send(`GET ${PLACE}${TOKEN} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n`);
    const { text } = await client.closed();
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
    expect(text.split(ANSWER)).toHaveLength(3);
    await isQuiet();
  },
);

test('a token of ours is answered in HTTP/2 as well', async () => {
  const backend = await httpBackend('a');
  const { port, apply, isQuiet } = await runThread(
    `pools: { web: { servers: ["${backend.url}"] } }`,
    'h2c: true, redirectToHttps: true',
  );
  apply({ tokens: { [TOKEN]: ANSWER } });
  const peer = new Http2Peer(port);
  peer.send(request(1, [], `${PLACE}${TOKEN}`));
  peer.send(request(3, [], `${PLACE}${TOKEN}`, 'HEAD', true));
  await peer.until(() => peer.isWhole(1) && peer.isWhole(3), 'both answers');
  expect(peer.body(1)).toBe(ANSWER);
  expect(peer.body(3)).toBe('');
  peer.socket.destroy();
  await isQuiet();
});

test.each([
  `GET ${PLACE}another`,
  `GET ${PLACE}`,
  `GET ${PLACE}${TOKEN}/`,
  `GET ${PLACE}__proto__`,
  `POST ${PLACE}${TOKEN}`,
])('%s goes its usual way', async (line) => {
  const backend = await httpBackend('a');
  const { port, apply } = await runThread(`pools: { web: { servers: ["${backend.url}"] } }`);
  apply({ tokens: { [TOKEN]: ANSWER } });
  const client = await rawClient(port);
  client.send(`${line} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  const { text } = await client.closed();
  expect(text).toContain('HTTP/1.1 200 OK');
  expect(text).not.toContain('x-holdfast-error');
});

const digest = createHash('sha256').update(ANSWER).digest();

async function tlsThread(more = ''): Promise<Awaited<ReturnType<typeof runThread>>> {
  const backend = await httpBackend('a');
  const yaml = `pools: { web: { servers: ["${backend.url}"] } }`;
  const running = await runThread(yaml, `tls: { selfSigned: true ${more} }`);
  running.apply({ proofs: [challengeCertificate('a.test', digest, Date.now())] });
  return running;
}

/** Certificate and protocol that it comes to; or how it failed. */
function shake(
  port: number,
  options: ConnectionOptions,
): Promise<{ readonly raw: Buffer; readonly protocol: string } | string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => {
      const { raw } = socket.getPeerCertificate() as DetailedPeerCertificate;
      const { alpnProtocol } = socket;
      socket.on('close', () => resolve({ raw, protocol: String(alpnProtocol) }));
      socket.resume();
      if (alpnProtocol !== 'acme-tls/1') socket.end();
    });
    socket.on('error', ({ message }) => resolve(message));
  });
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'the proof is shown by %s to who speaks acme-tls/1',
  async (version) => {
    const { port, isQuiet } = await tlsThread();
    const bounds = { minVersion: version, maxVersion: version };
    const found = await shake(port, { servername: 'a.test', ALPNProtocols: ['acme-tls/1'], ...bounds });
    if (typeof found === 'string') throw new Error(found);
    expect(found.protocol).toBe('acme-tls/1');
    // the critical extension 1.3.6.1.5.5.7.1.31 with the digest in it
    const extension = Buffer.concat([Buffer.from('06082b0601050507011f0101ff04220420', 'hex'), digest]);
    expect(found.raw.includes(extension)).toBe(true);
    const usual = await shake(port, { servername: 'a.test', ALPNProtocols: ['http/1.1'], ...bounds });
    if (typeof usual === 'string') throw new Error(usual);
    expect(usual.protocol).toBe('http/1.1');
    expect(usual.raw.includes(extension)).toBe(false);
    await isQuiet();
  },
);

test.each([
  ['a name that nobody asked for', { servername: 'b.test', ALPNProtocols: ['acme-tls/1'] }],
  ['no name', { ALPNProtocols: ['acme-tls/1'] }],
  ['other protocols beside it', { servername: 'a.test', ALPNProtocols: ['acme-tls/1', 'http/1.1'] }],
])('%s is refused', async (_what, options) => {
  const { port, isQuiet } = await tlsThread();
  expect(await shake(port, options)).toMatch(/no application protocol/);
  await isQuiet();
});

// The group that keys are exchanged by, as both ends of a real handshake agree on it.

import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';
import { runThread } from '../support/proxy-thread.ts';
import { rawClient } from '../support/raw-client.ts';

const POOL = 'pools: { web: { servers: [http://127.0.0.1:1] } }';
let files: CertificateFiles;

forFile(async () => {
  files = new CertificateFiles(
    needs('openssl', (reason) => {
      throw new Error(reason);
    }),
  );
  files.issue('first');
  files.issue('wild', { names: ['*.wild.test'] });
  files.issue('rsa', { names: ['first.test'], key: 'rsa' });
});

const pair = (name: string): string => `{ cert: ${files.file(name)}.pem, key: ${files.file(name)}.key }`;

/** Rejects where no handshake comes about. `*` before a group: the client sends a key for it; without, for the first alone. */
async function open(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    whenDone(() => socket.destroy());
    socket.once('secureConnect', () => resolve(socket));
    socket.on('error', reject);
  });
}

async function agreed(port: number, options: ConnectionOptions): Promise<string> {
  const info = (await open(port, options)).getEphemeralKeyInfo();
  return (info as { readonly name?: string } | null)?.name ?? '';
}

test('the first of the list that the client has sent a key for, whatever the name, and none beside the list', async () => {
  const certificates = ['first', 'wild', 'rsa'].map(pair).join(', ');
  const groups = 'SecP256r1MLKEM768, secp384r1, X25519';
  const { port } = await runThread(POOL, `tls: { groups: [${groups}], certificates: [${certificates}] }`);
  for (const servername of ['first.test', 'b.wild.test', '']) {
    const by = (ecdhCurve: string, more: ConnectionOptions = {}): Promise<string> =>
      agreed(port, { ecdhCurve, servername, ...more });
    expect(await by('*X25519:*P-384')).toBe('secp384r1');
    expect(await by('X25519:P-384')).toBe('X25519');
    expect(await by('P-256:X448:X25519:SecP256r1MLKEM768')).toBe('SecP256r1MLKEM768');
    expect(await by('X25519:P-384:P-256', { maxVersion: 'TLSv1.2' })).toBe('secp384r1');
    await expect(by('P-256')).rejects.toThrow(/handshake failure/);
  }
});

test('with a list the order of ciphers is ours too, but who prefers ChaCha20 gets it', async () => {
  const { port } = await runThread(POOL, 'tls: { groups: X25519, selfSigned: true }');
  const cipher = async (ciphers: string): Promise<string> => (await open(port, { ciphers })).getCipher().name;
  const [small, large, chacha] = ['AES_128_GCM_SHA256', 'AES_256_GCM_SHA384', 'CHACHA20_POLY1305_SHA256'];
  expect(await cipher(`TLS_${large}:TLS_${small}:TLS_${chacha}`)).toBe(`TLS_${small}`);
  expect(await cipher(`TLS_${chacha}:TLS_${large}:TLS_${small}`)).toBe(`TLS_${chacha}`);
});

test('without a list both are in the order of the client', async () => {
  const { port } = await runThread(POOL, 'tls: { selfSigned: true }');
  const ciphers = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256';
  const socket = await open(port, { ecdhCurve: '*P-384:*X25519', ciphers });
  expect(socket.getEphemeralKeyInfo()).toMatchObject({ name: 'secp384r1' });
  expect(socket.getCipher().name).toBe('TLS_AES_256_GCM_SHA384');
  await expect(open(port, { ecdhCurve: 'P-521' })).rejects.toThrow(/handshake failure/);
});

test('servers are offered the groups of their pool', async () => {
  const hellos: Buffer[] = [];
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (hello: Buffer) => {
      hellos.push(hello);
      socket.destroy();
    });
  });
  const url = backend.url.replace('http:', 'https:');
  const ask = async (tls: string): Promise<readonly number[]> => {
    const before = hellos.length;
    const pool = `{ health: off, retry: { attempts: 0 }, tls: { ${tls} }, servers: ["${url}"] }`;
    const { port } = await runThread(`pools: { web: ${pool} }`);
    const client = await rawClient(port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect((await client.closed()).text).toContain('502');
    return groupsIn(hellos[before]);
  };
  const [x25519, p256, p384, hybrid] = [0x1d, 0x17, 0x18, 0x11ec];
  expect(await ask('groups: [prime256v1, X25519]')).toEqual([p256, x25519]);
  expect(await ask('groups: [X25519MLKEM768, P-384]')).toEqual([hybrid, p384]);
  expect(await ask('verify: on')).toContain(hybrid);
});

/** The extension supported_groups (RFC 8446 section 4.2.7), found by its head: type 10, length, length of the list. */
function groupsIn(hello: Buffer = Buffer.alloc(0)): readonly number[] {
  for (let at = 0; at < hello.length - 6; at += 1) {
    const length = hello.readUInt16BE(at + 4);
    if (hello.readUInt16BE(at) !== 10 || hello.readUInt16BE(at + 2) !== length + 2 || length > 64) continue;
    return Array.from({ length: length / 2 }, (_, index) => hello.readUInt16BE(at + 6 + 2 * index));
  }
  return [];
}

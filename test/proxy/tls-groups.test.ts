// The group that keys are exchanged by, as both ends of a real handshake agree on it.

import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { CertificateFiles } from '../support/certificates.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';
import { runThread } from '../support/proxy-thread.ts';

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

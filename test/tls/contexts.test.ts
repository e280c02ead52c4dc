// Contexts of a listener from one revision to the next: made once for what stays, again for what has changed.

import { describe, expect, test } from 'vitest';
import type { Certificate } from '../../src/tls/certificate.ts';
import { type ListenerSecrets, TlsContexts } from '../../src/tls/contexts.ts';
import type { TlsConfig } from '../../src/tls/options.ts';
import { challengeCertificate, selfSigned } from '../../src/tls/self-signed.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const CONFIG: TlsConfig = {
  certificates: null,
  selfSigned: false,
  acme: null,
  minVersion: null,
  ciphers: 'intermediate',
  groups: null,
  alpn: ['http/1.1'],
  clientAuth: 'none',
  ca: null,
  crl: null,
  handshakeTimeoutMs: 10_000,
  handshakesMax: 100,
  handshakeRate: null,
  hsts: null,
};
const one = selfSigned(['one.test'], NOW_MS);
const other = selfSigned(['other.test'], NOW_MS);
const renewed = selfSigned(['other.test'], NOW_MS);

function secretsOf(certificates: readonly Certificate[], more: object = {}): ListenerSecrets {
  return {
    version: '',
    certificates,
    ca: null,
    crl: null,
    ticketKeys: new Uint8Array(48),
    sessionContext: 'a',
    proofs: [],
    ...more,
  };
}

describe('from one revision to the next', () => {
  const former = new TlsContexts(CONFIG, secretsOf([one, other]), null);

  test('contexts of certificates that stay are the same, also while an authority is answered', () => {
    const proof = challengeCertificate('one.test', new Uint8Array(32), NOW_MS);
    const next = new TlsContexts(CONFIG, secretsOf([one, renewed], { proofs: [proof] }), former);
    expect(next.find('one.test')).toBe(former.find('one.test'));
    expect(next.default).toBe(former.default);
    expect(next.find('other.test')).not.toBe(former.find('other.test'));
    expect(next.proof('one.test')).not.toBe(null);
    const after = new TlsContexts(CONFIG, secretsOf([one, renewed]), next);
    expect(after.find('other.test')).toBe(next.find('other.test'));
    expect(after.proof('one.test')).toBe(null);
  });

  test('one that is not wanted any more is forgotten', () => {
    const without = new TlsContexts(CONFIG, secretsOf([one]), former);
    expect(without.find('other.test')).toBe(null);
    const again = new TlsContexts(CONFIG, secretsOf([one, other]), without);
    expect(again.find('one.test')).toBe(former.find('one.test'));
    expect(again.find('other.test')).not.toBe(former.find('other.test'));
  });

  test.each([
    ['ticket keys', CONFIG, { ticketKeys: new Uint8Array(48).fill(1) }],
    ['the session context', CONFIG, { sessionContext: 'b' }],
    ['authorities of clients', CONFIG, { ca: one.cert }],
    ['the ciphers', { ...CONFIG, ciphers: 'modern' }, {}],
    ['the groups', { ...CONFIG, groups: ['P-256'] }, {}],
    ['the oldest version', { ...CONFIG, minVersion: '1.3' }, {}],
  ] as const)('with other values of %s all are made again', (_, config, more) => {
    const next = new TlsContexts(config, secretsOf([one, other], more), former);
    for (const name of ['one.test', 'other.test']) {
      expect(next.find(name)).not.toBe(null);
      expect(next.find(name)).not.toBe(former.find(name));
    }
  });
});

test('a context is made when the first client asks for it', () => {
  const unusable = { ...other, key: 'no key' };
  const contexts = new TlsContexts(CONFIG, secretsOf([one, unusable]), null);
  expect(contexts.find('one.test')).toBe(contexts.default);
  expect(() => contexts.find('other.test')).toThrow();
});

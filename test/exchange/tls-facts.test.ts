// What servers and the access log are told of a client's TLS.

import { describe, expect, test } from 'vitest';
import { clientCertificateLines, loggedTls, type TlsFacts } from '../../src/exchange/tls-facts.ts';

const PLAIN: TlsFacts = {
  ...{
    version: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    serverName: 'shop',
    isResumed: true,
    client: null,
  },
};
const linesOf = (subject: string, fingerprint = 'ab12'): string[] =>
  clientCertificateLines({ ...PLAIN, client: { verify: 'good', subject, fingerprint } })
    .split('\r\n')
    .slice(0, -1);

describe('servers are told', () => {
  test('nothing where no certificate was asked for', () => {
    expect([clientCertificateLines(null), clientCertificateLines(PLAIN)]).toEqual(['', '']);
  });

  test('that none was shown', () => {
    const client = { verify: 'none', subject: '', fingerprint: '' };
    expect(clientCertificateLines({ ...PLAIN, client })).toBe('x-forwarded-client-verify: none\r\n');
  });

  test.each([
    ['CN=Ann Doe,O="A, B"', 'CN=Ann Doe,O="A, B"'],
    ['CN=a\r\nx-evil: 1', 'CN=a%0D%0Ax-evil: 1'],
    [' CN=50%25 é ', 'CN=50%2525 %C3%A9'],
    ['CN=\ud800', 'CN=%EF%BF%BD'],
    ['x'.repeat(1025), 'x'.repeat(1024)],
  ])('the subject %j as %j, and the fingerprint', (subject, told) => {
    expect(linesOf(subject)).toEqual([
      'x-forwarded-client-verify: good',
      `x-forwarded-client-subject: ${told}`,
      'x-forwarded-client-fingerprint: ab12',
    ]);
  });
});

test('the log has all that is known, and no word of a certificate where none was asked for', () => {
  expect(loggedTls(null)).toBe('');
  expect(loggedTls(PLAIN)).toBe(
    ',"tls":{"version":"TLSv1.3","cipher":"TLS_AES_128_GCM_SHA256","serverName":"shop","resumed":true}',
  );
  const client = { verify: 'good', subject: 'CN=a', fingerprint: 'ab' };
  expect(JSON.parse(`{${loggedTls({ ...PLAIN, client }).slice(1)}}`)).toMatchObject({ tls: { client } });
});

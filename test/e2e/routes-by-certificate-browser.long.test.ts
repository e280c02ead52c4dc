// A browser has a connection of HTTP/2 to one name of a certificate, and goes on to another name of it, which wants a certificate
// of the client: it must come to ask its user for one, which it does only on a connection for that name.

import { createHash, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { echo, httpBackend } from '../support/backend.ts';
import { openPage } from '../support/browser.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { runInside } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';

test('a connection that is shared with another host does not close the way to one that wants a certificate', async ({
  skip,
}) => {
  const files = new CertificateFiles(needs('openssl', skip));
  files.issue('clients', { names: ['Clients'], isAuthority: true });
  files.issue('all', { names: ['*.shop.test'] });
  const shop = await httpBackend('shop', echo('shop'));
  const pair = `{ cert: ${files.file('all.pem')}, key: ${files.file('all.key')} }`;
  const holdfast = await runInside(`
threads: 1
listen:
  - { address: "127.0.0.1:0", tls: { certificates: [${pair}], clientAuth: request, ca: ${files.file('clients.pem')} } }
admin: { address: 127.0.0.1:0 }
routes:
  - { host: admin.shop.test, clientAuth: require, pool: shop }
  - { pool: shop }
pools:
  shop: { health: off, servers: ["${shop.url}"] }
`);
  const key = new X509Certificate(files.text('all.pem')).publicKey.export({ type: 'spki', format: 'der' });
  const { page } = await openPage(`https://www.shop.test:${holdfast.port}/`, skip, {
    flags: [
      '--host-resolver-rules=MAP *.shop.test 127.0.0.1',
      `--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`,
    ],
  });
  const answer = await page.goto(`https://admin.shop.test:${holdfast.port}/`);
  // it has no certificate to show, here either; but now it would have been asked
  expect(answer?.headers()['x-holdfast-error']).toBe('certificate-required');
  const refused = (reason: string): Promise<number> =>
    holdfast.metric('holdfast_rejected_requests_total', { reason });
  expect(await refused('misdirected')).toBe(1);
  expect(await refused('certificate-required')).toBeGreaterThan(0);
}, 120_000);

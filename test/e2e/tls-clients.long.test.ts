// Programs that people use, against a listener with TLS: each follows the chain to the test's own authority, and gets the
// certificate of the name that it asks for and an answer. What node:tls can ask is in test/proxy/tls.test.ts.

import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { needs } from '../support/needs.ts';
import { runThread } from '../support/proxy-thread.ts';

type Skip = (reason: string) => never;

/** Prints status, body and version of two requests each, with the newest TLS that it may speak. */
const PYTHON = `
import http.client, ssl, sys
port, authority = int(sys.argv[1]), sys.argv[2]
for newest in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
    context = ssl.create_default_context(cafile=authority)
    context.maximum_version = newest
    client = http.client.HTTPSConnection('localhost', port, context=context)
    for visit in range(2):
        client.request('GET', '/')
        answer = client.getresponse()
        print(answer.status, answer.read().decode(), client.sock.version())
`;

const program = promisify(execFile);

/** A listener with a certificate for `other.test`, and one for `localhost` below an intermediate authority. */
async function listening(skip: Skip): Promise<{ files: CertificateFiles; port: number }> {
  const files = new CertificateFiles(needs('openssl', skip));
  files.issue('root', { names: ['Root'], isAuthority: true });
  files.issue('middle', { names: ['Middle'], isAuthority: true, by: 'root' });
  files.issue('other', { by: 'root' });
  files.issue('leaf', { names: ['localhost'], by: 'middle' });
  files.bundle('chain.pem', 'leaf', 'middle');
  const backend = await httpBackend('echo', (_, response) => response.end('hello'));
  const pairs = [
    `{ cert: ${files.file('other.pem')}, key: ${files.file('other.key')} }`,
    `{ cert: ${files.file('chain.pem')}, key: ${files.file('leaf.key')} }`,
  ];
  const { port } = await runThread(
    `pools:\n  web: { health: off, servers: ["${backend.url}"] }`,
    `tls: { certificates: [${pairs.join(', ')}] }`,
  );
  return { files, port };
}

test('openssl', async ({ skip }) => {
  const { files, port } = await listening(skip);
  const args = `s_client -connect 127.0.0.1:${port} -servername localhost -verify_hostname localhost -verify_return_error`;
  const asked = program(needs('openssl', skip), [
    ...args.split(' '),
    '-CAfile',
    files.file('root.pem'),
    '-alpn',
    'http/1.1',
    '-ign_eof',
  ]);
  asked.child.stdin?.end('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  const { stdout } = await asked;
  for (const line of [
    'Verification: OK',
    'Verified peername: localhost',
    'ALPN protocol: http/1.1',
    'New, TLSv1.3',
    'HTTP/1.1 200 OK',
  ])
    expect(stdout).toContain(line);
  expect([...stdout.matchAll(/^ ?\d s:(.*)$/gm)].map(([, subject]) => subject?.replaceAll(' ', ''))).toEqual([
    'CN=localhost',
    'CN=Middle',
  ]);
});

test('curl, which also sees that a certificate is for another name', async ({ skip }) => {
  const { files, port } = await listening(skip);
  const ask = (host: string): Promise<{ stdout: string }> =>
    program(needs('curl', skip), [
      ...['--silent', '--show-error', '--max-time', '30', '--cacert', files.file('root.pem')],
      ...['--connect-to', `::127.0.0.1:${port}`, '--write-out', ' %{http_version} %{ssl_verify_result}'],
      `https://${host}:${port}/`,
    ]);
  expect((await ask('localhost')).stdout).toBe('hello 2 0');
  expect((await ask('other.test')).stdout).toBe('hello 2 0');
  await expect(ask('nobody.test')).rejects.toThrow(/other\.test|does not match|no alternative/);
});

test('Python, with TLS 1.3 and 1.2', async ({ skip }) => {
  const { files, port } = await listening(skip);
  const args = ['-c', PYTHON, String(port), files.file('root.pem')];
  const { stdout } = await program(needs('python3', skip), args);
  const lines = ['TLSv1.3', 'TLSv1.3', 'TLSv1.2', 'TLSv1.2'].map((version) => `200 hello ${version}\n`);
  expect(stdout).toBe(lines.join(''));
});

test('Chromium, which takes no authority from us but the key of a certificate', async ({ skip }) => {
  const { files, port } = await listening(skip);
  const key = new X509Certificate(files.text('leaf.pem')).publicKey.export({ type: 'spki', format: 'der' });
  const { stdout } = await program(needs('chromium', skip), [
    ...['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${files.file('profile')}`],
    `--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`,
    ...['--dump-dom', `https://localhost:${port}/`],
  ]);
  expect(stdout).toContain('hello');
});

// Certificates of clients and sessions of TLS: who resumes is who shook hands in full, and who is revoked meanwhile is nobody.

import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { type ConnectionOptions, connect } from 'node:tls';
import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';

interface Visit {
  readonly isResumed: boolean;
  /** As the server is told; null: it was not asked. */
  readonly verify: string | null;
  readonly subject: string | null;
  readonly session: Buffer | null;
}

/** One connection and one answer, if there is one. */
function visit(port: number, options: ConnectionOptions): Promise<Visit> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  let session: Buffer | null = null;
  let isResumed = false;
  let text = '';
  socket.on('session', (next: Buffer) => {
    session = next;
  });
  socket.once('secureConnect', () => {
    isResumed = socket.isSessionReused();
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  });
  socket.on('data', (part: Buffer) => (text += part.toString())).on('error', () => undefined);
  return new Promise((resolve) =>
    socket.once('close', () => {
      const told: Record<string, string> = JSON.parse(text.split('\r\n\r\n')[1] ?? '{}');
      const verify = told['x-forwarded-client-verify'] ?? null;
      resolve({ isResumed, verify, subject: told['x-forwarded-client-subject'] ?? null, session });
    }),
  );
}

/** `listSeconds`: until the first list ends. */
async function scene(version: 'TLSv1.2' | 'TLSv1.3', listSeconds = 86_400) {
  const files = new CertificateFiles(
    needs('openssl', (reason) => {
      throw new Error(reason);
    }),
  );
  files.issue('root', { names: ['Root'], isAuthority: true });
  files.issue('door', { by: 'root' });
  for (const name of ['alice', 'bob']) files.issue(name, { names: [name], by: 'root' });
  files.issue('stranger');
  files.write(
    'ca.cnf',
    '[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=30\ncertificate=root.pem\nprivate_key=root.key\n',
  );
  files.write('index.txt', '');
  const revoke = (name: string, seconds = 86_400): void => {
    files.run('ca', '-config', 'ca.cnf', '-revoke', `${name}.pem`);
    files.run('ca', '-config', 'ca.cnf', '-gencrl', '-crlsec', String(seconds), '-out', 'next.crl');
    renameSync(files.file('next.crl'), files.file('root.crl'));
  };
  revoke('bob', listSeconds);
  const backend = await httpBackend('a', (request, response) =>
    response.end(JSON.stringify(request.headers)),
  );
  const tls = `certificates: [{ cert: ${files.file('door.pem')}, key: ${files.file('door.key')} }], ca: ${files.file('root.pem')}, crl: ${files.file('root.crl')}`;
  const running = await runHoldfast(`
threads: 2
listen:
  - { address: 127.0.0.1:0, tls: { ${tls}, clientAuth: request } }
  - { address: 127.0.0.1:0, tls: { ${tls}, clientAuth: require } }
admin: { address: 127.0.0.1:0 }
pools: { web: { servers: ["${backend.url}"] } }
`);
  const [asks = 0, requires = 0] = running.ports;
  const by = (name: string): ConnectionOptions => ({
    cert: files.text(`${name}.pem`),
    key: files.text(`${name}.key`),
    maxVersion: version,
  });
  const nobody = { maxVersion: version };
  const again = ({ session }: Visit): ConnectionOptions => (session === null ? {} : { session });
  return { asks, requires, by, nobody, again, revoke, log: running.log };
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', async (version) => {
  const { asks, requires, by, nobody, again, revoke, log } = await scene(version);
  for (const [who, verify, subject] of [
    [by('alice'), 'good', 'CN=alice'],
    [by('bob'), 'CERT_REVOKED', 'CN=bob'],
    [nobody, 'none', null],
  ] as const) {
    const first = await visit(asks, who);
    expect(first).toMatchObject({ isResumed: false, verify, subject });
    // whatever certificate is at hand now, the session says whose it is
    expect(await visit(asks, { ...nobody, ...again(first) })).toMatchObject({
      isResumed: true,
      verify,
      subject,
    });
    // and it is of that listener
    expect((await visit(requires, { ...nobody, ...again(first) })).verify).toBeNull();
  }
  // a session that was given before the certificate was looked at is no way in
  for (const who of [by('bob'), by('stranger'), nobody]) {
    const first = await visit(requires, who);
    expect(first.verify).toBeNull();
    expect((await visit(requires, { ...nobody, ...again(first) })).verify).toBeNull();
  }

  const former = [await visit(asks, by('alice')), await visit(requires, by('alice'))] as const;
  expect(former[1].verify).toBe('good');
  revoke('alice');
  await eventually(() => log().includes('certificates have changed: used from now on'));
  expect(await visit(asks, { ...by('alice'), ...again(former[0]) })).toMatchObject({
    isResumed: false,
    verify: 'CERT_REVOKED',
  });
  expect((await visit(requires, { ...by('alice'), ...again(former[1]) })).verify).toBeNull();
});

/** A connection that stays, and what its server is told of the client with each request. */
async function stay(port: number, options: ConnectionOptions): Promise<() => Promise<string>> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  whenDone(() => socket.destroy());
  let text = '';
  socket.on('data', (part: Buffer) => (text += part.toString())).on('error', () => undefined);
  await once(socket, 'secureConnect');
  return async () => {
    text = '';
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    return eventually(() => /"x-forwarded-client-verify":"(\w+)"/.exec(text)?.[1] ?? null);
  };
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: who is revoked while connected stays until the connection ends, and not longer',
  async (version) => {
    const { requires, by, revoke, log } = await scene(version);
    const ask = await stay(requires, by('alice'));
    expect(await ask()).toBe('good');
    revoke('alice');
    await eventually(() => log().includes('certificates have changed: used from now on'));
    expect(await ask()).toBe('good');
    expect((await visit(requires, by('alice'))).verify).toBeNull();
  },
);

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: with a list that has ended nobody comes in anew; who has begun a session goes on, until there is another list',
  async (version) => {
    const { requires, by, again, revoke, log } = await scene(version, 5);
    const ask = await stay(requires, by('alice'));
    const first = await visit(requires, by('alice'));
    expect(first.verify).toBe('good');
    await eventually(async () => (await visit(requires, by('alice'))).verify === null, {
      deadlineMs: 15_000,
    });
    expect(await ask()).toBe('good');
    const resumed = { ...by('alice'), ...again(first) };
    expect(await visit(requires, resumed)).toMatchObject({ isResumed: true, verify: 'good' });
    revoke('stranger');
    await eventually(() => log().includes('certificates have changed: used from now on'));
    expect(await visit(requires, resumed)).toMatchObject({ isResumed: false, verify: 'good' });
  },
);

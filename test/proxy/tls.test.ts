// TLS to clients, on one thread: which certificate, which version, who is turned away, and what servers are told.

import { once } from 'node:events';
import { connect as connectPlainly } from 'node:net';
import { type ConnectionOptions, connect, getCiphers, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { HANDSHAKE_RESULTS } from '../../src/shared/stripe.ts';
import { cannedBackend, httpBackend, tcpBackend } from '../support/backend.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

let files: CertificateFiles;
let pool = '';

forFile(async () => {
  const openssl = needs('openssl', (reason) => {
    throw new Error(reason);
  });
  files = new CertificateFiles(openssl);
  files.issue('root', { names: ['Root'], isAuthority: true });
  files.issue('first', { names: ['first.test'], by: 'root' });
  files.issue('exact', { names: ['a.wild.test'], by: 'root' });
  files.issue('wild', { names: ['*.wild.test'], by: 'root' });
  files.issue('rsa', { names: ['first.test'], by: 'root', key: 'rsa' });
  files.issue('alice', { names: ['Alice'], by: 'root' });
  files.issue('bob', { names: ['bob'], by: 'root' });
  files.issue('stranger', { names: ['stranger'] });
  files.issue('server', { names: ['server'], by: 'root', more: ['extendedKeyUsage=serverAuth'] });
  files.write(
    'ca.cnf',
    '[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=30\ncertificate=root.pem\nprivate_key=root.key\n',
  );
  files.write('index.txt', '');
  files.run('ca', '-config', 'ca.cnf', '-revoke', 'bob.pem');
  files.run('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'root.crl');
  const echo = await httpBackend('echo', (request, response) => {
    response.setHeader('strict-transport-security', 'max-age=1');
    response.end(JSON.stringify(request.headers));
  });
  pool = `trusted: []\npools:\n  web: { health: off, sticky: { mode: cookie-pin }, servers: ["${echo.url}"] }`;
});

const pair = (name: string): string => `{ cert: ${files.file(name)}.pem, key: ${files.file(name)}.key }`;

const run = (tls: string, more = ''): Promise<RunningThread> => runThread(pool, `tls: { ${tls} }${more}`);

/** Resolves when the handshake is over, rejects when it failed. */
function open(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    whenDone(() => socket.destroy());
    socket.once('secureConnect', () => resolve(socket));
    socket.once('close', () => reject(new Error('closed')));
    socket.on('error', reject);
  });
}

/** Text of the whole answer, which has a length. */
async function ask(socket: TLSSocket, target = '/'): Promise<string> {
  let text = '';
  socket.on('data', (part: Buffer) => {
    text += part.toString('latin1');
  });
  socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\nx-forwarded-client-verify: good\r\n\r\n`);
  return eventually(() => {
    const length = /content-length: (\d+)/i.exec(text)?.[1];
    const body = text.split('\r\n\r\n')[1] ?? '';
    return length !== undefined && body.length >= Number(length) ? text : null;
  });
}

const counts = ({ thread }: RunningThread): Record<string, number> =>
  Object.fromEntries(
    HANDSHAKE_RESULTS.map((result) => [result, thread.own.handshakes(0, result)] as const).filter(
      ([, count]) => count > 0,
    ),
  );

async function counted(running: RunningThread, expected: Record<string, number>): Promise<void> {
  await eventually(() => JSON.stringify(counts(running)) === JSON.stringify(expected), {
    what: () => `handshakes ${JSON.stringify(expected)}, not ${JSON.stringify(counts(running))}`,
  });
}

test('the name chooses the certificate, exact before wildcard, else the first; the key is what the client knows', async () => {
  const { port } = await run(`certificates: [${['first', 'wild', 'exact', 'rsa'].map(pair).join(', ')}]`);
  const shown = async (servername: string, more: ConnectionOptions = {}): Promise<string> => {
    const socket = await open(port, { servername, ...more });
    const { subject } = socket.getPeerCertificate();
    const kind = socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType;
    return `${String(subject.CN)} ${kind}`;
  };
  expect(await shown('A.wild.test')).toBe('a.wild.test ec');
  expect(await shown('b.wild.test')).toBe('*.wild.test ec');
  expect(await shown('c.b.wild.test')).toBe('first.test ec');
  expect(await shown('')).toBe('first.test ec');
  const rsaOnly = { sigalgs: 'RSA-PSS+SHA256:RSA+SHA256', maxVersion: 'TLSv1.2' } as const;
  expect(await shown('first.test', rsaOnly)).toBe('first.test rsa');
  const ecOnly = { sigalgs: 'ECDSA+SHA256', maxVersion: 'TLSv1.2' } as const;
  expect(await shown('first.test', ecOnly)).toBe('first.test ec');
});

test('no version below 1.2, none below 1.3 with modern, no weak cipher, no protocol that is not spoken', async () => {
  const usual = await run('selfSigned: true');
  await expect(open(usual.port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).rejects.toThrow();
  await expect(open(usual.port, { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' })).rejects.toThrow();
  await expect(open(usual.port, { ALPNProtocols: ['h3'] })).rejects.toThrow(/no application protocol/i);
  const old = await open(usual.port, { maxVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1', 'h2'] });
  expect([old.getProtocol(), old.alpnProtocol]).toEqual(['TLSv1.2', 'h2']);
  const one = await run('selfSigned: true, alpn: [http/1.1]');
  await expect(open(one.port, { ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/i);
  const modern = await run('selfSigned: true, ciphers: modern');
  await expect(open(modern.port, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
  expect((await open(modern.port)).getProtocol()).toBe('TLSv1.3');
});

test('of all ciphers for TLS 1.2, clients get those with forward secrecy and authenticated encryption', async () => {
  const { port } = await run(`certificates: [${['first', 'rsa'].map(pair).join(', ')}]`);
  const all = getCiphers()
    .map((name) => name.toUpperCase())
    .filter((name) => !name.startsWith('TLS_'));
  const accepted: string[] = [];
  for (const cipher of all) {
    const ciphers = `${cipher}:@SECLEVEL=0`;
    await open(port, { servername: 'first.test', maxVersion: 'TLSv1.2', ciphers }).then(
      (socket) => accepted.push(socket.getCipher().name),
      () => undefined,
    );
  }
  expect(all.length).toBeGreaterThan(40);
  expect(accepted.toSorted()).toEqual(
    ['ECDSA', 'RSA'].flatMap((key) =>
      ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map((rest) => `ECDHE-${key}-${rest}`),
    ),
  );
});

test('servers hear of https, the cookie is Secure, and Strict-Transport-Security is ours', async () => {
  const { port } = await run('selfSigned: true, hsts: { maxAge: 1d, includeSubDomains: true }');
  const answer = await ask(await open(port));
  expect(answer).toContain('"x-forwarded-proto":"https"');
  expect(answer).not.toContain('x-forwarded-client');
  expect(answer).toMatch(/set-cookie: holdfast=[^\r]*; Secure/);
  expect(answer.match(/strict-transport-security: [^\r]*/gi)).toEqual([
    'strict-transport-security: max-age=86400; includeSubDomains',
  ]);
});

test('our own replies have Strict-Transport-Security too, where the connection goes on and where it ends', async () => {
  const { port } = await runThread(
    'routes: [{ host: known.test, pool: web }]\npools:\n  web: { health: off, servers: ["http://127.0.0.1:1"] }',
    'tls: { selfSigned: true, hsts: { maxAge: 1d } }',
  );
  const socket = await open(port);
  const noRoute = await ask(socket);
  expect(noRoute).toMatch(/^HTTP\/1\.1 404 [\s\S]*\r\nstrict-transport-security: max-age=86400\r\n/);
  socket.write('GET / HTTP/1.1\r\n\r\n');
  const [refused] = (await once(socket, 'data')) as [Buffer];
  expect(refused.toString()).toMatch(
    /^HTTP\/1\.1 400 [\s\S]*\r\nstrict-transport-security: max-age=86400\r\n/,
  );
});

test('a certificate of the client: what became of it is told, what the client says of it is not', async () => {
  const auth = `ca: ${files.file('root.pem')}, crl: ${files.file('root.crl')}`;
  const asked = await run(`selfSigned: true, clientAuth: request, ${auth}`);
  const by = (name: string): ConnectionOptions => ({
    cert: files.text(`${name}.pem`),
    key: files.text(`${name}.key`),
  });
  const told = async (options: ConnectionOptions): Promise<unknown> => {
    const answer = await ask(await open(asked.port, options));
    const fields: Record<string, string> = JSON.parse(answer.split('\r\n\r\n')[1] ?? '');
    return [fields['x-forwarded-client-verify'], fields['x-forwarded-client-subject']];
  };
  expect(await told({})).toEqual(['none', undefined]);
  expect(await told(by('alice'))).toEqual(['good', 'CN=Alice']);
  expect(await told(by('bob'))).toEqual(['CERT_REVOKED', 'CN=bob']);
  expect(await told(by('stranger'))).toEqual(['UNABLE_TO_GET_CRL', 'CN=stranger']);
  expect(await told(by('server'))).toEqual(['INVALID_PURPOSE', 'CN=server']);
  const needed = await run(`selfSigned: true, clientAuth: require, ${auth}`);
  expect(await ask(await open(needed.port, by('alice')))).toContain('"x-forwarded-client-verify":"good"');
  // with TLS 1.3 the client believes that all is well until it is told
  for (const options of [{}, by('bob'), by('stranger'), by('server')])
    await expect(
      open(needed.port, options).then(
        (socket) => new Promise((_, reject) => void socket.on('error', reject).on('close', reject)),
      ),
    ).rejects.toBeDefined();
  await counted(needed, { full: 1, unverified: 4 });
});

test('a client of TLS 1.2 that asks for another handshake in its connection is refused it', async () => {
  const running = await run('selfSigned: true');
  const socket = await open(running.port, { maxVersion: 'TLSv1.2' });
  const said = new Promise((resolve) => socket.once('error', resolve));
  socket.renegotiate({}, () => undefined);
  expect(String(await said)).toMatch(/no renegotiation/i);
  socket.destroy();
  await counted(running, { full: 1 });
  await running.isQuiet();
});

test('a client that has sent its request and its end is answered', async () => {
  const running = await run('selfSigned: true');
  const socket = await open(running.port, { allowHalfOpen: true } as ConnectionOptions);
  let text = '';
  socket.on('data', (part: Buffer) => {
    text += part.toString('latin1');
  });
  socket.end('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await once(socket, 'close');
  expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*"x-forwarded-proto":"https"/);
  await running.isQuiet();
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: a session is resumed, by name and with a certificate of the client',
  async (version) => {
    const running = await run(
      `certificates: [${pair('first')}, ${pair('wild')}], clientAuth: require, ca: ${files.file('root.pem')}`,
    );
    const alice = { cert: files.text('alice.pem'), key: files.text('alice.key'), maxVersion: version };
    const options = { ...alice, servername: 'b.wild.test' };
    const socket = await open(running.port, options);
    let session: Buffer | null = socket.getSession() ?? null;
    socket.on('session', (one) => {
      session = one;
    });
    await ask(socket);
    if (session === null) throw new Error('no session');
    const again = await open(running.port, { ...options, session });
    expect(await ask(again)).toContain('"x-forwarded-client-subject":"CN=Alice"');
    expect(again.isSessionReused()).toBe(true);
    await counted(running, { full: 1, resumed: 1 });
  },
);

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: a session whose certificate has ended since is begun anew, by who has another',
  async (version) => {
    const running = await run(`selfSigned: true, clientAuth: require, ca: ${files.file('root.pem')}`);
    const visit = async (name: string, session: Buffer | null): Promise<readonly unknown[]> => {
      const keys = { cert: files.text(`${name}.pem`), key: files.text(`${name}.key`) };
      const socket = await open(running.port, { ...keys, maxVersion: version, ...(session && { session }) });
      let next = socket.getSession() ?? null;
      socket.on('session', (one) => {
        next = one;
      });
      const subject = /client-subject":"([^"]*)/.exec(await ask(socket))?.[1];
      const isResumed = socket.isSessionReused();
      socket.destroy();
      return [isResumed, subject, next];
    };
    const [, , first] = await visit('alice', null);
    running.pass(89 * DAY_MS);
    const [isResumed, , second] = await visit('bob', first as Buffer);
    expect(isResumed).toBe(true);
    running.pass(2 * DAY_MS);
    for (const session of [first, second])
      expect((await visit('bob', session as Buffer)).slice(0, 2)).toEqual([false, 'CN=bob']);
    await counted(running, { full: 3, resumed: 1 });
  },
);

test('who does not end a handshake is cut, and nothing is left of it', async () => {
  const running = await run('selfSigned: true, handshakeTimeout: 1s');
  const silent = connectPlainly(running.port, '127.0.0.1');
  whenDone(() => silent.destroy());
  silent.on('error', () => undefined);
  await eventually(() => running.thread.own.clientConnections(0) === 1);
  running.pass(1100);
  await counted(running, { timed_out: 1 });
  await running.isQuiet();
});

test('in a full house who has said nothing makes room', async () => {
  const running = await run('selfSigned: true, handshakesMax: 2');
  const silent = Array.from({ length: 2 }, () => connectPlainly(running.port, '127.0.0.1'));
  for (const socket of silent) whenDone(() => socket.on('error', () => undefined).destroy());
  await eventually(() => running.thread.own.clientConnections(0) === 2);
  expect(await ask(await open(running.port))).toContain('200 OK');
  await counted(running, { full: 1, refused: 1 });
});

test('one address may begin so many handshakes', async () => {
  const running = await run('selfSigned: true, handshakeRate: 2/s');
  const tried = await Promise.allSettled(Array.from({ length: 5 }, () => open(running.port)));
  expect(tried.filter(({ status }) => status === 'fulfilled').length).toBe(2);
  await counted(running, { full: 2, refused: 3 });
});

test('connections beyond the limit are closed without a word', async () => {
  const running = await run('selfSigned: true', ', limits: { connectionsPerAddress: 1 }');
  await ask(await open(running.port));
  await expect(open(running.port)).rejects.toThrow();
  await counted(running, { full: 1, refused: 1 });
});

test('a response that is cut off ends in a reset, never in a clean end', async () => {
  const cut = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort', 'destroy');
  const running = await runThread(
    `pools:\n  web: { health: off, sticky: none, servers: ["${cut.url}"] }`,
    'tls: { selfSigned: true }',
  );
  const socket = await open(running.port);
  const ending = new Promise((resolve) => {
    socket.on('end', () => resolve('end')).on('error', ({ message }) => resolve(message));
  });
  socket.on('data', () => undefined).write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  expect(await ending).toContain('ECONNRESET');
  await running.isQuiet();
});

test('garbage, plain HTTP, and a handshake whose bytes are changed one by one', {
  timeout: 60_000,
}, async () => {
  const running = await run('selfSigned: true');
  const random = new SeededRandom(7);
  const hello = await helloOf();
  const cases = [
    Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'),
    Buffer.alloc(300, 0xff),
    ...Array.from({ length: 200 }, () => {
      const bytes = Buffer.from(hello);
      for (let times = 0; times <= random.next() * 4; times += 1)
        bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
      return random.next() < 0.3 ? bytes.subarray(0, Math.floor(random.next() * bytes.length)) : bytes;
    }),
  ];
  for (const bytes of cases) {
    await new Promise<void>((resolve) => {
      const socket = connectPlainly(running.port, '127.0.0.1', () => socket.end(bytes));
      socket.on('error', () => undefined).on('close', () => resolve());
      socket.resume();
    });
  }
  await eventually(
    () => Object.values(counts(running)).reduce((sum, count) => sum + count, 0) === cases.length,
  );
  expect(await ask(await open(running.port))).toContain('200 OK');
});

/** What a client of Node sends first. */
async function helloOf(): Promise<Buffer> {
  let heard: (bytes: Buffer) => void = () => undefined;
  const hello = new Promise<Buffer>((resolve) => {
    heard = resolve;
  });
  const { port } = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      heard(bytes);
      socket.destroy();
    });
  });
  open(port, { servername: 'first.test' }).catch(() => undefined);
  return hello;
}

test('a listener in the clear sends everybody to the one with TLS', async () => {
  const running = await runThread(pool, 'redirectToHttps: true');
  const asked = async (bytes: string, port = running.port): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      const socket = connectPlainly(port, '127.0.0.1', () => socket.write(bytes));
      socket.on('data', (part) => {
        text += part.toString();
        if (text.includes('\r\n\r\n'))
          resolve(`${text.split('\r\n')[0]} ${/location: (.*)\r/.exec(text)?.[1]}`);
      });
      whenDone(() => socket.destroy());
    });
  const moved = 'HTTP/1.1 308 Permanent Redirect';
  expect(await asked('GET /a?b=c HTTP/1.1\r\nhost: shop.test:8080\r\n\r\n')).toBe(
    `${moved} https://shop.test/a?b=c`,
  );
  expect(await asked('POST http://shop.test/a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc')).toBe(
    `${moved} https://shop.test/a`,
  );
  expect(await asked('OPTIONS * HTTP/1.1\r\nhost: [::1]:80\r\n\r\n')).toBe(`${moved} https://[::1]/`);
  const mapped = await runThread(pool, 'redirectToHttps: true, redirectPort: 8443');
  expect(await asked('GET /a HTTP/1.1\r\nhost: shop.test\r\n\r\n', mapped.port)).toBe(
    `${moved} https://shop.test:8443/a`,
  );
});

// Servers over TLS, on real sockets: whom we believe, what is said where we do not, and that connections are used again.

import { chmodSync } from 'node:fs';
import { createServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { type Loaded, loadConfig } from '../../src/config/load.ts';
import { withNamedFiles } from '../../src/config/named-files.ts';
import { createProbe } from '../../src/health/probe.ts';
import { realFiles } from '../../src/tls/files.ts';
import { type Authority, authority, type Certificate } from '../support/authority.ts';
import { echo, tcpBackend } from '../support/backend.ts';
import { uploadUntilAnswered } from '../support/early-answer.ts';
import { eventually } from '../support/eventually.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';
import { rawClient } from '../support/raw-client.ts';

let own: Authority;
let other: Authority;
let good: Certificate;

forFile((skip) => {
  own = authority(skip);
  other = authority(skip);
  good = own.issue('IP:127.0.0.1,DNS:localhost,DNS:app.test');
});

interface TlsBackend {
  readonly url: string;
  readonly port: number;
  readonly sockets: Set<TLSSocket>;
  readonly accepted: { count: number; resumed: number };
}

async function tlsBackend(options: TlsOptions, handler = echo('tls')): Promise<TlsBackend> {
  const server = createServer({ keepAliveTimeout: 60_000, ...options }, handler);
  const accepted = { count: 0, resumed: 0 };
  const sockets = new Set<TLSSocket>();
  server.on('secureConnection', (socket: TLSSocket) => {
    accepted.count += 1;
    if (socket.isSessionReused()) accepted.resumed += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, port, sockets, accepted };
}

const poolOf = (url: string, tls: string, more = ''): string =>
  `pools: { shop: { retry: { attempts: 0 }, queue: { timeout: 0, whenDown: 0 }, tls: { ${tls} }, ${more} servers: ["${url}"] } }`;

async function ask({ port }: RunningThread, body = ''): Promise<string> {
  const client = await rawClient(port);
  client.send(
    `POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  return (await client.closed()).text;
}

const load = (yaml: string): Loaded =>
  withNamedFiles(loadConfig(yaml, { file: 'f', env: {} }), 'f', realFiles(Date.now()));

/** What a check of the pool's first server says. */
async function checked(yaml: string): Promise<string> {
  const { config } = load(yaml);
  const pool = config?.pools[0];
  const [server] = pool?.servers ?? [];
  if (pool?.health == null || server === undefined) throw new Error('no server to be checked');
  const probe = createProbe(server, pool.health, pool);
  const { detail } = await probe.check();
  probe.close();
  return detail;
}

test('requests go over TLS, again and again over one connection, and sessions are resumed', async () => {
  const server = await tlsBackend({ cert: good.cert, key: good.key });
  const running = await runThread(poolOf(server.url, `ca: ${own.caFile}`));
  for (let count = 0; count < 3; count += 1) expect(await ask(running, 'body')).toContain('"body":"body"');
  expect(server.accepted).toEqual({ count: 1, resumed: 0 });
  for (const socket of server.sockets) socket.destroy();
  await running.isQuiet();
  expect(await ask(running)).toContain('200 OK');
  expect(server.accepted).toEqual({ count: 2, resumed: 1 });
  await running.isQuiet();
});

test('a large body in both directions is the same at the other end', async () => {
  const server = await tlsBackend({ cert: good.cert, key: good.key }, (request, response) => {
    response.setHeader('content-length', request.headers['content-length'] ?? '0');
    request.pipe(response);
  });
  const running = await runThread(poolOf(server.url, `ca: ${own.caFile}`));
  const body = Array.from({ length: 200_000 }, (_, index) => String(index)).join(' ');
  const reply = await ask(running, body);
  expect(reply.slice(reply.indexOf('\r\n\r\n') + 4) === body).toBe(true);
  await running.isQuiet();
});

test('a name is asked for, and an own certificate is shown', async () => {
  const mine = own.issue('DNS:balancer.test');
  let seen: unknown[] = [];
  const server = await tlsBackend(
    { cert: good.cert, key: good.key, ca: own.ca, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const socket = request.socket as TLSSocket & { servername?: string };
      seen = [socket.servername, socket.getPeerCertificate().subjectaltname, socket.alpnProtocol];
      response.end('ok');
    },
  );
  const tls = `ca: ${own.caFile}, serverName: app.test, cert: ${mine.certFile}, key: ${mine.keyFile}`;
  expect(await ask(await runThread(poolOf(server.url, tls)))).toContain('200 OK');
  expect(seen).toEqual(['app.test', 'DNS:balancer.test', 'http/1.1']);
  // without, the server says so after our side of the handshake
  const running = await runThread(`errorDetails: on\n${poolOf(server.url, `ca: ${own.caFile}`)}`);
  expect(await ask(running)).toMatch(
    /x-holdfast-error: tls-failed[\s\S]*the handshake failed: .*certificate/,
  );
  await running.isQuiet();
});

test('serverName may be an address: that one is looked for', async () => {
  const there = own.issue('IP:10.0.0.5');
  const passed = async ({ cert, key }: Certificate): Promise<string> => {
    const server = await tlsBackend({ cert, key });
    const tls = `ca: ${own.caFile}, serverName: 10.0.0.5`;
    const yaml = poolOf(`https://127.0.0.1:${server.port}`, tls, 'health: { path: / },');
    return `${/ \d+ .*/.exec(await ask(await runThread(yaml)))?.[0].trim()}, ${await checked(yaml)}`;
  };
  expect(await passed(there)).toBe('200 OK, status 200');
  expect(await passed(good)).toMatch(/^502 Bad Gateway, .*another name: IP: 10\.0\.0\.5 is not in/);
});

describe('a server is not believed, which is said in words to client, access log and check', () => {
  test.each([
    ['another name', () => own.issue('DNS:other.test'), () => own.caFile, /for another name: .*127\.0\.0\.1/],
    [
      'an expired certificate',
      () => own.issue('IP:127.0.0.1', -1),
      () => own.caFile,
      /certificate has expired/,
    ],
    ['an unknown authority', () => good, () => other.caFile, /unknown authority/],
  ])('%s', async (_, certificate, caFile, words) => {
    const { cert, key } = certificate();
    const server = await tlsBackend({ cert, key });
    const yaml = poolOf(server.url, `ca: ${caFile()}`, 'health: { path: / },');
    const running = await runThread(`errorDetails: on\naccessLog: json\n${yaml}`);
    const reply = await ask(running);
    expect(reply).toMatch(/^HTTP\/1\.1 502 [\s\S]*x-holdfast-error: tls-failed\r\n/);
    expect(reply).toMatch(words);
    expect(await checked(yaml)).toMatch(words);
    expect(await checked(yaml.replace('path: /', ''))).toMatch(words);
    expect(running.failures(0)).toBe(1);
    await running.isQuiet();
    // whoever does not care is served
    expect(await ask(await runThread(poolOf(server.url, 'verify: off')))).toContain('200 OK');
    expect(await checked(poolOf(server.url, 'verify: off', 'health: { path: / },'))).toBe('status 200');
  });

  test.each([
    ['speaks no TLS', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n')],
    ['hangs up', (socket: Socket) => socket.destroy()],
    ['ends at once', (socket: Socket) => socket.end()],
    ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
  ])('one that %s', async (_, serve) => {
    const server = await tcpBackend((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => serve(socket));
    });
    const yaml = poolOf(server.url.replace('http:', 'https:'), `ca: ${own.caFile}`, 'health: { path: / },');
    const running = await runThread(`errorDetails: on\n${yaml}`);
    expect(await ask(running)).toMatch(/x-holdfast-error: tls-failed[\s\S]*the handshake failed/);
    expect(await checked(yaml)).toMatch(/^the handshake failed/);
    await running.isQuiet();
  });

  test('one that says nothing in the handshake', async () => {
    const server = await tcpBackend((socket) => socket.on('error', () => undefined).resume());
    const url = server.url.replace('http:', 'https:');
    const running = await runThread(poolOf(url, `ca: ${own.caFile}`, 'timeouts: { connect: 1s },'));
    const reply = ask(running);
    await eventually(() => server.connections() === 1);
    running.pass(1500);
    expect(await reply).toMatch(/^HTTP\/1\.1 504 [\s\S]*x-holdfast-error: connect-timeout/);
    await running.isQuiet();
  });

  test('one that is not there is refused as ever', async () => {
    const server = await tlsBackend({ cert: good.cert, key: good.key });
    const running = await runThread(poolOf('https://127.0.0.1:1', `ca: ${own.caFile}`));
    expect(server.accepted.count).toBe(0);
    expect(await ask(running)).toMatch(/x-holdfast-error: connect-failed/);
  });
});

test('a PROXY header comes before the handshake, with checks too', async () => {
  const begun: string[] = [];
  const inner = await tlsBackend({ cert: good.cert, key: good.key });
  const server = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (chunk: Buffer) => {
      const end = chunk.indexOf('\r\n') + 2;
      begun.push(chunk.toString('latin1', 0, end));
      const onward = connect({ port: inner.port, host: '127.0.0.1' });
      onward.on('error', () => socket.destroy());
      onward.write(chunk.subarray(end));
      socket.pipe(onward).pipe(socket);
    });
  });
  const url = server.url.replace('http:', 'https:');
  const yaml = poolOf(url, `ca: ${own.caFile}`, 'sendProxyProtocol: v1, health: { path: / },');
  const running = await runThread(yaml);
  expect(await ask(running)).toMatch(/^HTTP\/1\.1 200 OK/);
  expect(begun[0]).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n$/);
  expect(await checked(yaml)).toBe('status 200');
  expect(begun[1]).toBe('PROXY UNKNOWN\r\n');
});

test.each(['off', 'v2'])(
  'an answer before the end of the request arrives, every time (PROXY header: %s)',
  async (header) => {
    const { url } = await tcpBackend((raw) => {
      const secure = (): void => {
        const socket = new TLSSocket(raw, { isServer: true, cert: good.cert, key: good.key });
        socket.on('error', () => undefined);
        let received = 0;
        socket.on('data', (chunk: Buffer) => {
          received += chunk.length;
          if (received < 200_000 || socket.isPaused()) return;
          socket.pause();
          socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large', () =>
            raw.destroy(),
          );
        });
      };
      if (header === 'off') secure();
      else
        raw.once('readable', () => {
          raw.read(28);
          secure();
        });
    });
    const more = `passive: off, health: off, sendProxyProtocol: ${header},`;
    const running = await runThread(poolOf(url.replace('http:', 'https:'), `ca: ${own.caFile}`, more));
    for (let round = 0; round < 20; round += 1)
      expect((await uploadUntilAnswered(running.port)).text).toMatch(/^HTTP\/1\.1 413 [\s\S]*too large$/);
    await running.isQuiet();
  },
);

test('WebSocket bytes pass, both ways', async () => {
  const server = createTlsServer({ cert: good.cert, key: good.key }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      socket.pipe(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const running = await runThread(poolOf(`https://127.0.0.1:${port}`, `ca: ${own.caFile}`));
  const client = await rawClient(running.port);
  client.send(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n',
  );
  await client.until('101 Switching');
  const bytes = 'tunnel '.repeat(40_000);
  client.send(bytes);
  await client.until(bytes);
  client.socket.end();
  await client.closed();
  await running.isQuiet();
});

describe('files', () => {
  /** Errors and warnings, with the names of files for their paths. */
  const problems = (tls: string): readonly string[] => {
    const yaml = `pools:\n  shop:\n    tls:\n${tls.replaceAll(/^/gm, '      ')}\n    servers: ["https://a"]\n`;
    const { problems: errors, warnings } = load(yaml.replaceAll('DIR', own.directory));
    return [...errors, ...warnings].map(
      ({ line, column, message }) => `${line}:${column} ${message.replaceAll(own.directory, 'DIR')}`,
    );
  };
  const pair = (cert: string, key = cert): string => `cert: DIR/${cert}.pem\nkey: DIR/${key}.key`;

  test('each wrong one is a problem with its place, and with what should be there', () => {
    const { files } = own;
    files.issue('mine', { names: ['mine.test'], by: 'ca' });
    files.issue('other', { names: ['other.test'], by: 'ca' });
    files.issue('old', { names: ['old.test'], by: 'ca', days: -1 });
    files.issue('old-ca', { names: ['Old'], isAuthority: true, days: -1 });
    files.write('key.der', files.run('pkey', '-in', 'mine.key', '-outform', 'der'));
    files.write(
      'pkcs12.pem',
      files.run('pkcs12', '-export', '-in', 'mine.pem', '-inkey', 'mine.key', '-passout', 'pass:'),
    );
    files.run('pkcs8', '-topk8', '-in', 'mine.key', '-out', 'sealed.key', '-passout', 'pass:open');
    files.write('damaged.pem', files.text('mine.pem').replace(/\n.{20}/, `\n${'!'.repeat(20)}`));
    expect(problems('ca: DIR/none.pem')).toEqual(['4:11 "DIR/none.pem" does not exist']);
    expect(problems('ca: none.pem')).toEqual([
      `4:11 "none.pem" does not exist, it would be ${process.cwd()}/none.pem`,
    ]);
    expect(problems('ca: DIR')).toEqual(['4:11 "DIR" is a folder, expected a file']);
    expect(problems('ca: DIR/mine.key')).toEqual([
      '4:11 "DIR/mine.key" holds "PRIVATE KEY", expected a certificate ("-----BEGIN CERTIFICATE-----")',
    ]);
    expect(problems('ca: DIR/damaged.pem')).toEqual([
      '4:11 "DIR/damaged.pem": the 1st certificate is damaged, copy the file anew',
    ]);
    expect(problems('ca: DIR/pkcs12.pem')).toEqual([
      '4:11 "DIR/pkcs12.pem" is PKCS #12, expected a certificate in PEM form; take it out with "openssl pkcs12 -nodes"',
    ]);
    expect(problems('ca: DIR/old-ca.pem')).toEqual([
      '4:11 the authorities in "DIR/old-ca.pem" have expired, nobody could be verified; renew them',
    ]);
    expect(problems(pair('mine', 'other'))).toEqual([
      '5:12 key "DIR/other.key" does not fit certificate "DIR/mine.pem" (mine.test), expected the key that the certificate was made for',
    ]);
    expect(problems('cert: DIR/mine.key\nkey: DIR/mine.pem')).toEqual([
      '4:13 "DIR/mine.key" holds "PRIVATE KEY", expected a certificate ("-----BEGIN CERTIFICATE-----")',
      '5:12 "DIR/mine.pem" holds "CERTIFICATE", expected a private key ("-----BEGIN PRIVATE KEY-----")',
    ]);
    expect(problems('cert: DIR/mine.pem\nkey: DIR/key.der')).toEqual([
      '5:12 "DIR/key.der" is DER, expected a private key in PEM form; convert it with "openssl x509 -inform der" or "openssl pkey -inform der"',
    ]);
    expect(problems(pair('old'))).toEqual([
      expect.stringMatching(
        /^4:13 certificate "DIR\/old\.pem" \(old\.test\) has expired on \d{4}-\d\d-\d\d, renew it$/,
      ),
    ]);
    expect(problems(pair('mine', 'sealed'))).toEqual([
      '5:12 "DIR/sealed.key" is encrypted and there is no "passphrase"; add one (it may come from the environment), or decrypt it with "openssl pkey"',
    ]);
    expect(problems(`${pair('mine', 'sealed')}\npassphrase: shut`)).toEqual([
      '6:19 "passphrase" does not open "DIR/sealed.key", expected the one that the key was encrypted with',
    ]);
    expect(problems('passphrase: open')).toEqual(['4:19 "passphrase" opens a "key", and there is none']);
    expect(problems(`ca: DIR/ca.pem\n${pair('mine', 'sealed')}\npassphrase: open`)).toEqual([]);
    expect(problems(`ca: DIR/ca.pem\n${pair('mine')}`)).toEqual([]);
  });

  test('a certificate that is over soon works, and there is a warning', () => {
    own.files.issue('soon', { names: ['soon.test'], by: 'ca', days: 3 });
    expect(problems(pair('soon'))).toEqual([
      expect.stringMatching(
        /^4:13 certificate "DIR\/soon\.pem" \(soon\.test\) expires on .* in \d days: renew it$/,
      ),
    ]);
  });

  test('a key that all may read is refused, a certificate that all may read is not', () => {
    own.files.issue('mine', { names: ['mine.test'], by: 'ca' });
    chmodSync(own.files.file('mine.pem'), 0o644);
    chmodSync(own.files.file('mine.key'), 0o644);
    expect(problems(pair('mine'))).toEqual([
      '5:12 "DIR/mine.key" can be read by everybody on this machine, a key must not: chmod o= DIR/mine.key',
    ]);
    chmodSync(own.files.file('mine.key'), 0o640);
    expect(problems(pair('mine'))).toEqual([]);
  });
});

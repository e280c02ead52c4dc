// Authorities that are broken or mean harm: whatever they answer, the questions come to an end, what they give is stored only
// if it fits, and the log stays short.

import { X509Certificate } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { beforeEach, describe, expect, test } from 'vitest';
import { AcmeStorage, type StoredCertificate } from '../../src/acme/storage.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { AcmeConfig } from '../../src/tls/options.ts';
import { type AcmeAuthority, acmeAuthority } from '../support/acme-authority.ts';
import { type AcmeClient, acmeClient, acmeFolder, answeringPort } from '../support/acme-client.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { forFile } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const LIFE_SECONDS = 3600;

let authority: AcmeAuthority;
let at: Awaited<ReturnType<typeof answeringPort>>;

forFile(async (skip) => {
  at = await answeringPort();
  authority = await acmeAuthority(skip, ['a.test', 'b.test']);
  await authority.start({ httpPort: at.port, lifeSeconds: LIFE_SECONDS });
});

beforeEach(() => {
  authority.handler = null;
  authority.requests.length = 0;
  at.clients.length = 0;
});

function wanted(more: Partial<AcmeConfig> = {}): AcmeConfig {
  const { directory, ca } = authority;
  const storage = more.storage ?? acmeFolder();
  return { email: 'ops@a.test', names: ['a.test'], directory, challenge: 'http-01', ca, ...more, storage };
}

const served = ({ automatic, acme }: AcmeClient): X509Certificate =>
  new X509Certificate(automatic.certificatesOf(acme, [])[0]?.cert ?? '');
const orders = (): number => authority.count('/order-plz');
const failures = ({ automatic: { results } }: AcmeClient): number =>
  results.refused + results.unreachable + results.failed;

/** Answers so to all requests whose path begins with it; the rest is answered as it should be. */
function answer(path: string, how: (response: ServerResponse, url: string) => void): void {
  authority.handler = ({ url = '' }, response) => {
    if (!url.startsWith(path)) return false;
    how(response, url);
    return true;
  };
}

const json = (response: ServerResponse, value: object, more: Readonly<Record<string, string>> = {}): void =>
  void response.writeHead(200, { 'replay-nonce': 'AAAAAAAAAAAAAAAA', ...more }).end(JSON.stringify(value));

/** The one line of the log after the first failure. `path`: once that has been asked for an order has no time left. */
async function complaint(client: AcmeClient, path = ' '): Promise<string> {
  await client.until(() => {
    if (authority.requests.some((each) => each.includes(` ${path}`))) client.shiftMs = 6 * MINUTE_MS;
    return failures(client) === 1;
  });
  const lines = client.log.filter((line) => line.startsWith('no certificate'));
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

/** The client asks no more for now, and when the fault is gone it has its certificate. */
async function recovers(client: AcmeClient): Promise<void> {
  const asked = authority.requests.length;
  for (let polls = 0; polls < 5; polls += 1) await client.until(() => true);
  await client.stop();
  client.automatic.proceed();
  expect(authority.requests.length).toBe(asked);
  authority.handler = null;
  client.shiftMs += 2 * HOUR_MS;
  await client.until(() => client.automatic.results.issued === 1);
  expect(served(client).issuer).toMatch(/^CN=Pebble/);
}

const PATHS = ['/dir', '/nonce-plz', '/order-plz', '/chalZ', '/certZ'];

const garbage: readonly (readonly [string, (response: ServerResponse, url: string) => void])[] = [
  ['bytes that are no JSON', (response) => void response.writeHead(200).end(Buffer.alloc(1000, 0xff))],
  ['a JSON that is no object', (response) => void response.writeHead(200).end('[[[]]]')],
  ['redirects to itself', (response, url) => void response.writeHead(302, { location: url }).end()],
  [
    'an answer without end',
    (response) => {
      // what is written behind a head alone goes nowhere, and never stops to be taken
      if (response.req.method === 'HEAD') {
        response.destroy();
        return;
      }
      const blanks = new Readable({ read: () => void blanks.push(Buffer.alloc(65_536, 0x20)) });
      pipeline(blanks, response.writeHead(200), () => undefined);
    },
  ],
  [
    'heads without end',
    (response) =>
      void response.socket?.write(`HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(100)}\r\n`.repeat(1000)}`),
  ],
  [
    'half an answer',
    (response) =>
      void response.writeHead(200, { 'content-length': '1000' }).write('{', () => response.destroy()),
  ],
  ['silence', () => undefined],
  [
    'an error whose words have bells and escapes',
    (response) =>
      void response
        .writeHead(400)
        .end(JSON.stringify({ type: 'x', detail: `\u001b[2J\u0007${'z'.repeat(5000)}` })),
  ],
];

test.each(garbage)(
  '%s, at whatever is asked: the questions end, one line says why',
  { timeout: 60_000 },
  async (_what, how) => {
    for (const path of PATHS) {
      answer(path, how);
      authority.requests.length = 0;
      const client = acmeClient(wanted(), at, { requestMs: 300 });
      const line = await complaint(client, path);
      expect(line).toMatch(
        /^no certificate for a\.test: [\x20-\x7e]+; next try in \d+ s, clients get one that signs itself$/,
      );
      expect(line.length).toBeLessThan(900);
      expect(served(client).issuer).toBe('CN=a.test');
      expect(authority.requests.length).toBeLessThan(40);
      expect(orders()).toBeLessThanOrEqual(1);
      await client.stop();
      authority.handler = null;
    }
  },
);

test('after garbage all is well as soon as the authority is', async () => {
  answer('/finalize-order', (response) => void response.writeHead(200).end('nothing'));
  const client = acmeClient(wanted(), at);
  await complaint(client, '/finalize-order');
  await recovers(client);
});

test('nonces that are never good: it stops, and asks little', async () => {
  answer('/sign-me-up', (response) => {
    response.writeHead(400, { 'replay-nonce': 'AAAAAAAAAAAAAAAA' });
    response.end(JSON.stringify({ type: 'urn:ietf:params:acme:error:badNonce', detail: 'no' }));
  });
  const client = acmeClient(wanted(), at);
  expect(await complaint(client)).toContain('a new account: none of 10 nonces that it gave were good');
  expect(authority.count('/sign-me-up')).toBe(10);
  await recovers(client);
});

test('nonces that are bad nine times of ten: an order has an end', async () => {
  let count = 0;
  authority.handler = ({ url = '' }, response) => {
    count += 1;
    if (/^\/(dir|nonce-plz|my-order)/.test(url) || count % 10 === 0) return false;
    response.writeHead(400, { 'replay-nonce': 'AAAAAAAAAAAAAAAA' });
    response.end(JSON.stringify({ type: 'urn:ietf:params:acme:error:badNonce' }));
    return true;
  };
  const client = acmeClient(wanted(), at);
  await client.until(() => failures(client) === 1 || client.automatic.results.issued === 1);
  expect(authority.requests.length).toBeLessThanOrEqual(101);
});

test('who limits the rate is heeded, also where somebody reloads again and again', async () => {
  answer('/order-plz', (response) => {
    response.writeHead(429, { 'retry-after': '7200' });
    response.end(JSON.stringify({ type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many' }));
  });
  const client = acmeClient(wanted(), at);
  expect(await complaint(client)).toMatch(/too many \(rateLimited\); next try in 2 h/);
  for (let reloads = 0; reloads < 10; reloads += 1) {
    client.automatic.retry();
    await client.until(() => true);
    client.shiftMs += 10 * MINUTE_MS;
  }
  expect(orders()).toBe(1);
  authority.handler = null;
  client.shiftMs += 30 * MINUTE_MS;
  await client.until(() => client.automatic.results.issued === 1);
});

test('who wants to be asked later than an order may last is asked later', async () => {
  answer('/my-order', (response) => json(response, { status: 'processing' }, { 'retry-after': '3000' }));
  const client = acmeClient(wanted(), at);
  expect(await complaint(client)).toMatch(/does not come to an end within 5 minutes; next try in 50 min/);
  expect(authority.requests.filter((each) => each.includes('/my-order'))).toHaveLength(1);
  const [begun] = [orders()];
  authority.handler = null;
  client.shiftMs += 51 * MINUTE_MS;
  await client.until(() => client.automatic.results.issued === 1);
  expect(orders()).toBe(begun);
});

test('many authorizations for one name that are never enough: an order has an end', async () => {
  const url = authority.directory.replace('/dir', '/my-order/1');
  const authorizations = Array.from({ length: 1000 }, (_, index) => `${url}${index}`);
  authority.handler = ({ url: asked = '' }, response) => {
    if (!asked.startsWith('/my-order') && !asked.startsWith('/order-plz')) return false;
    response.setHeader('location', url);
    response.writeHead(201, { 'replay-nonce': 'AAAAAAAAAAAAAAAA' });
    response.end(
      JSON.stringify({
        status: asked.startsWith('/my-order/1') && asked.length > 11 ? 'valid' : 'pending',
        authorizations,
      }),
    );
    return true;
  };
  const client = acmeClient(wanted(), at);
  expect(await complaint(client)).toContain('100 requests have led to nothing');
  expect(authority.requests).toHaveLength(101);
});

test('a name that is removed while its order is under way: that ends, and nothing is said; back again it goes on', async () => {
  const client = acmeClient(wanted(), at);
  const both = { ...client.acme, names: ['a.test', 'b.test'] };
  const other = { ...client.acme, names: ['b.test'] };
  answer('/authZ', (response) =>
    json(response, {
      status: 'pending',
      challenges: [{ type: 'http-01', token: 'A'.repeat(20), status: 'processing' }],
    }),
  );
  await client.until(() => Object.keys(client.automatic.challenges.tokens).length === 1);
  client.automatic.configure([other]);
  authority.handler = null;
  await client.until(() => client.automatic.results.issued === 1);
  expect(client.automatic.challenges.tokens).toEqual({});
  expect([client.log.length, failures(client), orders()]).toEqual([1, 0, 2]);
  client.automatic.configure([both]);
  await client.until(() => client.automatic.results.issued === 2);
  expect(orders()).toBe(2);
});

test('a certificate that cannot be stored is asked for again, not ordered again', async () => {
  const client = acmeClient(wanted(), at);
  let path = '';
  authority.handler = ({ url = '' }) => {
    if (!url.startsWith('/certZ') || path !== '') return false;
    path = join(client.acme.storage, readdirSync(client.acme.storage)[0] ?? '', 'a.test.pem');
    mkdirSync(path);
    return false;
  };
  expect(await complaint(client)).toMatch(/a\.test\.pem cannot be written: .*; next try in [4-6] s/);
  client.shiftMs += 10_000;
  await client.until(() => failures(client) === 2);
  expect(client.automatic.results.failed).toBe(2);
  rmSync(path, { recursive: true });
  client.shiftMs += 60_000;
  await client.until(() => client.automatic.results.issued === 1);
  expect(orders()).toBe(1);
  expect(readdirSync(dirname(path)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test('where nothing can be stored nothing is ordered', async () => {
  const storage = join(acmeFolder(), 'file');
  writeFileSync(storage, '');
  const client = acmeClient(wanted({ storage }), at);
  expect(await complaint(client)).toContain('ENOTDIR');
  expect(authority.requests).toEqual([]);
});

describe('what is given is stored only if it fits', () => {
  const DAY_MS = 24 * HOUR_MS;
  let files: CertificateFiles;
  forFile(async () => {
    files = new CertificateFiles(
      needs('openssl', (reason) => {
        throw new Error(reason);
      }),
    );
    files.issue('root', { names: ['Root'], isAuthority: true, days: 5000 });
    files.issue('old-root', { names: ['Old'], isAuthority: true, days: -1 });
    files.issue('stranger', { names: ['Stranger'], isAuthority: true, days: 5000 });
    files.issue('good', { names: ['a.test'], by: 'root', days: 90 });
    files.issue('more', { names: ['a.test', 'bank.test'], by: 'root', days: 90 });
    files.issue('other', { names: ['bank.test'], by: 'root', days: 90 });
    files.issue('wild', { names: ['*.test'], by: 'root', days: 90 });
    files.issue('old', { names: ['a.test'], by: 'old-root', days: 90 });
    files.issue('short', { names: ['a.test'], by: 'root' });
    files.write('index.txt', '');
    files.write(
      'ca.cnf',
      '[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\ncertificate=root.pem\nprivate_key=root.key\npolicy=any\n[any]\ncommonName=supplied\n',
    );
    const times = ['-startdate', '20350101000000Z', '-enddate', '20350101000003Z'];
    const how = ['-batch', '-notext', '-config', 'ca.cnf', '-extfile', 'good.ext'];
    files.run('ca', ...how, ...times, '-in', 'short.csr', '-out', 'short.pem');
    files.issue('none', { names: ['a.test'], by: 'root', days: 0 });
  });
  const stored = (
    cert: string,
    { key = cert, chain = 'root', inUse = null as StoredCertificate | null, laterMs = 0 } = {},
  ): StoredCertificate | null => {
    const acme = wanted();
    const log: string[] = [];
    const say = (_details: object, message?: string): void => void log.push(message ?? '');
    const storage = new AcmeStorage(acme, { debug: say, info: say, warn: say, error: say });
    const given = {
      key: files.text(`${key}.key`),
      chain: files.text(`${cert}.pem`) + files.text(`${chain}.pem`),
    };
    storage.keepCertificate('a.test', given, inUse, systemClock.wallMs() + laterMs);
    return storage.certificate('a.test');
  };
  test('a good one is, under the name that was asked for alone', () => {
    expect(stored('good')?.names).toEqual(['a.test']);
    expect(stored('more')?.names).toEqual(['a.test']);
  });
  test('others are not', () => {
    expect(() => stored('other')).toThrow(/it is for bank\.test, not for a\.test/);
    expect(() => stored('wild')).toThrow(/it is for \*\.test, not for a\.test/);
    expect(() => stored('good', { key: 'more' })).toThrow(/does not fit certificate/);
    expect(() => stored('good', { chain: 'stranger' })).toThrow(/has not issued the one before it/);
    expect(() => stored('old', { chain: 'old-root' })).toThrow(/has expired/);
    expect(() => stored('none')).toThrow(/has expired/);
    expect(() => stored('short')).toThrow(/it is valid for 3 s/);
  });
  test('one that has ended takes the place of none that has not; where there is no better, the clock may be wrong', () => {
    const laterMs = 91 * DAY_MS;
    const inUse = {
      ...(stored('good') as StoredCertificate),
      notAfterMs: systemClock.wallMs() + 100 * DAY_MS,
    };
    expect(() => stored('good', { inUse, laterMs })).toThrow(
      /it has ended on .*, and the one in use has not/,
    );
    expect(stored('good', { laterMs })).not.toBeNull();
  });
});

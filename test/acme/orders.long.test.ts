// Certificates from a real authority: ordered, renewed, refused, and what becomes of an order that is cut.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { signerOf } from '../../src/acme/account.ts';
import { Authority } from '../../src/acme/authority.ts';
import { certificateId } from '../../src/acme/renewal.ts';
import { AcmeStorage } from '../../src/acme/storage.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { AcmeConfig } from '../../src/tls/options.ts';
import { type AcmeAuthority, acmeAuthority } from '../support/acme-authority.ts';
import { type AcmeClient, acmeClient, acmeFolder, answeringPort } from '../support/acme-client.ts';
import { eventually } from '../support/eventually.ts';
import { forFile } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';

const MINUTE_MS = 60_000;
const LIFE_SECONDS = 3600;

let authority: AcmeAuthority;
let at: Awaited<ReturnType<typeof answeringPort>>;

forFile(async (skip) => {
  at = await answeringPort();
  authority = await acmeAuthority(skip, ['a.test', 'b.test', 'c.test']);
  await authority.start({ httpPort: at.port, lifeSeconds: LIFE_SECONDS });
});

beforeEach(() => {
  authority.handler = null;
  authority.extra = {};
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
const hasIssued =
  (client: AcmeClient, count = 1) =>
  (): boolean =>
    client.automatic.results.issued === count;

/** One that has its certificate. */
async function settled(acme: AcmeConfig = wanted()): Promise<AcmeClient> {
  const client = acmeClient(acme, at);
  await client.until(hasIssued(client));
  return client;
}

test('a certificate is ordered once, kept for this user alone, and used by the next process', async () => {
  const client = acmeClient(wanted(), at);
  expect(served(client).issuer).toBe('CN=a.test');
  await client.until(hasIssued(client));
  expect(served(client).issuer).toMatch(/^CN=Pebble Intermediate/);
  expect(served(client).subjectAltName).toBe('DNS:a.test');
  expect(client.log.at(-1)).toMatch(/^a\.test has a certificate until 20..-\S+Z, renewed 20..-\S+Z$/);
  expect(client.events.at(-1)).toMatchObject({ type: 'certificate', name: 'a.test', result: 'issued' });
  await client.stop();

  const modes = [...filesIn(client.acme.storage)].map(([name, mode]) => `${name} ${mode}`);
  const folder = new URL(authority.directory).host.replace(':', '-');
  expect(modes).toEqual([
    `${folder}-dir 700`,
    `${folder}-dir/a.test.pem 600`,
    `${folder}-dir/account.json 600`,
    expect.stringContaining(`${folder}-dir/lock`),
  ]);

  const asked = authority.requests.length;
  const next = acmeClient(client.acme, at);
  expect(served(next).serialNumber).toBe(served(client).serialNumber);
  for (let polls = 0; polls < 5; polls += 1) next.automatic.poll();
  await next.stop();
  expect(authority.requests.slice(asked).filter((each) => !each.endsWith('/dir'))).toEqual([]);
});

function* filesIn(folder: string, below = ''): Generator<readonly [string, string]> {
  for (const name of readdirSync(join(folder, below)).sort()) {
    const path = join(below, name);
    const { mode } = statSync(join(folder, path));
    yield [path, (mode & 0o777).toString(8)];
    if (statSync(join(folder, path)).isDirectory()) yield* filesIn(folder, path);
  }
}

test('it is renewed at two thirds of its life, and not before', async () => {
  const client = await settled();
  const first = served(client).serialNumber;
  client.shiftMs = 0.6 * LIFE_SECONDS * 1000;
  client.automatic.poll();
  await client.until(() => true);
  expect(orders()).toBe(1);
  client.shiftMs = 0.75 * LIFE_SECONDS * 1000;
  await client.until(hasIssued(client, 2));
  expect(served(client).serialNumber).not.toBe(first);
  expect(orders()).toBe(2);
});

test('it is renewed when the authority says so, and says what it replaces', async ({ skip }) => {
  const payloads: { readonly replaces?: string }[] = [];
  const begin = Date.now();
  authority.extra = { renewalInfo: authority.directory.replace('/dir', '/renewal') };
  authority.handler = ({ url = '' }, response, body) => {
    if (url === '/order-plz')
      payloads.push(JSON.parse(Buffer.from(JSON.parse(body.toString()).payload, 'base64url').toString()));
    if (!url.startsWith('/renewal/')) return false;
    const [start, end] = [25, 26].map((minutes) => new Date(begin + minutes * MINUTE_MS).toISOString());
    response.writeHead(200, { 'retry-after': '300' });
    response.end(JSON.stringify({ suggestedWindow: { start, end } }));
    return true;
  };
  const client = await settled();
  const first = served(client);
  const id = certificateId(first.toString());
  await client.until(() => authority.count(`/renewal/${id}`) === 1);
  expect(idByOpenssl(first.toString(), needs('openssl', skip))).toBe(id);
  client.shiftMs = 27 * MINUTE_MS;
  await client.until(hasIssued(client, 2));
  expect(payloads.map(({ replaces }) => replaces)).toEqual([undefined, id]);
});

function idByOpenssl(pem: string, openssl: string): string {
  const text = execFileSync(openssl, ['x509', '-noout', '-text'], { input: pem }).toString();
  const key = /Authority Key Identifier:\s+(?:keyid:)?([0-9A-F:]+)/.exec(text)?.[1] ?? '';
  const serial = execFileSync(openssl, ['x509', '-noout', '-serial'], { input: pem })
    .toString()
    .slice(7)
    .trim();
  // a first byte above 7f has a zero before it in DER
  const padded = Number.parseInt(serial.slice(0, 2), 16) > 0x7f ? `00${serial}` : serial;
  const encoded = [key.replaceAll(':', ''), padded].map((hex) =>
    Buffer.from(hex, 'hex').toString('base64url'),
  );
  return encoded.join('.');
}

test('an authority that is away is asked again, ever later; the first answer is enough', async () => {
  authority.handler = (_incoming, response) => {
    response.writeHead(503).end();
    return true;
  };
  const client = acmeClient(wanted({ names: ['a.test', 'b.test'] }), at);
  for (let failures = 1; failures <= 3; failures += 1) {
    await client.until(() => client.automatic.results.unreachable === failures);
    client.shiftMs += 30_000;
  }
  // once for all names
  expect(client.log).toHaveLength(3);
  expect(client.log[2]).toMatch(
    /^no certificate for a\.test: its directory: status 503; next try in (1[6-9]|2[0-4]) s, clients get one that signs itself$/,
  );
  expect(client.events[2]).toMatchObject({ type: 'certificate', name: 'a.test', result: 'unreachable' });
  authority.handler = null;
  await client.until(hasIssued(client, 2));
});

test('a wrong answer to a challenge is a refusal, tried again with another order', async () => {
  const client = acmeClient(wanted(), at);
  client.wrongAnswer = 'nothing of the kind';
  await client.until(() => client.automatic.results.refused === 1);
  expect(client.log[0]).toMatch(
    /^no certificate for a\.test: it could not verify a\.test: .* \(unauthorized\); next try in/,
  );
  expect(client.automatic.challenges.tokens).toEqual({});
  client.wrongAnswer = null;
  await client.until(() => true);
  expect(orders()).toBe(1);
  client.shiftMs = 2 * MINUTE_MS;
  await client.until(hasIssued(client));
  expect(orders()).toBe(2);
});

/** Says something to the authority under the client's account. */
async function post(acme: AcmeConfig, path: string, payload: object): Promise<void> {
  const { signal } = new AbortController();
  const ca = readFileSync(authority.ca, 'utf8');
  const talked = new Authority({
    directory: authority.directory,
    ca,
    clock: systemClock,
    signal,
    isStopping: () => false,
  });
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const signer = await signerOf(talked, new AcmeStorage(acme, log), acme.email);
  await talked.post(authority.directory.replace('/dir', path), payload, signer, path);
  await talked.end();
}

test.each(['revoked', 'deactivated', 'expired'])(
  'an order whose authorization is %s is refused, and followed by another',
  async (status) => {
    let asked = 0;
    authority.handler = ({ url = '' }, response) => {
      if (!url.startsWith('/authZ/')) return false;
      asked += 1;
      if (asked !== 2) return false;
      const identifier = { type: 'dns', value: 'a.test' };
      response.writeHead(200, { 'replay-nonce': 'not-a-good-one' });
      response.end(JSON.stringify({ status, identifier, challenges: [] }));
      return true;
    };
    const client = acmeClient(wanted(), at);
    await client.until(() => client.automatic.results.refused === 1);
    expect(client.log[0]).toMatch(/^no certificate for a\.test: it could not verify a\.test; next try in/);
    client.shiftMs = 2 * MINUTE_MS;
    await client.until(hasIssued(client));
    expect(orders()).toBe(2);
  },
);

test('a certificate that is revoked is replaced when the authority says that its time is over', async () => {
  let window = [25, 26];
  const begin = Date.now();
  authority.extra = { renewalInfo: authority.directory.replace('/dir', '/renewal') };
  authority.handler = ({ url = '' }, response) => {
    if (!url.startsWith('/renewal/')) return false;
    const [start, end] = window.map((minutes) => new Date(begin + minutes * MINUTE_MS).toISOString());
    response
      .writeHead(200, { 'retry-after': '300' })
      .end(JSON.stringify({ suggestedWindow: { start, end } }));
    return true;
  };
  const client = await settled();
  const revoked = served(client);
  await client.until(() => authority.count(`/renewal/${certificateId(revoked.toString())}`) === 1);
  await post(client.acme, '/revoke-cert', { certificate: revoked.raw.toString('base64url') });
  window = [-2, -1];
  // for a third of its life it counts as new, whatever is said of it
  client.shiftMs = 22 * MINUTE_MS;
  await client.until(hasIssued(client, 2));
  expect(served(client).serialNumber).not.toBe(revoked.serialNumber);
});

test('a name that leads nowhere keeps no other from its certificate', async () => {
  const client = acmeClient(wanted({ names: ['nowhere.test', 'a.test'] }), at);
  await client.until(() => hasIssued(client)() && client.automatic.results.refused === 1);
  expect(served(client).subjectAltName).toBe('DNS:a.test');
  expect(client.automatic.certificatesOf(client.acme, []).map(({ label }) => label)).toEqual([
    'a.test',
    'nowhere.test',
  ]);
});

test('two processes that start at once make one order, and both have the certificate', async () => {
  const acme = wanted();
  const clients = [acmeClient(acme, at), acmeClient(acme, at)] as const;
  await eventually(() => {
    for (const client of clients) {
      client.automatic.poll();
      client.shiftMs += 200;
    }
    return clients.every((client) => served(client).issuer.startsWith('CN=Pebble'));
  });
  for (const client of clients) await client.stop();
  expect(orders()).toBe(1);
  expect(authority.count('/sign-me-up')).toBe(1);
  expect(new Set(clients.map((client) => served(client).serialNumber)).size).toBe(1);
});

test.each(['sign-me-up', 'order-plz', 'authZ', 'chalZ', 'my-order', 'finalize-order', 'certZ'])(
  'a process that ends at /%s leaves an order that the next one goes on with',
  async (step) => {
    const acme = wanted();
    let isCut = false;
    let stopped: Promise<void> = Promise.resolve();
    const first = acmeClient(acme, at);
    authority.handler = ({ url = '' }) => {
      if (!isCut && url.startsWith(`/${step}`)) {
        isCut = true;
        stopped = first.stop();
      }
      return false;
    };
    await first.until(() => isCut);
    await stopped;
    expect(first.log.filter((line) => line.startsWith('no certificate'))).toEqual([]);
    const next = acmeClient(acme, at);
    if (step === 'chalZ') expect(next.automatic.challenges.tokens).toEqual(first.automatic.challenges.tokens);
    await next.until(() => served(next).issuer.startsWith('CN=Pebble'));
    await next.stop();
    expect(orders()).toBe(1);
    expect(authority.count('/sign-me-up')).toBe(1);
  },
);

test('the answer to a challenge is known everywhere before the authority hears of it', async () => {
  const order: string[] = [];
  const spread = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    order.push('known');
  };
  authority.handler = ({ url = '' }) => {
    if (url.startsWith('/chalZ')) order.push('announced');
    return false;
  };
  const client = acmeClient(wanted(), at, { onSpread: spread });
  await client.until(hasIssued(client));
  expect(order.slice(0, 2)).toEqual(['known', 'announced']);
});

test('where the threads do not get it, the authority does not hear of it', async () => {
  const client = acmeClient(wanted(), at, { onSpread: () => Promise.reject(new Error('not taken')) });
  await client.until(() => client.automatic.results.failed === 1);
  expect(client.log[0]).toMatch(/^no certificate for a\.test: not taken; next try in/);
  expect(authority.requests.filter((each) => each.includes('chalZ'))).toEqual([]);
});

test('nonces that are refused cost a question more', async () => {
  await authority.start({ httpPort: at.port, lifeSeconds: LIFE_SECONDS, nonceRejectPercent: 40 });
  await settled();
  await authority.start({ httpPort: at.port, lifeSeconds: LIFE_SECONDS });
});

test('an account that the authority has forgotten is made anew', async () => {
  const client = await settled();
  await authority.start({ httpPort: at.port, lifeSeconds: LIFE_SECONDS });
  client.shiftMs = 0.75 * LIFE_SECONDS * 1000;
  await client.until(hasIssued(client, 2));
  expect(client.log).toContainEqual(
    expect.stringMatching(
      /account\.json is not used, and now called \S+: the authority does not take it any more/,
    ),
  );
});

test('another e-mail address is told to the authority', async () => {
  const { acme, stop } = await settled();
  await stop();
  const next = acmeClient({ ...acme, email: 'new@a.test', names: ['b.test'] }, at);
  await next.until(hasIssued(next));
  expect(authority.count('/sign-me-up')).toBe(1);
  expect(authority.requests).toContainEqual(expect.stringContaining('POST /my-account/'));
});

test.each([
  ['a certificate', 'a.test.pem', 'a.test.pem'],
  ['an account', 'account.json', 'account.json'],
])('%s that is damaged is set aside and had anew', async (_what, name, setAside) => {
  const { acme, stop } = await settled();
  await stop();
  const folder = join(acme.storage, readdirSync(acme.storage)[0] ?? '');
  const text = readFileSync(join(folder, name));
  writeFileSync(join(folder, name), text.subarray(0, text.length / 2));
  const next = acmeClient({ ...acme, names: ['a.test', 'c.test'] }, at);
  await next.until(() => next.automatic.results.issued >= 1);
  await next.until(() => next.automatic.certificatesOf(next.acme, []).every(({ cert }) => isOfPebble(cert)));
  expect(readdirSync(folder)).toContain(`${setAside}.aside`);
  expect(next.log[0]).toContain('is not used, and now called');
});

const isOfPebble = (cert: string): boolean => new X509Certificate(cert).issuer.startsWith('CN=Pebble');

test('a clock that is far ahead brings one order, not one after the other', async () => {
  const client = await settled();
  client.shiftMs = 400 * 24 * 60 * MINUTE_MS;
  await client.until(hasIssued(client, 2));
  await client.until(() => true);
  await client.stop();
  client.automatic.proceed();
  for (let polls = 0; polls < 5; polls += 1) await client.until(() => true);
  expect(client.automatic.results.issued).toBe(2);
});

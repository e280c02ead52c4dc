// Automatic certificates in the whole program: both challenges, requests while it renews, restart, takeover.

import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { type AcmeAuthority, acmeAuthority } from '../support/acme-authority.ts';
import { acmeFolder } from '../support/acme-client.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { TlsLoad } from '../support/tls-load.ts';

interface Setting {
  readonly authority: AcmeAuthority;
  readonly yaml: string;
  readonly storage: string;
}

async function setting(skip: (reason: string) => never, more = '', tls = ''): Promise<Setting> {
  const authority = await acmeAuthority(skip, ['a.test', 'b.test']);
  const backend = await httpBackend('a');
  const storage = acmeFolder();
  const { directory, ca } = authority;
  const yaml = `
threads: 2
listen:
  - address: 127.0.0.1:0
    tls: { ${tls} acme: { email: ops@a.test, directory: "${directory}", ca: ${ca}, storage: ${storage} ${more} } }
  - { address: "0.0.0.0:0", redirectToHttps: true }
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 5s }
routes:
  - { host: a.test, pool: web }
  - { pool: web }
pools:
  web: { servers: ["${backend.url}"] }
`;
  return { authority, yaml, storage };
}

const portsOf = ({ ports }: RunningHoldfast): { readonly tlsPort: number; readonly httpPort: number } => ({
  tlsPort: ports[0] ?? 0,
  httpPort: ports[1] ?? 0,
});

/** Issuer and serial number of what a client of the name gets. */
function shown(
  port: number,
  servername: string,
): Promise<{ readonly issuer: string; readonly serial: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false }, () => {
      const { issuer, serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      resolve({ issuer: String(issuer['CN']), serial: serialNumber });
    });
    socket.on('error', reject);
  });
}

const hasCertificate = (running: RunningHoldfast): Promise<unknown> =>
  eventually(async () => /Pebble/.test((await shown(running.port, 'a.test')).issuer), {
    deadlineMs: 40_000,
    what: () => `a certificate; the log:\n${running.log()}`,
  });

test('over http: first one that signs itself, then the real one, renewed under load with no request lost', async ({
  skip,
}) => {
  const { authority, yaml } = await setting(skip);
  const running = await runHoldfast(yaml);
  expect(await shown(running.port, 'a.test')).toMatchObject({ issuer: 'a.test' });
  await eventually(() => running.log().includes('no certificate for a.test: its directory: status 503'));
  expect(await running.metric('holdfast_certificate_orders_total', { result: 'unreachable' })).toBe(1);

  // so short that it is renewed while the test looks
  await authority.start({ ...portsOf(running), lifeSeconds: 9 });
  await hasCertificate(running);
  const load = new TlsLoad(running.port, 8);
  await eventually(() => load.serials.size >= 3, { deadlineMs: 60_000, what: () => running.log() });
  await load.end();
  expect(load.failures).toEqual([]);
  expect(load.answers).toBeGreaterThan(100);
  const issued = await running.metric('holdfast_certificate_orders_total', { result: 'issued' });
  expect(authority.count('/order-plz')).toBeGreaterThanOrEqual(issued);
  expect(issued).toBeGreaterThanOrEqual(3);
  const endSeconds = await running.metric('holdfast_certificate_expiry_seconds', { name: 'a.test' });
  expect(Math.abs(endSeconds - Date.now() / 1000)).toBeLessThan(60);
  // all else at that listener goes to https
  const other = await fetch(`http://127.0.0.1:${running.ports[1]}/.well-known/acme-challenge/none`, {
    redirect: 'manual',
  });
  expect(other.status).toBe(308);
});

test('in the handshake, also where clients must have certificates', async ({ skip }) => {
  const { authority, yaml } = await setting(
    skip,
    ', challenge: tls-alpn-01',
    'clientAuth: require, ca: CLIENTS,',
  );
  const running = await runHoldfast(yaml.replace('CLIENTS', authority.ca));
  await authority.start(portsOf(running));
  await eventually(
    async () => (await running.metric('holdfast_certificate_orders_total', { result: 'issued' })) === 1,
    { deadlineMs: 40_000, what: () => running.log() },
  );
  expect(authority.requests.filter((each) => each.includes('chalZ'))).toHaveLength(1);
});

test('a restart uses what is stored, and orders nothing', async ({ skip }) => {
  const { authority, yaml } = await setting(skip);
  const first = await runHoldfast(yaml);
  await authority.start(portsOf(first));
  await hasCertificate(first);
  const { serial } = await shown(first.port, 'a.test');
  expect(await first.stop()).toBe(0);
  const second = await runHoldfast(yaml);
  expect((await shown(second.port, 'a.test')).serial).toBe(serial);
  expect(await second.stop()).toBe(0);
  expect(authority.count('/order-plz')).toBe(1);
});

test('a process that takes over while the authority looks answers it, and goes on with the order', async ({
  skip,
}) => {
  const { authority, yaml } = await setting(skip);
  const first = await runHoldfast(yaml);
  // the authority gets to hear that it may look only when the next process serves
  let later: (() => void) | null = null;
  authority.handler = ({ url = '' }, response) => {
    if (!url.startsWith('/chalZ') || later !== null) return false;
    later = () => response.writeHead(503).end();
    return true;
  };
  await authority.start(portsOf(first));
  await eventually(() => later !== null, { deadlineMs: 40_000, what: () => first.log() });
  const second = await runHoldfast(yaml, { args: ['--takeover', first.adminUrl] });
  await first.exited();
  await hasCertificate(second);
  expect(authority.count('/order-plz')).toBe(1);
  expect(second.log()).not.toContain('no certificate for');
});

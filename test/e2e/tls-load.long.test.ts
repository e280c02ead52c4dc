// TLS under load: a hundred certificates one after the other, and processes that take over: no request fails.

import { renameSync } from 'node:fs';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';
import { firstMessage, TlsLoad, waitingClient } from '../support/tls-load.ts';

const CERTIFICATES = 100;
const TAKEOVERS = 3;
const USERS = 16;
const BEGINNERS = 3000;

test('a certificate is replaced a hundred times', { timeout: 120_000 }, async ({ skip }) => {
  const files = new CertificateFiles(needs('openssl', skip));
  files.issue('now');
  const backend = await httpBackend('a');
  const running = await runHoldfast(`
threads: 2
listen: { address: 127.0.0.1:0, tls: { certificates: [{ cert: ${files.file('now.pem')}, key: ${files.file('now.key')} }] } }
admin: { address: 127.0.0.1:0 }
pools:
  web: { servers: ["${backend.url}"] }
`);
  const load = new TlsLoad(running.port, USERS);
  for (let number = 1; number <= CERTIFICATES; number += 1) {
    files.issue('next', { names: [`now-${number}.test`] });
    for (const end of ['key', 'pem']) renameSync(files.file(`next.${end}`), files.file(`now.${end}`));
    const response = await fetch(`${running.adminUrl}/api/reload`, {
      method: 'POST',
      // openssl holds this process up, for longer than a connection is kept where the machine is busy
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: '{}',
    });
    expect(response.status).toBe(200);
  }
  await load.end();
  expect(load.failures).toEqual([]);
  expect(load.serials.size).toBeGreaterThan(CERTIFICATES / 2);
  expect(load.answers).toBeGreaterThan(1000);
});

test('processes take over from each other', { timeout: 120_000 }, async () => {
  const backend = await httpBackend('a');
  const yaml = `
threads: 2
listen: { address: 127.0.0.1:0, tls: { selfSigned: true } }
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 10s }
pools:
  web: { servers: ["${backend.url}"] }
`;
  let running = await runHoldfast(yaml);
  const load = new TlsLoad(running.port, USERS);
  for (let takeover = 0; takeover < TAKEOVERS; takeover += 1) {
    const old = running;
    const before = load.answers;
    await eventually(() => load.answers > before + 200);
    running = await runHoldfast(yaml, { args: ['--takeover', old.adminUrl] });
    expect(await old.exited()).toBe(0);
  }
  const before = load.answers;
  await eventually(() => load.answers > before + 200);
  await load.end();
  expect(load.failures).toEqual([]);
  expect(load.serials.size).toBe(TAKEOVERS + 1);
});

test('thousands who begin in the same moment, and do not go on, end no thread', async () => {
  const running = await runHoldfast(`
threads: 1
listen: { address: 127.0.0.1:0, tls: { selfSigned: true, handshakeTimeout: 30s } }
admin: { address: 127.0.0.1:0 }
pools: { web: { health: off, servers: [http://127.0.0.1:1] } }
`);
  const hello = await firstMessage();
  let answered = 0;
  const sockets: Socket[] = [];
  while (sockets.length < BEGINNERS) {
    // no more than a queue of connections to be accepted holds
    const some = Array.from({ length: 100 }, () =>
      waitingClient(running.port, () => {
        answered += 1;
      }),
    );
    sockets.push(...(await Promise.all(some)));
  }
  for (const socket of sockets) socket.write(hello);
  await eventually(() => answered === BEGINNERS, { what: () => `${BEGINNERS} answers, not ${answered}` });
  expect(running.log()).not.toContain('hangs');
  expect(await running.metric('holdfast_worker_restarts_total')).toBe(0);
});

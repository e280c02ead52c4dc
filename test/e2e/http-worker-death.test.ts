// A worker thread that dies takes its own connections with it and nothing else; another takes its place.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { isQuiet, socketsOf } from '../support/quiet.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import { get, talkTo } from '../support/talker.ts';

const FAULT = new URL('../support/worker-fault.mjs', import.meta.url).href;

test('a worker that fails is replaced: its gauges go back to zero, sessions stay, traffic goes on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-faults-'));
  const backend = await scriptedBackend({ '/wait': () => undefined });
  const holdfast = await runHoldfast(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 2
pools:
  p: { health: off, sticky: { mode: cookie-hash, idle: 4s }, servers: [{ url: ${backend.url}, maxConnections: 50 }] }
`,
    { env: { NODE_OPTIONS: `--import=${FAULT}`, HOLDFAST_TEST_FAULTS: directory } },
  );
  const before = socketsOf(holdfast);
  const first = await get(holdfast.port, '/');
  const cookie = first.get('set-cookie')?.split(';')[0] ?? '';
  const waiting = await Promise.all(Array.from({ length: 20 }, () => talkTo(holdfast.port)));
  for (const talker of waiting) talker.send(`GET /wait HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`);
  await eventually(async () => (await holdfast.metric('holdfast_requests_in_flight')) === 20 || null);

  writeFileSync(join(directory, 'worker-0'), '');
  await eventually(async () => (await holdfast.metric('holdfast_worker_restarts_total')) === 1 || null);
  const cut = await eventually(async () => {
    const left = await holdfast.metric('holdfast_requests_in_flight');
    return left < 20 ? 20 - left : null;
  });
  const isCut = await Promise.all(
    waiting.map((talker) =>
      talker.ended(300).then(
        () => true,
        () => false,
      ),
    ),
  );
  expect(isCut.filter(Boolean)).toHaveLength(cut);
  expect(await holdfast.metric('holdfast_client_connections')).toBe(20 - cut);
  expect(holdfast.log()).toContain('a fault made by a test');
  expect(holdfast.log()).toContain('a worker thread died and is restarted');

  const again = await get(holdfast.port, '/', `Cookie: ${cookie}\r\n`);
  const begun = await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'new' });
  expect([again.status, begun]).toEqual([200, 1]);
  await eventually(() => holdfast.log().includes('another worker thread has taken its place'));
  // Both threads serve: the new one gets its share of the connections.
  await eventually(async () => {
    const talkers = await Promise.all(Array.from({ length: 20 }, () => talkTo(holdfast.port)));
    for (const talker of talkers) talker.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const statuses = await Promise.all(talkers.map(async (talker) => (await talker.reply()).status));
    for (const talker of talkers) talker.socket.destroy();
    expect(new Set(statuses)).toEqual(new Set([200]));
    return true;
  });

  writeFileSync(join(directory, 'worker-1'), '');
  await eventually(async () => (await holdfast.metric('holdfast_worker_restarts_total')) === 2 || null);
  expect((await get(holdfast.port, '/')).status).toBe(200);
  for (const talker of waiting) talker.socket.destroy();
  await isQuiet(holdfast, before);
  // A busy count that the dead worker left would keep its sessions from ever being idle.
  await eventually(async () => (await holdfast.metric('holdfast_session_table_entries')) === 0 || null, {
    deadlineMs: 15_000,
  });
  expect(await holdfast.stop()).toBe(0);
});

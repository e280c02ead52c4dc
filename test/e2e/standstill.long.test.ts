// The whole balancer stands still (a paused container, a laptop's lid): when it goes on, nobody else is blamed for it.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import { get } from '../support/talker.ts';

/** Longer than the time-outs, the health checks that make a server down, and a session's idle time. */
const STILL_MS = 3500;

test('no server goes down, no request fails, no session ends or moves', async () => {
  const answer = (name: string): string => `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${name}`;
  const servers = await Promise.all(
    ['a', 'b'].map((name) =>
      scriptedBackend({
        '/held': () => undefined,
        '/late': () => undefined,
        '*': ({ finish }) => finish(answer(name)),
      }),
    ),
  );
  const [a, b] = servers;
  const holdfast = await runHoldfast(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  p:
    sticky: { mode: cookie-pin, idle: 3s }
    health: { path: /healthz, interval: 1s, timeout: 1s, fall: 2, rise: 1 }
    timeouts: { response: 2s }
    servers: [{ name: a, url: ${a?.url} }, { name: b, url: ${b?.url} }]
`,
    { threads: 2 },
  );
  const first = await get(holdfast.port, '/');
  const cookie = `Cookie: ${first.get('set-cookie')?.split(';')[0]}\r\n`;
  expect((await get(holdfast.port, '/', cookie)).body).toBe(first.body);
  const home = servers[first.body === 'a' ? 0 : 1];
  const replies = Promise.all(['/held', '/late'].map((path) => get(holdfast.port, path, cookie)));
  const held = await home?.hears('/held');
  const late = await home?.hears('/late');
  const other = await get(holdfast.port, '/');
  const idle = `Cookie: ${other.get('set-cookie')?.split(';')[0]}\r\n`;
  expect((await get(holdfast.port, '/', idle)).body).toBe(other.body);
  holdfast.child.kill('SIGSTOP');
  held?.finish(answer('h'));
  await new Promise((resolve) => setTimeout(resolve, STILL_MS));
  holdfast.child.kill('SIGCONT');
  late?.finish(answer('l'));
  expect((await replies).map(({ status, body }) => [status, body])).toEqual([
    [200, 'h'],
    [200, 'l'],
  ]);
  expect((await get(holdfast.port, '/', cookie)).body).toBe(first.body);
  expect((await get(holdfast.port, '/', idle)).body).toBe(other.body);
  expect(await holdfast.metric('holdfast_sessions_ended_total')).toBe(0);

  const checked = await holdfast.metric('holdfast_health_checks_total', { result: 'success' });
  await eventually(
    async () => (await holdfast.metric('holdfast_health_checks_total', { result: 'success' })) > checked + 3,
  );
  expect(holdfast.log()).not.toMatch(/is (down|ejected)/);
  expect(await holdfast.metric('holdfast_health_checks_total', { result: 'timeout' })).toBe(0);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
  expect(await holdfast.metric('holdfast_upstream_failures_total')).toBe(0);
}, 60_000);

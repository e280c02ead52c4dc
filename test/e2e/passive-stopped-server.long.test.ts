// A server that the system has stopped (SIGSTOP) still accepts connections but answers nothing.

import { spawn } from 'node:child_process';
import { expect, onTestFinished, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { steadyLoad } from '../support/steady-load.ts';
import { User } from '../support/user.ts';

const SERVER = `
require('node:http').createServer((request, response) => response.end('stopped'))
  .listen(0, '127.0.0.1', function () { console.log(this.address().port); });
`;
const STOPPED_MS = 10_000;
const RATE = 100;

test('requests fail over, the way out and the way back show in the metrics, there is no storm', async () => {
  const child = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const port = await new Promise<number>((resolve) =>
    child.stdout.once('data', (text: Buffer) => resolve(Number(text.toString()))),
  );
  let reached = 0;
  const others = await Promise.all(
    ['b', 'c'].map((name) =>
      httpBackend(name, (request, response) => {
        if (request.url !== '/healthz') reached += 1;
        response.end(name);
      }),
    ),
  );
  const holdfast = await runHoldfast(`
threads: 2
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    health: { path: /healthz, interval: 500ms, timeout: 400ms, rise: 2, fall: 2 }
    passive: { failures: 3, window: 10s, eject: 1s }
    timeouts: { response: 500ms }
    servers:
      - { name: stopped, url: "http://127.0.0.1:${port}" }
      - { name: b, url: "${others[0]?.url}" }
      - { name: c, url: "${others[1]?.url}" }
`);
  const users = Array.from({ length: 60 }, (_, number) => new User(holdfast.port, number));
  onTestFinished(() => users.forEach((user) => void user.close()));
  const state = async (): Promise<string> => (await holdfast.status()).pools[0]?.servers[0]?.state ?? '';
  const load = steadyLoad(users, RATE);
  await eventually(() => load.outcomes.length > RATE / 2);
  child.kill('SIGSTOP');
  const stoppedAtMs = performance.now();
  await eventually(async () => ['down', 'ejected'].includes(await state()), { deadlineMs: 3000 });
  await eventually(() => performance.now() - stoppedAtMs > STOPPED_MS, { deadlineMs: STOPPED_MS + 1000 });
  const sentWhileStopped = load.outcomes.length;
  const reachedWhileStopped = reached;
  child.kill('SIGCONT');
  await eventually(async () => (await state()) === 'up', { deadlineMs: 5000 });
  const servedBefore = await holdfast.metric('holdfast_requests_total', { server: 'stopped', code: '2xx' });
  await eventually(
    async () =>
      (await holdfast.metric('holdfast_requests_total', { server: 'stopped', code: '2xx' })) > servedBefore,
  );
  await load.stop();
  expect(load.failures()).toEqual([]);
  const transitions = (to: string): Promise<number> =>
    holdfast.metric('holdfast_server_transitions_total', { server: 'stopped', to });
  expect((await transitions('down')) + (await transitions('ejected'))).toBeGreaterThanOrEqual(1);
  expect(await transitions('up')).toBeGreaterThanOrEqual(2);
  const retries = await holdfast.metric('holdfast_retries_total');
  expect(retries).toBeGreaterThan(0);
  expect(retries).toBeLessThan(RATE);
  expect(reachedWhileStopped).toBeLessThanOrEqual(sentWhileStopped * 1.2);
});

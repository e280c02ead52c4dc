// A worker thread that hangs is found and replaced: it holds up neither connections, nor a reload, nor an end.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import { get } from '../support/talker.ts';

const FAULT = new URL('../support/worker-fault.mjs', import.meta.url).href;

async function scene(): Promise<{
  holdfast: RunningHoldfast;
  fail: (worker: number, how: '' | 'hang') => void;
  yaml: (server: string) => string;
}> {
  const [a, b] = await Promise.all(
    ['a', 'b'].map((name) =>
      scriptedBackend({ '*': ({ finish }) => finish(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${name}`) }),
    ),
  );
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-faults-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const yaml = (server: string): string => `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 2
shutdown: { grace: 1s }
pools: { p: { health: off, servers: [{ name: ${server}, url: ${(server === 'a' ? a : b)?.url} }] } }
`;
  const env = { NODE_OPTIONS: `--import=${FAULT}`, HOLDFAST_TEST_FAULTS: directory };
  const holdfast = await runHoldfast(yaml('a'), { env });
  const fail = (worker: number, how: string): void => writeFileSync(join(directory, `worker-${worker}`), how);
  return { holdfast, fail, yaml };
}

const restartsOf = (holdfast: RunningHoldfast, count: number) =>
  eventually(async () => (await holdfast.metric('holdfast_worker_restarts_total')) === count, {
    deadlineMs: 15_000,
  });

const isReady = async ({ adminUrl }: RunningHoldfast): Promise<boolean> =>
  (await fetch(`${adminUrl}/readyz`)).status === 200;

test.each([0, 1])(
  'worker %i hangs: a reload comes through, and the removed server gets no request',
  async (which) => {
    const { holdfast, fail, yaml } = await scene();
    fail(which, 'hang');
    writeFileSync(holdfast.configFile, yaml('b'));
    const reloaded = await fetch(`${holdfast.adminUrl}/api/reload`, { method: 'POST' });
    expect(reloaded.status).toBe(200);
    await restartsOf(holdfast, 1);
    expect(holdfast.log()).toContain('a worker thread hangs and is ended');
    for (let count = 0; count < 30; count += 1) {
      const reply = await get(holdfast.port, '/');
      expect([reply.status, reply.body]).toEqual([200, 'b']);
    }
    expect(await isReady(holdfast)).toBe(true);
    expect(await holdfast.stop()).toBe(0);
  },
);

test('a thread that hangs does not hold up the end either', async () => {
  const { holdfast, fail } = await scene();
  fail(0, 'hang');
  await new Promise((resolve) => setImmediate(resolve));
  expect(await holdfast.stop()).toBe(0);
});

test.each(['', 'hang'] as const)(
  'when no thread answers (%s), /readyz says so, and it does not last',
  async (how) => {
    const { holdfast, fail } = await scene();
    for (let round = 1; round <= 4; round += 1) {
      fail(0, how);
      fail(1, how);
      await eventually(async () => !(await isReady(holdfast)));
      expect(await (await fetch(`${holdfast.adminUrl}/readyz`)).text()).toContain(
        'no thread accepts connections and answers them',
      );
      // one of the two at least does not wait for the other's back-off, which grows
      await eventually(async () => await isReady(holdfast), { deadlineMs: 5000 });
      await restartsOf(holdfast, 2 * round);
      // both are back before the next round: a fault meant for one that has not come back would end it later
      await eventually(() => holdfast.log().split('has taken its place').length === 2 * round + 1);
      expect(holdfast.log().split('a worker thread died').length).toBe(2 * round + 1);
    }
    await eventually(async () => (await get(holdfast.port, '/')).status === 200);
  },
  60_000,
);

// Whatever goes wrong in the old process while it steps back, it serves on; once the next one serves, it ends.

import { expect, test, vi } from 'vitest';
import type { Balancer } from '../../../src/run/balancer.ts';
import { cannedBackend } from '../../support/backend.ts';
import { eventually } from '../../support/eventually.ts';
import { scriptedBackend } from '../../support/scripted-backend.ts';
import { takeoverScene } from '../../support/takeover-scene.ts';
import { get, talkTo } from '../../support/talker.ts';

const LIMIT_MS = 30_000;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

function fault(): never {
  throw new Error('a fault made by a test');
}

const FAULTS: Readonly<Record<string, (balancer: Balancer) => unknown>> = {
  'sessions cannot be written down': ({ transfer }) => vi.spyOn(transfer, 'encode').mockImplementation(fault),
  'changes cannot be found': ({ transfer }) => {
    const { watch } = transfer;
    vi.spyOn(transfer, 'watch').mockImplementation(() =>
      Object.assign(watch.call(transfer), { since: fault }),
    );
  },
  'nobody accepts any more, and then something is wrong': ({ fleet }) => {
    const { pause } = fleet;
    vi.spyOn(fleet, 'pause').mockImplementation(async (tell) => {
      await pause.call(fleet, tell);
      fault();
    });
  },
};

test.each(Object.keys(FAULTS))('%s: the old process serves on, and can be replaced later', async (name) => {
  const backend = await cannedBackend(OK);
  const { balancer, port, running, ask, isReady, replace } = await takeoverScene(
    `pools: { shop: { health: off, servers: ["${backend.url}"] } }`,
  );
  FAULTS[name]?.(balancer);
  const successor = await ask();
  expect([await successor.ready(LIMIT_MS), successor.refusal]).toEqual([
    'gone',
    expect.stringContaining('has taken everything back'),
  ]);
  await eventually(isReady);
  // both threads listen again: the kernel deals connections out
  for (let count = 0; count < 20; count += 1) expect((await get(port, '/')).status).toBe(200);
  vi.restoreAllMocks();
  await replace();
  await running.replaced;
});

test('what the next process is not told holds back neither a response nor the end', async () => {
  const backend = await scriptedBackend({ '*': () => undefined });
  const { balancer, port, running, replace } = await takeoverScene(
    `pools: { shop: { health: off, sticky: { mode: cookie-hash }, servers: ["${backend.url}"] } }`,
  );
  const client = await talkTo(port);
  client.send('GET /slow HTTP/1.1\r\nhost: a\r\n\r\n');
  const heard = await backend.hears('/slow', LIMIT_MS);
  await replace();
  balancer.transfer.encode = fault;
  heard.finish(OK);
  expect((await client.reply({ deadlineMs: LIMIT_MS })).status).toBe(200);
  await running.stop();
});

test('what cannot be left to the next process keeps this one from nothing', async () => {
  const backend = await cannedBackend(OK);
  const { balancer, running, replace } = await takeoverScene(
    `pools: { shop: { health: off, servers: ["${backend.url}"] } }`,
  );
  balancer.control.handOver = fault;
  await replace();
  await running.replaced;
  await running.stop();
});

test('what a successor does not take in is taken back', async () => {
  const backend = await cannedBackend(OK);
  const { port, ask, isReady } = await takeoverScene(
    `pools: { shop: { health: off, servers: ["${backend.url}"] } }`,
  );
  const successor = await ask();
  successor.applyChanges = async () => fault();
  expect([await successor.ready(LIMIT_MS), successor.refusal]).toEqual([
    'gone',
    expect.stringContaining('was silent for too long'),
  ]);
  await eventually(isReady);
  expect((await get(port, '/')).status).toBe(200);
});

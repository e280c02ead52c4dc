// Threads that die while another process is about to take over, and reloads meanwhile. The successors of these tests have the
// sockets and do not listen: what the old process does not listen on answers nobody.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { fetchSockets, identityOf } from '../../../src/base/pass-sockets.ts';
import type { ReadConfig } from '../../../src/control/revising.ts';
import { SOCKETS_PER_PORT } from '../../../src/proxy/open-server.ts';
import type { Balancer } from '../../../src/run/balancer.ts';
import { ANSWER_MS } from '../../../src/run/fleet-member.ts';
import { OfferDirectory, type TakeoverOffer } from '../../../src/run/takeover/directory.ts';
import type { ChangeReceiver } from '../../../src/run/takeover/session-channel.ts';
import { cannedBackend } from '../../support/backend.ts';
import { eventually } from '../../support/eventually.ts';
import { sceneYaml, type TakeoverScene, takeoverScene } from '../../support/takeover-scene.ts';
import { get } from '../../support/talker.ts';

const LIMIT_MS = 30_000;
/** In place of ANSWER_MS. */
const SHORT_MS = 1000;

afterEach(() => void vi.restoreAllMocks());

async function scene(): Promise<
  TakeoverScene & { readonly workers: readonly Worker[]; readonly configFile: string }
> {
  const backend = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-threads-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const configFile = join(directory, 'holdfast.yaml');
  const yaml = `pools: { shop: { health: off, servers: ["${backend.url}"] } }`;
  writeFileSync(configFile, sceneYaml(yaml));
  const told = vi.spyOn(Worker.prototype, 'postMessage');
  const made = await takeoverScene(yaml, configFile);
  const workers = [...new Set(told.mock.contexts as readonly Worker[])];
  told.mockRestore();
  return { ...made, workers, configFile };
}

function listened({ fleet }: Balancer): readonly (string | null)[] {
  return fleet.sockets.map(({ fd }) => identityOf(fd)).sort();
}

/** As a successor does that takes its time. Resolves with how to let go of them. */
async function holdSockets(successor: ChangeReceiver): Promise<() => void> {
  const { directory, sockets } = JSON.parse(String(successor.offer)) as TakeoverOffer;
  const held = await fetchSockets(new OfferDirectory(directory).listenersSocket, sockets);
  const letGo = (): void => {
    for (const socket of held) socket.close();
  };
  onTestFinished(letGo);
  return letGo;
}

async function everybodyIsServed(port: number): Promise<void> {
  // the kernel deals connections out: a socket that nobody accepts from is met by some of so many
  for (let count = 0; count < 40; count += 1) expect((await get(port, '/')).status).toBe(200);
}

const restarts = ({ fleet }: Balancer, count: number): Promise<unknown> =>
  eventually(() => fleet.restarts === count && fleet.sockets.length === 2 * SOCKETS_PER_PORT);

test('a thread that dies while a successor gets ready: the next listens where it did', async () => {
  const { balancer, port, ask, workers, replace } = await scene();
  const before = listened(balancer);
  const successor = await ask();
  await holdSockets(successor);
  await workers[0]?.terminate();
  await restarts(balancer, 1);
  expect(listened(balancer)).toEqual(before);
  await everybodyIsServed(port);
  successor.end();
  await everybodyIsServed(port);
  await replace();
});

/** What happens when all have stopped accepting; the takeover fails then. */
function failStep1({ fleet }: Balancer, then: () => unknown): void {
  const { pause } = fleet;
  vi.spyOn(fleet, 'pause').mockImplementation(async (tell) => {
    await pause.call(fleet, tell);
    await then();
    throw new Error('a fault made by a test');
  });
}

test('a thread that dies after the first step: all sockets are listened on again', async () => {
  const { balancer, port, ask, workers } = await scene();
  const before = listened(balancer);
  failStep1(balancer, () => workers[1]?.terminate());
  const successor = await ask();
  await holdSockets(successor);
  expect(await successor.ready(LIMIT_MS)).toBe('gone');
  await restarts(balancer, 1);
  // those of the dead thread went to the other; the new one has its own
  await eventually(() => new Set([...before, ...listened(balancer)]).size <= 3 * SOCKETS_PER_PORT);
  await everybodyIsServed(port);
});

test('a thread that dies before it listens again leaves no socket that nobody listens on', async () => {
  const { balancer, port, ask } = await scene();
  const { postMessage } = Worker.prototype;
  let isFirst = true;
  failStep1(balancer, () => {
    vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, message, transfer) {
      if ((message as { readonly type: string }).type === 'resume' && isFirst) {
        isFirst = false;
        void this.terminate();
      } else postMessage.call(this, message, transfer as never);
    });
  });
  const successor = await ask();
  expect(await successor.ready(LIMIT_MS)).toBe('gone');
  await restarts(balancer, 1);
  await everybodyIsServed(port);
});

test('a thread that neither listens again nor can be ended keeps no reload waiting', async () => {
  const { balancer, ask } = await scene();
  const { postMessage } = Worker.prototype;
  const { setTimeout: after } = globalThis;
  let isFirst = true;
  failStep1(balancer, () => {
    vi.spyOn(Worker.prototype, 'terminate').mockReturnValue(new Promise(() => undefined));
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((task: () => void, ms: number) =>
      after(task, ms === ANSWER_MS ? SHORT_MS : ms)) as typeof setTimeout);
    vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, message, transfer) {
      if ((message as { readonly type: string }).type === 'resume' && isFirst) isFirst = false;
      else postMessage.call(this, message, transfer as never);
    });
  });
  const successor = await ask();
  expect(await successor.ready(LIMIT_MS)).toBe('gone');
  expect(await balancer.reload('a test')).toMatchObject({ ok: true });
});

test('while nobody accepts, /readyz says so', async () => {
  const { balancer, ask, isReady } = await scene();
  const seen: boolean[] = [await isReady()];
  failStep1(balancer, async () => seen.push(await isReady()));
  await (await ask()).ready(LIMIT_MS);
  await eventually(isReady);
  expect(seen).toEqual([true, false]);
});

test('a reload waits until who steps back has everything back', async () => {
  const { balancer, ask } = await scene();
  const order: string[] = [];
  const { revising } = balancer.control;
  // read within the call, where nothing is waited for
  const read: ReadConfig = async () => {
    order.push('read');
    return { config: revising.written };
  };
  failStep1(balancer, () => {
    void revising.reload(read, 'a test').then(({ ok }) => order.push(`reloaded ${ok}`));
    order.push('failed');
  });
  const { resume } = balancer;
  vi.spyOn(balancer, 'resume').mockImplementation(async (sockets) => {
    await resume.call(balancer, sockets);
    order.push('resumed');
  });
  await (await ask()).ready(LIMIT_MS);
  await eventually(() => order.length === 4);
  expect(order).toEqual(['failed', 'resumed', 'read', 'reloaded true']);
});

test('who was offered something before another configuration came is refused; the same once more changes nothing', async () => {
  const { balancer, ask, configFile } = await scene();
  const successor = await ask();
  writeFileSync(
    configFile,
    sceneYaml('via: other\npools: { shop: { health: off, servers: ["http://127.0.0.1:1"] } }'),
  );
  expect(await balancer.reload('a test')).toMatchObject({ ok: true });
  expect([await successor.ready(LIMIT_MS), successor.refusal]).toEqual([
    'gone',
    'its configuration has been reloaded meanwhile: start anew',
  ]);
  const next = await ask();
  expect(await balancer.reload('a test')).toMatchObject({ ok: true });
  expect([await next.ready(LIMIT_MS), await next.serves(LIMIT_MS)]).toEqual(['done', 'done']);
});

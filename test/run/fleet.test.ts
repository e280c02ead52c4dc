// What becomes of listening sockets and of the fleet itself when threads die at the wrong moment: in this process, whose
// descriptors are counted.

import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { identityOf } from '../../src/base/pass-sockets.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import type { Balancer } from '../../src/run/balancer.ts';
import { Member } from '../../src/run/fleet-member.ts';
import { startBalancer } from '../../src/run/foreground.ts';
import { createLogger } from '../../src/run/logger.ts';
import type { ToWorker } from '../../src/run/messages.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { eventually } from '../support/eventually.ts';
import { whenDone } from '../support/lifetime.ts';

afterEach(() => void vi.restoreAllMocks());

function configOf(listen: string): HoldfastConfig {
  const yaml = `listen: ${listen}\nadmin: off\nshutdown: { grace: 1s }
pools: { shop: { health: off, queue: { timeout: 0s, whenDown: 0s }, servers: ["http://127.0.0.1:1"] } }`;
  const { config } = loadConfig(yaml, { file: 'scene.yaml', env: {} });
  if (config === null) throw new Error('the configuration is not valid');
  return config;
}

/** A balancer on two threads that listens on a unix socket, of which each thread has a descriptor. */
async function scene(): Promise<{ balancer: Balancer; path: string; workers: readonly Worker[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-fleet-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'socket');
  const told = vi.spyOn(Worker.prototype, 'postMessage');
  const running = await startBalancer(configOf(`"unix:${path}"`), createLogger('silent'), 2, () => undefined);
  whenDone(() => running.stop());
  const workers = [...new Set(told.mock.contexts as readonly Worker[])];
  told.mockRestore();
  return { balancer: running.balancer, path, workers };
}

/** Descriptors of this process for what the fleet listens on. */
function descriptorsOf(identity: string | null): number {
  return readdirSync('/proc/self/fd').filter((name) => identityOf(Number(name)) === identity).length;
}

const identity = ({ fleet }: Balancer): string | null => identityOf(fleet.sockets[0]?.fd ?? -1);

/** `instead` happens to `count` messages of the type, which are not delivered, behind the first `delivered`. */
function intercept(
  type: ToWorker['type'],
  count: number,
  instead: (worker: Worker) => unknown,
  delivered = 0,
): void {
  const { postMessage } = Worker.prototype;
  let left = count + delivered;
  vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (
    this: Worker,
    message: ToWorker,
    transfer,
  ) {
    if (message.type === type) left -= 1;
    if (message.type === type && left >= 0 && left < count) void instead(this);
    else postMessage.call(this, message, transfer as never);
  });
}

const serves = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path, () => socket.end('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'));
    socket.on('error', () => resolve(false));
    socket.on('data', () => resolve(true));
    socket.on('close', () => resolve(false));
  });

test('threads that die before they listen on what they have been given leave no descriptor', async () => {
  const { balancer, path, workers } = await scene();
  const socket = identity(balancer);
  expect(descriptorsOf(socket)).toBe(2);
  intercept('listen', 3, (worker) => worker.terminate());
  await workers[1]?.terminate();
  await eventually(() => balancer.fleet.restarts === 4 && balancer.fleet.sockets.length === 2);
  expect(descriptorsOf(socket)).toBe(2);
  for (let count = 0; count < 10; count += 1) expect(await serves(path)).toBe(true);
});

test('one that dies before it swaps to a revision with another listener leaves none', async () => {
  const { balancer, path } = await scene();
  const { revising } = balancer.control;
  const other = `${path}.other`;
  intercept('revision', 1, (worker) => worker.terminate(), 1);
  const listen = [path, other].map((file) => `"unix:${file}"`).join(', ');
  expect(await revising.reload(async () => ({ config: configOf(`[${listen}]`) }), 'a test')).toMatchObject({
    ok: true,
  });
  await eventually(() => balancer.fleet.restarts === 1 && balancer.fleet.sockets.length === 4);
  const found = new Set(balancer.fleet.sockets.map(({ fd }) => identityOf(fd)));
  expect([...found].map(descriptorsOf)).toEqual([2, 2]);
  for (let count = 0; count < 10; count += 1) expect(await serves(other)).toBe(true);
});

test('a port that somebody else takes in the middle of a reload: the log says so, and the others are served', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-fleet-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'socket');
  const log = createLogger('silent');
  const said = vi.spyOn(log, 'error');
  const running = await startBalancer(configOf(`"unix:${path}"`), log, 2, () => undefined);
  whenDone(() => running.stop());
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  whenDone(() => other.close());
  const { port } = other.address() as AddressInfo;
  const { control } = running.balancer;
  control.prepareListeners = () => () => undefined; // it was free then
  const config = configOf(`["unix:${path}", "127.0.0.1:${port}"]`);
  expect(await control.revising.reload(async () => ({ config }), 'a test')).toMatchObject({ ok: true });
  const taken = `cannot listen on 127.0.0.1:${port}: the port is taken by another process; stop it or choose another port`;
  await eventually(() => said.mock.calls.length === 2);
  expect(said.mock.calls.map(([, message]) => message)).toEqual([taken, taken]);
  expect(await serves(path)).toBe(true);
});

test('sockets that cannot be passed between threads in the middle of a reload: all swap, and all that is new is served', async () => {
  const { balancer, path } = await scene();
  const before = balancer.revision.number;
  const other = `${path}.other`;
  const listen = [path, other].map((file) => `"unix:${file}"`).join(', ');
  for (const name of ['TMPDIR', 'XDG_RUNTIME_DIR']) vi.stubEnv(name, `${path}.missing`);
  const result = await balancer.control.revising.reload(
    async () => ({ config: configOf(`[${listen}]`) }),
    'a test',
  );
  vi.unstubAllEnvs();
  expect(result).toMatchObject({ ok: true, revision: before + 1 });
  expect([balancer.revision.number, balancer.ports.length, balancer.fleet.restarts]).toEqual([
    before + 1,
    2,
    0,
  ]);
  for (let count = 0; count < 10; count += 1)
    expect(await Promise.all([serves(path), serves(other)])).toEqual([true, true]);
  expect(
    await balancer.control.revising.reload(async () => ({ config: configOf(`"unix:${path}"`) }), 'a test'),
  ).toMatchObject({
    ok: true,
  });
  expect(await serves(path)).toBe(true);
});

test('what a thread is given and does not listen on it closes', async () => {
  const { balancer, workers } = await scene();
  const socket = identity(balancer);
  const { postMessage } = Worker.prototype;
  intercept('listen', 1, (worker) => {
    postMessage.call(worker, { type: 'pause' });
    postMessage.call(worker, given);
  });
  let given: unknown = null;
  const { listen } = Member.prototype;
  vi.spyOn(Member.prototype, 'listen').mockImplementation(function (
    this: Member,
    type,
    listeners,
    ports,
    sockets,
  ) {
    given = { type, ports, fds: [sockets.map(({ fd }) => fd)] };
    return listen.call(this, type, listeners, ports, sockets);
  });
  await workers[1]?.terminate();
  await eventually(() => given !== null && descriptorsOf(socket) === 1);
  expect(given).toMatchObject({ fds: [[expect.any(Number)]] });
});

test('a system that gives no threads for a while: the fleet goes on, and has them all in the end', async () => {
  const { balancer, path, workers } = await scene();
  const { shared } = balancer.control;
  let refusals = 3;
  const { handles } = shared;
  vi.spyOn(shared, 'handles').mockImplementation(() => {
    if (refusals === 0) return handles.call(shared);
    refusals -= 1;
    // cannot be passed to a thread: its constructor throws, as it does where there is no thread to be had
    return (() => undefined) as unknown as ReturnType<typeof handles>;
  });
  await workers[0]?.terminate();
  await eventually(() => balancer.fleet.restarts === 4 && balancer.fleet.sockets.length === 2);
  for (let count = 0; count < 10; count += 1) expect(await serves(path)).toBe(true);
});

test('where no thread is to be had the pauses grow, however long the last one has lived', async () => {
  vi.spyOn(performance, 'now').mockReturnValue(3_600_000);
  const pauses: number[] = [];
  const home = {
    onMessage: () => undefined,
    onExit: (member: Member) => pauses.push(member.nextBackoffMs(false)),
  };
  const member = new Member(0, home, createLogger('silent'));
  const data = { handles: () => undefined } as unknown as Parameters<Member['start']>[0];
  for (let count = 0; count < 3; count += 1) await expect(member.start(data)).rejects.toThrow('cloned');
  expect(pauses).toEqual([100, 200, 400]);
});

test('what a dead thread has counted of clients, and that it waits, is forgotten', async () => {
  const { balancer, workers } = await scene();
  const { shared } = balancer.control;
  const [first, second] = [0, 1].map((worker) => SharedState.attach(shared.handles(), worker));
  const cells = second!.addresses.cellsOf(5, 7);
  for (const state of [first!, second!]) state.addresses.add(cells, 1);
  second!.waiting.set(0, true);
  expect([first!.addresses.count(cells), first!.waiting.othersWait(0)]).toEqual([2, true]);
  await workers[1]?.terminate();
  await eventually(() => balancer.fleet.restarts === 1 && balancer.fleet.sockets.length === 2);
  expect([first!.addresses.count(cells), first!.waiting.othersWait(0)]).toEqual([1, false]);
});

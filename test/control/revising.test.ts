// Changes of the revision while running: what cannot be is refused, and neither ends the process nor blocks the next.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { serverAt } from '../../src/config/address.ts';
import { SERVERS_MAX } from '../../src/config/limits.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import { readConfigFile } from '../../src/config/read-config-file.ts';
import { Discovery } from '../../src/control/discovery.ts';
import type { FoundServer } from '../../src/control/membership.ts';
import type { ReloadResult } from '../../src/control/results.ts';
import { type Revisable, Revising } from '../../src/control/revising.ts';
import { SlotRegistry } from '../../src/control/slots.ts';
import { createLogger } from '../../src/run/logger.ts';
import { SLOTS_MAX } from '../../src/shared/limits.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Gauge } from '../../src/shared/stripe.ts';

const SMALL = 'small.internal';
const HUGE = 'huge.internal';

function yaml(...names: readonly string[]): string {
  const pools = names.map(
    (name, index) => `  p${index}: { servers: [{ dns: { name: ${name}, port: 80 } }] }`,
  );
  const routes = names.map((_, index) => `  - { path: /${index}, pool: p${index} }`);
  return `listen: [{ address: 127.0.0.1:0 }]\nroutes:\n${routes.join('\n')}\npools:\n${pools.join('\n')}\n`;
}

/** A balancer without threads. */
class Quiet implements Revisable {
  readonly shared = SharedState.create(1, 1000, 0);
  readonly slots = new SlotRegistry(this.shared);
  readonly log: Log;
  readonly discovery: Discovery;
  readonly isStopping = false;
  readonly events: string[] = [];
  readonly swaps: string[] = [];
  revision: Revision;
  failure: Error | null = null;

  constructor(log: Log, discovery: Discovery, config: HoldfastConfig) {
    this.log = log;
    this.discovery = discovery;
    this.revision = this.slots.revise(discovery.expand(config, this.slots), 'secret');
  }
  publish({ type, ok }: { readonly type: string; readonly ok?: unknown }): void {
    this.events.push(`${type} ${ok}`);
  }
  prepared = 0;
  prepareListeners(): () => void {
    this.prepared += 1;
    return () => {
      this.prepared -= 1;
    };
  }
  async swap(config: HoldfastConfig): Promise<readonly string[]> {
    if (this.failure !== null) throw this.failure;
    this.swaps.push('begins');
    await new Promise(setImmediate);
    this.revision = this.slots.revise(config, 'secret');
    this.swaps.push('ends');
    return [];
  }
}

async function start(): Promise<{
  balancer: Quiet;
  reload: () => Promise<ReloadResult>;
  revising: Revising;
  write: (text: string) => void;
  scheduler: ManualScheduler;
  /** How often discovery has said that what it would give is different. */
  found: () => number;
}> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-revising-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const configFile = join(directory, 'holdfast.yaml');
  writeFileSync(configFile, yaml(SMALL));
  const log = createLogger('silent');
  const clock = new ManualClock();
  const found = (config: { readonly source: string }): readonly FoundServer[] =>
    Array.from({ length: config.source.includes(HUGE) ? SLOTS_MAX + 1 : 2 }, (_, index) => {
      const host = `10.0.${index >> 8}.${index & 255}`;
      return {
        name: `${host}:80`,
        ...serverAt(host, 80),
        weight: 1,
        backup: false,
        target: null,
      };
    });
  const scheduler = new ManualScheduler(clock);
  let changes = 0;
  const discovery = new Discovery({
    clock,
    scheduler,
    random: new SeededRandom(1),
    createLookup: () => (config) => Promise.resolve({ servers: found(config), unknownTargets: [] }),
    log,
    onChange: () => {
      changes += 1;
    },
    isEmpty: () => true,
  });
  const { config } = await readConfigFile(configFile);
  if (config === null) throw new Error('the configuration of this test is wrong');
  await discovery.prepare(config);
  discovery.apply(config);
  const balancer = new Quiet(log, discovery, config);
  const revising = new Revising(balancer, config);
  return {
    balancer,
    revising,
    reload: () =>
      revising.reload(async () => {
        const { config: next } = await readConfigFile(configFile);
        return next === null ? 'not valid' : { config: next };
      }, 'a test'),
    write: (text) => writeFileSync(configFile, text),
    scheduler,
    found: () => changes,
  };
}

const serversOf = ({ revision }: Quiet): number =>
  revision.pools.reduce((sum, { slots }) => sum + slots.length, 0);

/** A thousand servers, others for each number. */
function thousand(net: number): string {
  const urls = Array.from({ length: 1000 }, (_, index) => `"http://10.9.${net}.1:${index + 1}"`);
  return `listen: [{ address: 127.0.0.1:0 }]\npools: { p0: { servers: [${urls.join(', ')}] } }\n`;
}

/** Slots of four thousand servers, which each have a request in flight. */
async function busySlots({ balancer, reload, write }: Awaited<ReturnType<typeof start>>): Promise<number[]> {
  const busy: number[] = [];
  for (let net = 0; net < 4; net += 1) {
    write(thousand(net));
    expect(await reload()).toMatchObject({ ok: true });
    for (const { slots } of balancer.revision.pools) busy.push(...slots);
    for (const slot of busy.slice(-1000)) balancer.shared.own.addGauge(slot, Gauge.inFlight, 1);
  }
  return busy;
}

test('a reload for whose servers there is no room is refused, and nothing is forgotten', async () => {
  const running = await start();
  const { balancer, revising, reload, write } = running;
  await busySlots(running);
  write(yaml(SMALL));
  expect(await reload()).toMatchObject({ ok: true });
  write(thousand(4));
  const { prepared } = balancer;
  const refused = await reload();
  expect(refused).toMatchObject({ ok: false, code: 'conflict' });
  expect(balancer.prepared).toBe(prepared);
  expect([balancer.revision.number, serversOf(balancer)]).toEqual([6, 2]);
  // what was found before is known still
  await revising.rediscover();
  expect(serversOf(balancer)).toBe(2);
  write(yaml(SMALL, SMALL));
  expect(await reload()).toMatchObject({ ok: true });
  expect(serversOf(balancer)).toBe(4);
  expect(revising.results).toEqual({ success: 6, failure: 1 });
  expect(balancer.events.slice(5)).toEqual(['reload false', 'discovery true', 'reload true']);
});

test('servers that wait for room come in when there is some, though a reload was refused meanwhile', async () => {
  const running = await start();
  const { balancer, revising, reload, write, scheduler, found } = running;
  const busy = await busySlots(running);
  write(yaml(HUGE));
  expect(await reload()).toMatchObject({ ok: true });
  expect(serversOf(balancer)).toBeLessThan(SERVERS_MAX);
  write(thousand(4));
  expect(await reload()).toMatchObject({ ok: false });
  for (const slot of busy) balancer.shared.own.addGauge(slot, Gauge.inFlight, -1);
  const before = found();
  scheduler.advance(1000);
  expect(found()).toBe(before + 1);
  await revising.rediscover();
  expect(serversOf(balancer)).toBe(SERVERS_MAX);
});

test('names with more servers than there may be are cut, and a later good answer is used whole', async () => {
  const { balancer, reload, write } = await start();
  write(yaml(HUGE));
  expect(await reload()).toMatchObject({ ok: true });
  expect(serversOf(balancer)).toBe(SERVERS_MAX);
  write(yaml(SMALL, HUGE));
  expect(await reload()).toMatchObject({ ok: true });
  expect(serversOf(balancer)).toBe(SERVERS_MAX);
  write(yaml(SMALL));
  expect(await reload()).toMatchObject({ ok: true });
  expect(serversOf(balancer)).toBe(2);
});

test('written servers do not push out those that were found and are in use: the reload is refused', async () => {
  const { balancer, revising, reload, write } = await start();
  const urls = (count: number) =>
    Array.from({ length: count }, (_, index) => `"http://10.9.1.1:${index + 1}"`);
  const both = (count: number): void => {
    const servers = [...urls(count), `{ dns: { name: ${SMALL}, port: 80 } }`];
    write(`listen: [{ address: 127.0.0.1:0 }]\npools: { p0: { servers: [${servers.join(', ')}] } }\n`);
  };
  both(SERVERS_MAX - 1);
  expect(await reload()).toMatchObject({
    ok: false,
    message: '1023 servers beside 2 that were found and are in use: there may be 1024 in all',
  });
  expect([serversOf(balancer), balancer.swaps]).toEqual([2, []]);
  both(SERVERS_MAX - 2);
  expect(await reload()).toMatchObject({ ok: true });
  await revising.rediscover();
  expect(serversOf(balancer)).toBe(SERVERS_MAX);
  // without those that are found there is room
  write(
    `listen: [{ address: 127.0.0.1:0 }]\npools: { p0: { servers: [${urls(SERVERS_MAX).join(', ')}] } }\n`,
  );
  expect(await reload()).toMatchObject({ ok: true });
});

test('whatever is thrown in a change is its refusal, also for those who wait for it', async () => {
  const { balancer, revising, reload } = await start();
  balancer.failure = new Error('the disk is on fire');
  const both = await Promise.all([reload(), reload(), revising.rediscover()]);
  expect(both.slice(0, 2)).toEqual([
    { ok: false, code: 'conflict', message: 'the disk is on fire' },
    { ok: false, code: 'conflict', message: 'the disk is on fire' },
  ]);
  balancer.failure = null;
  expect(await reload()).toMatchObject({ ok: true });
});

test('whatever a reload is refused for, what was prepared for it is let go, and what it would find is looked for no more', async () => {
  const { balancer, revising, reload, write } = await start();
  const written = revising.written;
  const sources = (): readonly string[] => balancer.discovery.reports().map(({ source }) => source);
  write(yaml(SMALL, HUGE));
  balancer.failure = new Error('the disk is on fire');
  expect(await reload()).toMatchObject({ ok: false });
  expect([balancer.prepared, sources(), revising.written]).toEqual([0, [`dns A ${SMALL}`], written]);
  balancer.failure = null;
  balancer.prepareListeners = () => {
    throw new Error('the port is taken');
  };
  expect(await reload()).toMatchObject({ ok: false, message: 'the port is taken' });
  expect([sources(), revising.written]).toEqual([[`dns A ${SMALL}`], written]);
  await revising.rediscover();
  expect(serversOf(balancer)).toBe(2);
});

test('reloads and what discovery finds follow each other; each is judged by what the one before has left', async () => {
  const { balancer, revising, reload, write } = await start();
  const changes = [reload(), revising.rediscover(), reload(), revising.rediscover()];
  write(yaml(SMALL, SMALL));
  await Promise.all(changes);
  expect(balancer.swaps).toEqual(Array.from({ length: 4 }, () => ['begins', 'ends']).flat());
  expect([balancer.revision.number, serversOf(balancer)]).toEqual([5, 4]);
});

test('certificates that are refused count as a failed reload', async () => {
  const { balancer, revising } = await start();
  expect(await revising.refresh('certificates have changed', null)).toBe(true);
  expect(await revising.refresh('certificates have changed', 'a key that fits none')).toBe(false);
  expect(await revising.refresh(null, 'nobody need hear of it')).toBe(false);
  expect(revising.results).toEqual({ success: 0, failure: 1 });
  expect(balancer.events).toEqual(['certificates true', 'certificates false']);
});

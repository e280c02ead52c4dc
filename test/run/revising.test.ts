// Changes of the revision while running: what cannot be is refused, and neither ends the process nor blocks the next.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import { readConfigFile } from '../../src/config/read-config-file.ts';
import { Discovery } from '../../src/run/discovery.ts';
import { createLogger } from '../../src/run/logger.ts';
import type { FoundServer } from '../../src/run/membership.ts';
import { type Revisable, Revising } from '../../src/run/revising.ts';
import { SlotRegistry } from '../../src/run/slots.ts';
import { SLOTS_MAX } from '../../src/shared/limits.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';

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
  readonly options: Revisable['options'];
  readonly discovery: Discovery;
  readonly isStopping = false;
  readonly events: string[] = [];
  revision: Revision;
  failure: Error | null = null;

  constructor(options: Revisable['options'], discovery: Discovery, config: HoldfastConfig) {
    this.options = options;
    this.discovery = discovery;
    this.revision = this.slots.revise(discovery.expand(config), 'secret');
  }
  publish({ type, ok }: { readonly type: string; readonly ok?: unknown }): void {
    this.events.push(`${type} ${ok}`);
  }
  swap(config: HoldfastConfig): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure);
    this.revision = this.slots.revise(config, 'secret');
    return Promise.resolve();
  }
}

async function start(): Promise<{ balancer: Quiet; revising: Revising; write: (text: string) => void }> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-revising-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const configFile = join(directory, 'holdfast.yaml');
  writeFileSync(configFile, yaml(SMALL));
  const log = await createLogger('silent');
  const clock = new ManualClock();
  const found = (config: { readonly source: string }): readonly FoundServer[] =>
    Array.from({ length: config.source.includes(HUGE) ? SLOTS_MAX + 1 : 2 }, (_, index) => {
      const host = `10.0.${index >> 8}.${index & 255}`;
      return { name: `${host}:80`, url: `http://${host}:80`, host, port: 80, weight: 1, backup: false };
    });
  const discovery = new Discovery({
    clock,
    scheduler: new ManualScheduler(clock),
    random: new SeededRandom(1),
    createLookup: () => (config) => Promise.resolve(found(config)),
    log,
    onChange: () => undefined,
    isEmpty: () => true,
  });
  const { config } = await readConfigFile(configFile);
  if (config === null) throw new Error('the configuration of this test is wrong');
  discovery.apply(config);
  await discovery.firstLooks();
  const balancer = new Quiet({ log, configFile }, discovery, config);
  return {
    balancer,
    revising: new Revising(balancer, config),
    write: (text) => writeFileSync(configFile, text),
  };
}

const serversOf = ({ revision }: Quiet): number =>
  revision.pools.reduce((sum, { slots }) => sum + slots.length, 0);

test('a reload whose names have more servers than there is room for is refused, and nothing is forgotten', async () => {
  const { balancer, revising, write } = await start();
  write(yaml(HUGE));
  const refused = await revising.reload();
  expect(refused).toMatchObject({ ok: false, code: 'conflict' });
  expect([balancer.revision.number, serversOf(balancer)]).toEqual([1, 2]);
  // what was found before is known still
  await revising.rediscover();
  expect(serversOf(balancer)).toBe(2);
  write(yaml(SMALL, SMALL));
  expect(await revising.reload()).toMatchObject({ ok: true });
  expect(serversOf(balancer)).toBe(4);
  expect(revising.results).toEqual({ success: 1, failure: 1 });
  expect(balancer.events).toEqual(['reload false', 'discovery true', 'reload true']);
});

test('whatever is thrown in a change is its refusal, also for those who wait for it', async () => {
  const { balancer, revising } = await start();
  balancer.failure = new Error('the disk is on fire');
  const both = await Promise.all([revising.reload(), revising.reload(), revising.rediscover()]);
  expect(both.slice(0, 2)).toEqual([
    { ok: false, code: 'conflict', message: 'the disk is on fire' },
    { ok: false, code: 'conflict', message: 'the disk is on fire' },
  ]);
  balancer.failure = null;
  expect(await revising.reload()).toMatchObject({ ok: true });
});

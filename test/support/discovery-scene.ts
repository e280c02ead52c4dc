// Discovery with a manual clock, scripted answers and places for servers.

import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { serverAt } from '../../src/config/address.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { ServerConfig } from '../../src/config/model.ts';
import { Discovery, type Room } from '../../src/control/discovery.ts';
import type { FoundServer } from '../../src/control/membership.ts';
import type { KeptServer } from '../../src/sessions/records.ts';

export const DISCOVERY_YAML = `
pools:
  shop:
    servers:
      - http://127.0.0.1:1
      - dns: { name: shop.internal, port: 80, refresh: 10s }
        maxConnections: 9
`;

export function found(...hosts: readonly string[]): readonly FoundServer[] {
  return hosts.map((host) => ({
    name: `${host}:80`,
    ...serverAt(host, 80),
    weight: 1,
    backup: false,
    target: null,
  }));
}

/** Places for servers, as slots are. */
export class Places implements Room {
  readonly taken = new Set<string>();
  max = 4096;
  has(_pool: string, { name }: { readonly name: string }): boolean {
    return this.taken.has(name);
  }
  free(): number {
    return this.max - this.taken.size;
  }
}

export async function discoveryScene(
  kept: readonly KeptServer[] = [],
  firstAnswer: () => readonly FoundServer[] = () => found('a', 'b'),
) {
  const { config } = loadConfig(DISCOVERY_YAML, { file: 'f', env: {} });
  if (config === null) throw new Error('the configuration of the test is wrong');
  const clock = new ManualClock();
  const scheduler = new ManualScheduler(clock);
  let answer = firstAnswer;
  let unknown: readonly string[] = [];
  /** What looks wait for; null: they answer at once. */
  let held: Promise<readonly FoundServer[]> | null = null;
  const room = new Places();
  const needed = new Set<string>();
  const said: string[] = [];
  let changes = 0;
  let looks = 0;
  const discovery = new Discovery({
    clock,
    scheduler,
    random: new SeededRandom(1),
    createLookup: () => async () => {
      looks += 1;
      const servers = await (held ?? answer());
      return { servers, unknownTargets: unknown };
    },
    log: { info: (_fields, message) => said.push(message), warn: (_fields, message) => said.push(message) },
    onChange: () => {
      changes += 1;
      use();
    },
    isEmpty: (_pool, server) => !needed.has(server),
    kept,
  });
  await discovery.prepare(config);
  discovery.apply(config);
  /** Swaps to what there is now, as a balancer does. */
  const use = (): readonly ServerConfig[] => {
    const now = discovery.expand(config, room).pools[0]?.servers ?? [];
    room.taken.clear();
    for (const { name } of now) room.taken.add(name);
    return now;
  };
  use();
  const servers = (): string[] =>
    use().map(({ name, mode }) => (mode === 'ready' ? name : `${name} ${mode}`));
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const after = async (ms: number): Promise<string[]> => {
    for (let passed = 0; passed < ms; passed += 500) {
      scheduler.advance(500);
      await settle();
    }
    return servers();
  };
  return {
    config,
    discovery,
    scheduler,
    settle,
    servers,
    after,
    needed,
    room,
    said,
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<readonly FoundServer[]>();
      held = promise;
      return resolve;
    },
    cannotAsk: (...targets: string[]) => {
      unknown = targets;
    },
    answers: (next: () => readonly FoundServer[]) => (answer = next),
    changes: () => changes,
    looks: () => looks,
  };
}

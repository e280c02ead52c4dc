import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Discovery } from '../../src/run/discovery.ts';
import { parseServerList } from '../../src/run/lookup.ts';
import { type FoundServer, LEAVING_MS_MAX, LEAVING_MS_MIN } from '../../src/run/membership.ts';

const YAML = `
pools:
  shop:
    servers:
      - http://127.0.0.1:1
      - dns: { name: shop.internal, port: 80, refresh: 10s }
        maxConnections: 9
`;

function found(...hosts: readonly string[]): readonly FoundServer[] {
  return hosts.map((host) => ({
    name: `${host}:80`,
    url: `http://${host}:80`,
    host,
    port: 80,
    weight: 1,
    backup: false,
  }));
}

async function scene() {
  const { config } = loadConfig(YAML, { file: 'f', env: {} });
  if (config === null) throw new Error('the configuration of the test is wrong');
  const clock = new ManualClock();
  const scheduler = new ManualScheduler(clock);
  let answer: () => readonly FoundServer[] = () => found('a', 'b');
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
      return answer();
    },
    log: { info: (_fields, message) => said.push(message), warn: (_fields, message) => said.push(message) },
    onChange: () => (changes += 1),
    isEmpty: (_pool, server) => !needed.has(server),
  });
  discovery.apply(config);
  await discovery.firstLooks();
  const servers = (): string[] =>
    (discovery.expand(config).pools[0]?.servers ?? []).map(({ name, mode }) =>
      mode === 'ready' ? name : `${name} ${mode}`,
    );
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
    said,
    answers: (next: () => readonly FoundServer[]) => (answer = next),
    changes: () => changes,
    looks: () => looks,
  };
}

test('what is found stands after what is written, with the limits of its entry', async () => {
  const { servers, discovery, config, changes } = await scene();
  expect(servers()).toEqual(['127.0.0.1:1', 'a:80', 'b:80']);
  expect(discovery.expand(config).pools[0]?.servers[1]?.maxConnections).toBe(9);
  expect(changes()).toBe(0);
  expect(discovery.reports()).toEqual([
    { pool: 'shop', source: 'dns A shop.internal', servers: 2, failures: 0 },
  ]);
});

test('a server that disappears drains until nobody needs it; one that appears is added; one that returns is ready', async () => {
  const { after, answers, needed, changes } = await scene();
  needed.add('b:80');
  answers(() => found('a', 'c'));
  expect(await after(11_500)).toEqual(['127.0.0.1:1', 'a:80', 'b:80 drain', 'c:80']);
  expect(changes()).toBe(1);
  expect(await after(60_000)).toContain('b:80 drain');
  answers(() => found('a', 'b', 'c'));
  expect(await after(11_500)).toEqual(['127.0.0.1:1', 'a:80', 'b:80', 'c:80']);
  answers(() => found('a'));
  await after(11_500);
  needed.clear();
  expect(await after(LEAVING_MS_MIN + 1500)).toEqual(['127.0.0.1:1', 'a:80']);
});

test('a server that has left does not stay for ever, whoever is still there', async () => {
  const { after, answers, needed } = await scene();
  needed.add('b:80');
  answers(() => found('a'));
  expect(await after(LEAVING_MS_MAX - 60_000)).toContain('b:80 drain');
  expect(await after(120_000)).toEqual(['127.0.0.1:1', 'a:80']);
});

test('a look that fails keeps the last answer, is counted, and said once', async () => {
  const { after, answers, discovery, said, changes } = await scene();
  answers(() => {
    throw new Error('queryA ESERVFAIL shop.internal');
  });
  expect(await after(55_000)).toEqual(['127.0.0.1:1', 'a:80', 'b:80']);
  expect(discovery.reports()[0]?.failures).toBe(5);
  answers(() => found('a', 'b'));
  await after(12_000);
  expect(said).toEqual([
    'dns A shop.internal: queryA ESERVFAIL shop.internal; the last answer stands',
    'dns A shop.internal: answers again',
  ]);
  expect(changes()).toBe(0);
});

test('each look comes at a time of its own, within a tenth of the interval', async () => {
  const { scheduler, settle, looks } = await scene();
  const gaps: number[] = [];
  for (let count = looks(), sinceMs = 0; gaps.length < 50; sinceMs += 10) {
    if (looks() > count) {
      gaps.push(sinceMs);
      count = looks();
      sinceMs = 0;
    }
    scheduler.advance(10);
    await settle();
  }
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(9000);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(11_010);
  expect(new Set(gaps).size).toBeGreaterThan(30);
});

test('looks vary around the interval; none follows a stop or a removal', async () => {
  const { after, looks, discovery, config } = await scene();
  await after(1_000_000);
  expect(looks()).toBeGreaterThan(95);
  expect(looks()).toBeLessThan(106);
  discovery.apply({ ...config, pools: [] });
  const before = looks();
  await after(60_000);
  expect(looks()).toBe(before);
  discovery.stop();
});

test('a list of servers: lines, YAML items, comments; one wrong line spoils it', () => {
  const names = (text: string): readonly string[] => parseServerList(text).map(({ name }) => name);
  expect(names('http://a:1\n\n# http://b:1\n  http://c:1   # the third\r\nhttp://a:1\n')).toEqual([
    'a:1',
    'c:1',
  ]);
  expect(names('- http://a:1\n- "http://b:2"\n-   \'http://[::1]:3\'')).toEqual(['a:1', 'b:2', '[::1]:3']);
  expect(() => names('http://a:1\nftp://b')).toThrow('line 2: ');
  expect(names('')).toEqual([]);
});

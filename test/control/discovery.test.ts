import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { SERVERS_MAX } from '../../src/config/limits.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Discovery } from '../../src/control/discovery.ts';
import { parseServerList } from '../../src/control/lookup.ts';
import { type FoundServer, LEAVING_MS_MAX, LEAVING_MS_MIN } from '../../src/control/membership.ts';
import { DISCOVERY_YAML, discoveryScene, found, Places } from '../support/discovery-scene.ts';

test('what is found stands after what is written, with the limits of its entry', async () => {
  const { servers, discovery, config, changes, room } = await discoveryScene();
  expect(servers()).toEqual(['127.0.0.1:1', 'a:80', 'b:80']);
  expect(discovery.expand(config, room).pools[0]?.servers[1]?.maxConnections).toBe(9);
  expect(changes()).toBe(0);
  expect(discovery.reports()).toEqual([
    { pool: 'shop', source: 'dns A shop.internal', servers: 2, failures: 0 },
  ]);
});

test('a server that disappears drains until nobody needs it; one that appears is added; one that returns is ready', async () => {
  const { after, answers, needed, changes } = await discoveryScene();
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
  const { after, answers, needed } = await discoveryScene();
  needed.add('b:80');
  answers(() => found('a'));
  expect(await after(LEAVING_MS_MAX - 60_000)).toContain('b:80 drain');
  expect(await after(120_000)).toEqual(['127.0.0.1:1', 'a:80']);
});

test('a look that fails keeps the last answer, is counted, and said once', async () => {
  const { after, answers, discovery, said, changes } = await discoveryScene();
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
  const { scheduler, settle, looks } = await discoveryScene();
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
  const { after, looks, discovery, config } = await discoveryScene();
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

const many = (count: number, net = 0): readonly FoundServer[] =>
  found(...Array.from({ length: count }, (_, index) => `10.${net}.${index >> 8}.${index & 255}`));

test('one answer after another of more servers than there may be: those in use stay, and it is said once', async () => {
  const { after, answers, servers, said } = await discoveryScene();
  answers(() => many(SERVERS_MAX + 100));
  const first = await after(25_000);
  expect(first.length).toBe(SERVERS_MAX);
  answers(() => many(SERVERS_MAX + 100).toReversed());
  expect((await after(25_000)).toSorted()).toEqual(first.toSorted());
  expect(said).toEqual(['101 servers that were found are not used: there may be 1024 in all']);
  answers(() => found('a'));
  await after(25_000);
  expect(servers()).toEqual(['127.0.0.1:1', 'a:80']);
  expect(said[1]).toBe('all servers that were found are used');
});

test('newcomers beyond the limit are the same ones whatever order they are found in, also for another process', async () => {
  const { after, answers } = await discoveryScene();
  answers(() => [...found('a', 'b'), ...many(SERVERS_MAX + 10)]);
  const first = await after(25_000);
  const other = await discoveryScene();
  other.answers(() => [...many(SERVERS_MAX + 10).toReversed(), ...found('b', 'a')]);
  expect((await other.after(25_000)).toSorted()).toEqual(first.toSorted());
});

test('newcomers wait for room that removed servers still take, and come in without another answer', async () => {
  const { after, answers, room, said } = await discoveryScene();
  room.max = 5;
  answers(() => found('c', 'd', 'e', 'f'));
  // a and b are leaving
  expect(await after(11_500)).toEqual(['127.0.0.1:1', 'a:80 drain', 'b:80 drain', 'c:80', 'd:80']);
  expect(said).toEqual(['2 servers that were found are not used yet: removed ones are still busy']);
  answers(() => {
    throw new Error('queryA ESERVFAIL shop.internal');
  });
  expect(await after(LEAVING_MS_MIN + 3000)).toEqual(['127.0.0.1:1', 'c:80', 'd:80', 'e:80', 'f:80']);
});

test('the servers of a target that cannot be asked for stay as they are', async () => {
  const { after, answers, cannotAsk, needed } = await discoveryScene();
  needed.add('z:80');
  const of = (target: string, host: string) => found(host).map((server) => ({ ...server, target }));
  answers(() => [...of('x.test', 'x'), ...of('y.test', 'y'), ...of('z.test', 'z')]);
  await after(25_000);
  answers(() => of('x.test', 'x'));
  cannotAsk('y.test');
  expect(await after(11_500)).toEqual(['127.0.0.1:1', 'x:80', 'y:80', 'z:80 drain']);
});

test('a server that one of two sources still has is not leaving', async () => {
  const { config, discovery, room, after, answers } = await discoveryScene();
  const [pool] = config.pools;
  if (pool === undefined) throw new Error('the configuration of the test has no pool');
  const [source] = pool.discovery;
  if (source === undefined) throw new Error('the pool of the test finds nothing');
  const both = { ...config, pools: [{ ...pool, discovery: [source, { ...source, source: 'another' }] }] };
  await discovery.prepare(both);
  discovery.apply(both);
  let looks = 0;
  answers(() => (looks++ % 2 === 0 ? found('a') : found('a', 'b')));
  await after(25_000);
  const modes = discovery.expand(both, room).pools[0]?.servers.map(({ name, mode }) => `${name} ${mode}`);
  expect(modes).toEqual(['127.0.0.1:1 ready', 'a:80 ready', 'b:80 ready']);
});

test('until a configuration is in force what the one before has found is known; a refused one is forgotten', async () => {
  const { config, discovery, servers, looks, after } = await discoveryScene();
  const [pool] = config.pools;
  if (pool === undefined) throw new Error('the configuration of the test has no pool');
  const [source] = pool.discovery;
  if (source === undefined) throw new Error('the pool of the test finds nothing');
  const other = { ...config, pools: [{ ...pool, discovery: [{ ...source, source: 'another' }] }] };
  const before = looks();
  await discovery.prepare(other);
  expect(looks()).toBe(before + 1);
  expect(servers()).toEqual(['127.0.0.1:1', 'a:80', 'b:80']);
  discovery.apply(config);
  await after(11_500);
  // one look of the one source
  expect(looks()).toBe(before + 2);
  expect(servers()).toEqual(['127.0.0.1:1', 'a:80', 'b:80']);
});

test('what a process before had found stands until a look answers, and leaves like what this one has found', async () => {
  const kept = {
    pool: 'shop',
    source: 'dns A shop.internal 80',
    weight: 1,
    backup: false,
    target: null,
    isLeaving: false,
  };
  const before = [
    { ...kept, url: 'http://a:80' },
    { ...kept, url: 'http://gone:80', isLeaving: true },
    { ...kept, url: 'http://other-source:80', source: 'dns A shop.internal 81' },
    { ...kept, url: 'http://other-pool:80', pool: 'api' },
    { ...kept, url: 'not a url' },
  ];
  const { discovery, servers, answers, needed, after, config, room } = await discoveryScene(before, () => {
    throw new Error('nobody answers');
  });
  needed.add('gone:80').add('a:80');
  expect(servers()).toEqual(['127.0.0.1:1', 'a:80', 'gone:80 drain']);
  expect(discovery.kept()).toEqual(before.slice(0, 2));

  // the same source with other settings, and nobody answers either
  const [pool] = config.pools;
  const [source] = pool?.discovery ?? [];
  if (pool === undefined || source === undefined)
    throw new Error('the configuration of the test finds nothing');
  const other = { ...config, pools: [{ ...pool, discovery: [{ ...source, maxConnections: 3 }] }] };
  await discovery.prepare(other);
  const names = discovery.expand(other, room).pools[0]?.servers.map(({ name, mode }) => `${name} ${mode}`);
  expect(names).toEqual(['127.0.0.1:1 ready', 'a:80 ready', 'gone:80 drain']);
  discovery.apply(config);

  answers(() => found('b'));
  expect(await after(11_500)).toEqual(['127.0.0.1:1', 'a:80 drain', 'gone:80 drain', 'b:80']);
  needed.clear();
  expect(await after(LEAVING_MS_MIN + 1500)).toEqual(['127.0.0.1:1', 'b:80']);
});

test('a look that is under way when its source goes, or all end, has no consequences', async () => {
  for (const end of ['apply', 'stop'] as const) {
    const { config, discovery, scheduler, settle, hold, looks, changes, after } = await discoveryScene();
    const release = hold();
    scheduler.advance(11_000);
    await settle();
    const before = looks();
    if (end === 'apply') discovery.apply({ ...config, pools: [] });
    else discovery.stop();
    release(found('c'));
    await settle();
    await after(60_000);
    expect([end, looks(), changes()]).toEqual([end, before, 0]);
  }
});

test('what one source has ready is not leaving because another has lost it', async () => {
  const yaml = `pools: { shop: { servers: [
    { dns: { name: one.internal, port: 80, refresh: 10s } },
    { dns: { name: two.internal, port: 80, refresh: 10s } } ] } }`;
  const { config } = loadConfig(yaml, { file: 'f', env: {} });
  for (const lost of ['one', 'two']) {
    const clock = new ManualClock();
    const scheduler = new ManualScheduler(clock);
    let isLost = false;
    const discovery = new Discovery({
      clock,
      scheduler,
      random: new SeededRandom(1),
      createLookup:
        () =>
        async ({ source }) => ({
          servers: isLost && source.includes(lost) ? found('z') : found('a', 'z'),
          unknownTargets: [],
        }),
      log: { info: () => undefined, warn: () => undefined },
      onChange: () => undefined,
      isEmpty: () => false,
    });
    await discovery.prepare(config!);
    discovery.apply(config!);
    isLost = true;
    scheduler.advance(12_000);
    await new Promise(setImmediate);
    const servers = discovery.expand(config!, new Places()).pools[0]!.servers;
    expect(servers.map(({ name, mode }) => `${name} ${mode}`).sort(), lost).toEqual([
      'a:80 ready',
      'z:80 ready',
    ]);
    discovery.stop();
  }
});

test('from the next look on it asks the name servers of the configuration in force', async () => {
  const asked: string[] = [];
  const clock = new ManualClock();
  const scheduler = new ManualScheduler(clock);
  const configWith = (resolver: string) =>
    loadConfig(`resolver: ["${resolver}"]${DISCOVERY_YAML}`, { file: 'f', env: {} }).config!;
  const discovery = new Discovery({
    clock,
    scheduler,
    random: new SeededRandom(1),
    createLookup: (nameServers) => async () => {
      asked.push(nameServers.join());
      return { servers: found('a'), unknownTargets: [] };
    },
    log: { info: () => undefined, warn: () => undefined },
    onChange: () => undefined,
    isEmpty: () => true,
  });
  for (const resolver of ['127.0.0.1:1', '127.0.0.1:2']) {
    await discovery.prepare(configWith(resolver));
    discovery.apply(configWith(resolver));
  }
  scheduler.advance(12_000);
  await new Promise(setImmediate);
  discovery.stop();
  scheduler.advance(60_000);
  expect(asked).toEqual(['127.0.0.1:1', '127.0.0.1:2']);
});

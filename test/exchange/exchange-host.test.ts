// What carries exchanges: what a new revision changes of it and what stays, and who is refused before an exchange begins.

import { describe, expect, test } from 'vitest';
import { type Clock, ManualClock } from '../../src/base/clock.ts';
import { FAILURE_KINDS, FAILURES } from '../../src/base/failure.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { PoolPlan } from '../../src/choose/plan.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { PoolConfig, ServerConfig } from '../../src/config/model.ts';
import { SlotRegistry } from '../../src/control/slots.ts';
import { admit, refused } from '../../src/exchange/admission.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { ExchangeHost, type ServerConnections } from '../../src/exchange/exchange-host.ts';
import { tlsInTheClear } from '../../src/exchange/refusals.ts';
import type { ServerStream } from '../../src/exchange/streams.ts';
import { turnAway } from '../../src/exchange/turn-away.ts';
import type { Waiter } from '../../src/exchange/wait-queue.ts';
import { RequestHead } from '../../src/http1/message.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { NO_POOL, PoolCounter } from '../../src/shared/stripe.ts';
import { requestOf } from '../choose/messages.ts';
import { eventually } from '../support/eventually.ts';

class Connections implements ServerConnections {
  readonly name: string;
  readonly #url: string;
  readonly #generation: number;
  readonly calls: string[] = [];
  constructor({ name, host, port }: ServerConfig, generation: number) {
    this.name = name;
    this.#url = `${host}:${port}`;
    this.#generation = generation;
  }
  isOf({ host, port }: ServerConfig, generation: number): boolean {
    return (
      this.#url === `${host}:${port}` && this.#generation === generation && !this.calls.includes('retire')
    );
  }
  configure(config: PoolConfig): void {
    this.calls.push(`configure ${config.timeouts.connectMs}`);
  }
  closeIdle(): void {
    this.calls.push('closeIdle');
  }
  retire(): void {
    this.calls.push('retire');
  }
  takeIdle(): ServerStream | null {
    return null;
  }
  open(): ServerStream {
    throw new Error('nothing is opened here');
  }
}

class Host extends ExchangeHost<Connections> {
  readonly requestHead = new RequestHead();
  readonly barrier = null;
  readonly made: Connections[] = [];
  watched: readonly string[] = [];
  protected connectionsTo(_slot: number, generation: number, server: ServerConfig): Connections {
    const made = new Connections(server, generation);
    this.made.push(made);
    return made;
  }
  protected configure(_revision: Revision, watched: readonly string[]): void {
    this.watched = watched;
  }
  giveBack(exchange: Exchange): void {
    this.onOver(exchange);
  }
  end(): void {
    this.retireAll();
  }
  get runtimes() {
    return this.pools;
  }
}

/** A process with so many threads, of which each is a host. */
class Process {
  readonly clock = new ManualClock();
  readonly main: SharedState;
  readonly hosts: readonly Host[];
  readonly lines: string[] = [];
  readonly ticks: number[] = [];
  readonly #registry: SlotRegistry;

  constructor(yaml: string, threads = 1, clock: Clock = this.clock) {
    this.main = SharedState.create(threads, 1000, clock.nowMs());
    this.#registry = new SlotRegistry(this.main);
    const revision = this.revise(yaml);
    this.hosts = Array.from({ length: threads }, (_, thread) => {
      const options = {
        shared: SharedState.attach(this.main.handles(), thread),
        ...{ clock, random: new SeededRandom(thread), log: () => undefined },
        onAccessLines: (lines: string) => this.lines.push(lines),
      };
      const host = new Host(options, revision, (nowMs) => this.ticks.push(nowMs));
      host.apply(revision);
      return host;
    });
  }

  revise(yaml: string): Revision {
    const { config, problems } = loadConfig(`listen: 127.0.0.1:0\n${yaml}`, { file: 'test.yaml', env: {} });
    if (config === null)
      throw new Error(`the test's own configuration is wrong: ${JSON.stringify(problems)}`);
    return this.#registry.revise(config, 'a secret of the test');
  }

  apply(yaml: string): Revision {
    const revision = this.revise(yaml);
    for (const host of this.hosts) host.apply(revision);
    return revision;
  }

  get host(): Host {
    return this.hosts[0] as Host;
  }
}

const pool = (more: string, ...servers: readonly string[]): string =>
  `pools: { shop: { health: off, ${more} servers: [${servers.join(', ')}] } }`;
const server = (name: string, port: number): string => `{ name: ${name}, url: "http://127.0.0.1:${port}" }`;
const GET = requestOf([], '/shop');

function planOf(host: Host): PoolPlan {
  const plan = host.router.route(GET.buffer, GET.head);
  if (plan === null) throw new Error('no route');
  return plan;
}

class Waiting implements Waiter {
  readonly plan: PoolPlan;
  readonly tried = [];
  readonly affinity: Waiter['affinity'];
  served = 0;
  constructor(host: Host) {
    this.plan = planOf(host);
    this.affinity = host.takeExchange().affinity;
  }
  retryFromQueue(): void {
    this.served += 1;
  }
}

describe('connections to a server', () => {
  test('stay where the server stays, with what is new of its pool, and end where it is another or gone', () => {
    const process = new Process(pool('', server('a', 1), server('b', 2), server('c', 3)));
    const { host } = process;
    const slots = [...planOf(host).slots];
    expect(slots.map((slot) => host.servers(slot).name)).toEqual(['a', 'b', 'c']);
    const [a, b, c] = slots.map((slot) => host.servers(slot)) as [Connections, Connections, Connections];
    process.apply(pool('timeouts: { connect: 9s },', server('a', 1), server('b', 7)));
    expect([a.calls.at(-1), b.calls.at(-1), c.calls.at(-1)]).toEqual(['configure 9000', 'retire', 'retire']);
    expect(host.servers(slots[0] as number)).toBe(a);
    expect(host.made.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'b']);
    host.closeIdle();
    host.end();
    expect(a.calls.slice(-2)).toEqual(['closeIdle', 'retire']);
  });

  test('there are none to a slot that nobody has', () => {
    expect(() => new Process(pool('', server('a', 1))).host.servers(9)).toThrow('no connections for slot 9');
  });

  test('that was refused is held back here, and main is told; another server in its place is not held', () => {
    const process = new Process(pool('', server('a', 1)));
    const { host } = process;
    const slot = planOf(host).slots[0] as number;
    host.notReached(slot, false);
    const nowMs = process.clock.nowMs();
    expect([
      host.chooser.refusals.isHeld(slot, nowMs),
      process.main.control.takeConnectFailure(slot),
    ]).toEqual([true, true]);
    host.servers(slot).retire();
    process.apply(pool('', server('a', 1)));
    expect(host.chooser.refusals.isHeld(slot, nowMs)).toBe(false);
  });
});

describe('a new revision', () => {
  test('says whom to believe, what to trace, log, limit and tell', () => {
    const process = new Process(pool('', server('a', 1)));
    const { host } = process;
    const state = (): unknown[] => [
      ...[host.isTrustedAddress('10.1.2.3'), host.startsTraces, host.via, host.accessLog.sample],
      ...[host.chooser.addressLimit.most, host.tells(FAILURES['bad-response']), host.limits.hasRates],
    ];
    const before = state();
    expect(host.tells(FAILURES['bad-request'])).toBe(true);
    process.apply(
      `trusted: [10.0.0.0/8]\ntraceparent: on\nvia: ME\nerrorDetails: on\naccessLog: { sample: 0.5 }\nsessions: { perAddress: 7 }
routes: [{ path: /shop, pool: shop, rateLimit: { rate: 1/s } }]\n${pool('', server('a', 1))}`,
    );
    expect(state()).toEqual([true, true, 'me', 0.5, 7, true, true]);
    process.apply(pool('', server('a', 1)));
    expect(state()).toEqual(before);
    expect(before.slice(0, 4)).toEqual([false, false, expect.anything(), 0]);
    expect(before.slice(5)).toEqual([false, false]);
  });

  test('names the header fields that are asked for', () => {
    const process = new Process(pool('', server('a', 1)));
    expect(process.host.watched).not.toContain('x-user');
    process.apply(pool('sticky: { mode: learn, header: X-User },', server('a', 1)));
    expect(process.host.watched).toContain('x-user');
  });

  test('leaves the queue and the retry budget of a pool as they are, unless its size or share is another', () => {
    const process = new Process(pool('queue: { size: 3 },', server('a', 1)));
    const { host } = process;
    const [queue, budget] = [host.queue(planOf(host)), host.retryBudget(planOf(host))];
    const waiting = new Waiting(host);
    queue.add(waiting);
    process.apply(pool('queue: { size: 4 },', server('a', 1), server('b', 2)));
    const plan = planOf(host);
    expect([host.queue(plan) === queue, queue.sizeMax, host.retryBudget(plan) === budget]).toEqual([
      true,
      4,
      true,
    ]);
    expect(waiting.plan).toBe(plan);
    process.apply(pool('retry: { budget: 50% },', server('a', 1)));
    expect([host.queue(plan) === queue, host.retryBudget(plan) === budget]).toEqual([true, false]);
    expect(() => host.queue({ ...plan, id: 60 })).toThrow('no runtime for pool shop');
  });
});

test('an exchange that is over is used again', () => {
  const { host } = new Process(pool('', server('a', 1)));
  expect(host.isStopping).toBe(false);
  const [first, second] = [host.takeExchange(), host.takeExchange()];
  expect(first).not.toBe(second);
  host.giveBack(first);
  expect(host.takeExchange()).toBe(first);
});

test("our own reply: the pool's pages go before those of all, and are none where none is known", () => {
  const { host } = new Process(pool('', server('a', 1)));
  const plan = planOf(host);
  const own = { ...plan, config: { ...plan.config, pages: { '503': { text: 'of the pool' } } } };
  const body = (of: PoolPlan | null): string => host.ownReply('no-server', '', '', '', of).body;
  expect([body(own), body(plan), body(null)].map((text) => text.slice(0, 11))).toEqual([
    'of the pool',
    '503 Service',
    '503 Service',
  ]);
});

describe('the retry budget', () => {
  test('is counted where it is spent, and published', () => {
    const process = new Process(pool('retry: { budget: 10% },', server('a', 1)));
    const { host } = process;
    const plan = planOf(host);
    const left = (): number => host.own.poolCounter(plan.id, PoolCounter.retryTokens);
    const refusals = (): number => host.own.poolCounter(plan.id, PoolCounter.retriesRefused);
    const nowMs = process.clock.nowMs();
    expect(left()).toBe(10);
    const taken = Array.from({ length: 12 }, () => host.takeRetry(plan, nowMs));
    expect([taken.filter(Boolean).length, refusals()]).toEqual([10, 2]);
    host.runtimes.onTick(nowMs);
    expect(left()).toBe(0);
    process.apply(pool('retry: { budget: 0% },', server('a', 1)));
    expect([host.takeRetry(planOf(host), nowMs), refusals()]).toEqual([false, 2]);
  });
});

describe('a place that is free', () => {
  test('goes to who waits on this thread', () => {
    const { host } = new Process(pool('', server('a', 1)));
    const plan = planOf(host);
    const waiting = new Waiting(host);
    host.slotFreed(plan, plan.slots[0] as number);
    host.queue(plan).add(waiting);
    host.slotFreed(plan, -1);
    expect(waiting.served).toBe(0);
    host.slotFreed(plan, plan.slots[0] as number);
    expect([waiting.served, host.queue(plan).length]).toEqual([1, 0]);
  });

  test('goes to other threads every other time where requests wait there too', async () => {
    const process = new Process(pool('', server('a', 1)), 2);
    const [here, there] = process.hosts as readonly [Host, Host];
    const slot = planOf(here).slots[0] as number;
    const [own, others] = [new Waiting(here), [new Waiting(there), new Waiting(there)]];
    here.queue(own.plan).add(own);
    for (const other of others) there.queue(other.plan).add(other);
    here.slotFreed(own.plan, slot);
    expect(own.served).toBe(0);
    const servedThere = (): number => others.reduce((sum, { served }) => sum + served, 0);
    await eventually(() => servedThere() > 0);
    // what nobody takes in a millisecond is ours again
    await new Promise<void>((resolve) => here.deadlines.soon(resolve));
    expect(own.served).toBe(1);
    here.queue(own.plan).add(own);
    there.queue(others[0]!.plan).add(others[0]!);
    here.slotFreed(own.plan, slot);
    expect(own.served).toBe(2);
    there.queue(others[0]!.plan).add(others[1]!);
    const before = servedThere();
    here.slotFreed(own.plan, slot);
    await eventually(() => servedThere() > before);
    expect(own.served).toBe(2);
  });

  test('is looked for at every tick', () => {
    const process = new Process(pool('', server('a', 1)));
    const { host } = process;
    const waiting = new Waiting(host);
    host.queue(waiting.plan).add(waiting);
    host.runtimes.onTick(process.clock.nowMs());
    host.runtimes.onTick(process.clock.nowMs());
    expect(waiting.served).toBe(1);
  });
});

describe('a request is turned away', () => {
  const peer = { peerAddress: '198.51.100.7', isTrusted: false, scheme: 'http' as const };
  const decide = (host: Host, lines: readonly string[], target = '/shop', nowMs = 0, method = 'GET') => {
    const { buffer, head } = requestOf(lines, target, 'a', method);
    const plan = admit(host, buffer, head, peer, '127.0.0.1:0', nowMs);
    return plan === null
      ? { kind: refused.kind, pool: refused.plan?.config.name, after: refused.retryAfterSeconds }
      : plan.config.name;
  };
  const ROUTED = 'routes: [{ path: /shop, pool: shop, rateLimit: { rate: 30/m, burst: 1 } }]\nvia: me';

  test('for the first reason that there is', () => {
    const { host } = new Process(`${ROUTED}\n${pool('', server('a', 1))}`);
    const round = Array.from({ length: 9 }, () => 'Via: 1.1 me');
    expect(decide(host, [], '/other')).toEqual({ kind: 'no-route', pool: undefined, after: 1 });
    expect(decide(host, ['Max-Forwards: 0'], '/shop', 0, 'OPTIONS')).toEqual({
      ...{ kind: 'max-forwards', pool: 'shop', after: 1 },
    });
    expect(decide(host, round)).toEqual({ kind: 'loop-detected', pool: 'shop', after: 1 });
    expect(decide(host, [])).toBe('shop');
    expect(decide(host, [])).toEqual({ kind: 'too-many-requests', pool: 'shop', after: 2 });
    expect(decide(host, [], '/shop', 2000)).toBe('shop');
  });

  test('not for how often it asks where nothing is said of it', () => {
    const { host } = new Process(pool('', server('a', 1)));
    expect([decide(host, []), decide(host, [])]).toEqual(['shop', 'shop']);
  });

  test('counted, answered and logged, once', () => {
    const process = new Process(`accessLog: json\n${pool('', server('a', 1))}`);
    const { host } = process;
    const plan = planOf(host);
    const answers: unknown[] = [];
    const way = { ...peer, tls: null, streamId: 0 };
    const { buffer, head } = requestOf(['Accept: application/json', 'X-Request-Id: mine'], '/shop');
    const turn = (more: Parameters<typeof turnAway>[4], client = way): void =>
      turnAway(host, client, buffer, head, more, (content, id) => answers.push([content, id]) && 77);
    turn({ kind: 'no-route', detail: 'exactly so', plan: null });
    turn({ kind: 'too-many-requests', plan, content: { type: 'x', body: 'y' } }, { ...way, isTrusted: true });
    expect(answers).toEqual([
      [{ type: 'application/json', body: expect.stringContaining('exactly so') }, expect.any(String)],
      [{ type: 'x', body: 'y' }, 'mine'],
    ]);
    const rejected = (kind: 'no-route' | 'too-many-requests', of: number): number =>
      host.own.rejected(FAILURE_KINDS.indexOf(kind), of);
    expect([rejected('no-route', NO_POOL), rejected('too-many-requests', plan.id)]).toEqual([1, 1]);
    expect(host.own.poolCounter(plan.id, PoolCounter.requests)).toBe(1);
    host.accessLog.flush();
    const lines = process.lines
      .join('')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { requestId: (answers[0] as string[])[1], error: 'no-route', status: 404, pool: null, bytesOut: 77 },
      { requestId: 'mine', error: 'too-many-requests', status: 429, pool: 'shop', client: '198.51.100.7' },
    ]);
    host.accessLog.sample = 0;
    turn({ kind: 'no-route', plan: null });
    host.accessLog.flush();
    expect([answers.length, process.lines.length]).toEqual([3, 1]);
  });
});

test('who speaks TLS where it is not spoken is told so', () => {
  const said = [[0x16, 3, 1], [0x16, 4, 1], [0x47, 3], []].map((bytes) => tlsInTheClear(Buffer.from(bytes)));
  expect(said).toEqual([expect.stringContaining('use http:// here'), null, null, null]);
});

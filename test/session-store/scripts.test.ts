// The scripts in a real Redis against the model store of the simulation: random operations, outcome by outcome.

import { expect, onTestFinished, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { systemScheduler } from '../../src/base/scheduler.ts';
import type { Operation, Outcome } from '../../src/session-store/operations.ts';
import { RedisLink } from '../../src/session-store/redis-link.ts';
import { Sealing } from '../../src/session-store/sealing.ts';
import { eventually } from '../support/eventually.ts';
import { ModelStore } from '../support/model-store.ts';
import { sharedRedis, type TestRedis } from '../support/redis.ts';
import { seeds } from '../support/seeds.ts';

const SERVERS = ['a', 'b', 'c'];
const KEYS = ['k1', 'k2', 'k3'];
const OPERATIONS = 1500;
const PREFIX = 'test:';
/** Far more than a test takes, so that it does not matter how long it takes. */
const FAR_MS = 1e9;
/** Between the beginnings of two sets of data, more than any number of claims. */
const SET_MS = 1e6;
/** Tenures that operationOf makes up lie so little below the beginning of their set. */
const BELOW_MS = 2;
const REFILL_MS = { long: 1e12, none: 0 };

const theRedis = sharedRedis();

async function linkTo(redis: TestRedis, me: string, refillMs: number, heard: string[]): Promise<RedisLink> {
  const link = new RedisLink({
    source: redis.client(),
    prefix: PREFIX,
    me,
    refillMs,
    claimMsMax: 1e15,
    sealing: new Sealing([], false),
    scheduler: systemScheduler,
    onUp: () => {},
    onDown: () => {},
    onTrouble: (error) => heard.push(`trouble: ${error.message}`),
    onTaken: (key, tenure) => heard.push(`taken ${key} ${tenure}`),
    onEnded: (key) => heard.push(`ended ${key}`),
  });
  link.begin();
  onTestFinished(() => link.end());
  await eventually(() => link.isUp);
  return link;
}

function sent(link: RedisLink, operation: Operation): Promise<Outcome> {
  return new Promise((resolve) => link.send(operation, resolve));
}

/** Both stores and how the times of one are those of the other. */
class Pair {
  readonly model: ModelStore;
  readonly told: Record<string, string[]> = { a: [], b: [], c: [] };
  readonly heard: Record<string, string[]> = { a: [], b: [], c: [] };
  readonly links: Record<string, RedisLink> = {};
  readonly redis: TestRedis;
  /** Beginnings of the sets of data: [of the model, of the store]. */
  #sinces: [number, number][] = [];
  #modelNowMs = 1e12;
  #storeNowMs = 0;

  constructor(redis: TestRedis, refillMs: number) {
    this.redis = redis;
    this.model = new ModelStore(() => this.#modelNowMs, refillMs);
    this.model.onNotice = (owner, kind, key, tenure) =>
      this.told[owner]?.push(kind === 'ended' ? `ended ${key}` : `taken ${key} ${tenure}`);
  }

  async begin(refillMs: number): Promise<void> {
    await this.redis.command('FLUSHALL');
    for (const me of SERVERS)
      this.links[me] = await linkTo(this.redis, me, refillMs, this.heard[me] as string[]);
    const [seconds] = (await this.redis.command('TIME')) as [string];
    this.#storeNowMs = Number(seconds) * 1000;
  }

  /** Both are without data now, and have begun another set. */
  async empty(me: string): Promise<void> {
    await this.redis.command('FLUSHALL');
    this.model.empty();
    const [modelMs, storeMs] = this.#sinces.at(-1) ?? [this.#modelNowMs, this.#storeNowMs];
    this.#modelNowMs = Math.max(this.#modelNowMs, modelMs) + SET_MS;
    this.#sinces.push([this.#modelNowMs, storeMs + SET_MS]);
    await this.compare({ kind: 'hello', isRefilling: false }, me);
    await this.redis.command('HSET', `${PREFIX}set`, 'since', String(storeMs + SET_MS));
  }

  async compare(operation: Operation, me: string): Promise<void> {
    const expected = this.model.apply(operation, me);
    const actual = await sent(this.links[me] as RedisLink, this.#forStore(operation));
    await this.#learnSince();
    const told = `${me}: ${JSON.stringify(operation)}`;
    expect([told, this.#asModel(actual)]).toEqual([told, this.#plain(expected)]);
    if (actual.kind !== 'claimed' || expected.kind !== 'claimed') return;
    expect(Math.abs(actual.lifeMs - expected.lifeMs)).toBeLessThan(FAR_MS);
  }

  /** Notices of a server come in order; those of an operation may come after its reply. */
  async compareNotices(): Promise<void> {
    for (const me of SERVERS) {
      await sent(this.links[me] as RedisLink, { kind: 'hello', isRefilling: false });
      const heard = (this.heard[me] ?? []).map((line) => {
        const [kind, key, tenure] = line.split(' ');
        return tenure === undefined ? line : `${kind} ${key} ${this.#tenureOfModel(Number(tenure))}`;
      });
      expect(heard).toEqual(this.told[me]);
    }
  }

  /** Claims that come in time, and too late; before and after each other. */
  untilMs(dice: SeededRandom): number {
    const kind = dice.below(5);
    return kind === 0 ? 0 : this.#modelNowMs + (kind === 1 ? -FAR_MS : FAR_MS * kind);
  }

  async #learnSince(): Promise<void> {
    if (this.#sinces.length > 0) return;
    const since = await this.redis.command('HGET', `${PREFIX}set`, 'since');
    if (since !== null) this.#sinces.push([this.#modelNowMs, Number(since)]);
  }

  #forStore(operation: Operation): Operation {
    if (operation.kind === 'claim') return { ...operation, untilMs: this.#untilOfStore(operation.untilMs) };
    if (operation.kind === 'write' || operation.kind === 'touch') {
      const { tenure } = operation;
      const set = this.#sinces.findLast(([modelMs]) => modelMs - BELOW_MS <= tenure);
      const found = set === undefined ? tenure : tenure - set[0] + set[1];
      if (operation.kind === 'touch') return { ...operation, tenure: found };
      return { ...operation, tenure: found, untilMs: this.#untilOfStore(operation.untilMs) };
    }
    return operation;
  }

  #untilOfStore(untilMs: number): number {
    return untilMs > 0 ? untilMs - this.#modelNowMs + this.#storeNowMs : 0;
  }

  #tenureOfModel(tenure: number): number {
    const set = this.#sinces.findLast(([, storeMs]) => storeMs - BELOW_MS <= tenure);
    return set === undefined ? tenure : tenure - set[1] + set[0];
  }

  #asModel(outcome: Outcome): unknown {
    if (!('tenure' in outcome)) return this.#plain(outcome);
    const tenure = this.#tenureOfModel(outcome.tenure);
    const isClaimed = outcome.kind === 'claimed';
    return this.#plain({
      ...outcome,
      ...(isClaimed ? { before: this.#tenureOfModel(outcome.before) } : {}),
      tenure,
    });
  }

  /** Without what differs: names of sets, clocks, lives. */
  #plain(outcome: Outcome): unknown {
    if (outcome.kind === 'claimed') return { ...outcome, lifeMs: null };
    return outcome.kind === 'hello' ? { kind: 'hello' } : outcome;
  }
}

function operationOf(pair: Pair, dice: SeededRandom, me: string): Operation {
  const key = KEYS[dice.below(KEYS.length)] as string;
  const record = pair.model.records.get(key);
  const kind = dice.below(100);
  const lifeMs = dice.below(12) === 0 ? 0 : (100 + dice.below(900)) * FAR_MS * 10;
  // Around the tenure and the version that stand there, and what a server may have from long ago.
  const tenure = dice.below(4) === 0 ? dice.below(3) : Math.max(0, (record?.tenure ?? 1) + dice.below(4) - 2);
  const version = Math.max(1, (record?.version ?? 1) + dice.below(5) - 2);
  if (kind < 35) return { kind: 'claim', key, untilMs: pair.untilMs(dice) };
  if (kind < 70)
    return {
      kind: 'write',
      key,
      tenure,
      version,
      data: JSON.stringify({ by: `${me} ü \0`, number: dice.below(1000) }),
      lifeMs,
      isUnsure: dice.below(3) === 0,
      untilMs: pair.untilMs(dice),
      dataSet: dice.below(10) === 0 ? 'of another set' : null,
    };
  if (kind < 88) return { kind: 'touch', key, tenure, version, lifeMs };
  if (kind < 93) return { kind: 'destroy', key, lifeMs: Math.max(lifeMs, FAR_MS * 100) };
  return { kind: 'hello', isRefilling: dice.below(2) === 0 };
}

test.for(Object.entries(REFILL_MS))('do what the model does (%s refill)', async ([, refillMs], { skip }) => {
  const redis = await theRedis(skip);
  for (const seed of seeds(2)) {
    const dice = new SeededRandom(seed);
    const pair = new Pair(redis, refillMs);
    await pair.begin(refillMs);
    for (let count = 0; count < OPERATIONS; count += 1) {
      const me = SERVERS[dice.below(SERVERS.length)] as string;
      if (dice.below(150) === 0) await pair.empty(me);
      // The store may be told at any time to forget scripts.
      else if (dice.below(200) === 0) await redis.command('SCRIPT', 'FLUSH');
      else await pair.compare(operationOf(pair, dice, me), me);
    }
    await pair.compareNotices();
    for (const link of Object.values(pair.links)) link.end();
  }
});

test('the first to ask a store without data is to ask again, in whatever fraction of a millisecond it comes', async ({
  skip,
}) => {
  const redis = await theRedis(skip);
  const link = await linkTo(redis, 'a', REFILL_MS.long, []);
  const client = redis.client();
  await client.connect();
  onTestFinished(() => client.destroy());
  const outcomes = new Set<string>();
  for (let count = 0; count < 500; count += 1) {
    await client.sendCommand(['DEL', `${PREFIX}set`]);
    outcomes.add((await sent(link, { kind: 'claim', key: 'k', untilMs: 0 })).kind);
  }
  expect([...outcomes]).toEqual(['again']);
});

// A home that may have missed that its session is another's, and comes back just as the store has lost its data.

import { expect, onTestFinished, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler, systemScheduler } from '../../src/base/scheduler.ts';
import { REFILL_MS } from '../../src/session-store/backing.ts';
import { StoreConnection } from '../../src/session-store/store-connection.ts';
import { eventually } from '../support/eventually.ts';
import { HomeProcess, type StoreProcess } from '../support/home-process.ts';
import { ModelStore } from '../support/model-store.ts';
import { testRedis } from '../support/redis.ts';

const DAY_MS = 86_400_000;
const ANSWERED_MS = 1000;

interface Scene {
  readonly scheduler: ManualScheduler;
  readonly store: StoreProcess;
  readonly homes: readonly [HomeProcess, HomeProcess, HomeProcess];
  readonly read: (home: HomeProcess) => string;
}

/** a has made the session, b has taken and changed it while a was not there to hear of it. */
function scene(leave: (a: HomeProcess) => void): Scene {
  const scheduler = new ManualScheduler(new ManualClock(0));
  const model = new ModelStore(() => scheduler.clock.nowMs(), REFILL_MS);
  const store: StoreProcess = { model, isRunning: true, isHung: false, held: [] };
  const start = (me: string): HomeProcess => {
    const home = new HomeProcess(scheduler, new SeededRandom(1), store, { me, sessionsMax: 0, faults: {} });
    home.connect();
    return home;
  };
  const homes = [start('a'), start('b'), start('c')] as const;
  const [a, b] = homes;
  model.onNotice = (owner, kind, key, tenure) =>
    homes.find(({ me }) => me === owner)?.notice(kind, key, tenure);
  const read = ({ home }: HomeProcess): string => {
    let found = 'nothing';
    home.get('one', (one) => (found = one.kind === 'found' ? one.data : one.kind), true);
    scheduler.advance(ANSWERED_MS + 500);
    return found;
  };
  scheduler.advance(2 * REFILL_MS);
  a.home.set('one', 'old', DAY_MS, () => {});
  scheduler.advance(ANSWERED_MS);
  leave(a);
  read(b);
  b.home.set('one', 'new', DAY_MS, () => {});
  scheduler.advance(ANSWERED_MS);
  return { scheduler, store, homes, read };
}

const BACK: Readonly<Record<string, readonly [(a: HomeProcess) => void, (a: HomeProcess) => void]>> = {
  'stood still': [(a) => a.stop(), (a) => a.continue()],
  'was cut off': [(a) => a.disconnect(), (a) => a.connect()],
};

test.each(Object.entries(BACK))(
  'what a home that %s writes back is given to nobody',
  (_what, [leave, back]) => {
    const { scheduler, store, homes, read } = scene(leave);
    const [a, b, c] = homes;
    scheduler.advance(2000);
    // its present home hears of the loss last of all
    b.stop();
    store.model.empty();
    back(a);
    scheduler.advance(500);
    expect(read(c)).not.toBe('old');
    b.continue();
    scheduler.advance(ANSWERED_MS);
    expect(read(c)).toBe('new');
    for (const home of homes) home.crash();
  },
);

test('a new connection says whether the store may have gone on without us', async ({ skip }) => {
  const redis = await testRedis(skip);
  const heard: boolean[] = [];
  const troubles: string[] = [];
  const connection = new StoreConnection({
    source: redis.client(),
    channel: 'test',
    scheduler: systemScheduler,
    onUp: (_run, mayHaveMissed) => heard.push(mayHaveMissed),
    onTrouble: ({ message }) => troubles.push(message),
    ...{ onDown: () => {}, onNotice: () => {} },
  });
  connection.begin();
  onTestFinished(() => connection.end());
  await eventually(() => heard.length === 1);
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await eventually(() => heard.length === 2);
  await redis.store.kill();
  await eventually(() => troubles.some((message) => message.includes('ECONNREFUSED')));
  await redis.store.restart();
  await eventually(() => heard.length === 3);
  expect(heard.slice(1)).toEqual([true, false]);
});

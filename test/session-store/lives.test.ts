// How long sessions and tombstones live at a home and in its store: Home on a model store and a manual clock.

import { beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import type { Found } from '../../src/session-store/copy.ts';
import { Home } from '../../src/session-store/home.ts';
import { HomeProcess, type StoreProcess } from '../support/home-process.ts';
import { type ModelRecord, ModelStore } from '../support/model-store.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Longer than the model store ever takes. */
const ANSWERED_MS = 5000;
const AWAY = { kind: 'failed', why: 'away' } as const;

let scheduler: ManualScheduler;
let store: StoreProcess;

beforeEach(() => {
  scheduler = new ManualScheduler(new ManualClock(0));
  const model = new ModelStore(() => scheduler.clock.nowMs(), 1);
  model.onNotice = () => {};
  store = { model, isRunning: true, isHung: false, held: [] };
});

function startHome(me: string, sessionsMax = 0): HomeProcess {
  const home = new HomeProcess(scheduler, new SeededRandom(1), store, { me, sessionsMax, faults: {} });
  home.connect();
  pass(ANSWERED_MS);
  return home;
}

/** Second by second, as processes live. */
function pass(durationMs: number): void {
  for (let leftMs = durationMs; leftMs > 0; leftMs -= 1000) scheduler.advance(Math.min(1000, leftMs));
}

function set({ home }: HomeProcess, key: string, ttlMs: number): void {
  home.set(key, 'data', ttlMs, () => {});
  pass(1000);
}

function read({ home }: HomeProcess, key: string): Found['kind'] {
  let kind: Found['kind'] = 'away';
  home.get(key, (found) => {
    kind = found.kind;
  });
  pass(ANSWERED_MS);
  return kind;
}

function restMs(key: string): number {
  return (store.model.live(key)?.endsAtMs ?? 0) - scheduler.clock.nowMs();
}

test('what is over at its home does not come back from the store', () => {
  const home = startHome('a');
  set(home, 'one', 30 * MINUTE_MS);
  scheduler.advance(30 * MINUTE_MS - 1000);
  expect(read(home, 'one')).toBe('unknown');
  expect(store.model.live('one')).toBe(undefined);
  expect(read(home, 'one')).toBe('unknown');
});

test('the store hears at once of a life that has become another', () => {
  const home = startHome('a');
  set(home, 'one', MINUTE_MS);
  for (let other = 0; other < 50; other += 1) set(home, `other${other}`, DAY_MS);
  set(home, 'one', MINUTE_MS);
  home.home.touch('one', 30 * DAY_MS);
  scheduler.advance(900);
  expect(restMs('one')).toBeGreaterThan(29 * DAY_MS);
  home.home.touch('one', MINUTE_MS);
  scheduler.advance(900);
  expect(restMs('one')).toBeLessThan(2 * MINUTE_MS);
});

test('tombstones do not keep sessions in memory', () => {
  const home = startHome('a', 10);
  for (let ended = 0; ended < 300; ended += 1) home.home.destroy(`ended${ended}`, () => {});
  for (let one = 0; one < 100; one += 1) set(home, `s${one}`, DAY_MS);
  expect(home.home.counts().sessions).toBeLessThanOrEqual(11);
});

/** A home whose store answers at once, or is away. */
function startNear(me: string, isUp = true): Home {
  const options = { ackTimeoutMs: 100, loadTimeoutMs: 1000, whenStoreIsAway: 'serve' } as const;
  const home = new Home({
    link: {
      isUp,
      send: (operation, reply) => reply(isUp ? store.model.apply(operation, me) : AWAY),
    },
    ...{ clock: scheduler.clock, scheduler, options: { ...options, limits: { sessions: 0, bytes: 0 } } },
  });
  if (isUp) home.connected(true);
  return home;
}

test('more tombstones than are kept go as fast as they come', () => {
  const home = startNear('a');
  const keys = Array.from({ length: 30_000 }, (_, index) => `ended${index}`);
  for (const key of keys) home.destroy(key, () => {});
  pass(3000);
  expect(keys.filter((key) => home.has(key)).length).toBeLessThanOrEqual(20_000);
});

test.for([true, false])(
  'whoever asks to be logged out without a session fills nothing (store is up: %s)',
  (isUp) => {
    const home = startNear('a', isUp);
    home.set('known', 'data', DAY_MS, () => {});
    for (let stranger = 0; stranger < 50_000; stranger += 1) home.destroy(`stranger${stranger}`, () => {});
    home.destroy('known', () => {});
    pass(60_000);
    const here = Array.from({ length: 50_000 }, (_, stranger) => `stranger${stranger}`);
    expect(here.filter((key) => home.has(key)).length).toBeLessThanOrEqual(10_000);
    expect(here.filter((key) => store.model.live(key)).length).toBe(isUp ? 10_000 : 0);
    // the end of the first ones, and of what was known, is kept
    const hasEnded = (key: string): boolean =>
      isUp ? store.model.live(key)?.isTombstone === true : home.hasEnded(key);
    expect([hasEnded('stranger0'), hasEnded('known')]).toEqual([true, true]);
    pass(11 * MINUTE_MS);
    expect(here.some((key) => home.has(key) || store.model.live(key))).toBe(false);
    expect(hasEnded('known')).toBe(true);
  },
);

test('a former owner that has written back what it had to an emptied store does not undo what its successor has written', () => {
  const [a, b] = [startNear('a'), startNear('b')];
  // notices get lost here: nobody tells a that b has it
  a.set('one', 'old', DAY_MS, () => {});
  b.get('one', () => {});
  b.set('one', 'new', DAY_MS, () => {});
  const { tenure = 0 } = store.model.live('one') ?? {};
  expect(store.model.live('one')?.data).toBe('new');
  store.model.empty();
  store.model.apply(
    {
      kind: 'write',
      key: 'one',
      tenure: tenure - 1,
      version: 1,
      data: 'old',
      lifeMs: DAY_MS,
      isUnsure: false,
      dataSet: null,
      untilMs: 0,
    },
    'a',
  );
  const found: Found[] = [];
  b.get('one', (one) => found.push(one), true);
  expect(found).toEqual([{ kind: 'found', data: 'new' }]);
  expect(store.model.live('one')).toMatchObject({ data: 'new', owner: 'b' });
});

test('who ends a session that lives elsewhere ends it for as long as that may have a copy', () => {
  const [a, b] = [startHome('a'), startHome('b')];
  set(a, 'one', DAY_MS);
  a.disconnect();
  b.home.destroy('one', () => {});
  scheduler.advance(60 * MINUTE_MS);
  a.connect();
  pass(ANSWERED_MS);
  expect([read(a, 'one'), read(b, 'one')]).toEqual(['unknown', 'unknown']);
});

test('a store that starts again with data from before hears what has ended since', () => {
  const home = startHome('a');
  set(home, 'one', DAY_MS);
  const before: readonly [string, ModelRecord][] = [...store.model.records].map(([key, record]) => [
    key,
    { ...record },
  ]);
  home.home.destroy('one', () => {});
  pass(1000);
  home.disconnect();
  store.model.restart(false);
  for (const [key, record] of before) store.model.records.set(key, record);
  home.connect();
  pass(ANSWERED_MS);
  expect(read(startHome('b'), 'one')).toBe('unknown');
});

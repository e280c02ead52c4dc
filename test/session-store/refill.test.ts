// A store that has lost everything while a server has a hundred thousand sessions: all are written again, a few at a time, each
// once, and requests go before them.

import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { Home } from '../../src/session-store/home.ts';
import type { Operation, Outcome, StoreLink } from '../../src/session-store/operations.ts';
import { ModelStore } from '../support/model-store.ts';

const SESSIONS = 100_000;
const LIFE_MS = 3_600_000;

/** A store that answers when it is told to. */
class Link implements StoreLink {
  readonly isUp = true;
  readonly waiting: (() => void)[] = [];
  writes = 0;
  mostAtOnce = 0;
  readonly #model: ModelStore;

  constructor(model: ModelStore) {
    this.#model = model;
  }

  send(operation: Operation, reply: (outcome: Outcome) => void): void {
    this.waiting.push(() => {
      if (operation.kind === 'write') this.writes += 1;
      reply(this.#model.apply(operation, 'me'));
    });
    this.mostAtOnce = Math.max(this.mostAtOnce, this.waiting.length);
  }

  /** Answers everything, and what is sent because of that. */
  answerAll(): number {
    let answered = 0;
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      answered += 1;
      next();
    }
    return answered;
  }
}

test('an emptied store gets 100 000 sessions back, never more than a window of them at once', () => {
  const scheduler = new ManualScheduler(new ManualClock());
  const model = new ModelStore(() => scheduler.clock.nowMs() + 1e12, 5000);
  const link = new Link(model);
  const home = new Home({
    link,
    clock: scheduler.clock,
    scheduler,
    options: {
      ...{ ackTimeoutMs: 100, loadTimeoutMs: 1000, whenStoreIsAway: 'serve' },
      limits: { sessions: 0, bytes: 0 },
    },
  });
  home.connected(true);
  link.answerAll();
  for (let id = 0; id < SESSIONS; id += 1) {
    home.set(`s${id}`, '{"count":1}', LIFE_MS, () => {});
    link.answerAll();
  }
  expect([home.counts().sessions, home.counts().unbacked, model.records.size]).toEqual([
    SESSIONS,
    0,
    SESSIONS,
  ]);
  model.empty();
  link.mostAtOnce = 0;
  link.writes = 0;
  scheduler.advance(1000);
  // its look at the store finds another set of data, after samples of what it has
  while (home.counts().unbacked < SESSIONS && link.waiting.length > 0) link.waiting.shift()?.();
  expect(home.counts().unbacked).toBe(SESSIONS);
  let isSet: string | null = null;
  home.set('new', '{"count":1}', LIFE_MS, (changed) => (isSet = changed));
  const operations = link.answerAll();
  expect(isSet).toBe('backed');
  expect([home.counts().unbacked, model.records.size]).toEqual([0, SESSIONS + 1]);
  // the samples may have been written before it was known that all is lost
  expect(link.writes).toBeGreaterThan(SESSIONS);
  expect(link.writes).toBeLessThan(SESSIONS + 10);
  // 64, what requests wait for, and what once a second is asked
  expect(link.mostAtOnce).toBeLessThan(64 + 10);
  expect(operations).toBeLessThan(SESSIONS + 1000);
  home.crash();
});

// An application whose cookie rolls with each answer makes an entry per answer. In a table that is too small for all of
// them, what nobody shows any more goes, and no session: neither of those who go on nor of those who pause.

import { expect, test } from 'vitest';
import { World } from './fixture.ts';

/** As 10 000 users in a table for 100 000. */
const USERS = 100;
const SESSIONS_MAX = 1_000;
const ANSWERS = 20;
const PAUSING_AFTER = 5;
const PARALLEL = 2;
const THINK_MS = 20_000;

test('former values go before sessions and before the newest value of a session', () => {
  const sticky = { mode: 'learn', cookie: 'session', cookieOwner: 'application' } as const;
  const world = new World({ sticky, sessionsMax: SESSIONS_MAX });
  const value = (user: number, answer: number): string => `session=user-${user}-answer-${answer}`;
  const ask = (user: number, shown: number, given: number): void => {
    const cookie = value(user, shown);
    world.exchange({ cookie, responseHeaders: [`Set-Cookie: ${value(user, given)}; Path=/`] });
  };
  const latest = new Array<number>(USERS).fill(0);
  for (let user = 0; user < USERS; user += 1)
    world.exchange({ responseHeaders: [`Set-Cookie: ${value(user, 0)}; Path=/`] });
  for (let answer = 1; answer <= ANSWERS; answer += 1) {
    world.clock.advance(THINK_MS);
    for (let user = 0; user < USERS; user += 1) {
      if (user % 2 === 0 && answer > PAUSING_AFTER) continue;
      const shown = latest[user] as number;
      // two requests at once, each with an answer; the browser keeps the last
      for (let each = 1; each <= PARALLEL; each += 1) ask(user, shown, shown + each);
      latest[user] = shown + PARALLEL;
    }
  }
  const made = latest.reduce((sum, answers) => sum + answers + 1, 0);
  expect(made).toBeGreaterThan(world.shared.table.capacity * 1.5);
  expect(world.entries()).toMatchObject({ used: USERS, tentative: 0, busy: 0 });
  expect(world.total((name) => world.ended(name, 'evicted'))).toBe(0);
  const found = latest.filter(
    (answer, user) => world.exchange({ cookie: value(user, answer) }).outcome === 'home',
  );
  expect(found).toHaveLength(USERS);
  expect(world.total((name) => world.created(name))).toBe(USERS);
});

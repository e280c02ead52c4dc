// Sessions named by a header (MCP): begun by the answer that sets it, ended by DELETE and by 404, and by nothing else.

import { describe, expect, test } from 'vitest';
import { type ExchangeOptions, World } from './fixture.ts';

const HEADER = 'X-Session-Id: mine';

function make(): World {
  return new World({
    workers: 2,
    sticky: { mode: 'learn', cookieOwner: 'application', header: 'x-session-id' },
  });
}

/** A world with one session; returns the home too. */
function begun(): { world: World; home: string; ask: (options: ExchangeOptions) => void } {
  const world = make();
  const home = world.exchange({ method: 'POST', responseHeaders: [HEADER] }).server!;
  const ask = (options: ExchangeOptions): void => {
    expect(world.exchange({ headers: [HEADER], ...options }, 1)).toMatchObject({
      server: home,
      outcome: 'home',
    });
  };
  ask({ method: 'POST' });
  expect(world.created(home)).toBe(1);
  return { world, home, ask };
}

describe('what ends a session', () => {
  test.each([200, 202, 204, 299, 404])('DELETE answered %i: it counts no more, and once', (status) => {
    const { world, home, ask } = begun();
    for (let time = 0; time < 3; time += 1) ask({ method: 'DELETE', status });
    expect(world.entries()).toMatchObject({ used: 1, tentative: 1, busy: 0 });
    expect(world.ended(home, 'logout')).toBe(1);
  });

  test.each([204, 404])(
    'what was deleted was something else (%i): the session goes on at its home',
    (status) => {
      const { world, home, ask } = begun();
      ask({ method: 'DELETE', status });
      ask({ method: 'POST' });
      expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
      expect([world.created(home), world.ended(home, 'logout')]).toEqual([2, 1]);
    },
  );

  test.each(['GET', 'POST', 'PUT'])('404 to %s: it counts no more, and once', (method) => {
    const { world, home, ask } = begun();
    for (let time = 0; time < 3; time += 1) ask({ method, status: 404 });
    expect(world.entries()).toMatchObject({ used: 1, tentative: 1, busy: 0 });
    expect(world.ended(home, 'logout')).toBe(1);
    expect(world.total((name) => world.lost(name, 'failure'))).toBe(0);
  });

  test('a session that answers again after a 404 counts again', () => {
    const { world, home, ask } = begun();
    ask({ method: 'GET', status: 404 });
    for (const status of [401, 404, 500]) ask({ method: 'GET', status });
    expect(world.entries()).toMatchObject({ used: 1, tentative: 1 });
    for (let time = 0; time < 2; time += 1) ask({ method: 'GET' });
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
    expect(world.created(home)).toBe(2);
    expect(world.ended(home, 'logout')).toBe(1);
  });
});

describe('what does not', () => {
  test.each([
    ['DELETE', 300],
    ['DELETE', 400],
    ['DELETE', 401],
    ['DELETE', 405],
    ['DELETE', 500],
    ['DELETE', 503],
    ['GET', 200],
    ['POST', 202],
    ['POST', 204],
    ['POST', 400],
    ['GET', 401],
    ['GET', 405],
    ['GET', 410],
    ['POST', 500],
    ['POST', 503],
  ])('%s answered %i', (method, status) => {
    const { world, home, ask } = begun();
    ask({ method, status });
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0, busy: 0 });
    expect(world.ended(home, 'logout')).toBe(0);
  });

  test('a DELETE without the header', () => {
    const { world, home } = begun();
    world.exchange({ method: 'DELETE' });
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
    expect(world.ended(home, 'logout')).toBe(0);
  });

  test('DELETE and 404 where the session is a cookie', () => {
    const world = new World({
      sticky: { mode: 'learn', cookie: 'connect.sid', cookieOwner: 'application' },
    });
    const home = world.exchange({ responseHeaders: ['Set-Cookie: connect.sid=mine; Path=/'] }).server!;
    for (const method of ['DELETE', 'GET']) {
      for (const status of [200, 204, 404]) world.exchange({ method, status, cookie: 'connect.sid=mine' });
    }
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
    expect(world.ended(home, 'logout')).toBe(0);
  });
});

test('a request under way while another deletes its session changes nothing', () => {
  const { world, home, ask } = begun();
  const slow = world.begin({ headers: [HEADER] });
  slow.attempt();
  ask({ method: 'DELETE' });
  slow.answer([], false, 404);
  slow.finish();
  expect(world.entries()).toMatchObject({ used: 1, tentative: 1, busy: 0 });
  expect(world.ended(home, 'logout')).toBe(1);
});

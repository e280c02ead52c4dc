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

/** A world with one session, begun by POST /mcp; returns the home too. */
function begun(): { world: World; home: string; ask: (options: ExchangeOptions) => void } {
  const world = make();
  const home = world.exchange({ method: 'POST', target: '/mcp', responseHeaders: [HEADER] }).server!;
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
  test.each([
    [200, '/mcp'],
    [202, '/mcp/'],
    [204, '/mcp?x=/y'],
    [299, '/mcp'],
  ])('DELETE answered %i where it began (%s): its key has no home any more', (status, target) => {
    const { world, home } = begun();
    const told = { method: 'DELETE', target, headers: [HEADER] };
    world.exchange({ ...told, status, responseHeaders: [HEADER] }, 1);
    expect(world.entries()).toMatchObject({ used: 0, busy: 0 });
    expect(world.exchange({ ...told, status: 404 }).outcome).toBe('new');
    expect([world.created(home), world.ended(home, 'logout')]).toEqual([1, 1]);
  });

  test('DELETE after a 404: it has been counted as ended already', () => {
    const { world, home, ask } = begun();
    ask({ method: 'GET', target: '/other', status: 404 });
    ask({ method: 'DELETE', target: '/mcp' });
    expect(world.ended(home, 'logout')).toBe(1);
    expect(world.total((name) => world.placed(name))).toBe(world.entries().used);
  });

  test.each(['/', '/mcp/x', '/mc', '/MCP'])('DELETE %s is about something else', (target) => {
    const { world, ask } = begun();
    ask({ method: 'DELETE', target, status: 204 });
    ask({ method: 'POST', target: '/mcp' });
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
  });

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

test.each([
  ['names it again', [HEADER], 200, 0],
  ['has not found it', [], 404, 0],
  ['begins another', ['X-Session-Id: new'], 200, 1],
])('a request under way while another deletes its session: an answer that %s', (_, headers, status, used) => {
  const { world, home, ask } = begun();
  const slow = world.begin({ headers: [HEADER] });
  slow.attempt();
  ask({ method: 'DELETE', target: '/mcp' });
  slow.answer(headers, false, status);
  slow.finish();
  expect(world.entries()).toMatchObject({ used, tentative: 0, busy: 0 });
  expect(world.ended(home, 'logout')).toBe(1);
  expect(world.placed(home)).toBe(used);
});

test('a cookie that is set with each answer does not bring back who has logged out meanwhile', () => {
  const sticky = { mode: 'learn', cookie: 'sid', cookieOwner: 'application' } as const;
  const world = new World({ sticky });
  const set = 'Set-Cookie: sid=mine; Path=/';
  world.exchange({ responseHeaders: [set] });
  const slow = world.begin({ cookie: 'sid=mine' });
  slow.attempt();
  world.exchange({ cookie: 'sid=mine', responseHeaders: ['Set-Cookie: sid=; Path=/; Max-Age=0'] });
  slow.answer([set]);
  slow.finish();
  expect(world.entries()).toMatchObject({ used: 0, busy: 0 });
});

test('a request under way while another deletes something changes nothing', () => {
  const { world, home, ask } = begun();
  const slow = world.begin({ headers: [HEADER] });
  slow.attempt();
  ask({ method: 'DELETE' });
  slow.answer([], false, 404);
  slow.finish();
  expect(world.entries()).toMatchObject({ used: 1, tentative: 1, busy: 0 });
  expect(world.ended(home, 'logout')).toBe(1);
});

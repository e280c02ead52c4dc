// Preflights of CORS: browsers send them without what names a session, ahead of requests that have it, and keep nothing of
// what they are answered with. They take no user's place, and none has to be free for them.

import { describe, expect, test } from 'vitest';
import { Verdict } from '../../src/shared/control.ts';
import { type ExchangeOptions, World } from './fixture.ts';
import { cookiePair } from './messages.ts';
import { MODES, visit } from './modes.ts';

const PREFLIGHT: ExchangeOptions = {
  method: 'OPTIONS',
  headers: ['Origin: https://app.example', 'ACCESS-Control-Request-Method: POST'],
  status: 204,
  responseHeaders: ['Set-Cookie: connect.sid=of-nobody; Path=/', 'X-Session-Id: of-nobody'],
};

describe.each(MODES)('$title', ({ options, client }) => {
  test('one that finds all servers full is answered, and the user behind it goes home', () => {
    const world = new World({ ...options, servers: [{ maxSessions: 1 }] });
    const user = client(1);
    visit(world, user);
    expect(visit(world, user)).toMatchObject({ server: 'a', outcome: 'home' });
    const { address } = user.request();
    const preflight = world.exchange({ ...PREFLIGHT, ...(address === undefined ? {} : { address }) });
    expect(preflight).toMatchObject({ server: 'a', failure: null, setCookie: '' });
    expect([world.placed('a'), world.created('a')]).toEqual([1, 1]);
    expect(visit(world, user)).toMatchObject({ server: 'a', outcome: 'home' });
  });
});

test('none begins a session, so that the one server with room is left to the user', () => {
  const world = new World({ sticky: { mode: 'cookie-hash' }, servers: [{ maxSessions: 1 }] });
  for (let count = 0; count < 3; count += 1)
    expect(world.exchange(PREFLIGHT)).toMatchObject({ server: 'a', outcome: 'none', setCookie: '' });
  expect(world.placed('a')).toBe(0);
  expect(world.exchange({ method: 'POST' })).toMatchObject({ server: 'a', outcome: 'new' });
});

test('it is tried again elsewhere like any other, and waits where all are busy', () => {
  const servers = [{ maxSessions: 1, maxConnections: 1 }, { maxSessions: 1 }];
  const world = new World({ sticky: { mode: 'cookie-hash' }, servers });
  expect(world.exchange({ ...PREFLIGHT, failing: ['a'] })).toMatchObject({ server: 'b', outcome: 'none' });
  world.setVerdict('b', Verdict.down);
  world.addInFlight('a', 1);
  expect(world.exchange(PREFLIGHT)).toMatchObject({ server: null, failure: 'busy' });
});

test('an OPTIONS that shows its session, or is no preflight, is a request like any other', () => {
  const world = new World({ sticky: { mode: 'cookie-hash' }, servers: [{}, {}] });
  const { server, outcome, setCookie } = world.exchange({ method: 'OPTIONS' });
  expect(outcome).toBe('new');
  for (let count = 0; count < 4; count += 1)
    expect(world.exchange({ ...PREFLIGHT, cookie: cookiePair(setCookie) })).toMatchObject({
      server,
      outcome: 'home',
    });
  expect(world.exchange({ ...PREFLIGHT, method: 'GET' })).toMatchObject({ outcome: 'new' });
  expect(world.exchange({ ...PREFLIGHT, cookie: 'holdfast=forged' })).toMatchObject({ outcome: 'invalid' });
});

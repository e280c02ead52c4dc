// sticky.adopt: who comes from another balancer stays at the server that it was sent to there.

import { describe, expect, test } from 'vitest';
import { adoptedCookies, readAdopted } from '../../src/choose/adopted-cookies.ts';
import { Verdict } from '../../src/shared/control.ts';
import { serverOf, stickyOf, World } from './fixture.ts';
import { cookiePair, requestOf } from './messages.ts';

const SERVERS = { s1: 'a', s2: 'b', s3: 'c' };
const SERVER_ID = [{ cookie: 'SERVERID', servers: SERVERS, separator: null }];
const PREFIXED = [{ cookie: 'io', servers: SERVERS, separator: '~' }];
const OWN = { mode: 'cookie-hash', adopt: SERVER_ID } as const;

describe('what a cookie says', () => {
  const said = (lines: readonly string[], adopt: typeof SERVER_ID | typeof PREFIXED = SERVER_ID) => {
    const servers = ['a', 'b', 'c'].map((name, index) => serverOf(index, { name }));
    const { buffer, head } = requestOf(lines);
    const index = readAdopted(adoptedCookies(stickyOf({ adopt }), servers), buffer, head.lines);
    const cookies = lines.length === 0 ? '' : buffer.toString('latin1').split('\r\n')[2];
    return [index, cookies];
  };

  test.each([
    ['SERVERID=s2', 1],
    ['a=b; SERVERID=s3; c=d', 2],
    ['SERVERID="s1"', 0],
    ['SERVERID=s2|Z0dR4|Z0dR4', 1],
    ['SERVERID=s22', -1],
    ['SERVERID=s', -1],
    ['SERVERID=', -1],
    ['SERVERID=gone; SERVERID=s1', 0],
    ['XSERVERID=s1', -1],
    ['serverid=s1', -1],
  ])('%s', (cookie, index) => {
    expect(said([`Cookie: ${cookie}`])).toEqual([index, `Cookie: ${cookie}`]);
  });

  test.each([
    ['io=s2~4f2a', 1, '   io=4f2a'],
    ['a=b; io=s1~x~y; c=d', 0, 'a=b;    io=x~y; c=d'],
    ['io = "s1~x"; c=d', 0, '   io = "x"; c=d'],
    ['io=s9~4f2a', -1, 'io=s9~4f2a'],
    ['io=s1', -1, 'io=s1'],
    ['io=4f2a', -1, 'io=4f2a'],
    ['io=s1~', 0, '   io='],
    ['io=s2~1; io=s1~2', 1, '   io=1;    io=2'],
  ])('%s', (cookie, index, left) => {
    expect(said([`Cookie: ${cookie}`], PREFIXED)).toEqual([index, `Cookie: ${left}`]);
  });

  test('without a map its values are names of ours; a server that is not there is nobody', () => {
    const servers = [serverOf(0, { name: 'a' })];
    const adopt = [{ cookie: 'route', servers: {}, separator: null }];
    const { buffer, head } = requestOf(['Cookie: route=a']);
    expect(readAdopted(adoptedCookies(stickyOf({ adopt }), servers), buffer, head.lines)).toBe(0);
    expect(adoptedCookies(OWN_STICKY, servers)[0]?.servers).toHaveLength(1);
  });
});

const OWN_STICKY = stickyOf(OWN);

test('the server becomes the home, with a cookie of ours that goes before from then on', () => {
  const world = new World({ sticky: OWN });
  const first = world.exchange({ cookie: 'SERVERID=s3' });
  expect(first).toMatchObject({ server: 'c', outcome: 'adopted', moveReason: null });
  const cookie = cookiePair(first.setCookie);
  for (const both of [`SERVERID=s1; ${cookie}`, cookie])
    expect(world.exchange({ cookie: both })).toMatchObject({ server: 'c', outcome: 'home' });
  expect([world.created('c'), world.placed('c'), world.outcomes('adopted')]).toEqual([1, 1, 1]);
});

test('a value that names nobody, or a cookie of ours that is forged, makes a new session', () => {
  const world = new World({ sticky: OWN });
  expect(world.exchange({ cookie: 'SERVERID=s9' })).toMatchObject({ outcome: 'new' });
  expect(world.exchange({ cookie: 'SERVERID=s3; holdfast=forged' })).toMatchObject({ outcome: 'invalid' });
});

test('its first request is tried again at home, and nowhere else', () => {
  const world = new World({ sticky: OWN });
  const exchange = world.begin({ cookie: 'SERVERID=s2' });
  expect(exchange.attempt()).toBe('b');
  exchange.tried.push(world.slotOf('b'));
  expect(exchange.attempt()).toBe('b');
  exchange.answer();
  expect(exchange.finish()).toMatchObject({ server: 'b', outcome: 'adopted' });
});

test('a home that is down is left as any', () => {
  const world = new World({ sticky: OWN });
  world.setVerdict('b', Verdict.down);
  const first = world.exchange({ cookie: 'SERVERID=s2' });
  expect(first.outcome).toBe('moved');
  expect(world.exchange({ cookie: cookiePair(first.setCookie) }).server).toBe(first.server);
});

test('an operator who asks hears of it', () => {
  const world = new World({ sticky: OWN });
  const exchange = world.begin({ cookie: 'SERVERID=s2' });
  exchange.choose();
  expect([exchange.affinity.isAdopted, world.nameOf(exchange.slot)]).toEqual([true, 'b']);
  exchange.finish();
});

describe('where the application names its sessions', () => {
  test('its session goes on at the server of the other cookie, and counts', () => {
    const world = new World({ sticky: { mode: 'learn', cookie: 'JSESSIONID', adopt: SERVER_ID } });
    const cookie = 'JSESSIONID=4f2a; SERVERID=s3';
    expect(world.exchange({ cookie })).toMatchObject({ server: 'c', outcome: 'adopted', setCookie: '' });
    expect(world.exchange({ cookie })).toMatchObject({ server: 'c', outcome: 'home' });
    expect(world.exchange({ cookie: 'JSESSIONID=4f2a' })).toMatchObject({ server: 'c', outcome: 'home' });
    expect(world.created('c')).toBe(1);
  });

  test('a prefix is not of its key: with and without it the session is the same', () => {
    const world = new World({ sticky: { mode: 'learn', cookie: 'io', adopt: PREFIXED } });
    expect(world.exchange({ cookie: 'io=s2~4f2a' })).toMatchObject({ server: 'b', outcome: 'adopted' });
    expect(world.exchange({ cookie: 'io=4f2a' })).toMatchObject({ server: 'b', outcome: 'home' });
    expect(world.exchange({ cookie: 'io=s1~4f2a' })).toMatchObject({ server: 'b', outcome: 'home' });
  });

  test.each([
    ['local', 0, 1],
    ['shared', 1, 1],
  ] as const)(
    'state %s: one whose home is down counts where it goes, if it can be served there',
    (state, before, after) => {
      const sticky = { mode: 'learn', cookie: 'sid', adopt: SERVER_ID } as const;
      const world = new World({ pool: { state }, sticky });
      world.setVerdict('b', Verdict.down);
      const cookie = 'sid=1; SERVERID=s2';
      const { server } = world.exchange({ cookie });
      expect(world.exchange({ cookie })).toMatchObject({ server, outcome: 'home' });
      expect([world.created(server!), world.placed(server!)]).toEqual([before, 1]);
      // its user has logged in again
      expect(world.exchange({ cookie, responseHeaders: ['Set-Cookie: sid=1'] }).server).toBe(server);
      expect(world.created(server!)).toBe(after);
    },
  );

  test('whenLost 404: who has been told of a home that is down, and shows no session any more, begins another', () => {
    const sticky = { mode: 'learn', cookie: 'sid', adopt: SERVER_ID, whenLost: 404 } as const;
    const world = new World({ sticky });
    world.setVerdict('b', Verdict.down);
    expect(world.exchange({ cookie: 'sid=1; SERVERID=s2' })).toMatchObject({ failure: 'session-lost' });
    const begun = world.exchange({ cookie: 'SERVERID=s2', responseHeaders: ['Set-Cookie: sid=2'] });
    expect(begun.server).not.toBeNull();
    const next = world.exchange({ cookie: 'sid=2; SERVERID=s2' });
    expect(next).toMatchObject({ server: begun.server, outcome: 'home' });
    expect(world.created(begun.server!)).toBe(1);
  });

  test('it goes before the hash', () => {
    const sticky = { mode: 'header-hash', header: 'x-session-id', adopt: SERVER_ID } as const;
    const world = new World({ sticky });
    for (let key = 0; key < 20; key += 1)
      expect(world.exchange({ headers: [`X-Session-Id: ${key}`], cookie: 'SERVERID=s2' })).toMatchObject({
        server: 'b',
        outcome: 'adopted',
      });
  });
});

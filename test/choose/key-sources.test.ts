// sticky.from: the places in which the application names its sessions, in their order.

import { describe, expect, test } from 'vitest';
import { explain } from '../../src/choose/explain.ts';
import { headersOf } from '../../src/choose/plan.ts';
import type { StickyConfig } from '../../src/config/model.ts';
import { type ExchangeOptions, World } from './fixture.ts';

type Place = NonNullable<StickyConfig['from']>[number];

const NOWHERE: Place = { cookie: null, header: null, query: null, pathParameter: null, path: null };

function world(mode: 'learn' | 'header-hash' | 'cookie-hash', ...places: Partial<Place>[]): World {
  const from = places.map((place) => ({ ...NOWHERE, ...place }));
  return new World({ workers: 2, sticky: { mode, from, cookieOwner: 'application' } });
}

const set = (name: string, value: string, more = '; Path=/'): string => `Set-Cookie: ${name}=${value}${more}`;

describe('reading', () => {
  const TOMCAT: Partial<Place>[] = [{ cookie: 'JSESSIONID' }, { pathParameter: 'jsessionid' }];

  test.each<[string, Partial<Place>, ExchangeOptions, ExchangeOptions]>([
    ['a cookie', { cookie: 'sid' }, { cookie: 'a=b; sid=mine' }, { cookie: 'sidd=mine; xsid=mine; sid=' }],
    [
      'a cookie by the begin of its name',
      { cookie: 'ASPSESSIONID*' },
      { cookie: 'ASPSESSION=1; ASPSESSIONIDQQ=mine' },
      { cookie: 'ASPSESSIONI=mine; xASPSESSIONIDQQ=mine; ASPSESSIONIDQ' },
    ],
    [
      'a header',
      { header: 'X-Session-Id' },
      { headers: ['x-session-id: mine'] },
      { headers: ['x-session-id:', 'x-session-idd: mine'] },
    ],
    [
      'a query parameter',
      { query: 'sid' },
      { target: '/x?a=1&sid=mine&b' },
      { target: '/sid=mine?xsid=mine&sidx=mine&sid=&b' },
    ],
    ['the first query parameter', { query: 'sid' }, { target: '/?sid=mine' }, { target: '/?sid' }],
    [
      'a path parameter',
      { pathParameter: 'sid' },
      { target: '/a;v=2;sid=mine/b?x' },
      { target: '/a;sidx=mine;sid=;x?;sid=mine' },
    ],
    [
      'a header behind an empty one',
      { header: 'x-session-id' },
      { headers: ['x-session-id:', 'x-session-id: mine'] },
      { headers: ['x-session-id:', 'x-session-id:'] },
    ],
    [
      'a query parameter behind an empty one',
      { query: 'sid' },
      { target: '/?sid=&a&sid=mine' },
      { target: '/?sid=&sid=' },
    ],
    [
      'a path parameter behind an empty one',
      { pathParameter: 'sid' },
      { target: '/a;sid=/b;sid=mine' },
      { target: '/a;sid=/b;sid=' },
    ],
    ['a path segment', { path: '/rooms/*' }, { target: '/rooms/mine/join?x' }, { target: '/rooms/?mine' }],
    [
      'a path segment with parameters',
      { path: '/rooms/*' },
      { target: '/rooms/mine;v=1' },
      { target: '/room/mine' },
    ],
    [
      'the segment at the last star',
      { path: '/ws/*/*' },
      { target: '/ws/017/mine/xhr' },
      { target: '/ws/mine' },
    ],
  ])('%s', (_, place, showing, missing) => {
    const shop = world('header-hash', place);
    const plain = world('header-hash', { header: 'x-session-id' });
    const home = plain.exchange({ headers: ['x-session-id: mine'] }).server;
    for (const thread of [0, 1]) expect(shop.exchange(showing, thread).server).toBe(home);
    expect(shop.entries()).toMatchObject({ used: 1, busy: 0 });
    shop.exchange(missing);
    expect(shop.entries()).toMatchObject({ used: 1, busy: 0 });
  });

  test('the first place that has a value counts, whatever the others have', () => {
    const shop = world('learn', ...TOMCAT);
    const [one, other] = ['one', 'two'].map(
      (value) => shop.exchange({ responseHeaders: [set('JSESSIONID', value)] }).server!,
    );
    expect(one).not.toBe(other);
    const both = { cookie: 'JSESSIONID=one', target: '/a;jsessionid=two' };
    expect(shop.exchange(both, 1)).toMatchObject({ server: one, outcome: 'home' });
    expect(shop.exchange({ ...both, cookie: 'x=1' }, 1)).toMatchObject({ server: other, outcome: 'home' });
  });

  test('an id that was set as a cookie leads home in the URL too, and counts once', () => {
    const shop = world('learn', ...TOMCAT);
    const home = shop.exchange({ responseHeaders: [set('JSESSIONID', 'mine')] }).server!;
    expect(shop.exchange({ target: '/a;jsessionid=mine' }, 1)).toMatchObject({
      server: home,
      outcome: 'home',
    });
    expect([shop.created(home), shop.entries().used]).toEqual([1, 1]);
  });
});

describe('learning', () => {
  const BOTH: Partial<Place>[] = [{ header: 'x-session-id' }, { cookie: 'sid' }, { cookie: 'ASP*' }];

  test('every value of one answer is a name of one session', () => {
    const shop = world('learn', ...BOTH);
    const responseHeaders = [set('sid', 'one'), set('ASPX', 'two'), 'X-Session-Id: three'];
    const home = shop.exchange({ responseHeaders }).server!;
    for (const showing of [
      { cookie: 'sid=one' },
      { cookie: 'ASPX=two' },
      { cookie: 'ASPY=two' },
      { headers: ['x-session-id: three'] },
    ])
      expect(shop.exchange(showing, 1)).toMatchObject({ server: home, outcome: 'home' });
    expect([shop.created(home), shop.entries().used, shop.entries().aliases]).toEqual([1, 1, 2]);
  });

  test('a value set in another place than the request has shown is one more name, and makes the session real', () => {
    const shop = world('learn', ...BOTH);
    const showing = { headers: ['x-session-id: made-by-client'] };
    const home = shop.exchange({ ...showing, responseHeaders: [set('sid', 'one')] }).server!;
    expect(shop.entries()).toMatchObject({ used: 1, tentative: 0 });
    for (const shown of [showing, { cookie: 'sid=one' }])
      expect(shop.exchange(shown, 1)).toMatchObject({ server: home, outcome: 'home' });
    expect(shop.created(home)).toBe(1);
  });

  test('a cookie is deleted where it names the session, and DELETE is for headers', () => {
    const shop = world('learn', ...BOTH);
    const begin = (): string =>
      shop.exchange({ responseHeaders: [set('sid', 'one'), 'X-Session-Id: three'] }).server!;
    const header = { headers: ['x-session-id: three'] };
    const home = begin();
    shop.exchange({ ...header, responseHeaders: [set('sid', '', '; Path=/; Max-Age=0')] });
    expect(shop.ended(home, 'logout')).toBe(0);
    shop.exchange({ cookie: 'sid=one', method: 'DELETE', status: 204 });
    expect(shop.ended(home, 'logout')).toBe(0);
    shop.exchange({ ...header, method: 'DELETE', target: '/a/document', status: 204 });
    expect(shop.ended(home, 'logout')).toBe(1);
    shop.exchange(header);
    shop.exchange({ cookie: 'sid=one', responseHeaders: [set('sid', '', '; Path=/; Max-Age=0')] });
    expect(shop.ended(home, 'logout')).toBe(2);
    expect(shop.entries().used).toBe(0);
  });
});

test('explain reads the target, and says by what the session is known', () => {
  const shop = world('learn', { header: 'x-session-id' }, { path: '/rooms/*' });
  const home = shop.exchange({ target: '/rooms/mine' }).server!;
  const ask = (target: string): ReturnType<typeof explain> =>
    explain(
      shop.choosers[0]!,
      shop.plans[0]!,
      shop.shared,
      { cookie: '', headers: [], address: '', target },
      shop.clock.nowMs(),
      shop.clock.wallMs(),
    );
  expect(ask('/rooms/mine')).toMatchObject({ server: home, outcome: 'home' });
  expect(ask('/x')).toMatchObject({
    reasons: ['the request does not show the header x-session-id, else the path /rooms/*', expect.anything()],
  });
  for (const target of ['', 'rooms/mine', '/a b', '/a\r\nx: y'])
    expect(ask(target)).toContain('a target must be');
});

test.each([
  ['after', 0],
  ['before', 1],
])('the old name of a cookie that is known by its begin may be deleted %s the new one is set', (_, first) => {
  const both = ['Set-Cookie: sidb=two; Path=/', 'Set-Cookie: sida=; Path=/; Max-Age=0'];
  const shop = new World({
    workers: 2,
    sticky: { mode: 'learn', cookie: 'sid*', cookieOwner: 'application' },
  });
  const { server } = shop.exchange({ responseHeaders: ['Set-Cookie: sida=one; Path=/'] });
  shop.exchange({ cookie: 'sida=one', responseHeaders: first === 0 ? both : both.toReversed() });
  expect(shop.exchange({ cookie: 'sidb=two' }, 1)).toMatchObject({ server, outcome: 'home' });
  expect([shop.entries().used, shop.ended(server ?? '', 'logout')]).toEqual([1, 0]);
});

test.each([
  ['a name that is not shown', 'sida=one', 'sidz'],
  ['another that is shown too, first', 'sidz=other; sida=one', 'sidz'],
  ['another that is shown too, last', 'sida=one; sidz=other', 'sidz'],
])('the deletion of %s does not end the session', (_, cookie, deleted) => {
  const shop = new World({
    workers: 2,
    sticky: { mode: 'learn', cookie: 'sid*', cookieOwner: 'application' },
  });
  const { server } = shop.exchange({ responseHeaders: ['Set-Cookie: sida=one; Path=/'] });
  shop.exchange({ cookie, responseHeaders: [`Set-Cookie: ${deleted}=; Path=/; Max-Age=0`] });
  expect(shop.exchange({ cookie: 'sida=one' }, 1)).toMatchObject({ server, outcome: 'home' });
  expect([shop.entries().used, shop.ended(server ?? '', 'logout')]).toEqual([1, 0]);
  shop.exchange({ cookie, responseHeaders: ['Set-Cookie: sida=; Path=/; Max-Age=0'] });
  expect([shop.entries().used, shop.ended(server ?? '', 'logout')]).toEqual([0, 1]);
});

describe('a cookie by the begin of its name', () => {
  const DELETED = '; Path=/; Max-Age=0';

  function loggedIn(state: 'local' | 'shared' = 'local'): World {
    const shop = new World({
      sticky: { mode: 'learn', cookie: 'sid*', cookieOwner: 'application' },
      pool: { state },
    });
    shop.exchange({ responseHeaders: [set('sidA', 'mine')] });
    return shop;
  }

  test('is deleted under the name that was shown, whatever others are deleted before or behind it', () => {
    for (const names of [['sidA'], ['sidA', 'sidB'], ['sidB', 'sidA'], ['sidB', 'sidA', 'sidC']]) {
      const shop = loggedIn();
      const responseHeaders = names.map((name) => set(name, '', DELETED));
      shop.exchange({ cookie: 'sidA=mine', responseHeaders });
      expect([names, shop.entries().used]).toEqual([names, 0]);
    }
  });

  test('is not deleted with another that nobody has shown', () => {
    const shop = loggedIn();
    shop.exchange({ cookie: 'sidA=mine', responseHeaders: [set('sidB', '', DELETED)] });
    expect(shop.entries()).toMatchObject({ used: 1, tentative: 0, busy: 0 });
  });

  test('counts as accepted by an answer that deletes another which nobody has shown', () => {
    const shop = loggedIn('shared');
    for (let visits = 0; visits < 2; visits += 1)
      shop.exchange({ cookie: 'sidQ=unknown', responseHeaders: [set('sidB', '', DELETED)] });
    expect(shop.entries()).toMatchObject({ used: 2, tentative: 0 });
  });
});

test('the codec is told of the header fields among the places, and of nothing else', () => {
  const { plans } = world(
    'learn',
    { cookie: 'sid' },
    { header: 'X-Session-Id' },
    { query: 'id' },
    { header: 'mcp' },
  );
  expect(headersOf(plans[0]!.sources)).toEqual(['x-session-id', 'mcp']);
});

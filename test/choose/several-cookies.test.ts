// An application's cookie is its name, domain and path, and its former values live on: what a request shows under one
// name is several sessions, or several values of one, and never counted twice.

import { describe, expect, test } from 'vitest';
import { SHOWN_MAX } from '../../src/choose/affinity.ts';
import { createTally, NEVER } from '../../src/shared/sweep-tally.ts';
import { World, type WorldOptions } from './fixture.ts';

const NAME = 'JSESSIONID';

function make(mode: 'learn' | 'cookie-hash', more: WorldOptions = {}): World {
  const sticky = { mode, cookie: NAME, cookieOwner: 'application' as const };
  return new World({ workers: 2, ...more, sticky });
}

const set = (value: string, more: string): string => `Set-Cookie: ${NAME}=${value}; ${more}`;
const shown = (...values: string[]): string => values.map((value) => `${NAME}=${value}`).join('; ');

/** Scopes that browsers keep apart, by what the field says; the request's target is /app/page. */
const SCOPES: readonly (readonly [title: string, attributes: string])[] = [
  ['the whole host', 'Path=/'],
  ['a context', 'Path=/app'],
  ['another context', 'Path=/App'],
  ['the directory above a file', 'Path=/app/'],
  ['the whole domain', 'Domain=shop.example; Path=/'],
  ['a domain above', 'Domain=example; Path=/'],
  ['a context of the domain', 'Domain=shop.example; Path=/app'],
];

describe.each(['learn', 'cookie-hash'] as const)('%s', (mode) => {
  test('each domain and path is a session of its own, ended by its own deletion only', () => {
    const world = make(mode);
    const { server } = world.exchange({ target: '/app/page', responseHeaders: [set('v0', SCOPES[0]![1])] });
    const values = SCOPES.map((_, at) => `v${at}`);
    for (let at = 1; at < SCOPES.length; at += 1) {
      const cookie = shown(...values.slice(0, at));
      world.exchange({ target: '/app/page', cookie, responseHeaders: [set(`v${at}`, SCOPES[at]![1])] });
    }
    expect(world.entries()).toMatchObject({ used: SCOPES.length, aliases: 0, tentative: 0, busy: 0 });
    expect(world.created(server!)).toBe(SCOPES.length);
    SCOPES.forEach(([title, attributes], at) => {
      const cookie = shown(...values.slice(at));
      const responseHeaders = [set('', `${attributes}; Max-Age=0`)];
      world.exchange({ target: '/app/page', cookie, responseHeaders }, 1);
      expect(world.entries().used, title).toBe(SCOPES.length - at - 1);
      for (const value of values.slice(at + 1))
        expect(world.exchange({ cookie: shown(value) }), value).toMatchObject({ server, outcome: 'home' });
    });
    expect(world.ended(server!, 'logout')).toBe(SCOPES.length);
  });

  test.each(SCOPES.slice(1))('deleting the cookie of %s does not end that of the whole host', (_, scope) => {
    const world = make(mode);
    const home = world.exchange({ responseHeaders: [set('mine', 'Path=/')] }).server;
    const responseHeaders = [set('', `${scope}; Expires=Thu, 01 Jan 1970 00:00:00 GMT`)];
    world.exchange({ target: '/app/page', cookie: shown('mine'), responseHeaders });
    expect(world.exchange({ cookie: shown('mine') }, 1)).toMatchObject({ server: home, outcome: 'home' });
    expect(world.total((name) => world.ended(name, 'logout'))).toBe(0);
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0, busy: 0 });
  });

  test('a domain is compared without case and its leading dot, a path with case', () => {
    const world = make(mode);
    world.exchange({ responseHeaders: [set('mine', 'Domain=.Shop.Example; Path=/')] });
    const deletion = (more: string): void => {
      world.exchange({ cookie: shown('mine'), responseHeaders: [set('', `${more}; Max-Age=0`)] });
    };
    deletion('Domain=shop.example; Path=/A');
    expect(world.entries().used).toBe(1);
    deletion('Domain=shop.example; Path=/');
    expect(world.entries().used).toBe(0);
  });

  test('a cookie set without a path is for the directory of its request', () => {
    const world = make(mode);
    const at = (target: string, more: object): unknown => world.exchange({ target, ...more });
    at('/app/login?next=/x/y', { responseHeaders: [set('mine', 'HttpOnly')] });
    at('/other/page', { cookie: shown('mine'), responseHeaders: [set('', 'Max-Age=0')] });
    expect(world.entries().used).toBe(1);
    at('/app/logout', { cookie: shown('mine'), responseHeaders: [set('', 'Path=/app; Max-Age=0')] });
    expect(world.entries().used).toBe(0);
  });

  test('one answer may renew one session and delete another', () => {
    const world = make(mode);
    const home = world.exchange({ responseHeaders: [set('root', 'Path=/')] }).server!;
    world.exchange({ cookie: shown('root'), responseHeaders: [set('app', 'Path=/app')] });
    const responseHeaders = [set('', 'Path=/app; Max-Age=0'), set('root2', 'Path=/')];
    world.exchange({ cookie: shown('app', 'root'), responseHeaders });
    expect(world.ended(home, 'logout')).toBe(1);
    expect(world.entries()).toMatchObject({ used: 1, aliases: 1 });
    expect(world.exchange({ cookie: shown('root2') })).toMatchObject({ server: home, outcome: 'home' });
    expect(world.created(home)).toBe(2);
  });

  test('parallel requests whose answers each roll the value: every value leads home, one session', () => {
    const world = make(mode);
    const home = world.exchange({ responseHeaders: [set('r', 'Path=/')] }).server!;
    const parallel = [0, 1, 0, 1].map((worker) => world.begin({ cookie: shown('r') }, worker));
    for (const exchange of parallel) expect(exchange.attempt()).toBe(home);
    parallel.forEach((exchange, at) => {
      exchange.answer([set(`r${at}`, 'Path=/')]);
    });
    for (const exchange of parallel) expect(exchange.finish()).toMatchObject({ server: home });
    for (const value of ['r', 'r0', 'r1', 'r2', 'r3']) {
      for (const worker of [0, 1]) {
        const outcome = world.exchange({ cookie: shown(value) }, worker);
        expect(outcome, value).toMatchObject({ server: home, outcome: 'home', moveReason: null });
      }
    }
    expect(world.created(home)).toBe(1);
    expect(world.placed(home)).toBe(1);
    expect(world.entries()).toMatchObject({ used: 1, aliases: 4, tentative: 0, busy: 0 });
  });

  test('whichever value logs out, the session ends once and no value of it leads anywhere', () => {
    const world = make(mode);
    const home = world.exchange({ responseHeaders: [set('r', 'Path=/')] }).server!;
    world.exchange({ cookie: shown('r'), responseHeaders: [set('r1', 'Path=/')] });
    world.exchange({ cookie: shown('r1'), responseHeaders: [set('r2', 'Path=/')] });
    world.exchange({ cookie: shown('r1'), responseHeaders: [set('', 'Path=/; Max-Age=0')] });
    expect(world.ended(home, 'logout')).toBe(1);
    expect(world.entries().used).toBe(0);
    for (const value of ['r2', 'r1', 'r'])
      expect(world.exchange({ cookie: shown(value) }).outcome).not.toBe('home');
  });

  test('a former value lives uncounted until it is idle, and no longer; the session goes on', () => {
    const world = make(mode);
    const idleMs = world.config.sticky.idleMs;
    const home = world.exchange({ responseHeaders: [set('old', 'Path=/')] }).server!;
    world.exchange({ cookie: shown('old'), responseHeaders: [set('mid', 'Path=/')] });
    world.exchange({ cookie: shown('mid'), responseHeaders: [set('new', 'Path=/')] });
    const quarter = (values: readonly string[]): void => {
      world.clock.advance(idleMs / 4);
      for (const value of values) expect(world.exchange({ cookie: shown(value) }).server).toBe(home);
      sweep(world);
    };
    for (let time = 0; time < 3; time += 1) quarter(['new', 'mid']);
    expect(world.entries()).toMatchObject({ used: 1, aliases: 2 });
    // shown from time to time, or the newest: both stay
    for (let time = 0; time < 6; time += 1) quarter(['mid', 'new']);
    expect(world.entries()).toMatchObject({ used: 1, aliases: 2 });
    // nobody shows `mid` any more
    for (let time = 0; time < 6; time += 1) quarter(['new']);
    expect(world.entries()).toMatchObject({ used: 1, aliases: 1 });
    expect(world.exchange({ cookie: shown('new') })).toMatchObject({ server: home, outcome: 'home' });
    expect(world.created(home)).toBe(1);
  });

  test('all cookies of the name are tried, up to a limit', () => {
    const world = make(mode);
    const home = world.exchange({ responseHeaders: [set('mine', 'Path=/')] }).server!;
    for (let before = 0; before < SHOWN_MAX; before += 1) {
      const strangers = Array.from({ length: before }, (_, at) => `stranger-${at}`);
      const cookie = shown(...strangers, 'mine', 'after');
      expect(world.exchange({ cookie }), `${before}`).toMatchObject({ server: home, outcome: 'home' });
      const headers = [...strangers, 'mine'].map((value) => `Cookie: ${shown(value)}`);
      expect(world.exchange({ headers }, 1)).toMatchObject({ server: home, outcome: 'home' });
    }
    const strangers = Array.from({ length: SHOWN_MAX }, (_, at) => `stranger-${at}`);
    expect(world.exchange({ cookie: shown(...strangers, 'mine') }).outcome).toBe('new');
  });

  test('a value that is only a route does not hide a session behind it', () => {
    const world = make(mode);
    const home = world.exchange({ responseHeaders: [set('mine', 'Path=/')] }).server!;
    const route = ['b', 'c', 'd', 'a'].find((name) => name !== home)!;
    const failing = ['a', 'b', 'c', 'd'].filter((name) => name !== route);
    expect(world.exchange({ cookie: shown('stale'), failing }).server).toBe(route);
    expect(world.exchange({ cookie: shown('stale', 'mine') })).toMatchObject({
      server: home,
      outcome: 'home',
    });
  });
});

/** What the sweep ends for being idle, ended as it does. */
function sweep(world: World): void {
  const { table } = world.shared;
  const tally = createTally(table.capacity);
  tally.nowMs = world.clock.nowMs();
  for (const [slot] of tally.idleTenths.entries()) {
    tally.idleTenths[slot] = world.config.sticky.idleMs / 100;
    tally.lifeTenths[slot] = NEVER;
    tally.generation[slot] = world.shared.control.generation(slot);
  }
  table.sweepSlice(0, table.capacity, tally);
  for (const entry of tally.expired.subarray(0, tally.expiredCount))
    table.remove(entry, table.keyLow(entry), table.keyHigh(entry));
}

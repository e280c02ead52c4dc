// What is said of a request when somebody asks where it would go, and why: by what it is known, what is known of its session,
// how its server is chosen, and why the others are not.

import { describe, expect, test } from 'vitest';
import { type Explanation, explain } from '../../src/choose/explain.ts';
import { Mode, Verdict } from '../../src/shared/control.ts';
import { World, type WorldOptions } from './fixture.ts';
import { cookiePair } from './messages.ts';

interface Asked {
  readonly cookie?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly address?: string;
  readonly target?: string;
}

function ask(shop: World, { cookie = '', headers = [], address = '192.0.2.1', ...more }: Asked = {}) {
  const { clock } = shop;
  const question = { cookie, headers, address, ...more };
  const [chooser, plan] = [shop.choosers[0]!, shop.plans[0]!];
  return explain(chooser, plan, shop.workers[0]!, question, clock.nowMs(), clock.wallMs());
}

function explained(shop: World, asked: Asked = {}): Explanation {
  const explanation = ask(shop, asked);
  if (typeof explanation === 'string') throw new Error(explanation);
  return explanation;
}

const why = (shop: World, asked: Asked = {}): Record<string, string> =>
  Object.fromEntries(explained(shop, asked).others.map((other) => [other.server, other.why]));

const pinned = (options: WorldOptions = {}): { shop: World; cookie: string; home: string } => {
  const shop = new World({ sticky: { mode: 'cookie-pin' }, servers: [{}, {}, {}], ...options });
  const { setCookie, server } = shop.exchange();
  return { shop, cookie: cookiePair(setCookie), home: server ?? '' };
};

describe('a session', () => {
  test('that is known: all that the table has of it', () => {
    const { shop, cookie, home } = pinned();
    shop.clock.advance(60_000);
    expect(explained(shop, { cookie }).session?.tentative).toBe(true);
    shop.exchange({ cookie });
    shop.clock.advance(30_000);
    const explanation = explained(shop, { cookie });
    expect(explanation).toMatchObject({ server: home, outcome: 'home', move: null });
    expect(explanation.session).toMatchObject({
      ...{ key: expect.stringMatching(/^[0-9a-f]{8}$/), home, requests: 2, busy: 0 },
      ...{ tentative: false, moved: false },
    });
    expect(explanation.session?.ageSeconds).toBeCloseTo(90, 0);
    expect(explanation.session?.idleSeconds).toBeCloseTo(30, 0);
    expect(explanation.reasons).toEqual([
      `the table knows the session by the balancer's cookie holdfast: home ${home}, 2 requests, seen 30s ago`,
      `${home} is its home and can be asked`,
    ]);
    const open = shop.begin({ cookie });
    open.attempt();
    expect(explained(shop, { cookie }).session?.busy).toBe(1);
  });

  test('that its client has not shown yet does not count yet', () => {
    const { shop, cookie } = pinned();
    expect(explained(shop, { cookie }).reasons[1]).toBe('it does not count yet: nobody has confirmed it');
  });

  test('that has moved says so', () => {
    const { shop, cookie, home } = pinned();
    shop.exchange({ cookie });
    shop.setVerdict(home, Verdict.down);
    expect(explained(shop, { cookie })).toMatchObject({ outcome: 'moved', move: 'failure' });
    expect(explained(shop, { cookie }).reasons.at(-1)).toMatch(
      /^its home cannot serve it: [a-c] ranks best for its key among the others$/,
    );
    shop.exchange({ cookie });
    const { reasons, session } = explained(shop, { cookie });
    expect([session?.moved, reasons.includes('it has been moved since its cookie was set')]).toEqual([
      true,
      true,
    ]);
  });

  test('whose server is gone has no home', () => {
    const { shop, cookie, home } = pinned();
    shop.exchange({ cookie });
    shop.reload(['a', 'b', 'c'].filter((name) => name !== home));
    const { session, reasons } = explained(shop, { cookie });
    expect([session?.home, reasons[0]]).toEqual([
      null,
      expect.stringContaining('home a removed server, 2 requests'),
    ]);
  });

  test('that only its cookie knows', () => {
    const { shop, cookie, home } = pinned();
    const other = new World({ sticky: { mode: 'cookie-pin' }, servers: [{}, {}, {}] });
    const unknown = "the table does not know the session of the balancer's cookie holdfast";
    expect(explained(other, { cookie }).reasons.slice(0, 2)).toEqual([
      unknown,
      `the cookie itself names ${home}`,
    ]);
    expect(explained(other, { cookie })).toMatchObject({ session: null, server: home, outcome: 'home' });
    other.reload(['a', 'b', 'c'].filter((name) => name !== home));
    expect(explained(other, { cookie }).reasons.slice(0, 2)).toEqual([
      unknown,
      'the cookie names a server that is no longer of the pool',
    ]);
    // nothing of it is written down
    expect([other.entries().used, shop.entries().used]).toEqual([0, 1]);
  });

  test('that is over, or was never ours', () => {
    const { shop, cookie } = pinned();
    const forged = explained(shop, { cookie: 'holdfast=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' });
    expect(forged.reasons[0]).toBe(
      "the balancer's cookie holdfast is forged, damaged or of another secret: it is ignored",
    );
    expect(explained(shop).reasons[0]).toBe("the request does not show the balancer's cookie holdfast");
    shop.clock.advance(25 * 3_600_000);
    const over = explained(shop, { cookie });
    expect(over.reasons[0]).toBe("the balancer's cookie holdfast belongs to a session that is over");
  });

  test('that its user has ended, and whose client still shows its key', () => {
    const reason = (shop: World, cookie: string): string | undefined =>
      explained(shop, { cookie }).reasons[0];
    const { shop: own, cookie } = pinned();
    own.exchange({ cookie, responseHeaders: ['x-holdfast-session: end'] });
    expect(reason(own, cookie)).toBe("the balancer's cookie holdfast belongs to a session that is over");
    const application = new World({ sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application' } });
    application.exchange({ responseHeaders: ['Set-Cookie: sid=mine'] });
    application.exchange({ cookie: 'sid=mine', responseHeaders: ['Set-Cookie: sid=; Max-Age=0'] });
    const over = "the application's cookie sid belongs to a session that is over";
    expect(reason(application, 'sid=mine')).toBe(over);
    expect(reason(application, 'sid=other')).toBe(
      "the table does not know the session of the application's cookie sid",
    );
    // another that goes on beside it is the one that counts
    application.exchange({ responseHeaders: ['Set-Cookie: sid=next'] });
    expect(reason(application, 'sid=mine; sid=next')).toMatch(/^the table knows the session/);
  });
});

describe('by what a request is known', () => {
  test.each([
    ['none', {}, 'the pool keeps no sessions (sticky none)'],
    ['address-hash', {}, "the table does not know the session of the client's address"],
    ['header-hash', { header: 'x-user' }, 'the request does not show the header x-user'],
    ['learn', { cookie: 'sid' }, "the request does not show the application's cookie sid"],
  ] as const)('%s', (mode, more, reason) => {
    const cookieOwner = mode === 'learn' ? 'application' : 'balancer';
    expect(explained(new World({ sticky: { mode, cookieOwner, ...more } })).reasons[0]).toBe(reason);
  });

  test('a value without a name is taken for the cookie that counts', () => {
    const { shop, cookie, home } = pinned();
    expect(explained(shop, { cookie: cookie.split('=')[1] ?? '' })).toMatchObject({
      server: home,
      outcome: 'home',
    });
    const learning = new World({ sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application' } });
    const { server } = learning.exchange({ responseHeaders: ['Set-Cookie: sid=one; Path=/'] });
    expect(explained(learning, { cookie: 'one' })).toMatchObject({ server, outcome: 'home' });
  });

  test('a header that is asked for counts, and how the choice is made is said', () => {
    const shop = new World({ sticky: { mode: 'header-hash', header: 'x-user' } });
    const { server } = shop.exchange({ headers: ['X-User: ann'] });
    const again = explained(shop, { headers: [['X-User', 'ann']] });
    expect([again.server, again.outcome]).toEqual([server, 'new']);
    const fresh = explained(shop, { headers: [['X-User', 'bob']] });
    expect(fresh.reasons.at(-1)).toBe(`${fresh.server} ranks best for its key`);
    const none = explained(shop);
    expect(none.reasons.at(-1)).toBe(
      `the policy round-robin picks ${none.server} at this moment; another thread may pick another`,
    );
  });
});

describe('what no request can be is refused', () => {
  test.each([
    [{ cookie: 'a=1\r\nx-evil: 1' }, 'a header must not have a line break'],
    [{ headers: [['x', 'a\nb']] as const }, 'a header must not have a line break'],
    [{ headers: [['x y', '1']] as const }, 'no valid request has such a header'],
    [{ target: 'shop' }, 'a target must be a path, with or without a query'],
    [{ target: '/a b' }, 'a target must be a path, with or without a query'],
  ])('%j', (asked, said) => {
    expect(ask(new World(), asked)).toBe(said);
  });
});

describe('where nobody can be asked', () => {
  const downAll = (shop: World): void => {
    for (const { name } of shop.config.servers) shop.setVerdict(name, Verdict.down);
  };

  test('nobody is eligible', () => {
    const shop = new World({ servers: [{}, {}] });
    downAll(shop);
    expect(explained(shop)).toMatchObject({
      server: null,
      reasons: [expect.anything(), 'no server is eligible: it waits for a while, then 503'],
    });
    expect(why(shop)).toEqual({ a: 'it is down', b: 'it is down' });
  });

  test('its home is down, and it is not to move, or is lost with it', () => {
    const refusing = pinned({ sticky: { mode: 'cookie-pin', whenDown: 'refuse' } });
    refusing.shop.exchange({ cookie: refusing.cookie });
    refusing.shop.setVerdict(refusing.home, Verdict.down);
    expect(explained(refusing.shop, { cookie: refusing.cookie }).reasons.at(-1)).toBe(
      'its home is down and whenDown is refuse: it waits for a while, then 503',
    );
    const losing = pinned({ sticky: { mode: 'cookie-pin', whenLost: 404 } });
    losing.shop.exchange({ cookie: losing.cookie });
    losing.shop.setVerdict(losing.home, Verdict.down);
    expect(explained(losing.shop, { cookie: losing.cookie }).reasons.at(-1)).toBe(
      'its home is gone and whenLost is 404: its client begins another',
    );
  });

  test('all are as busy, or have as many sessions, as they may', () => {
    const busy = new World({ servers: [{ maxConnections: 1 }] });
    busy.addInFlight('a', 1);
    expect(explained(busy).reasons.at(-1)).toBe(
      'all that may serve it are at maxConnections: it waits in the queue',
    );
    const full = pinned({ servers: [{ maxSessions: 1 }] });
    full.shop.exchange({ cookie: full.cookie });
    expect(explained(full.shop).reasons.at(-1)).toBe(
      'none that may serve it takes another session (maxSessions): it waits in the queue',
    );
    expect(explained(full.shop, { cookie: full.cookie })).toMatchObject({ server: 'a', outcome: 'home' });
  });
});

test('each of the others has its reason', () => {
  const shop = new World({
    sticky: { mode: 'cookie-pin' },
    servers: [
      ...[{ name: 'chosen' }, { name: 'gone' }, { name: 'ejected' }, { name: 'drained' }, { name: 'light' }],
      ...[{ name: 'new' }, { name: 'busy', maxConnections: 1 }, { name: 'full', maxSessions: 1 }],
      ...[{ name: 'spare', backup: true }, { name: 'other' }],
    ],
  });
  const verdicts = { gone: Verdict.down, ejected: Verdict.ejected, new: Verdict.starting };
  for (const [name, verdict] of Object.entries(verdicts)) shop.setVerdict(name, verdict);
  shop.setMode('drained', Mode.drain);
  shop.shared.control.setWeight(shop.slotOf('light'), 0);
  shop.addInFlight('busy', 1);
  shop.shared.control.publishSweep(shop.slotOf('full'), 1, 0, 0);
  const reasons = {
    ...{ gone: 'it is down', ejected: 'it is ejected', drained: 'it is in mode drain' },
    ...{ light: 'its weight is 0', new: 'it has not been checked yet', busy: 'it is at maxConnections' },
    ...{ full: 'it is at maxSessions', spare: 'it is a backup' },
  };
  const { chosen, ...others } = { chosen: 'it was not picked', other: 'it was not picked', ...why(shop) };
  expect(others).toEqual({ ...reasons, other: 'it was not picked' });
  expect(chosen).toBe('it was not picked');
  let visit = shop.exchange();
  while (visit.server !== 'chosen') visit = shop.exchange();
  expect(why(shop, { cookie: cookiePair(visit.setCookie) })).toEqual({
    ...reasons,
    other: "it is not the session's home",
  });
});

// The balancer's own cookies: recorded values that every later version must still read, forgery, agreement.

import { describe, expect, test } from 'vitest';
import { isCookieLength, open } from '../../src/choose/own-cookie.ts';
import { OwnCookie } from '../../src/choose/own-cookie-parts.ts';
import { rankWord, winnerOf } from '../../src/choose/rendezvous.ts';
import { Verdict } from '../../src/shared/control.ts';
import { type Outcome, SECRET, World } from './fixture.ts';
import { cookiePair } from './messages.ts';

const ISSUED_MS = 1_700_000_000_000;

/** Recorded by version 0.1.0: pool "shop", servers a b c d, the fixture's secret, cookie name "holdfast". */
const RECORDED = [
  { mode: 'cookie-hash', home: 'a', value: 'AQMTIzNDU2Nzg5Ojs8PT4_MACWVT8QAaw4QHDYAVS2AI' },
  { mode: 'cookie-hash', home: 'b', value: 'AQMTIzNDU2Nzg5Ojs8PT4_MAAWVT8QBBnROkvc1r3lkm' },
  { mode: 'cookie-hash', home: 'c', value: 'AQMTIzNDU2Nzg5Ojs8PT4_MAAGVT8QDSLiTa9yGSZdVU' },
  { mode: 'cookie-hash', home: 'd', value: 'AQMTIzNDU2Nzg5Ojs8PT4_MABGVT8QArb6lzkl6diJOJ' },
  {
    mode: 'cookie-pin',
    home: 'a',
    value: 'AgMTIzNDU2Nzg5Ojs8PT4_Pg5ZbsPqhwLyl4BbbAIojVwIL_Rbsf48RbEzLM_df70nbPilHeUh35',
  },
  {
    mode: 'cookie-pin',
    home: 'd',
    value: 'AgMTIzNDU2Nzg5Ojs8PT4_PEohPvWCPvVXqmJbWlkjcT85vT6oY9rrjyOgWzT4hqbZ5Hcc_ODEgb',
  },
] as const;

function opened(world: World, value: string): OwnCookie | null {
  const plan = world.plans[0]!;
  const cookie = new OwnCookie();
  const characters = Buffer.from(value, 'latin1');
  if (!isCookieLength(characters.length)) return null;
  return open(plan, characters, characters.length, cookie) ? cookie : null;
}

describe('recorded cookies', () => {
  test.each(RECORDED)('$mode naming $home', ({ mode, home, value }) => {
    const world = new World({ sticky: { mode } });
    const cookie = opened(world, value);
    expect(world.config.servers[cookie!.homeIndex]?.name).toBe(home);
    expect(cookie!.issuedSeconds).toBe(ISSUED_MS / 1000);
  });

  test('the ranking of keys is recorded as well', () => {
    expect([rankWord(1, 2, 0), rankWord(1, 2, 1), rankWord(-1, 0x7fffffff, 0x10000)]).toEqual([
      -2079276493, 1471985303, -844882428,
    ]);
    const plan = new World({ servers: [{ weight: 1 }, { weight: 2 }, { weight: 3 }, { backup: true }] })
      .plans[0]!;
    const homes = Array.from({ length: 24 }, (_, key) =>
      winnerOf(plan, plan.hashRange, plan.hashRange.length, rankWord(key, key * 77, 0)),
    );
    expect(homes.join('')).toBe('011210021011112021212012');
  });
});

describe.each(['cookie-hash', 'cookie-pin'] as const)('%s', (mode) => {
  test('says nothing readable about the server and is short', () => {
    const world = new World({ sticky: { mode }, servers: [{ name: 'secret-name' }, {}] });
    const values = Array.from({ length: 50 }, () =>
      cookiePair(world.exchange().setCookie).slice('holdfast='.length),
    );
    expect(new Set(values).size).toBe(50);
    for (const value of values) {
      expect(value).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(value.length).toBe(80);
      expect(Buffer.from(value, 'base64url').toString('latin1')).not.toContain('secret-name');
    }
  });

  test('any changed character makes it invalid where the table does not know it', () => {
    const world = new World({ sticky: { mode } });
    const value = cookiePair(world.exchange().setCookie).slice('holdfast='.length);
    const other = new World({ sticky: { mode }, seed: 2 });
    for (let at = 0; at < value.length; at += 1) {
      const changed = value[at] === 'A' ? 'B' : 'A';
      const forged = value.slice(0, at) + changed + value.slice(at + 1);
      const spoilt = other.exchange({ cookie: `holdfast=${forged}` });
      expect(spoilt.outcome, `character ${at}`).toBe('invalid');
      expect(spoilt.setCookie).not.toBe('');
    }
    expect(other.exchange({ cookie: `holdfast=${value}` }).outcome).toBe('home');
  });

  test.each([
    '',
    'x',
    'A'.repeat(43),
    'A'.repeat(44),
    'A'.repeat(45),
    'A'.repeat(76),
    'é'.repeat(44),
    '*'.repeat(76),
  ])('garbage %j gets a fresh cookie, never an error', (garbage) => {
    const world = new World({ sticky: { mode } });
    const spoilt = world.exchange({ cookie: `holdfast=${garbage}` });
    expect(spoilt.outcome).toBe('invalid');
    expect(world.exchange({ cookie: cookiePair(spoilt.setCookie) })).toMatchObject({
      server: spoilt.server,
      outcome: 'home',
    });
  });

  test('another secret or another pool: invalid; another name or the other mode: the same session', () => {
    const first = new World({ sticky: { mode } }).exchange();
    const value = cookiePair(first.setCookie);
    const strangers = [
      new World({ sticky: { mode }, secret: SECRET.map((byte) => byte ^ 1) }),
      new World({ sticky: { mode }, pool: { name: 'api' } }),
    ];
    for (const stranger of strangers) expect(stranger.exchange({ cookie: value }).outcome).toBe('invalid');
    const other = new World({ sticky: { mode: mode === 'cookie-hash' ? 'cookie-pin' : 'cookie-hash' } });
    expect(other.exchange({ cookie: value })).toMatchObject({ server: first.server, outcome: 'home' });
    const renamed = new World({ sticky: { mode, cookie: 'other' } });
    expect(renamed.exchange({ cookie: value }).outcome).toBe('new');
    expect(renamed.exchange({ cookie: value.replace('holdfast=', 'other=') })).toMatchObject({
      server: first.server,
      outcome: 'home',
    });
  });

  test('expires by the time it was issued, which a move does not renew', () => {
    const life = { lifeMs: 3_600_000, idleMs: 3_600_000 };
    const world = new World({ sticky: { mode, ...life } });
    const first = world.exchange();
    world.clock.advance(3_000_000);
    world.setVerdict(first.server!, Verdict.down);
    const moved = world.exchange({ cookie: cookiePair(first.setCookie) });
    expect(moved.outcome).toBe('moved');
    const other = new World({ sticky: { mode, ...life }, seed: 3 });
    other.clock.advance(3_500_000);
    expect(other.exchange({ cookie: cookiePair(moved.setCookie) })).toMatchObject({
      server: moved.server,
      outcome: 'home',
    });
    const third = new World({ sticky: { mode, ...life }, seed: 4 });
    third.clock.advance(3_700_000);
    const expired = third.exchange({ cookie: cookiePair(moved.setCookie) });
    expect(expired.outcome).toBe('expired');
    expect(expired.setCookie).not.toBe('');
  });

  test('a renewal says when it was, keeps when the session began, and is sealed with a nonce of its own', () => {
    const world = new World({ sticky: { mode } });
    const first = cookiePair(world.exchange().setCookie);
    const beganMs = world.clock.wallMs();
    world.clock.advance(world.config.sticky.idleMs / 2);
    const renewed = cookiePair(world.exchange({ cookie: first }).setCookie);
    const seconds = (ms: number): number => Math.floor(ms / 1000);
    expect(opened(world, renewed.split('=')[1]!)).toMatchObject({
      issuedSeconds: seconds(beganMs),
      renewedSeconds: seconds(world.clock.wallMs()),
    });
    const nonces = [first, renewed].map((pair) =>
      Buffer.from(pair.split('=')[1]!, 'base64url').subarray(21, 33).toString('hex'),
    );
    expect(new Set(nonces).size).toBe(2);
  });

  test('what was sealed with a secret that is kept for reading names its home where nothing else is known', () => {
    const [old, fresh] = [SECRET, SECRET.map((byte) => byte ^ 0x55)];
    const before = new World({ sticky: { mode }, secret: old });
    const after = new World({ sticky: { mode }, secrets: [fresh, old] });
    for (let count = 0; count < 8; count += 1) {
      const { server, setCookie } = before.exchange();
      const shown = { cookie: cookiePair(setCookie) };
      expect(after.exchange(shown)).toMatchObject({ server, outcome: 'home' });
      // by the secret that reigns from then on
      expect(after.exchange(shown)).toMatchObject({ server, outcome: 'home' });
    }
    expect(
      after.exchange({
        cookie: cookiePair(
          new World({ sticky: { mode }, secret: fresh.map((byte) => byte ^ 1) }).exchange().setCookie,
        ),
      }).outcome,
    ).toBe('invalid');
  });

  test('that was written before the clock was set back is written again', () => {
    const world = new World({ sticky: { mode } });
    const cookie = cookiePair(world.exchange().setCookie);
    expect(world.exchange({ cookie }).setCookie).toBe('');
    world.clock.wallMs = () => world.clock.nowMs() - 3_600_000;
    const again = world.exchange({ cookie });
    expect(again).toMatchObject({ outcome: 'home' });
    const fresh = cookiePair(again.setCookie);
    expect(opened(world, fresh.slice('holdfast='.length))?.renewedSeconds).toBe(
      Math.floor(world.clock.wallMs() / 1000),
    );
    expect(world.exchange({ cookie: fresh }).setCookie).toBe('');
  });

  test('is idle by when it was renewed, one renewal later, where the table does not know it', () => {
    const sticky = { mode, idleMs: 800_000, lifeMs: 80_000_000 };
    const { server, setCookie } = new World({ sticky }).exchange();
    const after = (ms: number): Outcome => {
      const other = new World({ sticky, seed: 3 });
      other.clock.advance(ms);
      return other.exchange({ cookie: cookiePair(setCookie) });
    };
    expect(after(900_000)).toMatchObject({ server, outcome: 'home' });
    const late = after(901_001);
    expect(late.outcome).toBe('expired');
    expect(cookiePair(late.setCookie)).not.toBe(cookiePair(setCookie));
  });

  test('where the table does not know it its life has not begun anew', () => {
    const sticky = { mode, idleMs: 3_600_000, lifeMs: 3_600_000 };
    const { server, setCookie } = new World({ sticky }).exchange();
    const other = new World({ sticky, seed: 3 });
    other.clock.advance(3_000_000);
    const known = other.exchange({ cookie: cookiePair(setCookie) });
    expect(known).toMatchObject({ server, outcome: 'home' });
    const cookie = cookiePair(known.setCookie);
    other.clock.advance(500_000);
    expect(other.exchange({ cookie }).outcome).toBe('home');
    other.clock.advance(101_000);
    expect(other.exchange({ cookie }).outcome).toBe('expired');
  });

  test('one that has expired names no home, not even for who waits while servers change', () => {
    const world = new World({ sticky: { mode, idleMs: 800_000 } });
    const cookie = cookiePair(world.exchange().setCookie);
    const other = new World({ sticky: { mode, idleMs: 800_000 }, seed: 3 });
    other.clock.advance(2_000_000);
    const { affinity, plan } = other.begin({ cookie });
    other.choosers[0]!.adopt(plan, affinity);
    expect([affinity.homeSlot, affinity.isHomeRemoved]).toEqual([-1, false]);
  });

  test('the end of a session takes its cookie away', () => {
    const world = new World({ sticky: { mode } });
    const cookie = cookiePair(world.exchange().setCookie);
    const { setCookie } = world.exchange({ cookie, responseHeaders: ['X-Holdfast-Session: end'] });
    expect(setCookie).toBe('holdfast=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax');
    expect(world.entries().used).toBe(0);
  });

  test('two balancers agree on the home of 10 000 cookies', () => {
    const minting = new World({ sticky: { mode }, pool: { policy: 'random-two' } });
    const reading = new World({
      sticky: { mode },
      seed: 77,
      firstSlot: 100,
      pool: { policy: 'round-robin' },
    });
    let agreed = 0;
    for (let session = 0; session < 10_000; session += 1) {
      const outcome = minting.exchange();
      const seen = reading.exchange({ cookie: cookiePair(outcome.setCookie) });
      if (seen.server === outcome.server && seen.outcome === 'home' && seen.setCookie === '') agreed += 1;
    }
    expect(agreed).toBe(10_000);
  });

  test('two balancers agree while a server is down, whoever of them moves a session first', () => {
    const options = { sticky: { mode }, servers: [{}, { weight: 3 }, {}, { weight: 2 }, {}] } as const;
    const one = new World(options);
    const two = new World({ ...options, seed: 5, firstSlot: 200 });
    const sessions = Array.from({ length: 3000 }, () => one.exchange());
    one.setVerdict('b', Verdict.down);
    two.setVerdict('b', Verdict.down);
    const renewed: { old: string; fresh: string; home: string }[] = [];
    for (const session of sessions) {
      const old = cookiePair(session.setCookie);
      const [first, second] = [one.exchange({ cookie: old }), two.exchange({ cookie: old })];
      expect(second.server).toBe(first.server);
      expect(first.outcome).toBe(session.server === 'b' ? 'moved' : 'home');
      if (first.setCookie !== '')
        renewed.push({ old, fresh: cookiePair(first.setCookie), home: first.server! });
    }
    one.setVerdict('b', Verdict.up);
    const three = new World({ ...options, seed: 6, firstSlot: 300 });
    for (const { old, fresh, home } of renewed) {
      // old cookies still in flight find the new home where the session is known; fresh ones everywhere
      expect(one.exchange({ cookie: old })).toMatchObject({ server: home, outcome: 'home' });
      expect(three.exchange({ cookie: fresh })).toMatchObject({
        server: home,
        outcome: 'home',
        setCookie: '',
      });
    }
    expect(renewed.length).toBeGreaterThan(1000);
  });

  test('order of the servers and slots do not matter', () => {
    const minting = new World({ sticky: { mode }, servers: [{}, {}, {}] });
    const reading = new World({
      sticky: { mode },
      servers: [{ name: 'c' }, { name: 'a' }, { name: 'b' }],
    });
    for (let session = 0; session < 300; session += 1) {
      const { server, setCookie } = minting.exchange();
      expect(reading.exchange({ cookie: cookiePair(setCookie) }).server).toBe(server);
    }
  });

  test('a session placed on a backup says so', () => {
    const servers = [{}, {}, { backup: true }, { backup: true }];
    const world = new World({ sticky: { mode }, servers });
    for (const name of ['a', 'b']) world.setVerdict(name, Verdict.down);
    for (let session = 0; session < 100; session += 1) {
      const { server, setCookie } = world.exchange();
      expect(['c', 'd']).toContain(server);
      const fresh = new World({ sticky: { mode }, servers, sessionsMax: 16 });
      expect(fresh.exchange({ cookie: cookiePair(setCookie) })).toMatchObject({ server, outcome: 'home' });
    }
  });

  test('a moved session gets a new cookie until it shows one, and the rid stays', () => {
    const world = new World({ sticky: { mode } });
    const first = world.exchange();
    const old = cookiePair(first.setCookie);
    world.exchange({ cookie: old });
    world.setVerdict(first.server!, Verdict.down);
    const lostReply: Outcome = world.exchange({ cookie: old });
    const again = world.exchange({ cookie: old });
    expect(again).toMatchObject({ server: lostReply.server, outcome: 'home' });
    expect(again.setCookie).not.toBe('');
    const fresh = cookiePair(again.setCookie);
    expect(fresh.slice(0, 30)).toBe(old.slice(0, 30));
    expect(world.exchange({ cookie: fresh })).toMatchObject({ server: lostReply.server, setCookie: '' });
    expect(world.exchange({ cookie: fresh })).toMatchObject({ server: lostReply.server, setCookie: '' });
    expect(world.entries()).toMatchObject({ used: 1 });
  });

  test('attributes are written as configured, Secure by the client’s connection', () => {
    const attributes = {
      httpOnly: true,
      secure: 'auto',
      sameSite: 'None',
      path: '/x',
      domain: 'example.com',
      maxAgeMs: 90_500,
      partitioned: true,
    } as const;
    const world = new World({ sticky: { mode, attributes } });
    const [, ...parts] = world.exchange({ isSecure: true }).setCookie.split('; ');
    expect(parts.sort()).toEqual([
      'Domain=example.com',
      'HttpOnly',
      'Max-Age=90',
      'Partitioned',
      'Path=/x',
      'SameSite=None',
      'Secure',
    ]);
    expect(world.exchange({ isSecure: false }).setCookie).not.toContain('Secure');
    const always = new World({ sticky: { mode, attributes: { ...attributes, secure: true } } });
    expect(always.exchange({ isSecure: false }).setCookie).toContain('; Secure');
  });
});

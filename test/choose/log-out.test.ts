// A session that its user has ended stays ended: requests that were sent before he knew, on whatever thread, begin none.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { compilePool } from '../../src/choose/plan.ts';
import { Verdict } from '../../src/shared/control.ts';
import { POOL_ID, World } from './fixture.ts';
import { type Client, MODES, type ModeCase, visit } from './modes.ts';

const END = ['x-holdfast-session: end'];
/** The key is given to clients, by us or by the application: theirs goes with the session. */
const GIVEN = MODES.filter(({ isForeign }) => !isForeign);

function logIn(
  mode: ModeCase,
  state: 'local' | 'shared' = 'local',
): { world: World; client: Client; home: string } {
  const world = new World({ workers: 2, ...mode.options, pool: { state } });
  const client = mode.client(1);
  visit(world, client);
  return { world, client, home: visit(world, client).server! };
}

describe.each(GIVEN)('$title', (mode) => {
  test.each(['local', 'shared'] as const)(
    'a request that comes late begins no session, state %s',
    (state) => {
      const { world, client, home } = logIn(mode, state);
      const late = client.request();
      world.exchange({ ...late, responseHeaders: END });
      for (const worker of [0, 1, 0]) {
        const outcome = world.exchange(late, worker);
        expect(outcome.setCookie).toBe('');
        // our own cookie still says where the session was
        if (mode.isOwn) expect(outcome).toMatchObject({ server: home, outcome: 'home' });
      }
      expect(world.entries()).toMatchObject({ used: 0, busy: 0, tentative: 0 });
      expect(world.total((name) => world.placed(name))).toBe(0);
      expect([world.created(home), world.ended(home, 'logout')]).toEqual([1, 1]);
      expect(world.total((name) => world.created(name))).toBe(1);
    },
  );

  test('one that is under way, or waits for a server, begins none either', () => {
    const { world, client, home } = logIn(mode);
    world.setVerdict(home, Verdict.up);
    const [open, waiting] = [world.begin(client.request(), 0), world.begin(client.request(), 1)];
    open.attempt();
    world.exchange({ ...client.request(), responseHeaders: END }, 1);
    waiting.attempt();
    expect([open.answer(), waiting.answer()]).toEqual(['', '']);
    open.finish();
    waiting.finish();
    expect(world.entries()).toMatchObject({ used: 0, busy: 0 });
    expect(world.total((name) => world.created(name))).toBe(1);
  });

  test('who logs in again has a session, and what the former one had open takes nothing off it', () => {
    const { world, client, home } = logIn(mode);
    const former = world.begin(client.request(), 0);
    former.attempt();
    world.exchange({ ...client.request(), responseHeaders: END }, 0);
    const again = mode.client(1);
    const first = world.begin(again.request(), 0);
    first.attempt();
    first.answer(again.request().responseHeaders);
    again.receive(first.finish());
    const present = world.begin(again.request(), 0);
    present.attempt();
    expect(world.entries()).toMatchObject({ used: 1, busy: 1 });
    former.answer();
    former.finish();
    expect(world.entries()).toMatchObject({ used: 1, busy: 1 });
    present.answer();
    present.finish();
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
    expect(world.ended(home, 'logout')).toBe(1);
  });
});

describe('our own cookie', () => {
  const [mode] = GIVEN as [ModeCase];

  test('whose home is down when the late request comes: it goes anywhere, and counts as no move', () => {
    const { world, client, home } = logIn(mode);
    const late = client.request();
    world.exchange({ ...late, responseHeaders: END });
    world.setVerdict(home, Verdict.down);
    const outcome = world.exchange(late);
    expect(outcome).toMatchObject({ moveReason: null, setCookie: '' });
    expect(outcome.server).not.toBe(home);
    expect([world.moves('failure'), world.lost(home, 'failure')]).toEqual([0, 0]);
  });

  test('another one beside it, of a session that goes on, is the one that counts', () => {
    const { world, client } = logIn(mode);
    const other = mode.client(2);
    // the table is a new one, which knows neither
    const { home } = { home: visit(world, other).server! };
    const late = client.request().cookie!;
    world.exchange({ cookie: late, responseHeaders: END });
    for (const both of [`${late}; ${other.request().cookie}`, `${other.request().cookie}; ${late}`]) {
      expect(world.exchange({ cookie: both })).toMatchObject({ server: home, outcome: 'home' });
    }
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
  });

  test('of a session that only the cookie knew, ended while a request of it waits for a server', () => {
    const { world, client } = logIn(mode);
    const restarted = new World({ workers: 2, ...mode.options });
    const waiting = restarted.begin(client.request(), 0);
    restarted.exchange({ ...client.request(), responseHeaders: END }, 1);
    waiting.attempt();
    expect(waiting.answer()).toBe('');
    waiting.finish();
    expect(restarted.entries()).toMatchObject({ used: 0, busy: 0 });
    expect(world.entries()).toMatchObject({ used: 1 });
  });
});

describe('a cookie of the application', () => {
  const set = (value: string): string[] => [`Set-Cookie: sid=${value}; Path=/`];
  const shop = (state: 'local' | 'shared' = 'local'): World =>
    new World({
      workers: 2,
      sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application' },
      pool: { state },
    });

  test('that it deletes is over, whatever former values late requests show', () => {
    const world = shop('shared');
    world.exchange({ responseHeaders: set('one') });
    world.exchange({ cookie: 'sid=one', responseHeaders: set('two') });
    world.exchange({ cookie: 'sid=two', responseHeaders: ['Set-Cookie: sid=; Path=/; Max-Age=0'] });
    for (const value of ['one', 'two', 'two', 'one']) world.exchange({ cookie: `sid=${value}` }, 1);
    expect(world.entries()).toMatchObject({ used: 0, busy: 0 });
    expect(world.total((name) => world.placed(name))).toBe(0);
  });

  test('that it sets again is a session again, under the old value or another', () => {
    for (const value of ['one', 'two']) {
      const world = shop();
      world.exchange({ responseHeaders: set('one') });
      world.exchange({ cookie: 'sid=one', responseHeaders: ['Set-Cookie: sid=; Path=/; Max-Age=0'] });
      const { server } = world.exchange({ cookie: 'sid=one', responseHeaders: set(value) });
      expect(world.entries()).toMatchObject({ used: 1, busy: 0, tentative: 0 });
      expect(world.exchange({ cookie: `sid=${value}` })).toMatchObject({ server, outcome: 'home' });
      expect(world.total((name) => world.created(name))).toBe(2);
    }
  });

  test('beside one that is over another that is known, or not, says where the request belongs', () => {
    const world = shop();
    world.exchange({ responseHeaders: set('gone') });
    world.exchange({ cookie: 'sid=gone', responseHeaders: ['Set-Cookie: sid=; Path=/; Max-Age=0'] });
    const { server } = world.exchange({ responseHeaders: set('mine') });
    expect(world.exchange({ cookie: 'sid=gone; sid=mine' })).toMatchObject({ server, outcome: 'home' });
    const first = world.exchange({ cookie: 'sid=gone; sid=unknown' });
    expect(first.outcome).toBe('new');
    expect(world.exchange({ cookie: 'sid=unknown' })).toMatchObject({
      server: first.server,
      outcome: 'home',
    });
  });

  test('a value that another session gets is its own from then on', () => {
    const world = shop();
    world.exchange({ responseHeaders: set('reused') });
    world.exchange({ cookie: 'sid=reused', responseHeaders: ['Set-Cookie: sid=; Path=/; Max-Age=0'] });
    const { server } = world.exchange({ responseHeaders: set('other') });
    world.exchange({ cookie: 'sid=other', responseHeaders: set('reused') });
    expect(world.exchange({ cookie: 'sid=reused' }, 1)).toMatchObject({ server, outcome: 'home' });
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
  });
});

test('a key of the client’s own begins another session at once, and the request that was open ends without it', () => {
  for (const mode of MODES.filter(({ isForeign }) => isForeign)) {
    const { world, client } = logIn(mode);
    const former = world.begin(client.request());
    former.attempt();
    world.exchange({ ...client.request(), responseHeaders: END });
    const present = world.begin(client.request());
    present.attempt();
    expect(world.entries()).toMatchObject({ used: 1, busy: 1 });
    former.answer();
    former.finish();
    expect(world.entries()).toMatchObject({ used: 1, busy: 1 });
    present.answer();
    present.finish();
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
    const { table } = world.shared;
    for (let entry = 0; entry < table.capacity; entry += 1) expect(table.busy(entry)).toBe(0);
  }
});

describe.each(GIVEN)('$title, with several secrets', (mode) => {
  test.each([0, 1, 2])(
    'a late request begins no session, whichever of them its key was begun under: %d',
    (at) => {
      const secrets = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte));
      const world = new World({ ...mode.options, secrets: [secrets[at]!] });
      const client = mode.client(1);
      visit(world, client);
      visit(world, client);
      const late = client.request();
      // a reload: more secrets are read, one of them is written
      const slots = world.config.servers.map(({ name }) => world.slotOf(name));
      const generations = slots.map((slot) => world.shared.control.generation(slot));
      world.plans = [
        compilePool(
          { id: POOL_ID, config: world.config, slots, generations, keys: secrets },
          new SeededRandom(1),
        ),
      ];
      world.exchange({ ...late, responseHeaders: END });
      for (let times = 0; times < 2; times += 1) expect(world.exchange(late).setCookie).toBe('');
      expect(world.entries()).toMatchObject({ used: 0, busy: 0, tentative: 0 });
      expect(world.total((name) => world.created(name))).toBe(1);
    },
  );
});

describe('an answer that comes after its session was ended, to a request that showed several values of it', () => {
  const set = (value: string): string[] => [`Set-Cookie: sid=${value}; Path=/`];

  test.each([
    ['one', 0],
    ['two', 0],
    ['three', 1],
  ])('and sets %s: sessions begun by it %d', (value, begun) => {
    const world = new World({ sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application' } });
    world.exchange({ responseHeaders: set('one') });
    world.exchange({ cookie: 'sid=one', responseHeaders: set('two') });
    const late = world.begin({ cookie: 'sid=one; sid=two' });
    late.attempt();
    world.exchange({ cookie: 'sid=two', responseHeaders: ['Set-Cookie: sid=; Path=/; Max-Age=0'] });
    late.answer(set(value));
    late.finish();
    expect(world.entries()).toMatchObject({ used: begun, busy: 0, tentative: 0 });
  });
});

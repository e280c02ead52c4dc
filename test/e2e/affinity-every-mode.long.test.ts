// Every one of 10 000 requests of 500 users reaches the server that has its session, by each sticky mode, on one and
// on two threads, over kept connections and with a new connection for each request. Without affinity one in four does.

import { describe, expect, test } from 'vitest';
import { runHoldfast } from '../support/holdfast.ts';
import { inParallel } from '../support/plain-client.ts';
import { sessionServers } from '../support/session-servers.ts';
import { headersFor, logIn, STICKY_MODES, type StickyMode, stickyYaml } from '../support/sticky-pools.ts';
import { User } from '../support/user.ts';

const USERS = 500;
/** The 10 000 requests of the promise, for each mode. */
const ROUNDS = 20;
const AT_ONCE = 48;
const NONE: StickyMode = { name: 'none', sticky: 'none' };

interface Tally {
  /** Requests answered by the server with the session. */
  home: number;
  /** Answered by another: the user is logged out there. */
  elsewhere: number;
  /** Anything else. */
  odd: number;
}

/** 500 users log in, then make 20 requests each, many users at a time. */
async function visit(port: number, mode: StickyMode, isKept: boolean): Promise<Tally> {
  const tally: Tally = { home: 0, elsewhere: 0, odd: 0 };
  const users = Array.from({ length: USERS }, (_, number) => {
    const connection: Record<string, string> = isKept ? {} : { connection: 'close' };
    const offset = isKept ? 0 : USERS; // the address is a key too: other users than before
    return new User(port, number + offset, { ...headersFor(mode, `user${number + offset}`), ...connection });
  });
  await inParallel(USERS, AT_ONCE, (index) => logIn(mode, users[index]!));
  await inParallel(USERS * ROUNDS, AT_ONCE, async (index) => {
    // one place further each round: 500 users in a fixed order would stay in step with a round robin over four
    const user = users[(index + Math.floor(index / USERS)) % USERS]!;
    const reply = await user.get();
    const where = reply.header('x-served-by');
    if (reply.status === 200 && where === user.home) tally.home += 1;
    else if (reply.status === 401 && where !== user.home) tally.elsewhere += 1;
    else tally.odd += 1;
  });
  for (const user of users) user.close();
  return tally;
}

describe.each([1, 2])('on %i threads', (threads) => {
  test('each sticky mode brings every request home', { timeout: 90_000 }, async () => {
    const servers = await sessionServers(4);
    const holdfast = await runHoldfast(stickyYaml(STICKY_MODES, servers), { threads });
    const tallies: Record<string, Tally> = {};
    for (const mode of STICKY_MODES) {
      for (const isKept of [true, false]) {
        tallies[`${mode.name} ${isKept ? 'kept' : 'new'}`] = await visit(holdfast.port, mode, isKept);
      }
    }
    const wanted = Object.keys(tallies).map((run) => [run, { home: USERS * ROUNDS, elsewhere: 0, odd: 0 }]);
    expect(tallies).toEqual(Object.fromEntries(wanted));
    for (const pool of (await holdfast.status()).pools) {
      expect(pool.servers.map(({ requests }) => requests > 0)).toEqual([true, true, true, true]);
    }
  });

  test('without affinity one request in four finds its session', async () => {
    const servers = await sessionServers(4);
    const holdfast = await runHoldfast(stickyYaml([NONE], servers, ['policy: random-two']), {
      threads,
    });
    const { home, elsewhere, odd } = await visit(holdfast.port, NONE, true);
    expect(odd).toBe(0);
    expect(home + elsewhere).toBe(USERS * ROUNDS);
    // binomial: of 10 000 requests at a quarter four standard deviations are 1.7 %
    expect(Math.abs(home / (home + elsewhere) - 1 / 4)).toBeLessThan(
      4 * Math.sqrt(3 / 16 / (home + elsewhere)),
    );
  });
});

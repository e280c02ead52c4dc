// With sessions.file a restart keeps every home, every count and what the operator had set; a damaged file costs the
// sessions and nothing else.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { changeServer, type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { type SessionServer, sessionServers } from '../support/session-servers.ts';
import { headersFor, logIn, STICKY_MODES, stickyYaml } from '../support/sticky-pools.ts';
import { User } from '../support/user.ts';

const USERS = 40;
/** For each process that a test starts: the helpers' own deadlines say what is late. */
const START_MS = 20_000;
/** The table alone knows these sessions' homes. */
const LEARNED = STICKY_MODES.filter(({ name }) => name === 'learn-cookie' || name === 'learn-header');
const HASHED = STICKY_MODES.filter(({ name }) => name === 'cookie-hash');
const MODES = [...LEARNED, ...HASHED];

/** A directory that outlives one balancer; removed when the test ends. */
function sharedDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-sessions-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

function yamlFor(servers: readonly SessionServer[], directory: string): string {
  return `sessions: { file: ${directory}/saved.sessions }\n${stickyYaml(MODES, servers, ['policy: least-sessions'])}`;
}

async function logInAll(holdfast: RunningHoldfast): Promise<User[][]> {
  const all: User[][] = [];
  for (const mode of MODES) {
    const users = Array.from(
      { length: USERS },
      (_, number) => new User(holdfast.port, number, headersFor(mode, `user${number}`)),
    );
    await Promise.all(
      users.map(async (user) => {
        await logIn(mode, user);
        await user.get();
      }),
    );
    all.push(users);
  }
  await untilCounted(holdfast);
  return all;
}

function untilCounted(holdfast: RunningHoldfast): Promise<Record<string, number>[]> {
  return eventually(
    async () => {
      const { pools } = await holdfast.status();
      if (pools.some(({ sessions }) => sessions !== USERS)) return null;
      return pools.map(({ servers }) =>
        Object.fromEntries(servers.map(({ name, sessions }) => [name, sessions])),
      );
    },
    { what: () => `${USERS} sessions in each pool` },
  );
}

/** The same users at another balancer; how many of each mode are not at home. */
async function strayed(holdfast: RunningHoldfast, all: readonly User[][]): Promise<number[]> {
  const counts: number[] = [];
  for (const users of all) {
    const homes = users.map(async (old) => {
      const user = new User(holdfast.port, 0, old.headers);
      for (const [name, value] of old.jar) user.jar.set(name, value);
      const home = await user.where();
      user.close();
      return home === old.home;
    });
    counts.push((await Promise.all(homes)).filter((isHome) => !isHome).length);
  }
  return counts;
}

test(
  'a restart keeps homes, counts and modes; kill -9 falls back on the file of the last stop',
  async () => {
    const servers = await sessionServers(3);
    const directory = sharedDirectory();
    const yaml = yamlFor(servers, directory);
    const first = await runHoldfast(yaml, { threads: 2, directory });
    const all = await logInAll(first);
    const counts = await untilCounted(first);
    await changeServer(first, 'learn-cookie/a', { mode: 'drain', weight: 3 });
    expect(await first.stop()).toBe(0);
    for (const users of all) for (const user of users) user.close();

    const second = await runHoldfast(yaml, { threads: 1, directory });
    expect(await untilCounted(second)).toEqual(counts);
    const drained = (await second.status()).pools.find(({ name }) => name === 'learn-cookie')!.servers[0]!;
    expect([drained.mode, drained.weight]).toEqual(['drain', 3]);
    expect(await strayed(second, all)).toEqual([0, 0, 0]);
    expect(second.log()).toContain('sessions restored');

    second.child.kill('SIGKILL');
    await second.exited();
    const third = await runHoldfast(yaml, { threads: 2, directory });
    expect(await strayed(third, all)).toEqual([0, 0, 0]);
    expect(await untilCounted(third)).toEqual(counts);
  },
  START_MS * 4,
);

test(
  'a damaged or foreign file is reported and ignored; what it held begins anew',
  async () => {
    const servers = await sessionServers(3);
    const directory = sharedDirectory();
    const yaml = yamlFor(servers, directory);
    let holdfast = await runHoldfast(yaml, { directory });
    const file = `${directory}/saved.sessions`;
    const all = await logInAll(holdfast);
    await holdfast.stop();
    const good = readFileSync(file);
    const flipped = Buffer.from(good);
    flipped[good.length >> 1]! ^= 1;
    for (const bytes of [
      flipped,
      good.subarray(0, good.length - 7),
      Buffer.alloc(0),
      Buffer.from('not ours at all'),
    ]) {
      writeFileSync(file, bytes);
      holdfast = await runHoldfast(yaml, { directory });
      expect(holdfast.log()).toContain('saved sessions ignored');
      const { pools } = await holdfast.status();
      expect(pools.map(({ sessions }) => sessions)).toEqual([0, 0, 0]);
      // what the table alone knew is gone, what the cookie says is not; nobody gets an error
      const [byCookie = 0, byHeader = 0, byHash = 0] = await strayed(holdfast, all);
      expect([byCookie > 0, byHeader > 0, byHash]).toEqual([true, true, 0]);
      expect(await holdfast.metric('holdfast_rejected_requests_total')).toBe(0);
      await holdfast.stop();
    }
  },
  START_MS * 6,
);

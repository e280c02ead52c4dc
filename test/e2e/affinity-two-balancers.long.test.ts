// Two balancers with the same configuration and secret agree on the home of every session whose cookie they make,
// without a word between them: also when one has just been restarted with nothing saved, also while a server is down.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { inParallel } from '../support/plain-client.ts';
import { sessionServer, sessionServers } from '../support/session-servers.ts';
import { STICKY_MODES, stickyYaml } from '../support/sticky-pools.ts';
import { User } from '../support/user.ts';

const SESSIONS = 120;
const MODES = STICKY_MODES.filter(({ name }) => name === 'cookie-hash' || name === 'cookie-pin').map(
  (mode) => ({
    ...mode,
    sticky: mode.sticky.replace(' }', ', secret: the-same-on-both-balancers }'),
  }),
);
const HEALTH = 'health: { path: /healthz, interval: 100ms, timeout: 1s, rise: 1, fall: 2 }';

interface Session {
  readonly host: string;
  /** As the client had it before the balancer asked first set another. */
  cookie: Map<string, string>;
  home: string;
}

/** The server that `port` sends the cookie to, and the jar afterwards. */
async function ask(port: number, session: Session): Promise<{ where: string; jar: Map<string, string> }> {
  const user = new User(port, 0, { host: session.host });
  for (const [name, value] of session.cookie) user.jar.set(name, value);
  const where = await user.where();
  user.close();
  return { where, jar: user.jar };
}

async function expectAgreement(
  sessions: readonly Session[],
  balancers: readonly RunningHoldfast[],
): Promise<void> {
  const wrong: string[] = [];
  await inParallel(sessions.length, 16, async (index) => {
    const session = sessions[index]!;
    for (const { port } of balancers) {
      const { where } = await ask(port, session);
      if (where !== session.home) wrong.push(`${session.host} ${index}: ${where} for ${session.home}`);
    }
  });
  expect(wrong).toEqual([]);
}

function untilState(holdfast: RunningHoldfast, server: string, state: string): Promise<unknown> {
  return eventually(async () => {
    const { pools } = await holdfast.status();
    return pools.every((pool) => pool.servers.find(({ name }) => name === server)?.state === state);
  });
}

test('two balancers agree on every home, also after a restart and while a server is down', async () => {
  const servers = await sessionServers(4);
  const yaml = stickyYaml(MODES, servers, ['policy: least-sessions', HEALTH]);
  const first = await runHoldfast(yaml, { threads: 2 });
  let second = await runHoldfast(yaml, { threads: 1 });
  const sessions: Session[] = [];
  for (const mode of MODES) {
    await inParallel(SESSIONS, 16, async (index) => {
      const session: Session = { host: `${mode.name}.test`, cookie: new Map(), home: '' };
      const { where, jar } = await ask(index % 2 === 0 ? first.port : second.port, session);
      sessions.push({ ...session, cookie: jar, home: where });
    });
  }
  expect(new Set(sessions.map(({ home }) => home)).size).toBe(4);
  await expectAgreement(sessions, [first, second]);

  await second.stop();
  second = await runHoldfast(yaml, { threads: 2 });
  await expectAgreement(sessions, [second, first]);

  const downPort = servers[2]!.port;
  await servers[2]!.close();
  await untilState(first, 'c', 'down');
  await untilState(second, 'c', 'down');
  let strayed = 0;
  const moved = sessions.filter(({ home }) => home === 'c');
  for (const session of moved) {
    const atFirst = await ask(first.port, session);
    const atSecond = await ask(second.port, session);
    const withNewCookie = await ask(second.port, { ...session, cookie: atFirst.jar });
    const homes = new Set([atFirst.where, atSecond.where, withNewCookie.where]);
    if (homes.size !== 1 || homes.has('c')) strayed += 1;
    session.home = atFirst.where;
    session.cookie = atFirst.jar;
  }
  expect(moved.length).toBeGreaterThan(40);
  expect(strayed).toBe(0);
  expect([...new Set(moved.map(({ home }) => home))].sort()).toEqual(['a', 'b', 'd']);
  await expectAgreement(sessions, [second, first]);

  await sessionServer('c', downPort);
  await untilState(first, 'c', 'up');
  await untilState(second, 'c', 'up');
  await expectAgreement(sessions, [first, second]);
});

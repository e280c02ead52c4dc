// Users who log in while one process replaces another and come back at once: only the session table knows their homes.

import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { type SessionServer, serversYaml, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

const USERS = 60;
/** One user who strays in one of many runs is one too many. */
const STRICT = { retry: 0, timeout: 60_000 };

function yamlFor(servers: readonly SessionServer[]): string {
  return `
threads: 2
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 10s }
pools:
  shop:
    sticky: { mode: learn, cookie: connect.sid }
    servers:
${serversYaml(servers)}`;
}

function replace(old: RunningHoldfast, yaml: string): Promise<RunningHoldfast> {
  return runHoldfast(yaml, { args: ['--takeover', old.adminUrl] });
}

function usersOf(holdfast: RunningHoldfast): User[] {
  const users = Array.from({ length: USERS }, (_, number) => new User(holdfast.port, number));
  onTestFinished(() => users.forEach((user) => void user.close()));
  return users;
}

/** Log in, come back over a new connection; one in three logs out. Says what went wrong. */
async function visit(user: User, turn: number, strayed: string[]): Promise<void> {
  if (turn % 2 === 1) user.close();
  await user.login();
  user.close();
  const reply = await user.get();
  const by = reply.header('x-served-by');
  if (by !== user.home || reply.status !== 200) strayed.push(`${user.home} -> ${by}, ${reply.status}`);
  if (turn % 3 === 2) await user.ask('POST', '/logout');
}

/** On their connections to a process that finishes: a third log out, the others log in again and come back. How many stay. */
async function lastReplies(users: readonly User[]): Promise<number> {
  const [leaving, staying] = [users.slice(0, USERS / 3), users.slice(USERS / 3)];
  await Promise.all(leaving.map((user) => user.ask('POST', '/logout')));
  const strayed: string[] = [];
  await Promise.all(
    staying.map(async (user) => {
      const reply = await user.login();
      expect(reply.header('connection')).toBe('close');
      if ((await user.where()) !== user.home) strayed.push(user.home);
    }),
  );
  expect(strayed).toEqual([]);
  return staying.length;
}

test('log-ins all the while, each user back at once: nobody changes home', STRICT, async () => {
  const servers = await sessionServers(3);
  const yaml = yamlFor(servers);
  const first = await runHoldfast(yaml);
  const strayed: string[] = [];
  let isOver = false;
  let visits = 0;
  const lanes = Promise.all(
    usersOf(first).map(async (user, number) => {
      for (let turn = number; !isOver; turn += 1, visits += 1) await visit(user, turn, strayed);
    }),
  );
  const more = async (count: number): Promise<unknown> => {
    const from = visits;
    return eventually(() => visits - from >= count);
  };
  await more(200);
  const second = await replace(first, yaml);
  await more(200);
  const third = await replace(second, yaml);
  await more(200);
  isOver = true;
  await lanes;
  expect(strayed).toEqual([]);
  expect(await third.metric('holdfast_session_moves_total')).toBe(0);
  expect(await second.exited()).toBe(0);
});

test(
  'the last reply of the old process begins or ends a session: the new one knows before the client does',
  STRICT,
  async () => {
    const servers = await sessionServers(3);
    const yaml = yamlFor(servers);
    const first = await runHoldfast(yaml);
    const users = usersOf(first);
    for (const user of users) await user.login();
    const second = await replace(first, yaml);
    // their connections are still the old process's, for one request each
    const staying = await lastReplies(users);
    expect(await first.exited()).toBe(0);
    await eventually(async () => (await second.metric('holdfast_sessions')) === staying);
    // and the value that each has had before, and the keys of those who have logged out, which begin no other for a minute
    expect(await second.metric('holdfast_session_table_entries')).toBe(
      2 * staying + (users.length - staying),
    );
    expect(await second.metric('holdfast_session_moves_total')).toBe(0);
  },
);

test(
  'the last reply comes from the process before the last: what it begins or ends is known two processes on',
  STRICT,
  async () => {
    const servers = await sessionServers(3);
    const yaml = yamlFor(servers);
    const first = await runHoldfast(yaml);
    const users = usersOf(first);
    for (const user of users) await user.login();
    const second = await replace(first, yaml);
    const third = await replace(second, yaml);
    const staying = await lastReplies(users);
    expect([await first.exited(), await second.exited()]).toEqual([0, 0]);
    await eventually(async () => (await third.metric('holdfast_sessions')) === staying);
    // and the value that each has had before, and the keys of those who have logged out, which begin no other for a minute
    expect(await third.metric('holdfast_session_table_entries')).toBe(2 * staying + (users.length - staying));
  },
);

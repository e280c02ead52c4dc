// `holdfast drain --wait` watches a server run empty, or ends it at the deadline.

import { describe, expect, test } from 'vitest';
import { DrainProgress } from '../../src/cli/drain-progress.ts';
import { command, commandInside, startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import {
  type SessionServer,
  serversYaml,
  sessionServer,
  sessionServers,
} from '../support/session-servers.ts';
import { User } from '../support/user.ts';

async function start(): Promise<{ holdfast: Holdfast; servers: SessionServer[]; users: User[] }> {
  const servers = await sessionServers(2);
  const holdfast = await runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: learn, cookie: connect.sid }
    servers:
${serversYaml(servers)}`);
  const users = Array.from({ length: 6 }, (_, number) => new User(holdfast.port, number));
  for (const user of users) await user.login();
  await eventually(async () => (await holdfast.status()).pools[0]!.sessions === users.length);
  return { holdfast, servers, users };
}

test('--wait shows what is left until the last session has ended', async () => {
  const { holdfast, users } = await start();
  const drain = startCommand(['drain', 'shop/a', '--wait', '--admin', holdfast.adminUrl]);
  await eventually(() => drain.err().includes('shop/a: 3 sessions, 0 requests in flight left\n'));
  const newcomer = new User(holdfast.port, 50);
  await newcomer.login();
  expect(newcomer.home).toBe('b');
  for (const user of users) {
    expect(await user.where()).toBe(user.home);
    if (user.home === 'a') await user.ask('POST', '/logout');
  }
  const { status, out, err } = await drain.ended;
  expect({ status, out }).toEqual({ status: 0, out: 'shop/a: empty, it can be stopped\n' });
  expect(err).toMatch(/shop\/a: 0 sessions, 0 requests in flight left, \d+\.\d fewer a minute/);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
});

test('--deadline ends the wait by maintenance: what is left gets a new home', async () => {
  const { holdfast, users } = await start();
  const args = ['drain', 'shop/a', '--wait', '--json', '--deadline', '1500ms', '--admin', holdfast.adminUrl];
  const { status, out, err } = await command(args);
  expect({ status, err }).toEqual({ status: 3, err: '' });
  const reports = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(reports.length).toBeGreaterThanOrEqual(2);
  const last = { pool: 'shop', server: 'a', sessions: 3, inFlight: 0, isEmpty: false, isOver: true };
  expect(reports.at(-1)).toMatchObject(last);
  expect((await holdfast.status()).pools[0]!.servers.map(({ mode }) => mode)).toEqual([
    'maintenance',
    'ready',
  ]);
  for (const user of users) expect(await user.where()).toBe('b');
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'operator' })).toBe(3);
});

test('a drain that somebody undoes ends with status 1; Ctrl-C says that the server is still draining', async () => {
  const { holdfast } = await start();
  const drain = startCommand(['drain', 'shop/a', '--wait', '--admin', holdfast.adminUrl]);
  const other = startCommand(['drain', 'shop/b', '--wait', '--admin', holdfast.adminUrl]);
  await eventually(() => drain.err() !== '' && other.err() !== '');
  await commandInside(['ready', 'shop/a', '--admin', holdfast.adminUrl]);
  other.child.kill('SIGINT');
  expect((await drain.ended).status).toBe(1);
  expect(drain.err()).toContain('shop/a was set to ready by somebody else, no longer waiting\n');
  expect((await other.ended).status).toBe(130);
  expect(other.err()).toContain('shop/b is still draining; undo it by: holdfast ready shop/b\n');
  expect((await holdfast.status()).pools[0]!.servers.map(({ mode }) => mode)).toEqual(['ready', 'drain']);
});

describe('the estimate', () => {
  test('is the rate of the last minute', () => {
    const progress = new DrainProgress();
    expect(progress.observe(100, 2, 0)).toEqual({
      sessions: 100,
      inFlight: 2,
      sessionsPerMinute: null,
      secondsLeft: null,
      isEmpty: false,
    });
    expect(progress.observe(90, 1, 10_000)).toMatchObject({ sessionsPerMinute: 60, secondsLeft: 90 });
    expect(progress.observe(90, 1, 65_000)).toMatchObject({ sessionsPerMinute: 0, secondsLeft: null });
    expect(progress.observe(95, 0, 66_000)).toMatchObject({ sessionsPerMinute: -5.4, secondsLeft: null });
  });

  test('a server is empty once it has been so for longer than a sweep takes', () => {
    const progress = new DrainProgress();
    const isEmpty = (sessions: number, inFlight: number, atMs: number): boolean =>
      progress.observe(sessions, inFlight, atMs).isEmpty;
    expect([
      isEmpty(0, 0, 0),
      isEmpty(0, 0, 2_000),
      isEmpty(1, 0, 3_000),
      isEmpty(0, 0, 4_000),
    ]).not.toContain(true);
    expect([isEmpty(0, 1, 5_000), isEmpty(0, 0, 6_000), isEmpty(0, 0, 8_000), isEmpty(0, 0, 8_600)]).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });
});

test('ready --wait returns when the server takes part; at the deadline it says why it does not', async () => {
  const { holdfast, servers } = await start();
  const server = servers[1]!;
  expect(await commandInside(['maintenance', 'b', '--admin', holdfast.adminUrl])).toMatchObject({
    status: 0,
  });
  await server.close();
  const ready = (...more: string[]) =>
    commandInside(['ready', 'b', '--wait', ...more, '--admin', holdfast.adminUrl]);
  expect(await ready('--deadline', '300ms')).toEqual({
    status: 3,
    out: expect.stringMatching(/^shop\/b: ready, /),
    err: expect.stringMatching(/^shop\/b takes no part: /),
  });
  const waiting = ready();
  await sessionServer('b', server.port);
  const { status, out } = await waiting;
  expect([status, out]).toEqual([0, expect.stringMatching(/^shop\/b: ready, up, /)]);
});

test('whoever drains the last server is told', async () => {
  const { holdfast } = await start();
  const drain = (name: string) => commandInside(['drain', name, '--admin', holdfast.adminUrl]);
  expect((await drain('a')).err).toBe('');
  expect((await drain('shop/b')).err).toBe(
    'warning: pool shop has no server for new sessions now: their requests get 503\n',
  );
});

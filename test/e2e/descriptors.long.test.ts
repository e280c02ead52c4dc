// Descriptors are a budget: strangers who only connect use up neither those of users nor those of checks and admin, and
// having none left says nothing about a server.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { get, type Talker, talkTo } from '../support/talker.ts';

const LIMIT = 256;
const USERS = 10;
const STRANGERS = 400;
const USE_UP = new URL('../support/use-up-descriptors.mjs', import.meta.url).href;

function backends(headers = ''): Promise<ScriptedBackend[]> {
  return Promise.all(
    ['a', 'b'].map((name) =>
      scriptedBackend({
        '*': ({ finish }) => finish(`HTTP/1.1 200 OK\r\n${headers}Content-Length: 1\r\n\r\n${name}`),
      }),
    ),
  );
}

function yaml(servers: readonly ScriptedBackend[]): string {
  const list = servers.map(({ url }, index) => `{ name: ${'ab'[index]}, url: ${url} }`);
  return `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
pools: { p: { sticky: { mode: cookie-hash }, health: { interval: 100ms, fall: 1 }, servers: [${list.join(', ')}] } }
`;
}

interface User {
  readonly talker: Talker;
  readonly cookie: string;
  readonly home: string;
}

async function logIn(port: number): Promise<User> {
  const talker = await talkTo(port);
  talker.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const reply = await talker.reply();
  return { talker, cookie: reply.get('set-cookie')?.split(';')[0] ?? '', home: reply.body };
}

async function ask({ talker, cookie }: User): Promise<string> {
  talker.send(`GET / HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`);
  const reply = await talker.reply();
  return reply.status === 200 ? reply.body : (reply.get('x-holdfast-error') ?? '');
}

function strangers(port: number): Socket[] {
  return Array.from({ length: STRANGERS }, () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    return socket;
  });
}

const under = ['sh', '-c', `ulimit -n ${LIMIT}; exec "$@"`, 'sh'];

test('strangers who only connect, to listener and admin, leave users their homes and servers their verdicts', async () => {
  const holdfast = await runHoldfast(yaml(await backends()), { under });
  expect(holdfast.log()).toMatch(
    /256 file descriptors, \d+ kept for checks, admin and log: at most \d+ client/,
  );
  const most = Number(/at most (\d+) client/.exec(holdfast.log())?.[1]);
  expect(await holdfast.metric('holdfast_descriptors_limit')).toBe(LIMIT);
  const users = await Promise.all(Array.from({ length: USERS }, () => logIn(holdfast.port)));

  const held = strangers(holdfast.port);
  const heldToo = strangers(Number(new URL(holdfast.adminUrl).port));
  await eventually(() => held.filter(({ readyState }) => readyState !== 'opening').length === STRANGERS);
  for (let round = 0; round < 5; round += 1) {
    for (const user of users) expect(await ask(user)).toBe(user.home);
  }
  for (const socket of heldToo) socket.destroy();
  await eventually(async () => (await holdfast.metric('holdfast_client_connections')) <= most);
  expect(await holdfast.metric('holdfast_descriptors')).toBeLessThan(LIMIT - 10);
  expect(await holdfast.metric('holdfast_server_transitions_total', { to: 'down' })).toBe(0);
  for (const socket of held) socket.destroy();
  for (const { talker } of users) talker.socket.destroy();
  await eventually(async () => (await holdfast.metric('holdfast_client_connections')) === 0);
  expect((await get(holdfast.port, '/')).status).toBe(200);
});

test('with no descriptor left, checks and traffic say nothing about a server, and no session moves', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-descriptors-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'full');
  // each request needs a connection to the server of its own
  const holdfast = await runHoldfast(yaml(await backends('Connection: close\r\n')), {
    under,
    env: { NODE_OPTIONS: `--import=${USE_UP}`, USE_UP_DESCRIPTORS: file },
  });
  const users = await Promise.all(Array.from({ length: USERS }, () => logIn(holdfast.port)));
  const checks = await holdfast.metric('holdfast_health_checks_total');
  writeFileSync(file, '');
  const seen = new Set<string>();
  await eventually(async () => {
    for (const user of users) {
      const answer = await ask(user);
      expect(answer === user.home || answer === 'out-of-resources').toBe(true);
      seen.add(answer);
    }
    return seen.has('out-of-resources');
  });
  for (let round = 0; round < 20; round += 1) for (const user of users) await ask(user);
  rmSync(file);
  await eventually(async () => (await ask(users[0] as User)) === users[0]?.home);
  for (const user of users) expect(await ask(user)).toBe(user.home);
  await eventually(async () => (await holdfast.metric('holdfast_health_checks_total')) > checks);
  const sum = (name: string, labels = {}): Promise<number> => holdfast.metric(name, labels);
  expect(await sum('holdfast_health_checks_total', { result: 'failure' })).toBe(0);
  expect(await sum('holdfast_server_transitions_total', { to: 'down' })).toBe(0);
  expect(await sum('holdfast_passive_failures_total')).toBe(0);
  expect(await sum('holdfast_sessions_lost_total')).toBe(0);
  expect(await sum('holdfast_rejected_requests_total', { reason: 'out-of-resources' })).toBeGreaterThan(0);
});

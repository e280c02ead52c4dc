// Sessions whose cookie rolls with each answer, and keys that clients have made, over a takeover and a restart.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { serversYaml } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

const USERS = 6;
let serial = 0;

/** Answers each request for / with another value of the cookie, /plain with none. */
async function rollingServer(name: string) {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      serial += 1;
      const isPlain = bytes.toString('latin1').startsWith('GET /plain');
      const cookie = isPlain ? '' : `set-cookie: sid=${name}${serial}; Path=/\r\n`;
      socket.write(`HTTP/1.1 200 x\r\nx-served-by: ${name}\r\n${cookie}content-length: 0\r\n\r\n`);
    });
  });
  return Object.assign(backend, { name });
}

test('nobody loses the home, and the counts are the same', { timeout: 90_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-values-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const servers = await Promise.all(['a', 'b', 'c'].map(rollingServer));
  const yaml = `
threads: 2
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
sessions: { file: ${join(directory, 'sessions')} }
pools:
  shop:
    sticky: { mode: learn, cookie: sid }
    servers:
${serversYaml(servers)}`;
  const first = await runHoldfast(yaml);
  const users = Array.from({ length: 2 * USERS }, (_, number) => new User(first.port, number));
  onTestFinished(() => users.forEach((user) => void user.close()));
  const making = users.slice(USERS);
  making.forEach((user, number) => void user.jar.set('sid', `made-${number}`));
  const strayed: string[] = [];
  const visit = async (port: number): Promise<void> => {
    for (const user of users) {
      const back = new User(port, 0);
      for (const [name, value] of user.jar) back.jar.set(name, value);
      const served = await back.where(making.includes(user) ? '/plain' : '/');
      for (const [name, value] of back.jar) user.jar.set(name, value);
      back.close();
      if (user.home === '') user.home = served;
      else if (served !== user.home) strayed.push(`${user.home} -> ${served}`);
    }
  };
  for (let round = 0; round < 3; round += 1) await visit(first.port);
  await eventually(async () => (await first.metric('holdfast_sessions')) === USERS);
  const second = await runHoldfast(yaml, { args: ['--takeover', first.adminUrl] });
  await eventually(async () => (await second.metric('holdfast_sessions')) === USERS);
  await visit(second.port);
  await second.stop();
  const third = await runHoldfast(yaml);
  await visit(third.port);
  expect(strayed).toEqual([]);
  await eventually(async () => (await third.metric('holdfast_sessions')) === USERS);
  expect(await third.metric('holdfast_session_moves_total')).toBe(0);
});

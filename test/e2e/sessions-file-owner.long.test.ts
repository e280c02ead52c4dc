// The sessions file of a running balancer: nobody else's, kept through a crash, refused where it cannot be.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { keysOf, readSessions } from '../../src/sessions/store.ts';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { LAUNCHER } from '../support/launcher.ts';
import { rawClient } from '../support/raw-client.ts';
import { serversYaml, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

test('a second process with the same file does not start; after SIGKILL the next has the sessions', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-owner-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const servers = await sessionServers(2);
  const yaml = `
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
sessions: { file: ${directory}/s, saveEvery: 1s }
pools:
  shop:
    sticky: { mode: learn, cookie: connect.sid }
    servers:
${serversYaml(servers)}
`;
  const first = await runHoldfast(yaml);
  const users = Array.from({ length: 8 }, (_, number) => new User(first.port, number));
  for (const user of users) await user.login();
  await expect(runHoldfast(yaml)).rejects.toThrow(/another process does/);
  await eventually(() => keysIn(`${directory}/s`) >= 16);
  first.child.kill('SIGKILL');
  await first.exited();
  for (const user of users) await user.close();
  const second = await runHoldfast(yaml);
  expect(second.log()).toMatch(/"restored":8/);
  expect(await second.stop()).toBe(0);
  expect(existsSync(`${directory}/s.owner`)).toBe(false);
});

test('a process that is replaced lets go of the file while it finishes; the next one owns it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-owner-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
    );
  });
  const yaml = `
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 20s }
sessions: { file: ${directory}/s, saveEvery: 1s }
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`;
  const first = await runHoldfast(yaml);
  const client = await rawClient(first.port);
  client.send('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  await client.until('101');
  await eventually(() => hasOpen(first, `${directory}/s`));
  const second = await runHoldfast(yaml, { args: ['--takeover', first.adminUrl] });
  await eventually(() => hasOpen(second, `${directory}/s`));
  // for longer than it would take the first to save again
  const endMs = performance.now() + 3000;
  while (performance.now() < endMs) {
    expect([first.child.exitCode, hasOpen(first, `${directory}/s`)]).toEqual([null, false]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await expect(runHoldfast(yaml)).rejects.toThrow(/another process does/);
});

test('a successor that keeps its sessions elsewhere leaves what is there, keeps the secret too, and takes no file of a third', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-owner-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const servers = await sessionServers(3);
  const yaml = (name: string): string => `
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
${name === '' ? '' : `sessions: { file: ${directory}/${name}, saveEvery: 1s }`}
pools:
  shop:
    sticky: { mode: learn, cookie: connect.sid }
    servers:
${serversYaml(servers)}
`;
  const first = await runHoldfast(yaml(''));
  const users = Array.from({ length: 8 }, (_, number) => new User(first.port, number));
  for (const user of users) await user.login();
  const third = await runHoldfast(yaml('thirds'));
  const args = ['--takeover', first.adminUrl];
  await expect(runHoldfast(yaml('thirds'), { args })).rejects.toThrow(/another process does/);
  await expect(runHoldfast(yaml('thirds'))).rejects.toThrow(/another process does/);
  await third.stop();
  writeFileSync(`${directory}/s`, 'of another version');
  const second = await runHoldfast(yaml('s'), { args });
  await eventually(() => keysIn(`${directory}/s`) >= 16);
  expect(readFileSync(`${directory}/s.aside`, 'utf8')).toBe('of another version');
  for (const user of users) await user.close();
  second.child.kill('SIGKILL');
  await second.exited();
  const last = await runHoldfast(yaml('s'));
  expect(last.log()).toMatch(/"restored":8/);
  for (const { jar, home } of users) {
    const back = new User(last.port, 0);
    for (const [name, value] of jar) back.jar.set(name, value);
    expect([await back.where(), home]).toEqual([home, home]);
    back.close();
  }
});

/** Low and high words of keys, two for each. */
function keysIn(file: string): number {
  const stored = readSessions(file, 1000);
  if (stored.kind !== 'read') return 0;
  return keysOf(stored.contents).length + stored.changes.flatMap(keysOf).length;
}

/** Whether the process writes to the file. */
function hasOpen({ child }: RunningHoldfast, file: string): boolean {
  const fds = `/proc/${child.pid}/fd`;
  return readdirSync(fds).some((fd) => linkOf(`${fds}/${fd}`) === file);
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

test('a place that cannot be written is an error of check, with its line, and of the start', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-place-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'c.yaml');
  const yaml = `listen: 127.0.0.1:0
sessions:
  file: ${directory}/no/s
pools: { shop: { servers: ["http://127.0.0.1:1"] } }
`;
  writeFileSync(file, yaml);
  const check = spawnSync(process.execPath, [LAUNCHER, 'check', '--config', file], { encoding: 'utf8' });
  expect(check.stderr).toMatch(
    new RegExp(`^${file}:3:\\d+: sessions.file: .*no/s cannot be written: ENOENT`),
  );
  expect(check.status).toBe(1);
  await expect(runHoldfast(yaml)).rejects.toThrow(/exited with 1[\s\S]*cannot keep the sessions: .*ENOENT/);
});

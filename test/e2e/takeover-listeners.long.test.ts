// What the new process makes of the old one's listening sockets: more or fewer threads, listeners that come and go,
// threads that die, processes that fail half-way. Clients come all the while, each over a connection of its own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { cannedBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, reload, runHoldfast } from '../support/holdfast.ts';
import { LAUNCHER } from '../support/launcher.ts';
import { needsAddress } from '../support/needs.ts';
import { newcomers } from '../support/newcomers.ts';
import { rawClient } from '../support/raw-client.ts';

const FAULT = new URL('../support/worker-fault.mjs', import.meta.url).href;
const AT_ONCE = 12;

async function yamlOf(listen: string): Promise<(listen?: string) => string> {
  const backend = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  return (other = listen) => `
listen: ${other}
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 2s }
pools: { shop: { health: { path: /, interval: 1s }, servers: ["${backend.url}"] } }
`;
}

function replace(
  old: RunningHoldfast,
  yaml: string,
  threads = 2,
  env: Record<string, string> = {},
): Promise<RunningHoldfast> {
  return runHoldfast(yaml, { threads, env, args: ['--takeover', old.adminUrl] });
}

async function more(clients: { served(): number }, count = 300): Promise<void> {
  const from = clients.served();
  await eventually(() => clients.served() - from >= count);
}

test.for(['127.0.0.1', '::1'])(
  'from two threads to five, one and two again, on %s',
  { timeout: 90_000 },
  async (host, { skip }) => {
    needsAddress(host, skip);
    const yaml = (await yamlOf(host === '::1' ? '"[::1]:0"' : `${host}:0`))();
    let now = await runHoldfast(yaml, { threads: 2 });
    const { port } = now;
    const clients = newcomers(port, AT_ONCE, host);
    await more(clients);
    for (const threads of [5, 1, 2]) {
      const old = now;
      now = await replace(old, yaml, threads);
      expect(now.port).toBe(port);
      expect((await now.status()).threads).toBe(threads);
      expect(await old.exited()).toBe(0);
      // none of the sockets is listened on by nobody
      await more(clients);
    }
    await clients.stop();
    expect(clients.failures).toEqual([]);
  },
);

test('a listener that the new configuration has not is closed, one that is new is opened', async () => {
  const yaml = await yamlOf('[{ address: 127.0.0.1:0 }, { address: 127.0.0.2:0 }]');
  const first = await runHoldfast(yaml(), { threads: 2 });
  const clients = newcomers(first.port, AT_ONCE);
  const second = await replace(first, yaml('[{ address: 127.0.0.3:0 }, { address: 127.0.0.1:0 }]'));
  expect(second.ports[1]).toBe(first.port);
  await eventually(() => visit(first.ports[1]!, '127.0.0.2').then((outcome) => outcome === 'ECONNREFUSED'));
  expect(await visit(second.ports[0]!, '127.0.0.3')).toBe('200');
  await more(clients);
  // the listener that was taken over ends by a reload like any other
  await clients.stop();
  expect(clients.failures).toEqual([]);
  await reload(second, yaml('127.0.0.3:0'));
  await eventually(() => visit(first.port, '127.0.0.1').then((outcome) => outcome === 'ECONNREFUSED'));
  expect(await visit(second.ports[0]!, '127.0.0.3')).toBe('200');
}, 60_000);

test('a thread that dies after a takeover listens again; then the next process takes over', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-faults-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const yaml = (await yamlOf('127.0.0.1:0'))();
  const first = await runHoldfast(yaml, { threads: 2 });
  const env = { NODE_OPTIONS: `--import=${FAULT}`, HOLDFAST_TEST_FAULTS: directory };
  const second = await replace(first, yaml, 1, env);
  writeFileSync(join(directory, 'worker-0'), '');
  await eventually(async () => (await second.metric('holdfast_worker_restarts_total')) === 1);
  await eventually(() => visit(first.port, '127.0.0.1').then((outcome) => outcome === '200'));
  const clients = newcomers(first.port, AT_ONCE);
  const third = await replace(second, yaml, 2);
  expect(await second.exited()).toBe(0);
  await more(clients);
  await clients.stop();
  expect(clients.failures).toEqual([]);
  expect(third.port).toBe(first.port);
}, 60_000);

test('a thread that hangs holds up neither the next process nor what the others finish', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-faults-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const yaml = (await yamlOf('127.0.0.1:0'))().replace(
    'shop: {',
    'shop: { sticky: { mode: header-hash, header: x-user },',
  );
  const env = { NODE_OPTIONS: `--import=${FAULT}`, HOLDFAST_TEST_FAULTS: directory };
  const first = await runHoldfast(yaml, { threads: 2, env });
  const clients = await Promise.all(Array.from({ length: 16 }, () => rawClient(first.port)));
  const ask = (): void => {
    for (const [user, client] of clients.entries())
      client.send(`GET / HTTP/1.1\r\nhost: x\r\nx-user: ${user}\r\n\r\n`);
  };
  const answers = (): number =>
    clients.reduce((sum, client) => sum + client.received().split('HTTP/1.1 200').length - 1, 0);
  ask();
  await eventually(() => answers() === clients.length);
  const fault = join(directory, 'worker-0');
  writeFileSync(fault, 'hang');
  await eventually(() => !existsSync(fault));
  const second = await replace(first, yaml);
  expect(second.log()).toContain('took over');
  ask();
  await eventually(() => answers() > clients.length);
  expect(await first.exited()).toBe(0);
});

test('a new process that fails before it is ready, or is killed, leaves the old one as it was', async () => {
  const yaml = await yamlOf('127.0.0.1:0');
  const first = await runHoldfast(yaml(), { threads: 2 });
  const clients = newcomers(first.port, AT_ONCE);
  const taken = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await once(taken, 'listening');
  const address = `127.0.0.1:${(taken.address() as { port: number }).port}`;
  const failing = replace(first, yaml(`[{ address: 127.0.0.1:0 }, { address: ${address} }]`));
  await expect(failing).rejects.toThrow('the port is taken');
  const adminTaken = yaml().replace('admin: { address: 127.0.0.1:0 }', `admin: { address: "${address}" }`);
  await expect(replace(first, adminTaken)).rejects.toThrow('the port is taken');

  // it waits for the first health check, so it has the sockets but is not ready
  const silent = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void silent.close());
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const configFile = join(first.directory, 'silent.yaml');
  writeFileSync(
    configFile,
    `
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools: { shop: { health: { path: /, timeout: 10s }, servers: ["http://127.0.0.1:${port}"] } }
`,
  );
  const child = spawn(process.execPath, [
    LAUNCHER,
    ...['run', '--config', configFile, '--takeover', first.adminUrl],
  ]);
  await once(silent, 'connection');
  child.kill('SIGKILL');
  await once(child, 'exit');
  await more(clients);

  const second = await replace(first, yaml());
  expect(await first.exited()).toBe(0);
  await more(clients);
  await clients.stop();
  expect(clients.failures).toEqual([]);
  expect(second.port).toBe(first.port);
}, 60_000);

test('a process that has been replaced and finishes does not listen again because it is told to reload', async () => {
  const { first, second } = await replacedWhileBusy();
  first.child.kill('SIGHUP');
  await eventually(() => /reload/.test(first.log()));
  second.child.kill('SIGKILL');
  await second.exited();
  expect(await visit(first.port, '127.0.0.1')).toBe('ECONNREFUSED');
  expect(first.child.exitCode).toBeNull();
  expect(first.log()).toContain('reload refused, nothing has changed: this balancer is stopping');
}, 60_000);

test('a process that has taken over ends when it is told to, though the one before it still finishes', async () => {
  const { first, second } = await replacedWhileBusy();
  expect(await second.stop()).toBe(0);
  expect(first.child.exitCode).toBeNull();
});

test('a process that cannot save its sessions for the next keeps them and goes on', async () => {
  const yaml = (await yamlOf('127.0.0.1:0'))().replace(
    'shop: {',
    'shop: { sticky: { mode: header-hash, header: x-user },',
  );
  const under = ['sh', '-c', 'ulimit -f 1; exec "$@"', 'sh'];
  const first = await runHoldfast(yaml, { under });
  for (let user = 0; user < 60; user += 1)
    expect((await fetch(first.url, { headers: { 'x-user': String(user) } })).status).toBe(200);
  await expect(replace(first, yaml)).rejects.toThrow(/saving the sessions: writing .* failed: EFBIG/);
  expect(await visit(first.port, '127.0.0.1')).toBe('200');
  await eventually(async () => (await first.metric('holdfast_sessions')) === 60);
});

test('who asked first but comes after another has asked is turned away', async () => {
  const yaml = (await yamlOf('127.0.0.1:0'))();
  const first = await runHoldfast(yaml, { threads: 2 });
  const clients = newcomers(first.port, AT_ONCE);
  const outcomes = await Promise.allSettled([
    replace(first, yaml),
    replace(first, yaml),
    replace(first, yaml),
  ]);
  const won = outcomes.filter(({ status }) => status === 'fulfilled');
  expect(won.length).toBe(1);
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(String(outcome.reason)).toMatch(/cannot take over/);
  expect(await first.exited()).toBe(0);
  await more(clients);
  await clients.stop();
  expect(clients.failures).toEqual([]);
}, 60_000);

/** The first process has a WebSocket to finish, and 30 s for it. */
async function replacedWhileBusy(): Promise<{ first: RunningHoldfast; second: RunningHoldfast }> {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
    );
  });
  const yaml = `
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 30s }
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`;
  const first = await runHoldfast(yaml, { threads: 2 });
  const staying = await rawClient(first.port);
  staying.send('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  await staying.until('101');
  const second = await replace(first, yaml);
  return { first, second };
}

/** Status of a GET, or the code of the error. */
async function visit(port: number, host: string): Promise<string> {
  try {
    const client = await rawClient(port, host);
    client.send('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    return (await client.closed()).text.slice(9, 12);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

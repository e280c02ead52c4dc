// `holdfast demo`, which is what `npm start` runs: up in seconds, a log-in works, a killed server is survived, Ctrl-C
// leaves nothing behind, a taken port is said plainly.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Visitor } from '../demo/visitor.ts';
import { ByteReader } from '../support/byte-reader.ts';
import { command, startCommand } from '../support/command.ts';
import { type RunningDemo, runDemo } from '../support/demo.ts';
import { eventually } from '../support/eventually.ts';
import { commandsOf } from '../support/guide.ts';
import { launcherFor } from '../support/launcher.ts';
import { needs } from '../support/needs.ts';

const ANY_PORTS = ['--port', '0', '--admin-port', '0', '--backend-port', '0', '--threads', '2'];

/** Ready to serve. */
async function startDemo(...args: readonly string[]): Promise<RunningDemo> {
  const demo = await runDemo('--threads', '2', ...args);
  await eventually(async () => (await fetch(`${demo.adminUrl}/readyz`)).status === 200);
  return demo;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** What was written to standard error beside the log: on a busy machine a health check may be late, and be logged. */
function complaints(err: string): string[] {
  return err.split('\n').filter((line) => line !== '' && !line.startsWith('{"level":"warn",'));
}

/** Every process below this one, by /proc. */
function descendants(pid: number): number[] {
  try {
    const tasks = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    const children = tasks === '' ? [] : tasks.split(' ').map(Number);
    return children.flatMap((child) => [child, ...descendants(child)]);
  } catch {
    return [];
  }
}

describe('holdfast demo', () => {
  test('speaks https where that is wanted', async () => {
    const demo = await startDemo('--tls');
    const { port } = new URL(demo.url);
    expect(demo.url).toBe(`https://127.0.0.1:${port}`);
    const reader = await ByteReader.open(Number(port), true);
    onTestFinished(() => void reader.socket.destroy());
    reader.socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect((await reader.response('GET')).status).toBe(200);
    expect(demo.command.out()).toContain('curl -sk');
  });

  test('brings up servers, balancer and admin; the page, a log-in and the dashboard answer', async () => {
    const demo = await startDemo();
    expect(demo.pids.size).toBe(4);
    const visitor = new Visitor();
    const page = await visitor.get(`${demo.url}/`);
    expect([page.status, page.body.text?.includes('<html')]).toEqual([200, true]);
    expect((await visitor.login(demo.url, 'alice')).status).toBe(200);
    for (let count = 1; count <= 5; count += 1) {
      const { status, body } = await visitor.post(`${demo.url}/inc`);
      expect([status, body.counter]).toEqual([200, count]);
    }
    const { status, body } = await visitor.get(`${demo.url}/whoami`);
    expect([status, body.user]).toEqual([200, 'alice']);
    expect((await fetch(`${demo.adminUrl}/`)).status).toBe(200);
    expect((await fetch(`${demo.adminUrl}/metrics`)).status).toBe(200);
    const shown = await command(['status', '--admin', demo.adminUrl]);
    expect(shown.out).toMatch(/pool demo: least-sessions, sticky cookie-hash, state local/);
  });

  test('survives kill -9 of the server that has the session: one log-in again, no error', async () => {
    const demo = await startDemo();
    const visitor = new Visitor();
    await visitor.login(demo.url, 'bob');
    const { pid } = (await visitor.get(`${demo.url}/whoami`)).body as { pid: number };
    expect([...demo.pids.values()]).toContain(pid);
    process.kill(pid, 'SIGKILL');
    const statuses: number[] = [];
    for (let count = 0; count < 20; count += 1)
      statuses.push((await visitor.get(`${demo.url}/whoami`)).status);
    expect(statuses).toEqual(Array.from({ length: 20 }, () => 401));
    expect((await visitor.login(demo.url, 'bob')).status).toBe(200);
    expect((await visitor.get(`${demo.url}/whoami`)).status).toBe(200);
    expect(demo.command.child.exitCode).toBe(null);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s stops everything: no process is left, exit status 0',
    async (signal) => {
      const demo = await startDemo('--servers', '3');
      const { child } = demo.command;
      const all = [child.pid ?? 0, ...descendants(child.pid ?? 0), ...demo.pids.values()];
      expect(all.length).toBeGreaterThanOrEqual(4);
      const visitor = new Visitor();
      await visitor.login(demo.url, 'alice');
      child.kill(signal);
      const { status, err } = await demo.command.ended;
      expect([status, ...complaints(err)]).toEqual([0]);
      expect(all.filter(isAlive)).toEqual([]);
    },
  );

  test('Ctrl-C in a terminal reaches every process at once, and that is no error either', async () => {
    const demo = await startDemo('--servers', '2');
    const { child } = demo.command;
    const all = [child.pid ?? 0, ...demo.pids.values()];
    for (const pid of all) process.kill(pid, 'SIGINT');
    const { status, err } = await demo.command.ended;
    expect([status, ...complaints(err)]).toEqual([0]);
    expect(all.filter(isAlive)).toEqual([]);
  });

  test('Ctrl-C while it is still starting leaves nothing behind either', async () => {
    const demo = startCommand(['demo', ...ANY_PORTS]);
    const { pid = 0 } = demo.child;
    const children = await eventually(() => (descendants(pid).length >= 2 ? descendants(pid) : null));
    demo.child.kill('SIGINT');
    await demo.ended;
    await eventually(() => !children.some(isAlive));
  });

  test('prints a script that works when it is pasted: log in, kill, look, start again, drain', async ({
    skip,
  }) => {
    needs('curl', skip);
    const demo = await startDemo();
    const lines = demo.command
      .out()
      .split('\n')
      .filter((line) => /^ {4}\S/.test(line) && !line.includes('npm run load'))
      // the shell waits for what the user would see happen
      .map((line) => line.replace('npx holdfast', '"$NODE" "$HOLDFAST"'))
      .flatMap((line) => [`echo "+${line.trim().replace(/["$\\`]/g, '\\$&')}"`, line]);
    const back = `until [ "$("$NODE" "$HOLDFAST" status --json --admin ${demo.adminUrl} | grep -o '"state":"up"' | wc -l)" = 4 ]; do :; done`;
    const script = lines.flatMap((line) => (/^ +kill -USR2/.test(line) ? [line, back] : [line])).join('\n');
    const { stdout, stderr } = await promisify(execFile)('sh', ['-eu', '-c', script], {
      env: { ...process.env, NODE: process.execPath, HOLDFAST: launcherFor('status') },
    });
    expect(stderr).toBe('');
    const [, ...steps] = stdout.split(/^\+/m);
    const said = (begin: string): string[] =>
      steps.filter((step) => step.startsWith(begin)).map((step) => step.slice(step.indexOf('\n') + 1).trim());
    const asked = said('me whoami').flatMap((text) => text.split('\n').map((line) => JSON.parse(line)));
    expect(asked.map(({ user, error }) => user ?? error)).toEqual([
      'alice',
      'alice',
      'alice',
      expect.stringContaining('log'),
      'alice',
    ]);
    expect(new Set(asked.slice(0, 3).map(({ server }) => server)).size).toBe(1);
    expect(said('"$NODE" "$HOLDFAST" events').join()).toMatch(new RegExp(`demo/${asked[0].server} down`));
    expect(said('"$NODE" "$HOLDFAST" status')[0]).toMatch(/^degraded: demo\/[a-d] down /);
    expect(demo.command.out()).toMatch(new RegExp(`server ${asked[0].server} .* is back`));
  });

  test('does what the short script of README.md says', async ({ skip }) => {
    needs('curl', skip);
    const demo = await startDemo();
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const lines = commandsOf(readme);
    const script = lines.slice(
      lines.indexOf('jar=$(mktemp)'),
      lines.findIndex((line) => line.startsWith('npx holdfast status')) + 1,
    );
    expect(script).toHaveLength(8);
    const own = script
      .join('\n')
      .replaceAll('npx holdfast', '"$NODE" "$HOLDFAST"')
      .replaceAll('http://127.0.0.1:8080', demo.url);
    const { stdout } = await promisify(execFile)('bash', ['-eu', '-c', own], {
      env: {
        ...process.env,
        NODE: process.execPath,
        HOLDFAST: launcherFor('status'),
        HOLDFAST_ADMIN_URL: demo.adminUrl,
      },
    });
    const asked = stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
    const seen = asked.map(({ user, error }) => user ?? error);
    // the log-in, three looks, and one after the server is gone
    expect(seen).toEqual(['alice', 'alice', 'alice', 'alice', expect.stringContaining('log')]);
    expect(stdout).toMatch(/^pool demo: /m);
  });

  test('names the process that keeps the sessions, so that it can be killed as well', async () => {
    const demo = await startDemo('--servers', '2', '--architecture', 'database');
    const pid = Number(/^ {4}kill -9 (\d+)$/m.exec(demo.command.out())?.[1]);
    expect(descendants(demo.command.child.pid ?? 0)).toContain(pid);
    expect([...demo.pids.values()]).not.toContain(pid);
  });

  test.for(['database', 'home'])(
    '%s: a store that was killed is started again by SIGUSR2',
    async (architecture, { skip }) => {
      const isHome = architecture === 'home';
      if (isHome) needs('redis', skip);
      const alice = (isBacked: boolean): object => ({ user: 'alice', ...(isHome && { isBacked }) });
      const demo = await startDemo('--servers', '2', '--architecture', architecture);
      const pid = Number(/^ {4}kill -9 (\d+)$/m.exec(demo.command.out())?.[1]);
      const visitor = new Visitor();
      await visitor.login(demo.url, 'alice');
      const whoami = async (): Promise<unknown> => (await visitor.get(`${demo.url}/whoami`)).body;
      expect(await whoami()).toMatchObject(alice(true));
      process.kill(pid, 'SIGKILL');
      await eventually(() => !isAlive(pid));
      await visitor.post(`${demo.url}/inc`);
      if (isHome) expect(await whoami()).toMatchObject(alice(false));
      demo.command.child.kill('SIGUSR2');
      await eventually(() => /^ {2}the store {3}pid \d+ {3}is back$/m.test(demo.command.out()));
      const expected = expect.objectContaining(alice(true));
      await eventually(async () => expected.asymmetricMatch(await whoami()));
    },
  );

  test.each(['cookie-pin', 'learn', 'address-hash'])('--sticky %s keeps a log-in', async (mode) => {
    const demo = await startDemo('--servers', '3', '--sticky', mode);
    for (const user of ['alice', 'bob']) {
      const visitor = new Visitor();
      await visitor.login(demo.url, user);
      for (let count = 1; count <= 4; count += 1) {
        expect((await visitor.post(`${demo.url}/inc`)).body.counter).toBe(count);
      }
    }
  });
});

describe('a taken port', () => {
  test.each([
    [
      '--port',
      /^cannot listen on 127\.0\.0\.1:PORT: the port is taken by another process; .* \(--port, --admin-port\)\n$/,
    ],
    ['--admin-port', /^admin cannot listen on 127\.0\.0\.1:PORT: another program listens there; .*\n$/],
    ['--backend-port', /^port PORT for backend a is taken; choose another with --backend-port\n$/],
  ])('%s: a clear message, status 1, everything stopped', async (option, message) => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    onTestFinished(() => {
      blocker.close();
    });
    const { port } = blocker.address() as AddressInfo;
    const demo = startCommand(['demo', ...ANY_PORTS, '--servers', '2', option, String(port)]);
    const seen = new Set<number>();
    const watch = setInterval(() => {
      for (const pid of descendants(demo.child.pid ?? 0)) seen.add(pid);
    }, 10);
    const { status, err } = await demo.ended;
    clearInterval(watch);
    expect(status).toBe(1);
    // A slow machine may log a server's state before; the message is what is no log line.
    const said = err.replace(/^\{.*\}\n/gm, '');
    expect(said.replaceAll(String(port), 'PORT')).toMatch(message);
    expect(seen.size).toBeGreaterThanOrEqual(1);
    expect([...seen].filter(isAlive)).toEqual([]);
  });
});

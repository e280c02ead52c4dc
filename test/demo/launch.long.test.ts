import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { demoBalancerConfig } from '../../demo/balancer-config.ts';
import { startDemo } from '../../demo/launch.ts';
import { ARCHITECTURES } from '../../demo/session-layer.ts';
import { welcomeText } from '../../demo/welcome.ts';
import { loadConfig } from '../../src/config/load.ts';
import { eventually, Visitor } from './visitor.ts';

const BACKENDS = [
  { name: 'a', url: 'http://127.0.0.1:3001', pid: 101 },
  { name: 'b', url: 'http://127.0.0.1:3002', pid: 102 },
];

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('backends keep name and ports over kill and restart, and stop() leaves nothing', async () => {
  const demo = await startDemo({ servers: 2 });
  const [first] = demo.backends as unknown as [(typeof demo.backends)[number]];
  const { name, url, pid } = first;
  expect(demo.backends.map((backend) => backend.name)).toEqual(['a', 'b']);
  expect(await first.kill()).toBe(null);
  expect(isAlive(pid)).toBe(false);
  await first.restart();
  expect([first.name, first.url]).toEqual([name, url]);
  expect(first.pid).not.toBe(pid);
  expect((await new Visitor().get(`${url}/healthz`)).status).toBe(200);
  const pids = demo.backends.map((backend) => backend.pid);
  await Promise.all([demo.stop(), demo.stop()]);
  expect(pids.filter(isAlive)).toEqual([]);
});

test('a taken port is named together with the option that changes it, and what had started is stopped', async () => {
  const taken = (port: number, backend: string): string =>
    `port ${port} for backend ${backend} is taken; choose another with --backend-port`;
  let port = 0;
  let message = taken(port - 1, 'a');
  // the port below the blocked one may be another program's: then it is backend a that says so
  while (message.includes(taken(port - 1, 'a'))) {
    const blocker = createServer();
    onTestFinished(() => void blocker.close());
    blocker.listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    ({ port } = blocker.address() as AddressInfo);
    message = await startDemo({ servers: 2, port: port - 1 }).then(
      () => 'started',
      (error: Error) => error.message,
    );
  }
  expect(message).toContain(taken(port, 'b'));
  await expect(new Visitor().get(`http://127.0.0.1:${port - 1}/healthz`)).rejects.toThrow();
});

test('a bad flag is reported with what the backend says about it', async () => {
  await expect(startDemo({ servers: 1, flags: ['--idle', 'soon'] })).rejects.toThrow(
    'backend a ended with code 2 before it was ready: --idle soon: write 250ms, 5s, 30m or 12h',
  );
});

test('backends, sessiond and Redis die with the process that started them', async () => {
  // A folder for temporary files of its own: other tests start demos at the same time.
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const parent = fork(fileURLToPath(new URL('./orphan-parent.ts', import.meta.url)), {
    stdio: 'ignore',
    env: { ...process.env, TMPDIR: folder },
  });
  const [pids] = (await once(parent, 'message')) as [number[]];
  expect(pids.length).toBeGreaterThanOrEqual(3);
  expect(pids.every(isAlive)).toBe(true);
  parent.kill('SIGKILL');
  await eventually('the children to end', async () => (pids.some(isAlive) ? null : true));
  const isDemoFolder = (name: string): boolean => /^holdfast-(demo|redis)-/.test(name);
  await eventually('their folders to go', async () => (readdirSync(folder).some(isDemoFolder) ? null : true));
});

test('every architecture gets a balancer configuration that holdfast accepts', () => {
  for (const architecture of ARCHITECTURES) {
    const text = demoBalancerConfig(BACKENDS, {
      architecture,
      listen: '127.0.0.1:8080',
      admin: '127.0.0.1:9090',
    });
    const loaded = loadConfig(text, { file: 'demo.yaml', env: {} });
    expect(loaded.problems).toEqual([]);
    const pool = loaded.config?.pools[0];
    const isAtHome = architecture === 'memory' || architecture === 'home';
    expect([pool?.state, pool?.sticky.mode, pool?.policy]).toEqual([
      architecture === 'memory' ? 'local' : 'shared',
      ...(isAtHome ? ['cookie-hash', 'least-sessions'] : ['none', 'round-robin']),
    ]);
  }
});

test('every sticky mode gives a configuration that holdfast accepts', () => {
  for (const sticky of ['none', 'cookie-hash', 'cookie-pin', 'learn', 'header-hash', 'address-hash']) {
    const options = { architecture: 'memory', listen: '127.0.0.1:0', admin: '127.0.0.1:0', sticky } as const;
    const loaded = loadConfig(demoBalancerConfig(BACKENDS, options), { file: 'demo.yaml', env: {} });
    expect([loaded.problems, loaded.warnings]).toEqual([[], []]);
    expect(loaded.config?.pools[0]?.sticky.mode).toBe(sticky);
  }
});

test('the welcome text names what runs and gives commands that can be pasted', () => {
  expect(
    welcomeText({
      architecture: 'database',
      backends: BACKENDS,
      storePid: 103,
      balancerUrl: 'http://127.0.0.1:8080',
      adminUrl: 'http://127.0.0.1:9091',
      pid: 104,
    }),
  ).toMatchInlineSnapshot(`
    "Holdfast demo: 2 servers, sessions: database

      open   http://127.0.0.1:8080/   log in as alice, password holdfast
             http://127.0.0.1:9091/   dashboard        http://127.0.0.1:9091/metrics   Prometheus

      server a   http://127.0.0.1:3001   pid 101
      server b   http://127.0.0.1:3002   pid 102

    Try, in another terminal in this folder:

      Log in, and see which server is yours. The same each time?
        jar=$(mktemp)
        me() { curl -s -b $jar -c $jar http://127.0.0.1:8080/"$@"; echo; }
        me login -d 'user=alice&password=holdfast'
        me whoami; me whoami; me whoami

      Kill that one. You are still logged in.
        kill -9 $(me whoami | grep -o '"pid":[0-9]*' | cut -d: -f2)
        me whoami

      See what happened; start it again.
        npx holdfast events --admin http://127.0.0.1:9091
        npx holdfast status --admin http://127.0.0.1:9091
        kill -USR2 104

      Drain yours: others serve its users, who stay logged in.
        me login -d 'user=alice&password=holdfast'
        mine=$(me whoami | grep -o '"server":"[a-z]' | cut -d'"' -f4)
        npx holdfast drain demo/$mine --admin http://127.0.0.1:9091
        me whoami
        me logout -X POST
        npx holdfast status --admin http://127.0.0.1:9091
        npx holdfast ready demo/$mine --admin http://127.0.0.1:9091

      Kill what keeps the sessions; start it again.
        me login -d 'user=alice&password=holdfast'
        kill -9 103
        me whoami
        kill -USR2 104; sleep 2
        me whoami

      Fifty users for a minute: look at the dashboard and do it all again.
        npm run load

    Ctrl-C stops everything.
    "
  `);
});

test('GET /events ticks and /ws echoes, both naming the server; SIGTERM ends both', async () => {
  const demo = await startDemo({ servers: 1 });
  const { url } = demo.backends[0]!;
  const events = await fetch(`${url}/events`);
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes('event: tick')) text += (await reader.read()).value ?? '';
  expect(text).toContain('"server":"a"');
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
  const [hello] = (await once(socket, 'message')) as [Buffer];
  expect(JSON.parse(String(hello))).toEqual({ server: 'a' });
  socket.send('marco');
  expect(String((await once(socket, 'message'))[0])).toBe('marco');
  const closed = once(socket, 'close');
  const exit = demo.backends[0]!.kill('SIGTERM');
  expect((await closed)[0]).toBe(1001);
  while (!(await reader.read()).done);
  expect(await exit).toBe(0);
  await demo.stop();
});

test('with --grace a stopping server fails its health check while it still serves', async () => {
  const demo = await startDemo({ servers: 1, flags: ['--grace', '700ms'] });
  const { url } = demo.backends[0]!;
  const exit = demo.backends[0]!.kill('SIGTERM');
  await eventually('503 from /healthz', async () =>
    (await new Visitor().get(`${url}/healthz`)).status === 503 ? true : null,
  );
  expect((await new Visitor().login(url, 'alice')).status).toBe(200);
  expect(await exit).toBe(0);
  await demo.stop();
});

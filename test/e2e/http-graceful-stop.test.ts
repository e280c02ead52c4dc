// The end: asked once it is graceful, asked twice it is at once; and a start that cannot be says why.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { LAUNCHER } from '../support/launcher.ts';
import { whenDone } from '../support/lifetime.ts';
import { answer, type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { talkTo } from '../support/talker.ts';

async function start(more = ''): Promise<{ holdfast: RunningHoldfast; backend: ScriptedBackend }> {
  const backend = await scriptedBackend({
    '/wait': () => undefined,
    '/half': (heard) => heard.send('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello'),
  });
  const holdfast = await runHoldfast(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 2
pools: { p: { health: off, servers: [{ url: ${backend.url} }] } }
${more}`);
  return { holdfast, backend };
}

/** Does nobody listen there any more? */
function isRefused(port: number): Promise<boolean> {
  return talkTo(port).then(
    (talker) => {
      talker.socket.destroy();
      return false;
    },
    () => true,
  );
}

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

test('SIGTERM lets requests in flight finish, ends idle connections, takes no new ones, and exits with 0', async () => {
  const { holdfast, backend } = await start();
  const idle = await talkTo(holdfast.port);
  idle.send(GET('/idle'));
  await idle.reply();
  const [waiting, half, uploading] = await Promise.all([
    talkTo(holdfast.port),
    talkTo(holdfast.port),
    talkTo(holdfast.port),
  ]);
  waiting.send(GET('/wait'));
  half.send(GET('/half'));
  uploading.send('POST /wait?upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe');
  const [heard, halfHeard, uploaded] = await Promise.all([
    backend.hears('/wait'),
    backend.hears('/half'),
    backend.hears('/wait?upload'),
  ]);
  await half.until('hello');

  const exit = holdfast.stop();
  expect(await idle.ended()).toBe('end');
  await eventually(() => isRefused(holdfast.port));
  answer('waited')(heard);
  const reply = await waiting.reply();
  expect([reply.body, reply.get('connection')]).toEqual(['waited', 'close']);
  halfHeard.finish('world');
  expect((await half.reply()).body).toBe('helloworld');
  uploading.send('llo');
  await eventually(() => uploaded.body() === 'hello' || null);
  answer('thanks')(uploaded);
  expect((await uploading.reply()).body).toBe('thanks');
  for (const talker of [idle, waiting, half, uploading]) talker.socket.destroy();
  expect(await exit).toBe(0);
});

test('a second signal ends at once', async () => {
  const { holdfast, backend } = await start();
  const talker = await talkTo(holdfast.port);
  talker.send(GET('/wait'));
  await backend.hears('/wait');
  void holdfast.stop();
  await eventually(() => holdfast.log().includes('a second signal ends at once') || null);
  const begin = performance.now();
  expect(await holdfast.stop()).toBe(1);
  expect(performance.now() - begin).toBeLessThan(2000);
  expect(await talker.ended()).toMatch(/end|reset/);
});

test('what the end of the grace finds under way is told 503, or broken off, and is ours; who does not end holds nobody up', async () => {
  const { holdfast, backend } = await start('shutdown: { grace: 100ms }\naccessLog: json\n');
  const [waiting, half, deaf] = await Promise.all([0, 1, 2].map(() => talkTo(holdfast.port)));
  if (waiting === undefined || half === undefined || deaf === undefined) throw new Error('no clients');
  deaf.socket.pause();
  for (const [talker, path] of [
    [waiting, '/wait'],
    [half, '/half'],
    [deaf, '/wait?deaf'],
  ] as const) {
    talker.send(GET(path));
    await backend.hears(path);
  }
  await half.until('hello');
  const begin = performance.now();
  const exit = holdfast.stop();
  const reply = await waiting.reply();
  expect([reply.status, reply.get('x-holdfast-error'), reply.get('connection')]).toEqual([
    503,
    'stopping',
    'close',
  ]);
  expect(await half.ended()).toBe('reset');
  expect(await exit).toBe(0);
  // none of them has closed its half
  expect(performance.now() - begin).toBeLessThan(2000);
  const lines = holdfast
    .output()
    .trim()
    .split('\n')
    .filter((line) => line.startsWith('{'));
  const seen = lines.map((line) => {
    const { target, status, endedBy, error } = JSON.parse(line) as Record<string, unknown>;
    return `${target} ${status} ${endedBy} ${error}`;
  });
  expect(seen.toSorted()).toEqual([
    '/half 200 self stopping',
    '/wait 503 self stopping',
    '/wait?deaf 503 self stopping',
  ]);
  for (const talker of [waiting, half, deaf]) talker.socket.destroy();
});

test('with nothing in flight the stop takes no time', async () => {
  const { holdfast } = await start();
  const begin = performance.now();
  expect(await holdfast.stop()).toBe(0);
  expect(performance.now() - begin).toBeLessThan(2500);
});

test('a port that is taken is a clear message and exit 1', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  whenDone(() => taken.close());
  const { port } = taken.address() as { port: number };
  const { holdfast, backend } = await start();
  const inUse = 'the port is taken by another process; stop it or choose another port';
  const cases = [
    [`127.0.0.1:${port}`, inUse],
    [`127.0.0.1:${holdfast.port}`, inUse],
    // a network for documents, which nobody has
    ['192.0.2.1:0', 'this machine does not have that address'],
  ] as const;
  for (const [address, why] of cases) {
    const file = `${holdfast.directory}/taken.yaml`;
    writeFileSync(
      file,
      `listen: [{ address: "${address}" }]\nadmin: { address: 127.0.0.1:0 }\npools: { p: { servers: [{ url: ${backend.url} }] } }\n`,
    );
    const child = spawn(process.execPath, [LAUNCHER, 'run', '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    whenDone(() => child.kill('SIGKILL'));
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += String(text);
    });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect(code).toBe(1);
    expect(errors).toContain(`cannot listen on ${address}: ${why}`);
  }
});

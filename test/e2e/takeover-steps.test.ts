// A takeover in which either process dies or stops at each message: somebody serves at all times, and the next one can take
// over. Clients come all the while, each over a connection of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cannedBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { LAUNCHER } from '../support/launcher.ts';
import { whenDone } from '../support/lifetime.ts';
import { newcomers } from '../support/newcomers.ts';
import { MESSAGES, type Message, type Relay, takeoverRelay } from '../support/takeover-relay.ts';

const AT_ONCE = 4;
/** A successor that has said that it serves is the one that dies with its clients. */
const BEFORE_IT_SERVES = MESSAGES.slice(0, MESSAGES.indexOf('serves'));

async function yamlOf(): Promise<string> {
  const backend = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  return `
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 2s }
pools: { shop: { sticky: { mode: cookie-hash }, health: off, servers: ["${backend.url}"] } }
`;
}

interface Successor {
  readonly child: ChildProcess;
  log(): string;
  output(): string;
  readonly exited: Promise<number | null>;
}

function successor(old: RunningHoldfast, relay: Relay): Successor {
  const args = [LAUNCHER, 'run', '--config', old.configFile, '--threads', '1', '--takeover', relay.url];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const exited = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  whenDone(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, log: () => log, output: () => output, exited };
}

async function more(clients: { served(): number }, count = 20): Promise<void> {
  const from = clients.served();
  await eventually(() => clients.served() - from >= count, { deadlineMs: 30_000 });
}

test('a successor that is killed at any message before it serves, or stops there, changes nothing', async () => {
  const yaml = await yamlOf();
  const first = await runHoldfast(yaml, { threads: 2 });
  const clients = newcomers(first.port, AT_ONCE);
  const stopped: { readonly at: Message; readonly process: Successor }[] = [];
  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    for (const at of BEFORE_IT_SERVES) {
      // what has only been asked for may be asked for by a few at once
      if (signal === 'SIGSTOP' && (at === 'asked' || at === 'offer')) continue;
      let hit = (): void => undefined;
      const done = new Promise<void>((resolve) => {
        hit = resolve;
      });
      const relay = await takeoverRelay(first.adminUrl, async (message) => {
        if (message !== at) return;
        next.child.kill(signal);
        if (signal === 'SIGKILL') await next.exited;
        hit();
      });
      const next = successor(first, relay);
      await done;
      if (signal === 'SIGSTOP') stopped.push({ at, process: next });
      await more(clients);
      if (signal === 'SIGSTOP')
        await eventually(() => first.log().split('this one goes on').length > stopped.length, {
          deadlineMs: 30_000,
        });
    }
  }
  // those that stopped find when they go on that nobody expects them
  for (const { at, process } of stopped) {
    process.child.kill('SIGCONT');
    expect([at, await process.exited]).toEqual([at, 1]);
    expect([at, process.log()]).toEqual([at, expect.stringContaining('cannot take over')]);
  }
  await more(clients);
  const last = await runHoldfast(yaml, { threads: 2, args: ['--takeover', first.adminUrl] });
  expect([last.port, await first.exited()]).toEqual([first.port, 0]);
  await more(clients);
  await clients.stop();
  expect(clients.failures).toEqual([]);
}, 240_000);

test.each(MESSAGES)(
  'an old process that is killed at "%s": the next one serves, or ends and says why',
  async (at) => {
    const first = await runHoldfast(await yamlOf(), { threads: 2 });
    const relay = await takeoverRelay(first.adminUrl, async (message) => {
      if (message !== at) return;
      first.child.kill('SIGKILL');
      await first.exited();
    });
    const next = successor(first, relay);
    const ended = await Promise.race([
      next.exited,
      eventually(() => next.output().includes('admin on'), { deadlineMs: 60_000 }).then(() => 'serves'),
    ]);
    if (at === 'asked' || at === 'offer') {
      expect([ended, next.log()]).toEqual([
        1,
        expect.stringMatching(/cannot take over .*(ended meanwhile|listening sockets)/),
      ]);
      return;
    }
    expect(ended).toBe('serves');
    const clients = newcomers(first.port, AT_ONCE);
    await more(clients);
    await clients.stop();
    expect(clients.failures).toEqual([]);
  },
  90_000,
);

test.each(['ready', 'taken in', 'serves'] as const)(
  'an old process that stops at "%s" and goes on later: it is replaced all the same',
  async (at) => {
    const first = await runHoldfast(await yamlOf(), { threads: 2 });
    const relay = await takeoverRelay(first.adminUrl, async (message) => {
      if (message === at) first.child.kill('SIGSTOP');
    });
    const next = successor(first, relay);
    await eventually(() => next.log().includes('gone without a word'), { deadlineMs: 60_000 });
    const clients = newcomers(first.port, AT_ONCE);
    await more(clients);
    first.child.kill('SIGCONT');
    expect(await first.exited()).toBe(0);
    await more(clients);
    await clients.stop();
    expect(clients.failures).toEqual([]);
  },
  120_000,
);

test('however often it is asked where to ask, there is one place, and a takeover is not held up', async () => {
  const yaml = await yamlOf();
  const first = await runHoldfast(yaml, { threads: 1 });
  const places = new Set<string>();
  let isOver = false;
  const spam = async (): Promise<void> => {
    while (!isOver) {
      const answer = await fetch(`${first.adminUrl}/api/takeover`, { method: 'POST' }).then(
        (response) => response.json() as Promise<{ directory?: string }>,
        () => null,
      );
      if (answer?.directory === undefined) continue;
      if (first.child.exitCode === null && existsSync(answer.directory)) {
        // nothing is prepared for who only asks
        if (places.size === 0) expect(readdirSync(answer.directory)).toEqual(['changes']);
      }
      places.add(join(answer.directory));
    }
  };
  const spammers = [spam(), spam(), spam()];
  await eventually(() => places.size > 0);
  const second = await runHoldfast(yaml, { threads: 1, args: ['--takeover', first.adminUrl] });
  isOver = true;
  await Promise.all(spammers);
  expect([second.port, await first.exited()]).toEqual([first.port, 0]);
  // one of each process
  expect(places.size).toBeLessThanOrEqual(2);
  expect([...places].filter((place) => existsSync(place)).length).toBeLessThanOrEqual(1);
}, 90_000);

// Servers of other makers in the tests of recipes: programs that are started on a free port and end with the test, and users
// who log in, work and log out while the balancer's count and the application's are compared.

import { type SpawnOptions, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type Answer, Visitor } from '../demo/visitor.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import type { Holdfast } from './holdfast.ts';

export interface ApplicationServer {
  readonly name: string;
  readonly url: string;
  /** How many sessions it has, by its own count. */
  sessions(): number | Promise<number>;
}

const START_MS = 60_000;
const USERS = 10;
const LEAVE = 4;

/** A folder that is there until the test ends. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-application-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a program and waits until it answers `/healthz` on the port that `args` are made for. */
export async function startApplication(
  program: string,
  args: (port: number) => readonly string[],
  options: SpawnOptions,
): Promise<string> {
  const port = await freePort();
  const child = spawn(program, args(port), { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exit = new Promise((resolve) => child.on('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`${program} has ended with ${child.exitCode}:\n${said}`);
      return fetch(`${url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    },
    { deadlineMs: START_MS, what: () => `${program} to answer; it said:\n${said}` },
  );
  return url;
}

/**
 * Users come (401), log in, raise a counter that only their home knows, and some log out; after each step the counts agree. An
 * application answers with `server` and `counter`. `ask` is how one user makes a request.
 */
export async function usersComeAndGo(
  holdfast: Holdfast,
  servers: readonly ApplicationServer[],
  ask: (user: number, path: string) => Promise<Answer> = askAs(holdfast),
): Promise<void> {
  const askAll = async (path: string, users = USERS): Promise<readonly (readonly unknown[])[]> => {
    const answers = await Promise.all(Array.from({ length: users }, (_, user) => ask(user, path)));
    return answers.map(({ status, body }) => [status, body.counter, (body as { server?: unknown }).server]);
  };
  expect(await askAll('/whoami')).toEqual(Array.from({ length: USERS }, () => [401, undefined, undefined]));
  const homes = (await askAll('/login')).map(([, , server]) => server);
  expect(new Set(homes)).toEqual(new Set(servers.map(({ name }) => name)));
  for (const counter of [1, 2, 3])
    expect(await askAll('/inc')).toEqual(homes.map((home) => [200, counter, home]));
  expect(await countsAgree(holdfast, servers)).toBe(USERS);
  expect((await askAll('/logout', LEAVE)).map(([status]) => status)).toEqual(
    Array.from({ length: LEAVE }, () => 200),
  );
  expect(await countsAgree(holdfast, servers)).toBe(USERS - LEAVE);
}

function askAs({ url }: Holdfast): (user: number, path: string) => Promise<Answer> {
  const users = Array.from({ length: USERS }, () => new Visitor());
  return (user, path) => (users[user] as Visitor).post(`${url}${path}`);
}

/** Waits until the balancer counts at each server what that counts itself; returns how many there are. */
export async function countsAgree(
  holdfast: Holdfast,
  servers: readonly ApplicationServer[],
): Promise<number> {
  let own: readonly number[] = [];
  let seen: readonly number[] = [];
  await eventually(
    async () => {
      own = await Promise.all(servers.map(({ sessions }) => sessions()));
      seen = await Promise.all(
        servers.map(({ name }) => holdfast.metric('holdfast_sessions', { server: name })),
      );
      return own.join() === seen.join();
    },
    { what: () => `counts to agree: the servers have ${own.join()}, the balancer counts ${seen.join()}` },
  );
  return own.reduce((sum, count) => sum + count, 0);
}

// PHP with its sessions in files behind Holdfast, as docs/recipes/php.md has it: log-in with a new id, log-out, and a count
// that is the number of files.

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Visitor } from '../demo/visitor.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';
import { recipe } from '../support/recipe.ts';

const USERS = 10;

const APPLICATION = `<?php
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/healthz') { echo '{}'; return; }
session_start();
header('content-type: application/json');
if ($path === '/login') { session_regenerate_id(true); $_SESSION['counter'] = 0; }
elseif (!isset($_SESSION['counter'])) { http_response_code(401); echo '{}'; return; }
elseif ($path === '/inc') $_SESSION['counter'] += 1;
elseif ($path === '/logout') { session_destroy(); setcookie(session_name(), '', 1, '/'); echo '{}'; return; }
echo json_encode(['server' => getenv('SERVER'), 'counter' => $_SESSION['counter']]);
`;

interface PhpServer {
  readonly name: string;
  readonly url: string;
  sessions(): number;
}

async function phpServer(program: string, name: string): Promise<PhpServer> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-php-'));
  const file = join(directory, 'application.php');
  writeFileSync(file, APPLICATION);
  const port = await freePort();
  const args = ['-d', `session.save_path=${directory}`, '-S', `127.0.0.1:${port}`, file];
  const child = spawn(program, args, { stdio: 'ignore', env: { SERVER: name } });
  const exit = new Promise((resolve) => child.on('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exit;
    rmSync(directory, { recursive: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(() =>
    fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  const sessions = (): number => readdirSync(directory).filter((one) => one.startsWith('sess_')).length;
  return { name, url, sessions };
}

test('users stay where their file is, through log-in and log-out, and are counted', async ({ skip }) => {
  const program = needs('php', skip);
  const servers = [await phpServer(program, 'a'), await phpServer(program, 'b')];
  const holdfast = await runHoldfast(recipe(readFileSync('docs/recipes/php.md', 'utf8'), servers));
  const users = Array.from({ length: USERS }, () => new Visitor());
  const askAll = async (path: string): Promise<readonly unknown[]> => {
    const answers = await Promise.all(users.map((user) => user.post(`${holdfast.url}${path}`)));
    return answers.map(({ status, body }) => [status, body.counter, (body as { server?: string }).server]);
  };
  const countsAgree = (): Promise<unknown> =>
    eventually(async () => {
      const counts = servers.map(({ name }) => holdfast.metric('holdfast_sessions', { server: name }));
      return (await Promise.all(counts)).join() === servers.map(({ sessions }) => sessions()).join();
    });
  // visitors first: they have a session, and get another id when they log in
  expect(await askAll('/')).toEqual(users.map(() => [401, undefined, undefined]));
  const homes = (await askAll('/login')).map((answer) => (answer as readonly unknown[])[2]);
  expect(new Set(homes)).toEqual(new Set(['a', 'b']));
  for (const counter of [1, 2, 3])
    expect(await askAll('/inc')).toEqual(homes.map((home) => [200, counter, home]));
  expect(servers.reduce((sum, { sessions }) => sum + sessions(), 0)).toBe(USERS);
  await countsAgree();
  for (const user of users.slice(0, 4)) await user.post(`${holdfast.url}/logout`);
  expect(servers.reduce((sum, { sessions }) => sum + sessions(), 0)).toBe(USERS - 4);
  await countsAgree();
});

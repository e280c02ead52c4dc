// PHP with its sessions in files behind Holdfast, as docs/recipes/php.md has it: log-in with a new id, log-out, and a count
// that is the number of files.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import {
  type ApplicationServer,
  startApplication,
  testFolder,
  usersComeAndGo,
} from '../support/application.ts';
import { runInside } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';
import { recipe } from '../support/recipe.ts';

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

async function phpServer(program: string, name: string): Promise<ApplicationServer> {
  const folder = testFolder();
  const file = join(folder, 'application.php');
  writeFileSync(file, APPLICATION);
  const args = (port: number): readonly string[] => [
    ...['-d', `session.save_path=${folder}`],
    ...['-S', `127.0.0.1:${port}`, file],
  ];
  const url = await startApplication(program, args, { env: { SERVER: name } });
  const sessions = (): number => readdirSync(folder).filter((one) => one.startsWith('sess_')).length;
  return { name, url, sessions };
}

test('users stay where their file is, through log-in and log-out, and are counted', async ({ skip }) => {
  const program = needs('php', skip);
  const servers = [await phpServer(program, 'a'), await phpServer(program, 'b')];
  const holdfast = await runInside(recipe(readFileSync('docs/recipes/php.md', 'utf8'), servers));
  // visitors first: they have a session, and get another id when they log in
  await usersComeAndGo(holdfast, servers);
});

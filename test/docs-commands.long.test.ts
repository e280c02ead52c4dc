// Every command of README and docs/ is run as it stands there, in a folder of its own, on a balancer with servers. Those that
// are not have their reason here. A command is a line that is indented by four outside of fences.

import { execFile, type SpawnOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';
import { commandsOf } from './support/guide.ts';
import { type RunningHoldfast, runHoldfast } from './support/holdfast.ts';
import { LAUNCHER } from './support/launcher.ts';
import { whenDone } from './support/lifetime.ts';
import { needs } from './support/needs.ts';
import { serversYaml, sessionServer } from './support/session-servers.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

/** Documents whose lines are followed, or made, elsewhere. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'docs/getting-started.md': 'getting-started.long.test.ts follows it from the first line to the last',
  'docs/commands.md': 'made of the help of the commands: cli/command-docs.test.ts',
};

const NOT_RUN: readonly (readonly [RegExp, string])[] = [
  [/^npm (ci|install)\b/, 'the registry; packaging/package.test.ts installs the packed package'],
  [/^npm (test|start|run [a-z:]+)\b/, 'of the checkout, minutes; docs.test.ts looks that the script exists'],
  [/^npm ci && npm start$/, 'the demo: e2e/demo-start.test.ts'],
  [/^(jar=|me\(\)|me |kill -9 )/, 'on the demo: e2e/demo-start.test.ts follows this part of README.md'],
  [/^npx vitest run /, 'the suite itself'],
  [/^node test\/bench\//, 'minutes of load'],
  [/^systemctl /, 'units of another machine; packaging/deploy.test.ts looks at ours'],
];

/** They run on: what they have said when they have begun. */
const LASTING: readonly (readonly [RegExp, RegExp])[] = [
  [/^holdfast run\b/, /^admin on /m],
  [/^holdfast events --follow$/, /\S/],
  [/^holdfast status --watch$/, /\S/],
];

interface Script {
  readonly path: string;
  readonly commands: readonly string[];
}

/** A line without what explains it. */
function commandIn(line: string): string {
  return line.replace(/ {2,}.*$/, '').trim();
}

function scripts(): readonly Script[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...docs.sort()].flatMap((path) => {
    if (path in ELSEWHERE) return [];
    const lines = commandsOf(readFileSync(join(ROOT, path), 'utf8'));
    // what is indented deeper goes on with what explains the line above; a list goes on as well
    const commands = lines.filter((line) => /^[a-z]/.test(line) && !isProse(line)).map(commandIn);
    return commands.length === 0 ? [] : [{ path, commands }];
  });
}

/** The second line of an item of a list of two figures. */
function isProse(line: string): boolean {
  return line.includes('`') && line.endsWith('.');
}

function reasonNotToRun(line: string): string | undefined {
  return NOT_RUN.find(([pattern]) => pattern.test(line))?.[1];
}

async function balancer(): Promise<RunningHoldfast> {
  const servers = await Promise.all(['a', 'b', 'canary'].map((name) => sessionServer(name)));
  return runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    sticky: { mode: cookie-hash }
    health: { interval: 1s }
    servers:
${serversYaml(servers)}
`);
}

/** As it stands there, but for the port, the name of the file, and a value. */
function ownWords(line: string, { adminUrl }: RunningHoldfast): string {
  return line
    .replace(/^npx /, '')
    .replaceAll('http://127.0.0.1:9090', adminUrl)
    .replace(/\bFILE\b/, 'holdfast.yaml')
    .replace(/\bVALUE\b/, 'a-cookie-of-somebody');
}

function shell(holdfast: RunningHoldfast, line: string): readonly [string[], SpawnOptions] {
  const own = `holdfast() { "${process.execPath}" "${LAUNCHER}" "$@"; }`;
  const exec = LASTING.some(([pattern]) => pattern.test(line))
    ? line.replace(/^holdfast /, `exec "${process.execPath}" "${LAUNCHER}" `)
    : line;
  const env = { ...process.env, HOLDFAST_ADMIN_URL: holdfast.adminUrl };
  return [['-euc', `${own}\n${exec}`], { cwd: holdfast.directory, env }];
}

/** Whoever takes over asks the running one at its admin address, whose port the kernel chose. */
function writeAdminPort({ configFile, adminUrl }: RunningHoldfast): void {
  const yaml = readFileSync(configFile, 'utf8').replace(
    'admin: { address: 127.0.0.1:0',
    `admin: { address: ${new URL(adminUrl).host}`,
  );
  writeFileSync(configFile, yaml);
}

/** Begins it, and ends it when it has said that it has begun; one that takes over stays. */
async function begin(holdfast: RunningHoldfast, line: string, hasBegun: RegExp): Promise<void> {
  const isSuccessor = line.includes('--takeover');
  if (isSuccessor) writeAdminPort(holdfast);
  const [args, options] = shell(holdfast, line);
  const child = spawn('bash', args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  whenDone(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let out = '';
  let err = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text));
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`${line} ended with ${child.exitCode}: ${out}${err}`);
      return hasBegun.test(out);
    },
    { deadlineMs: 60_000, what: () => `${line} to begin: ${out}${err}` },
  );
  if (isSuccessor) {
    // the one that was replaced goes by itself
    expect(await holdfast.exited()).toBe(0);
    return;
  }
  child.kill('SIGTERM');
  await ended;
}

async function follow(holdfast: RunningHoldfast, line: string): Promise<void> {
  const own = ownWords(line, holdfast);
  const lasting = LASTING.find(([pattern]) => pattern.test(own));
  if (lasting !== undefined) return begin(holdfast, own, lasting[1]);
  const [args, options] = shell(holdfast, own);
  await run('bash', args, { ...options, timeout: 60_000 }).catch((error: Error) => {
    throw new Error(`${line}: ${error.message}`);
  });
}

const SCRIPTS = scripts();

test('the documents have commands, and each that is not run has a reason', () => {
  expect(SCRIPTS.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['README.md', 'docs/operations.md', 'docs/recipes.md', 'docs/api.md']),
  );
  const all = SCRIPTS.flatMap(({ commands }) => commands);
  const stale = NOT_RUN.filter(([pattern]) => !all.some((line) => pattern.test(line)));
  expect(stale.map(([, reason]) => reason)).toEqual([]);
  expect(all.filter((line) => reasonNotToRun(line) === undefined).length).toBeGreaterThan(30);
});

test('each is a command of a shell, also those that are not run', async () => {
  for (const { path, commands } of SCRIPTS)
    await run('bash', ['-n', '-c', commands.join('\n')]).catch((error: Error) => {
      throw new Error(`${path}: ${error.message}`);
    });
});

const RUN = SCRIPTS.filter(({ commands }) => commands.some((line) => reasonNotToRun(line) === undefined));

describe.each(RUN)('$path', ({ commands }) => {
  const lines = commands.filter((line) => reasonNotToRun(line) === undefined);

  test('every command does what it is for', { timeout: 180_000 }, async ({ skip }) => {
    if (lines.some((line) => /\bcurl\b/.test(line))) needs('curl', skip);
    const holdfast = await balancer();
    for (const line of lines) await follow(holdfast, line);
  });
});

// Whoever started the process: their signals at any time, and what it means that they do not read, have gone, or have
// closed their terminal.

import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { LAUNCHER } from '../support/launcher.ts';
import { whenDone } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import { get } from '../support/talker.ts';

const HANG_UPS = new URL('../support/hang-ups-at-start.mjs', import.meta.url).href;
/** More than any pipe or socket holds. */
const FLOOD_BYTES = 1024 * 1024;

function yaml(backend: string, more = '', second = ''): string {
  return `
listen: [{ address: 127.0.0.1:0 }${second}]
admin: { address: 127.0.0.1:0 }
threads: 1
${more}
pools: { p: { health: { interval: 200ms }, servers: [{ url: ${backend} }] } }
`;
}

async function isServing(holdfast: RunningHoldfast): Promise<void> {
  expect((await get(holdfast.port, '/')).status).toBe(200);
  const checks = await holdfast.metric('holdfast_health_checks_total');
  await eventually(async () => (await holdfast.metric('holdfast_health_checks_total')) > checks + 1);
}

test('SIGHUP at any time of the start does not end it, and the configuration is read again after it', async () => {
  const backend = await scriptedBackend({});
  const holdfast = await runHoldfast(yaml(backend.url), {
    env: { NODE_OPTIONS: `--import=${HANG_UPS}`, HANG_UPS: '500' },
  });
  await eventually(() => holdfast.log().includes('"msg":"reloaded"'));
  await isServing(holdfast);
  expect(await holdfast.stop()).toBe(0);
});

test('SIGTERM as soon as clients are answered is a stop in order, though the admin server is still to come', async () => {
  const backend = await scriptedBackend({});
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-term-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const [configFile, door, sessions] = ['c.yaml', 'door', 'sessions'].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  writeFileSync(
    configFile,
    yaml(backend.url, `sessions: { file: ${sessions} }`).replace('127.0.0.1:0', `"unix:${door}"`),
  );
  const child = spawn(process.execPath, [LAUNCHER, 'run', '--config', configFile], { stdio: 'ignore' });
  whenDone(() => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
  await eventually(() => isAnswered(door));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(existsSync(sessions)).toBe(true);
});

test('a name server that says nothing does not keep a process that has stopped', async () => {
  const silent = createSocket('udp4');
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  const backend = await scriptedBackend({});
  const found = '{ dns: { name: app.test, port: 80, refresh: 100ms } }';
  const holdfast = await runHoldfast(
    yaml(backend.url, `resolver: ["127.0.0.1:${silent.address().port}"]`).replace(
      'servers: [',
      `servers: [${found}, `,
    ),
  );
  const asked = new Promise((resolve) => silent.once('message', resolve));
  await asked;
  const beganMs = performance.now();
  expect(await holdfast.stop()).toBe(0);
  expect(performance.now() - beganMs).toBeLessThan(2_000);
});

function isAnswered(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath }, (response) => {
      response.resume();
      resolve(true);
    });
    asked.on('error', () => resolve(false));
    asked.end();
  });
}

test.each([
  ['standard output', 'closed'],
  ['standard output', 'not read'],
  ['standard error', 'closed'],
  ['standard error', 'not read'],
] as const)('%s %s: traffic, checks, admin and reloads go on', async (which, how) => {
  const backend = await scriptedBackend({});
  const accessLog = 'accessLog: { format: json, sample: 1.0 }';
  const holdfast = await runHoldfast(yaml(backend.url, accessLog));
  const stream = which === 'standard output' ? holdfast.child.stdout : holdfast.child.stderr;
  if (how === 'closed') stream?.destroy();
  else stream?.pause();

  // the flood: access log lines on the one, what a refused reload says on the other
  const target = `/${'x'.repeat(12_000)}`;
  for (let bytes = 0; bytes < FLOOD_BYTES; bytes += target.length) {
    if (which === 'standard output') await get(holdfast.port, target);
    else {
      writeFileSync(holdfast.configFile, `${yaml(backend.url)}\n${'x'.repeat(24_000)}: 1\n`);
      const refused = await fetch(`${holdfast.adminUrl}/api/reload`, { method: 'POST' });
      expect(refused.status).toBe(409);
    }
  }
  const port = await freePort();
  writeFileSync(holdfast.configFile, yaml(backend.url, accessLog, `, { address: "127.0.0.1:${port}" }`));
  holdfast.child.kill('SIGHUP');
  // its last word: the revision changes first, and then what is listened on
  await eventually(
    async () => (await holdfast.metric('holdfast_reloads_total', { result: 'success' })) === 1,
  );
  expect((await get(port, '/')).status).toBe(200);
  await isServing(holdfast);
  expect(holdfast.child.exitCode).toBe(null);
  expect(await holdfast.stop()).toBe(0);
});

test('a terminal reloads with SIGHUP while it is there; when it is closed the process ends, and not with 0', async ({
  skip,
}) => {
  const script = needs('script', skip);
  const backend = await scriptedBackend({});
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-terminal-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const configFile = join(directory, 'holdfast.yaml');
  writeFileSync(configFile, yaml(backend.url));
  const [pidFile, statusFile] = [join(directory, 'pid'), join(directory, 'status')];
  // the inner shell outlives the terminal, to say how the process has ended; the outer one leads the session and does not
  writeFileSync(
    join(directory, 'run.sh'),
    `trap '' HUP\n'${process.execPath}' '${LAUNCHER}' run --config '${configFile}' &\necho $! > '${pidFile}'\nwait $!\necho $? > '${statusFile}'\n`,
  );
  const terminal = spawn(script, ['-qfc', `sh '${directory}/run.sh'; true`, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await eventually(() => output.includes('admin on'), { what: () => `a start; it printed ${output}` });
  const pid = Number(readFileSync(pidFile, 'utf8'));
  whenDone(() => {
    if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
  });
  process.kill(pid, 'SIGHUP');
  await eventually(() => output.includes('reloaded'));

  terminal.kill('SIGKILL');
  await eventually(() => existsSync(statusFile) && readFileSync(statusFile, 'utf8') !== '');
  expect(readFileSync(statusFile, 'utf8').trim()).toBe('129');
});

// Random abuse of a running balancer from all sides for a while: node test/soak/soak.ts [--seconds N] [--quick].
// In the end nothing may be left of it: no socket, no count, no memory; and honest requests beside it all succeeded.
// SEED=N repeats the order of events as far as the network allows.

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SeededRandom } from '../../src/base/random.ts';
import {
  badServer,
  count,
  goodServer,
  honestUpload,
  listen,
  rawAbuse,
  type Tally,
  webSocketAbuse,
} from './abuse.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/holdfast.mjs', import.meta.url));
const CLIENTS = 60;
const RSS_GROWTH_MB_MAX = 80;
/** After 3 s it has 203 to 261 MB, after 13 s 242 to 301, after ten minutes 309: the first seconds say nothing of growth. */
const WARM_SECONDS = 10;
const QUIET_MS = 15_000;

const { argv, env } = process;
const secondsAt = argv.indexOf('--seconds');
const seconds = secondsAt > 0 ? Number(argv[secondsAt + 1]) : argv.includes('--quick') ? 10 : 60;
const seed = Number(env['SEED'] ?? (performance.timeOrigin % 1_000_000) | 0);
const seeded = new SeededRandom(seed);
const random = (): number => seeded.next();
const tally: Tally = new Map();

const ports = {
  good: await Promise.all([listen(goodServer(random)), listen(goodServer(random))]),
  bad: await Promise.all([listen(badServer(random)), listen(badServer(random))]),
};
const directory = mkdtempSync(join(tmpdir(), 'holdfast-soak-'));
const configFile = join(directory, 'soak.yaml');
const servers = (list: readonly number[]): string =>
  list.map((port) => `{ url: "http://127.0.0.1:${port}" }`).join(', ');
writeFileSync(
  configFile,
  `
listen: [{ address: 127.0.0.1:0, timeouts: { header: 1s, body: 1s, keepAlive: 60s, tunnel: 5s } }]
admin: { address: 127.0.0.1:0 }
threads: 2
routes: [{ path: /bad, pool: bad }, { pool: good }]
pools:
  good:
    health: off
    sticky: { mode: cookie-hash, idle: 2s }
    queue: { size: 10000, timeout: 10s }
    servers: [${servers(ports.good)}]
  bad:
    health: off
    passive: { failures: 100000 }
    sticky: { mode: cookie-pin, idle: 2s }
    timeouts: { response: 1s, idle: 1s, connect: 1s }
    queue: { size: 20, timeout: 500ms }
    servers: [{ url: "http://127.0.0.1:${ports.bad[0]}", maxConnections: 10 }, { url: "http://127.0.0.1:${ports.bad[1]}" }, { url: http://127.0.0.1:1 }]
`,
);
const child = spawn(process.execPath, [LAUNCHER, 'run', '--config', configFile], {
  stdio: ['ignore', 'pipe', 'pipe'],
});
let output = '';
let log = '';
child.stdout.on('data', (text) => {
  output += String(text);
});
child.stderr.on('data', (text) => {
  log += String(text);
});
process.on('exit', () => child.kill('SIGKILL'));
let hasExited = false;
child.on('exit', () => {
  hasExited = true;
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function fail(message: string): never {
  process.stderr.write(`soak failed (SEED=${seed}): ${message}\n${log.slice(-4000)}\n`);
  child.kill('SIGKILL');
  process.exit(1);
}

function residentMb(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1]) / 1024;
}

function sockets(): number {
  const path = `/proc/${child.pid}/fd`;
  return readdirSync(path).filter((name) => {
    try {
      return readlinkSync(`${path}/${name}`).startsWith('socket:');
    } catch {
      return false; // closed since the directory was read
    }
  }).length;
}

while (!output.includes('admin on ')) {
  if (hasExited) fail('it did not start');
  await pause(50);
}
const port = Number(/listening on http:\/\/.*:(\d+)/.exec(output)?.[1]);
const adminUrl = /admin on (\S+)/.exec(output)?.[1] ?? '';

async function metrics(): Promise<string> {
  return (await fetch(`${adminUrl}/metrics`, { headers: { connection: 'close' } })).text();
}

function sum(text: string, name: string, label = ''): number {
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith(name) && !/^[a-z_]+_/.test(line.slice(name.length)));
  return lines
    .filter((line) => line.includes(label))
    .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
}

const facts = { port, random, tally };
const deeds = [rawAbuse, rawAbuse, rawAbuse, rawAbuse, honestUpload, webSocketAbuse];

async function client(endMs: number): Promise<void> {
  while (performance.now() < endMs && !hasExited) {
    const deed = deeds[Math.floor(random() * deeds.length)] ?? rawAbuse;
    count(tally, deed.name);
    await deed(facts);
  }
}

async function abuse(forSeconds: number): Promise<void> {
  const endMs = performance.now() + forSeconds * 1000;
  try {
    await Promise.all(Array.from({ length: CLIENTS }, () => client(endMs)));
  } catch (error) {
    fail(`${String(error)} ${String((error as Error).cause ?? '')}`);
  }
}

await metrics();
const socketsBefore = sockets();
// What a first burst brings in (code, buffers, the heap's first size) is not growth.
await abuse(WARM_SECONDS);
const warmMb = residentMb();
await abuse(seconds);
if (hasExited) fail('it exited');
const endMb = residentMb();

const quietBy = performance.now() + QUIET_MS;
for (;;) {
  const text = await metrics();
  const left = {
    inFlight: sum(text, 'holdfast_requests_in_flight'),
    clients: sum(text, 'holdfast_client_connections'),
    active: sum(text, 'holdfast_upstream_connections', 'state="active"'),
    sessions: sum(text, 'holdfast_session_table_entries'),
    sockets: sockets() - socketsBefore - sum(text, 'holdfast_upstream_connections', 'state="idle"'),
    restarts: sum(text, 'holdfast_worker_restarts_total'),
  };
  if (Object.values(left).every((value) => value === 0)) break;
  if (performance.now() > quietBy) fail(`left over: ${JSON.stringify(left)}`);
  await pause(200);
}
const grownMb = endMb - warmMb;
for (const [name, times] of [...tally].sort()) process.stdout.write(`${name.padEnd(24)} ${times}\n`);
process.stdout.write(`memory ${warmMb.toFixed(0)} MB warm, ${endMb.toFixed(0)} MB at the end\n`);
if (grownMb > RSS_GROWTH_MB_MAX) fail(`memory grew by ${grownMb.toFixed(0)} MB`);
child.kill('SIGTERM');
await new Promise((resolve) => child.on('exit', resolve));
rmSync(directory, { recursive: true, force: true });
if (child.exitCode !== 0) fail(`it exited with ${child.exitCode}`);
process.stdout.write(`soak passed: ${seconds} s, SEED=${seed}\n`);
process.exit(0);

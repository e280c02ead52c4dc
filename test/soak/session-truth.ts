// The long form of the session count's truth: 5 000 users over 4 demo backends for 60 seconds with log-in, idling and
// log-out; every sample of holdfast_sessions against what the applications hold, and both exactly equal at rest,
// with and without sessions.
//
//   node test/soak/session-truth.ts [--users 5000] [--seconds 60]        exit 1 when a count is wrong

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startDemo } from '../../demo/launch.ts';
import { Crowd } from '../support/crowd.ts';
import { countedSessions, heldSessions, TruthWatch } from '../support/truth.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/holdfast.mjs', import.meta.url));
const IDLE_SECONDS = 25;
/** A sweep begins a second after the last one has ended; main may be busy with something else for a moment. */
const LATE_MS = 1_300;

const { values } = parseArgs({ options: { users: { type: 'string' }, seconds: { type: 'string' } } });
const users = Number(values.users ?? 5_000);
const seconds = Number(values.seconds ?? 60);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

const demo = await startDemo({
  servers: 4,
  flags: ['--idle', `${IDLE_SECONDS}s`, '--scrypt-cost', '2', '--login-failures', '1000000'],
});
const directory = mkdtempSync(join(tmpdir(), 'holdfast-soak-'));
writeFileSync(
  join(directory, 'holdfast.yaml'),
  `
listen: [{ address: 127.0.0.1:0, limits: { connections: 0 } }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: learn, cookie: connect.sid, idle: ${IDLE_SECONDS}s }
    health: { path: /healthz, interval: 5s, timeout: 5s }
    servers:
${demo.backends.map(({ name, url }) => `      - { name: ${name}, url: "${url}" }`).join('\n')}
`,
);
const child = spawn(
  process.execPath,
  [LAUNCHER, 'run', '--config', join(directory, 'holdfast.yaml'), '--threads', '2'],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
let output = '';
child.stdout.setEncoding('utf8').on('data', (text: string) => {
  output += text;
});
while (!/^admin on /m.test(output)) await pause(20);
const url = /^listening on (http:\S+)$/m.exec(output)?.[1] ?? '';
const admin = /^admin on (http:\S+)$/m.exec(output)?.[1] ?? '';
while ((await fetch(`${admin}/readyz`)).status !== 200) await pause(50);

const metrics = async (): Promise<string> => (await fetch(`${admin}/metrics`)).text();
const begunMs = performance.now();
const thinkMs = 20_000;
const crowd = new Crowd({ url: () => url, users, thinkMs, logoutChance: 0.1, leaveChance: 0.1 });
const watch = new TruthWatch(demo, metrics);
await pause(seconds * 1_000);
await crowd.stop();
while (sum(await heldSessions(demo)) > 0) await pause(200);
await watch.stop();
await pause(1_500);
const empty = { held: await heldSessions(demo), counted: countedSessions(demo, await metrics()) };
const guests = new Crowd({
  url: () => url,
  users: 1_000,
  thinkMs: 2_000,
  logoutChance: 0.05,
  leaveChance: 0,
});
await pause(4_000);
await guests.stop();
await pause(1_500);
const full = { held: await heldSessions(demo), counted: countedSessions(demo, await metrics()) };

const wrong = watch.wrong(LATE_MS);
const { requests, logins, logouts, walkedAway, surprises } = crowd;
const report = {
  users,
  seconds,
  requests,
  logins,
  logouts,
  walkedAway,
  surprises: surprises.length,
  firstSurprise: surprises[0] ?? null,
  samples: watch.samples,
  peakSessions: watch.peak,
  countsOutside: wrong.length,
  outside: wrong.map(({ atMs, ...count }) => ({
    atSeconds: Math.round((atMs - begunMs) / 100) / 10,
    ...count,
  })),
  atRestEmpty: empty,
  atRestFull: full,
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
child.kill('SIGTERM');
await once(child, 'exit');
await demo.stop();
rmSync(directory, { recursive: true });
const isExact = ({ held, counted }: typeof full): boolean => JSON.stringify(held) === JSON.stringify(counted);
const isTrue = wrong.length === 0 && isExact(empty) && isExact(full) && sum(full.held) > 900;
process.exit(isTrue && surprises.length === 0 ? 0 : 1);

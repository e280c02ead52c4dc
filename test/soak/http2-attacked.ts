// Every attack that HTTP/2 is known for, one after the other, with an honest client beside it: what the process grows by, and
// what becomes of the honest client's waits. For each attack a process of its own, warmed up; its client is measured with and
// without the attack in turns, so that what else the machine does is in both.
//
//   npm run soak:http2-attacks -- [--seconds 60] [--connections 10] [--only NAME,NAME] [--threads 2]      exit 1: too much

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseResident } from '../bench/proc-stat.ts';
import { markdownTable } from '../bench/report.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { forProgram, whenDone } from '../support/lifetime.ts';
import { ATTACKS, type Attack } from './http2-attacks.ts';

const GROWTH_MIB_MAX = 20;
const P99_TIMES_MAX = 2;
const ROUNDS = 4;
const EVERY_MS = 5;
const WARM_CONNECTIONS = 10;
const WARM_REQUESTS = 40_000;
const HONEST = '/honest';
const MIB = 1 << 20;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    connections: { type: 'string', default: '10' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});
const seconds = Number(values.seconds);

/** Holdfast and its honest client come first on a machine that others share; where that is not allowed the waits are longer. */
const PRIORITY = -15;

function role(...args: readonly string[]): ChildProcess {
  const child = fork(join(import.meta.dirname, 'http2-attack-roles.ts'), args);
  if (child.pid !== undefined) setPriority(child.pid, 0);
  whenDone(() => child.kill('SIGKILL'));
  return child;
}

async function saidBy(child: ChildProcess): Promise<unknown> {
  const [message] = await once(child, 'message');
  return message;
}

/** How long one request took, in ms. */
function ask(session: ClientHttp2Session): Promise<number> {
  const beganMs = performance.now();
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': HONEST });
    stream.on('response', (head) => {
      if (head[':status'] !== 200) reject(new Error(`answered ${head[':status']}`));
    });
    stream.on('end', () => resolve(performance.now() - beganMs));
    stream.on('error', reject);
    stream.resume();
  });
}

interface Honest {
  readonly waitsMs: number[];
  failed: number;
}

/** Asks so often, whether it was answered or not. */
async function askFor(ms: number, session: ClientHttp2Session, honest: Honest): Promise<void> {
  const endMs = performance.now() + ms;
  const asked: Promise<void>[] = [];
  for (let nextMs = performance.now(); nextMs < endMs; nextMs += EVERY_MS) {
    const waitMs = nextMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    asked.push(
      ask(session).then(
        (each) => void honest.waitsMs.push(each),
        () => {
          honest.failed += 1;
        },
      ),
    );
  }
  await Promise.all(asked);
}

/** Over several connections, so that every thread has compiled its code: the honest client's is on one of them. */
async function warm(url: string): Promise<void> {
  const sessions = Array.from({ length: WARM_CONNECTIONS }, () => connect(url));
  let left = WARM_REQUESTS;
  const client = async (session: ClientHttp2Session): Promise<void> => {
    for (; left > 0; left -= 1) await ask(session);
  };
  await Promise.all(sessions.flatMap((session) => Array.from({ length: 5 }, () => client(session))));
  for (const session of sessions) session.close();
}

const p99 = ({ waitsMs }: Honest): number =>
  waitsMs.toSorted((a, b) => a - b)[Math.floor(waitsMs.length * 0.99)] ?? Number.POSITIVE_INFINITY;

interface Outcome {
  readonly name: string;
  readonly connections: number;
  readonly growthMib: number;
  readonly calmMs: number;
  readonly attackedMs: number;
  readonly failed: number;
  readonly kinds: string;
}

async function kindsOf(running: RunningHoldfast): Promise<string> {
  const lines = (await running.metrics()).matchAll(
    /^holdfast_http2_abuse_total\{.*kind="(\w+)".*\} (\S+)$/gm,
  );
  return [...lines].flatMap(([, kind, count]) => (Number(count) > 0 ? [`${kind} ${count}`] : [])).join(', ');
}

/** `honest`: port of the server that the honest client asks, which is not the one that is attacked by the way. */
async function suffer(attack: Attack, server: number, honest: number): Promise<Outcome> {
  const running = await runHoldfast(`
threads: ${values.threads}
listen: { address: 127.0.0.1:0, h2c: true }
admin: { address: 127.0.0.1:0 }
accessLog: off
pools:
  web: { servers: ["http://127.0.0.1:${server}"] }
  honest: { servers: ["http://127.0.0.1:${honest}"] }
routes: [{ path: ${HONEST}, pool: honest }, { pool: web }]
`);
  await warm(running.url);
  const session = connect(running.url);
  session.on('error', () => undefined);
  const attacker = role('attack', String(running.port), attack.name, values.connections);
  await saidBy(attacker);
  const resident = (): number =>
    parseResident(readFileSync(`/proc/${running.child.pid}/status`, 'utf8')).nowBytes / MIB;
  const before = resident();
  let most = before;
  const calm: Honest = { waitsMs: [], failed: 0 };
  const attacked: Honest = { waitsMs: [], failed: 0 };
  let connections = 0;
  const look = setInterval(() => (most = Math.max(most, resident())), 250);
  for (let round = 0; round < ROUNDS; round += 1) {
    await askFor((seconds * 250) / ROUNDS, session, calm);
    attacker.send('begin');
    await delay(100);
    await askFor((seconds * 1000) / ROUNDS, session, attacked);
    attacker.send('end');
    connections = Number(await saidBy(attacker));
    await delay(200);
  }
  clearInterval(look);
  const kinds = await kindsOf(running);
  attacker.kill();
  session.destroy();
  await running.stop();
  return {
    name: attack.name,
    connections,
    growthMib: most - before,
    calmMs: p99(calm),
    attackedMs: p99(attacked),
    failed: calm.failed + attacked.failed,
    kinds,
  };
}

const isGood = await forProgram(async () => {
  const server = Number(await saidBy(role('serve')));
  const honest = Number(await saidBy(role('serve')));
  try {
    setPriority(PRIORITY);
  } catch {}
  const outcomes: Outcome[] = [];
  for (const attack of ATTACKS) {
    if (values.only !== undefined && !values.only.split(',').includes(attack.name)) continue;
    const outcome = await suffer(attack, server, honest);
    outcomes.push(outcome);
    process.stderr.write(`${JSON.stringify(outcome)}\n`);
  }
  const rows = outcomes.map(({ name, connections, growthMib, calmMs, attackedMs, failed, kinds }) => [
    name,
    `${connections}`,
    `${growthMib.toFixed(1)} MiB`,
    `${calmMs.toFixed(1)} ms`,
    `${attackedMs.toFixed(1)} ms`,
    (attackedMs / calmMs).toFixed(2),
    `${failed}`,
    kinds,
  ]);
  const titles = ['attack', 'connections', 'growth', 'p99 calm', 'attacked', 'times', 'failed', 'counted'];
  process.stdout.write(`${seconds} s each, ${values.connections} connections at once\n\n`);
  process.stdout.write(`${markdownTable(titles, rows)}\n`);
  return outcomes.every(
    ({ growthMib, calmMs, attackedMs, failed }) =>
      growthMib <= GROWTH_MIB_MAX && attackedMs <= P99_TIMES_MAX * calmMs && failed === 0,
  );
});
process.exit(isGood ? 0 : 1);

/**
 * `node test/bench/table.ts`: what a request costs when the session table holds a million sessions, against a table of
 * the same size that holds the visitors' alone. Both are asked for the same sessions by the same clients, in turn: the
 * ratio is the median of those of neighbouring rounds, which what else the machine does hits alike.
 *
 * The figure is CPU time of the data-plane thread per request. Main's sweep over the table is not in it: that has a
 * limit of its own (test/sessions/sweep.test.ts).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Backends, portOf, startCanned } from './backends.ts';
import { type Child, startChild, until } from './children.ts';
import { createClient } from './client.ts';
import { chooseCores } from './cores.ts';
import { chooseGenerator, drive, type Target } from './load.ts';
import { markdownTable } from './report.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { type Spread, spreadOf } from './statistics.ts';

const USAGE = `usage: node test/bench/table.ts [options]
  --rounds N    default 15, of both tables each
  --seconds N   per table and round, default 1
  --assert      exit 1 when a full table costs a request more than 1.1 times what an empty one does`;

const START_MS = 60_000;
const WARM_SECONDS = 2;
const VISITORS = 10_000;
const RATIO_MAX = 1.1;
const TABLES = [
  { title: 'the visitors alone', sessions: VISITORS },
  { title: 'a million sessions', sessions: 1_000_000 },
] as const;

type Entrant = {
  readonly title: string;
  readonly child: Child;
  readonly target: Target;
  readonly lookUpNanos: number;
  /** CPU time per request of each round. */
  readonly micros: number[];
};

const SMALL = SCENARIOS.find(({ name }) => name === 'small') as Scenario;
const cores = chooseCores();
const generator = chooseGenerator(undefined);
process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '15' },
      seconds: { type: 'string', default: '1' },
      assert: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  console.log(`${VISITORS} visitors, ${generator}, ${cores.text}`);
  const backends = await startCanned(cores.load);
  const entrants: Entrant[] = [];
  try {
    for (const { title, sessions } of TABLES) entrants.push(await start(title, sessions, backends));
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const entrant of round % 2 === 0 ? entrants : entrants.toReversed()) {
        entrant.micros.push(await microsPerRequest(entrant, Number(values.seconds)));
      }
    }
  } finally {
    await Promise.all([...entrants.map(({ child }) => child.stop()), backends.stop()]);
  }
  const ratio = report(entrants);
  return values.assert && ratio > RATIO_MAX ? 1 : 0;
}

async function start(title: string, sessions: number, backends: Backends): Promise<Entrant> {
  const ports = backends.list.map(({ port }) => String(port));
  const script = join(import.meta.dirname, 'table-child.ts');
  const command = [process.execPath, script, String(sessions), String(VISITORS), ...ports];
  const child = startChild(command, cores.proxy);
  const port = await until(child, 'the balancer to listen', START_MS, () => portOf(child));
  const { right, nanosPerLookUp } = JSON.parse(child.stdout().split('\n')[0] ?? '');
  // where both of its buckets are full one session in 2000 is pushed out
  if (right < sessions * 0.999) throw new Error(`the table knows ${right} of ${sessions} sessions`);
  await checkHomes(port);
  const visitors = Array.from({ length: VISITORS }, (_, visitor) => `connect.sid=v${visitor}`);
  const target = { generator, port, scenario: SMALL, visitors, connections: 64, core: cores.load };
  await drive(target, WARM_SECONDS);
  return { title, child, target, lookUpNanos: nanosPerLookUp, micros: [] };
}

async function microsPerRequest({ child, target }: Entrant, seconds: number): Promise<number> {
  const before = microsByThread(child.pid);
  const { requests, errors } = await drive(target, seconds);
  if (errors > 0) throw new Error(`${errors} errors`);
  return busiestSince(child.pid, before) / requests;
}

/** Visitors come to their homes: the servers say who they are. */
async function checkHomes(port: number): Promise<void> {
  const client = createClient(port);
  const deadline = performance.now() + START_MS;
  while ((await client.get('/small')).status !== 200) {
    if (performance.now() > deadline) throw new Error('the balancer does not answer');
    await delay(50);
  }
  for (let visitor = 0; visitor < 200; visitor += 1) {
    const { headers } = await client.get('/small', { cookie: `connect.sid=v${visitor}` });
    if (headers['x-backend'] !== 'ab'[visitor % 2]) throw new Error(`visitor ${visitor} was sent astray`);
  }
  client.close();
}

/** Processor time of each thread of the process so far. */
function microsByThread(pid: number): ReadonlyMap<string, number> {
  const threads = readdirSync(`/proc/${pid}/task`);
  return new Map(
    threads.map((thread) => {
      const [nanos] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      return [thread, Number(nanos) / 1_000];
    }),
  );
}

/** Of the thread that was busiest meanwhile: under load, the one that serves. */
function busiestSince(pid: number, before: ReadonlyMap<string, number>): number {
  const spent = [...microsByThread(pid)].map(([thread, micros]) => micros - (before.get(thread) ?? 0));
  return Math.max(...spent);
}

/** Prints the table; returns how many times what the first costs the last does. */
function report(entrants: readonly Entrant[]): number {
  const base = entrants[0]?.micros ?? [];
  const ratios = entrants.map(({ micros }) => spreadOf(micros.map((value, round) => value / base[round]!)));
  const rows = entrants.map(({ title, micros, lookUpNanos }, index) => {
    const shown = (spread: Spread | undefined, digits: number): string =>
      spread === undefined
        ? ''
        : `${spread.median.toFixed(digits)} (${spread.min.toFixed(digits)}..${spread.max.toFixed(digits)})`;
    return [title, shown(spreadOf(micros), 1), shown(ratios[index], 3), lookUpNanos.toFixed(0)];
  });
  console.log(markdownTable(['table holds', 'CPU µs a request', 'ratio', 'look-up alone, ns'], rows));
  return ratios.at(-1)?.median ?? Number.NaN;
}

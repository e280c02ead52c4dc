/**
 * `npm run bench:latency`: how much later an answer comes through a proxy than straight from the server, at rates far below what
 * either can do. Open loop: each of the connections asks when its time has come, whether or not the others are answered (h2load).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Backends, startBackends } from './backends.ts';
import { runChild } from './children.ts';
import { visitorCookies } from './client.ts';
import { chooseCores, findProgram } from './cores.ts';
import { makeFolder, removeFolder } from './folders.ts';
import { PEERS } from './peers.ts';
import { markdownTable } from './report.ts';
import { type Running, startPeer } from './running.ts';
import { median } from './statistics.ts';

const USAGE = `usage: npm run bench:latency -- [options]
  --only A,B     default holdfast,haproxy,nginx,http-proxy
  --rates A,B    requests a second, default 1000,4000,8000
  --rounds N     default 3
  --seconds N    of each run, default 5`;

/** They ask at the same moments, so that each answer waits for those before it: few, as of one page. */
const CONNECTIONS = 16;
const WARM_SECONDS = 2;
const GRACE_MS = 20_000;
const DIRECT = 'direct';
const SHARES = [0.5, 0.99, 0.999] as const;

/** Where to ask, and as whom. */
type Target = { readonly name: string; readonly port: number; readonly cookie: string };

const cores = chooseCores();
const h2load = findProgram('h2load');
process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: 'holdfast,haproxy,nginx,http-proxy' },
      rates: { type: 'string', default: '1000,4000,8000' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (h2load === null) {
    console.error('h2load is needed, in Debian the package nghttp2-client');
    return 1;
  }
  const backends = await startBackends(cores.load);
  const running: Running[] = [];
  try {
    for (const peer of PEERS.filter(({ name }) => values.only.split(',').includes(name)))
      if (peer.version() !== null)
        running.push(await startPeer(peer, backends.list, cores.proxy, 2 * CONNECTIONS));
    const targets = await targetsOf(running, backends);
    console.log(`${values.rounds} × ${values.seconds} s, ${CONNECTIONS} connections, ${cores.text}\n`);
    console.log('Milliseconds: of the server alone, then what each proxy adds to them.\n');
    for (const rate of values.rates.split(',').map(Number)) {
      const rows = await rowsAt(rate, targets, Number(values.rounds), Number(values.seconds));
      console.log(`${markdownTable([`at ${rate}/s`, 'p50', 'p99', 'p99.9', 'answers'], rows)}\n`);
    }
  } finally {
    await Promise.all([...running.map((each) => each.stop()), backends.stop()]);
  }
  return 0;
}

async function targetsOf(running: readonly Running[], backends: Backends): Promise<readonly Target[]> {
  const targets = [{ name: DIRECT, port: backends.list[0]?.port ?? 0, cookie: '' }];
  for (const { peer, port } of running) {
    const [cookie = ''] = peer.sticky === null ? [''] : await visitorCookies(port, 1);
    targets.push({ name: peer.name, port, cookie });
  }
  return targets;
}

async function rowsAt(
  rate: number,
  targets: readonly Target[],
  rounds: number,
  seconds: number,
): Promise<readonly (readonly string[])[]> {
  const all = new Map(targets.map(({ name }) => [name, SHARES.map((): number[] => [])]));
  const answers = new Map<string, number>();
  for (const target of targets) await ask(target, rate, WARM_SECONDS);
  for (let round = 0; round < rounds; round += 1) {
    for (const target of targets) {
      const micros = await ask(target, rate, seconds);
      answers.set(target.name, (answers.get(target.name) ?? 0) + micros.length);
      for (const [index, share] of SHARES.entries())
        all.get(target.name)?.[index]?.push(micros[Math.floor(share * (micros.length - 1))] ?? 0);
    }
  }
  const direct = (all.get(DIRECT) ?? []).map(median);
  return [...all].map(([name, values]) => [
    name,
    ...values.map((each, index) => {
      const added = median(each) - (name === DIRECT ? 0 : (direct[index] ?? 0));
      return `${name === DIRECT ? '' : '+'}${(added / 1000).toFixed(2)}`;
    }),
    String(answers.get(name)),
  ]);
}

/** How long each request took, in microseconds, the shortest first. Throws when one was not answered with 200. */
async function ask(
  { name, port, cookie }: Target,
  rate: number,
  seconds: number,
): Promise<readonly number[]> {
  const folder = makeFolder('latency');
  const log = join(folder, 'log');
  try {
    const options = ['--h1', `-c${CONNECTIONS}`, `-D${seconds}`, `--rps=${rate / CONNECTIONS}`];
    const headers = cookie === '' ? [] : ['-H', `cookie: ${cookie}`];
    const url = `http://127.0.0.1:${port}/small`;
    const command = [h2load ?? '', ...options, ...headers, `--log-file=${log}`, url];
    await runChild(command, cores.load, seconds * 1000 + GRACE_MS);
    const lines = readFileSync(log, 'latin1').trimEnd().split('\n');
    const failed = lines.find((line) => line.split('\t')[1] !== '200');
    if (failed !== undefined) throw new Error(`${name}: ${failed}`);
    return lines.map((line) => Number(line.split('\t')[2])).sort((a, b) => a - b);
  } finally {
    removeFolder(folder);
  }
}

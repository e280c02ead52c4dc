/**
 * `npm run bench:scale`: what a request costs as one thing grows: connections, heads, bodies, servers, threads, new connections. Holdfast
 * beside HAProxy, and beside two that only pass bytes on. The figure is CPU time of the proxy per request; rounds in turn.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AXES, type Axis, endsOf, type Point } from './axes.ts';
import { type Backend, type Backends, startBackends, startCanned } from './backends.ts';
import { visitorCookies } from './client.ts';
import { chooseCores } from './cores.ts';
import { curvesOf } from './curves.ts';
import { chooseGenerator, drive, measure, type Target } from './load.ts';
import type { Peer } from './peer.ts';
import { HOLDFAST } from './peer-holdfast.ts';
import { HAPROXY } from './peers-native.ts';
import { markdownTable } from './report.ts';
import { type Running, startPeer } from './running.ts';
import { median, ratio } from './statistics.ts';

const USAGE = `usage: npm run bench:scale -- [options]
  --axis A,B     only these: ${AXES.map(({ name }) => name).join(', ')}
  --rounds N     default 3
  --seconds N    of each run, default 2
  --out FOLDER   where tables and curves go, default bench-results
  --quick        both ends of each axis, one round of a second`;

const CONNECTIONS_MAX = 4096;
const WARM_SECONDS = 3;
/** Opened and warm in a second, while others do the same work beside it; what a run costs beside its requests is then little. */
const CONNECTIONS_PER_SECOND = 500;

/** CPU µs a request at one point, by proxy. */
type Measured = { readonly at: number; readonly micros: ReadonlyMap<string, number> };

const cores = chooseCores();
const generator = chooseGenerator(undefined);
process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      axis: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      out: { type: 'string', default: 'bench-results' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const names = values.axis?.split(',') ?? AXES.map(({ name }) => name);
  const unknown = names.find((name) => !AXES.some((axis) => axis.name === name));
  if (values.help || unknown !== undefined) {
    console.log(unknown === undefined ? USAGE : `--axis ${unknown}: there is no such axis\n\n${USAGE}`);
    return unknown === undefined ? 0 : 2;
  }
  const rounds = values.quick ? 1 : Number(values.rounds);
  const seconds = values.quick ? 1 : Number(values.seconds);
  console.log(`${rounds} × ${seconds} s, ${generator}, ${cores.text}`);
  mkdirSync(values.out, { recursive: true });
  for (const axis of AXES.filter(({ name }) => names.includes(name))) {
    const measured = await measureAxis(values.quick ? endsOf(axis) : axis, rounds, seconds);
    console.log(`\n${axis.title}\n\n${tableOf(axis, measured)}`);
    writeFileSync(join(values.out, `scale-${axis.name}.svg`), chartOf(axis, measured));
  }
  return 0;
}

async function measureAxis(axis: Axis, rounds: number, seconds: number): Promise<readonly Measured[]> {
  const present = axis.peers.filter((peer) => peer.version() !== null);
  const backends = await (axis.servers === 'canned' ? startCanned : startBackends)(cores.load);
  try {
    const measured: Measured[] = [];
    const groups = axis.areAlone === true ? present.map((peer) => [peer]) : [present];
    for (const point of axis.points) {
      const parts: Measured[] = [];
      for (const group of groups)
        parts.push(await measurePoint(axis, point, group, backends, rounds, seconds));
      measured.push({ at: point.at, micros: new Map(parts.flatMap(({ micros }) => [...micros])) });
      console.error(`${axis.name} ${point.at}: done`);
    }
    return measured;
  } finally {
    await backends.stop();
  }
}

/** The peers in turn. */
async function measurePoint(
  axis: Axis,
  point: Point,
  peers: readonly Peer[],
  backends: Backends,
  rounds: number,
  seconds: number,
): Promise<Measured> {
  const servers = serversOf(point.servers, backends.list);
  const running: Running[] = [];
  const samples = new Map<string, number[]>();
  try {
    const { threads = 1 } = point;
    for (const peer of peers)
      running.push(await startPeer(peer, servers, cores.proxy, CONNECTIONS_MAX, { threads }));
    const targets = await Promise.all(running.map((each) => targetOf(each, axis, point)));
    const secondsEach = Math.max(seconds, point.connections / CONNECTIONS_PER_SECOND);
    for (const target of targets) await drive(target, WARM_SECONDS);
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, { peer, pid }] of running.entries()) {
        const { cpuMicrosPerRequest, errors } = await measure(targets[index] as Target, pid, secondsEach);
        if (errors > 0) throw new Error(`${peer.name} at ${point.at}: ${errors} errors`);
        samples.set(peer.name, [...(samples.get(peer.name) ?? []), cpuMicrosPerRequest]);
      }
    }
  } finally {
    await Promise.all(running.map((each) => each.stop()));
  }
  return { at: point.at, micros: new Map([...samples].map(([name, all]) => [name, median(all)])) };
}

/** Many servers are the same two under many names: what is measured is choosing among them. */
function serversOf(count: number, list: readonly Backend[]): readonly Backend[] {
  if (count === list.length) return list;
  return Array.from({ length: count }, (_, index) => ({
    name: `s${index}`,
    port: list[index % list.length]?.port ?? 0,
  }));
}

async function targetOf(
  { peer, port }: Running,
  { areMessages = false }: Axis,
  { scenario, connections }: Point,
): Promise<Target> {
  const visitors = peer.sticky === null ? [''] : await visitorCookies(port, Math.min(connections, 256));
  const sender = areMessages ? 'messages' : generator;
  return { generator: sender, port, scenario, visitors, connections, core: cores.load };
}

function tableOf({ unit }: Axis, measured: readonly Measured[]): string {
  const names = [...(measured[0]?.micros.keys() ?? [])];
  const isCompared = names.includes(HOLDFAST.name) && names.includes(HAPROXY.name);
  const rows = measured.map(({ at, micros }) => [
    String(at),
    ...names.map((name) => micros.get(name)?.toFixed(1) ?? '-'),
    ...(isCompared ? [ratio(micros.get(HOLDFAST.name), micros.get(HAPROXY.name))?.toFixed(2) ?? '-'] : []),
  ]);
  return markdownTable([unit, ...names, ...(isCompared ? ['× haproxy'] : [])], rows);
}

function chartOf({ title, unit }: Axis, measured: readonly Measured[]): string {
  const names = [...(measured[0]?.micros.keys() ?? [])];
  const curves = names.map((name) => ({
    name,
    points: measured.map(({ at, micros }) => [at, micros.get(name) ?? Number.NaN] as const),
  }));
  return curvesOf(title, unit, curves);
}

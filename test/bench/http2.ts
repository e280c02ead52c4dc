/** `npm run bench:http2`: what a request over HTTP/2 and TLS costs the proxy, driven by h2load, as multiples of HAProxy's. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startBackends } from './backends.ts';
import { runChild } from './children.ts';
import { visitorCookies } from './client.ts';
import { chooseCores, findProgram } from './cores.ts';
import { makeFolder, removeFolder } from './folders.ts';
import type { Peer } from './peer.ts';
import { NODE_HTTP2 } from './peer-node-http2.ts';
import { PEERS } from './peers.ts';
import { HTTP2_RELAY } from './peers-floor.ts';
import { cpuMicrosOfTree } from './proc-stat.ts';
import { markdownTable } from './report.ts';
import { type Running, startPeer } from './running.ts';
import {
  CALL_PATH,
  cookieValue,
  HOST,
  LARGE_BODY_BYTES,
  MESSAGE_BYTES,
  SCENARIOS,
  type Scenario,
} from './scenarios.ts';
import { median, ratio } from './statistics.ts';

const USAGE = `usage: node test/bench/http2.ts [options]
  --only A,B          default holdfast,haproxy,nginx,caddy,node-http2; also 'node relay', the least in Node
  --case TEXT         of the cases those that have this in their title
  --rounds N          default 3, each with all of them in turn
  --seconds N         default 3, of each case in a round
  --connections N     default 6
  --servers h1|h2     what the servers behind speak, default h1; h2: Holdfast and HAProxy alone
  --quick             one round of a second, Holdfast and HAProxy alone`;

const CONNECTIONS_MAX = 1024;
const GRACE_MS = 20_000;
/** Node compiles what runs often: until then it costs several times as much. */
const WARM_SECONDS = 6;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    case: { type: 'string', default: '' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string', default: '6' },
    servers: { type: 'string', default: 'h1' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const only = (
  values.only ?? (values.quick ? 'holdfast,haproxy' : 'holdfast,haproxy,nginx,caddy,node-http2')
).split(',');
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const seconds = Number(values.seconds ?? (values.quick ? 1 : 3));

const spoken = values.servers === 'h2' ? 'h2' : 'h1';

interface Case {
  readonly title: string;
  readonly scenario: Scenario;
  /** At once on each connection. */
  readonly streams: number;
  /** Bytes that each request sends; 0: none. */
  readonly uploadBytes: number;
}

const [browser, small, large] = SCENARIOS as readonly [Scenario, Scenario, Scenario];
const ALL: readonly Case[] = [
  { title: 'small, 1 stream', scenario: small, streams: 1, uploadBytes: 0 },
  { title: 'small, 10 streams', scenario: small, streams: 10, uploadBytes: 0 },
  { title: 'small, 100 streams', scenario: small, streams: 100, uploadBytes: 0 },
  { title: 'browser, 10 streams', scenario: browser, streams: 10, uploadBytes: 0 },
  { title: '100 KB, 10 streams', scenario: large, streams: 10, uploadBytes: 0 },
  { title: 'upload of 100 KB, 10 streams', scenario: small, streams: 10, uploadBytes: LARGE_BODY_BYTES },
  ...(spoken === 'h2' ? [callOf(small)] : []),
];
const CASES = ALL.filter(({ title }) => title.includes(values.case));

/** A unary call of gRPC. */
function callOf(scenario: Scenario): Case {
  const headers = [
    ['Content-Type', 'application/grpc'],
    ['TE', 'trailers'],
  ] as const;
  return {
    title: 'gRPC, 10 streams',
    scenario: { ...scenario, path: CALL_PATH, headers },
    streams: 10,
    uploadBytes: MESSAGE_BYTES,
  };
}

/** All run through the whole: one that has just begun would be measured while it still compiles. */
interface Racer {
  readonly peer: Peer;
  readonly running: Running;
  /** The cookie of one who has a home; empty where there is none. */
  readonly visitor: string;
  /** Microseconds a request, by case. */
  readonly costs: readonly number[][];
}

if (values.help) console.log(USAGE);
else await main();

async function main(): Promise<void> {
  if (findProgram('h2load') === null) throw new Error('no h2load on this machine (nghttp2-client)');
  const cores = chooseCores();
  const backends = await startBackends(cores.load, spoken);
  const peers = [...PEERS, NODE_HTTP2, HTTP2_RELAY]
    .filter(({ name, speaksTls }) => speaksTls && only.includes(name))
    .filter(({ asksInHttp2 }) => spoken === 'h1' || asksInHttp2 === true);
  const racers: Racer[] = [];
  for (const peer of peers.filter(({ version }) => version() !== null)) {
    const running = await startPeer(peer, backends.list, cores.proxy, CONNECTIONS_MAX, { spoken });
    const visitors = peer.sticky === null ? [] : await visitorCookies(running.port, 1);
    racers.push({ peer, running, visitor: visitors[0] ?? '', costs: CASES.map(() => []) });
  }
  for (const [index, each] of CASES.entries()) {
    const able: Racer[] = [];
    for (const racer of racers) {
      const warm = load(each, racer, cores.load, values.quick ? 1 : WARM_SECONDS);
      if ((await tried(each, racer, warm)) !== null) able.push(racer);
    }
    for (let round = 0; round < rounds; round += 1)
      for (const racer of able) {
        const cost = await tried(each, racer, costOf(each, racer, cores.load));
        if (cost !== null) racer.costs[index]?.push(cost);
      }
  }
  for (const { running } of racers) await running.stop();
  await backends.stop();
  const reference = racers.find(({ peer }) => peer.name === 'haproxy');
  const rows = racers.map(({ peer, costs }) => [
    peer.name,
    ...costs.map((list, index) => {
      if (list.length === 0) return '–';
      const times = ratio(median(list), median(reference?.costs[index] ?? []));
      return `${median(list).toFixed(1)} µs${times === null ? '' : ` (${times.toFixed(2)})`}`;
    }),
  ]);
  console.log(
    `${rounds} × ${seconds} s, ${values.connections} connections, servers of ${spoken}; ${cores.text}; CPU per request (× HAProxy)\n`,
  );
  console.log(markdownTable(['', ...CASES.map(({ title }) => title)], rows));
}

/** null where it was missed, which is told; that Holdfast misses something is a fault. */
async function tried(each: Case, { peer }: Racer, work: Promise<number>): Promise<number | null> {
  return work.catch((error: Error) => {
    if (peer.name === 'holdfast') throw error;
    console.error(`${peer.name}, ${each.title}: ${error.message}`);
    return null;
  });
}

/** CPU of the proxy for each request, in microseconds. Throws when one was not answered with 2xx. */
async function costOf(each: Case, racer: Racer, core: number | null): Promise<number> {
  const before = cpuMicrosOfTree(racer.running.pid);
  const count = await load(each, racer, core, seconds);
  const micros = (cpuMicrosOfTree(racer.running.pid) - before) / count;
  console.error(`${racer.peer.name}, ${each.title}: ${micros.toFixed(1)} µs/request, ${count} requests`);
  return micros;
}

/** Returns how many requests were answered. */
async function load(
  { scenario, streams, uploadBytes }: Case,
  { running: { securePort }, visitor }: Racer,
  core: number | null,
  forSeconds: number,
): Promise<number> {
  const folder = makeFolder('h2load');
  const cookie = cookieValue(scenario, visitor);
  const fields = [
    [':authority', HOST],
    ...scenario.headers.filter(([name]) => name !== 'Connection'),
    ...(cookie === '' ? [] : [['cookie', cookie]]),
  ];
  const body = join(folder, 'body');
  if (uploadBytes > 0) writeFileSync(body, Buffer.alloc(uploadBytes, 'u'));
  try {
    const output = await runChild(
      [
        ...['h2load', '-t1', `-c${values.connections}`, `-m${streams}`, `-D${forSeconds}`],
        ...fields.flatMap(([name = '', value]) => ['-H', `${name.toLowerCase()}: ${value}`]),
        ...(uploadBytes > 0 ? ['-d', body] : []),
        `https://127.0.0.1:${securePort}${scenario.path}`,
      ],
      core,
      forSeconds * 1000 + GRACE_MS,
    );
    return answeredOf(output);
  } finally {
    removeFolder(folder);
  }
}

function answeredOf(output: string): number {
  const [, succeeded = '0', failed = '0', errored = '0'] =
    /requests: .*, (\d+) succeeded, (\d+) failed, (\d+) errored/.exec(output) ?? [];
  const [, good = '0'] = /status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.exec(output) ?? [];
  if (Number(good) === 0 || Number(failed) + Number(errored) > 0 || !/protocol: h2/i.test(output))
    throw new Error(`not all was answered over HTTP/2: ${output.slice(-800)}`);
  return Math.min(Number(succeeded), Number(good));
}

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
  --only A,B          default holdfast,haproxy,nginx,caddy,node-http2
  --rounds N          default 3, each with all of them in turn
  --seconds N         default 3, of each case in a round
  --connections N     default 6
  --servers h1|h2     what the servers behind speak, default h1; h2: Holdfast and HAProxy alone
  --quick             one round of a second, Holdfast and HAProxy alone`;

const CONNECTIONS_MAX = 1024;
const GRACE_MS = 20_000;
/** Node compiles what runs often: until then it costs several times as much. */
const WARM_SECONDS = 3;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
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
const CASES: readonly Case[] = [
  { title: 'small, 1 stream', scenario: small, streams: 1, uploadBytes: 0 },
  { title: 'small, 10 streams', scenario: small, streams: 10, uploadBytes: 0 },
  { title: 'small, 100 streams', scenario: small, streams: 100, uploadBytes: 0 },
  { title: 'browser, 10 streams', scenario: browser, streams: 10, uploadBytes: 0 },
  { title: '100 KB, 10 streams', scenario: large, streams: 10, uploadBytes: 0 },
  { title: 'upload of 100 KB, 10 streams', scenario: small, streams: 10, uploadBytes: LARGE_BODY_BYTES },
  ...(spoken === 'h2' ? [callOf(small)] : []),
];

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

if (values.help) console.log(USAGE);
else await main();

async function main(): Promise<void> {
  if (findProgram('h2load') === null) throw new Error('no h2load on this machine (nghttp2-client)');
  const cores = chooseCores();
  const backends = await startBackends(cores.load, spoken);
  const peers = [...PEERS, NODE_HTTP2]
    .filter(({ name, speaksTls }) => speaksTls && only.includes(name))
    .filter(({ asksInHttp2 }) => spoken === 'h1' || asksInHttp2 === true);
  const costs = new Map<string, readonly number[][]>();
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of peers.filter(({ version }) => version() !== null)) {
      const list = costs.get(peer.name) ?? CASES.map(() => []);
      costs.set(peer.name, list);
      const running = await startPeer(peer, backends.list, cores.proxy, CONNECTIONS_MAX, { spoken });
      for (const [index, each] of CASES.entries())
        list[index]?.push(
          await costOf(each, peer, running, cores.load).catch((error) => missed(peer, each, error)),
        );
      await running.stop();
    }
  }
  await backends.stop();
  const reference = costs.get('haproxy');
  const rows = [...costs].map(([name, lists]) => [
    name,
    ...lists.map((list, index) => {
      const times = ratio(median(list), median(reference?.[index] ?? []));
      const text = times === null ? '' : ` (${times.toFixed(2)})`;
      return Number.isNaN(median(list)) ? '–' : `${median(list).toFixed(1)} µs${text}`;
    }),
  ]);
  console.log(
    `${rounds} × ${seconds} s, ${values.connections} connections, servers of ${spoken}; ${cores.text}; CPU per request (× HAProxy)\n`,
  );
  console.log(markdownTable(['', ...CASES.map(({ title }) => title)], rows));
}

/** A peer that fails at a case is shown with a dash there; that Holdfast fails is a fault. */
function missed({ name }: Peer, { title }: Case, error: Error): number {
  if (name === 'holdfast') throw error;
  console.error(`${name}, ${title}: ${error.message}`);
  return Number.NaN;
}

/** CPU of the proxy for each request, in microseconds; warmed up. Throws when one was not answered with 2xx. */
async function costOf(each: Case, peer: Peer, running: Running, core: number | null): Promise<number> {
  const [visitor = ''] = peer.sticky === null ? [''] : await visitorCookies(running.port, 1);
  await load(each, visitor, running, core, values.quick ? 1 : WARM_SECONDS);
  const before = cpuMicrosOfTree(running.pid);
  const count = await load(each, visitor, running, core, seconds);
  const micros = (cpuMicrosOfTree(running.pid) - before) / count;
  console.error(`${peer.name}, ${each.title}: ${micros.toFixed(1)} µs/request, ${count} requests`);
  return micros;
}

/** Returns how many requests were answered. */
async function load(
  { scenario, streams, uploadBytes }: Case,
  visitor: string,
  { securePort }: Running,
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

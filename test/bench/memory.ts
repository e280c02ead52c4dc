/** `node test/bench/memory.ts`: what a connection costs in memory, and whether a proxy holds back what it relays. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { type Backends, startCanned } from './backends.ts';
import { type Cores, chooseCores } from './cores.ts';
import {
  connectionsWithin,
  type Flow,
  type Idle,
  idleTrial,
  slowTrial,
  transferTrial,
} from './memory-trials.ts';
import type { Peer } from './peer.ts';
import { PEERS } from './peers.ts';
import { markdownTable } from './report.ts';
import { startPeer } from './running.ts';

const USAGE = `usage: node test/bench/memory.ts [options]
  --quick       500 connections, 256 MB, 1 s of slow reading; for CI
  --only A,B    default holdfast,haproxy,http-proxy
  --json FILE   default bench-results/memory.json`;

type Sizes = {
  readonly connections: number;
  readonly transferBytes: number;
  readonly slowReaders: number;
  readonly slowSeconds: number;
};

type Result = {
  readonly peer: string;
  readonly version: string | null;
  readonly fault: string | null;
  readonly idle: Idle | null;
  readonly transfer: Flow | null;
  readonly slow: Flow | null;
};

const FULL: Sizes = { connections: 9_000, transferBytes: 10e9, slowReaders: 20, slowSeconds: 10 };
const QUICK: Sizes = { connections: 500, transferBytes: 256e6, slowReaders: 5, slowSeconds: 1 };

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: 'holdfast,haproxy,http-proxy' },
      json: { type: 'string', default: 'bench-results/memory.json' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const sizes = values.quick ? QUICK : FULL;
  const connections = connectionsWithin(sizes.connections);
  if (connections < sizes.connections) {
    console.log(`the open-file limit allows ${connections} of ${sizes.connections} connections`);
  }
  const cores = chooseCores();
  const backends = await startCanned(cores.load);
  const results: Result[] = [];
  for (const name of values.only.split(',')) {
    const peer = PEERS.find((one) => one.name === name);
    if (peer === undefined)
      throw new Error(`--only ${name}: allowed are ${PEERS.map((one) => one.name).join()}`);
    results.push(await tryPeer(peer, backends, { ...sizes, connections }, cores));
  }
  await backends.stop();
  console.log(`\n${textOf(results)}`);
  mkdirSync(dirname(values.json), { recursive: true });
  writeFileSync(values.json, `${JSON.stringify({ sizes, results }, null, 2)}\n`);
  console.log(`\nkept in ${values.json}`);
  return results.some(({ fault }) => fault === null) ? 0 : 1;
}

/** A fresh process for each trial, so that none inherits the garbage of the one before. */
async function tryPeer(peer: Peer, backends: Backends, sizes: Sizes, cores: Cores): Promise<Result> {
  const version = peer.version();
  const nothing = { peer: peer.name, version, idle: null, transfer: null, slow: null };
  if (version === null) return { ...nothing, fault: 'not installed here' };
  const fresh = async <T>(trial: (pid: number, port: number) => Promise<T>): Promise<T> => {
    const running = await startPeer(peer, backends.list, cores.proxy, sizes.connections + 100);
    try {
      return await trial(running.pid, running.port);
    } finally {
      await running.stop();
    }
  };
  try {
    console.error(`${peer.name}: ${sizes.connections} idle connections`);
    const idle = await fresh((pid, port) => idleTrial(pid, port, sizes.connections, cores.load));
    console.error(`${peer.name}: transfer of ${sizes.transferBytes / 1e9} GB`);
    const transfer = await fresh((pid, port) => transferTrial(pid, port, sizes.transferBytes));
    console.error(`${peer.name}: ${sizes.slowReaders} slow readers`);
    const slow = await fresh((pid, port) => slowTrial(pid, port, sizes.slowReaders, sizes.slowSeconds));
    return { peer: peer.name, version, fault: null, idle, transfer, slow };
  } catch (error) {
    return { ...nothing, fault: error instanceof Error ? error.message : String(error) };
  }
}

function textOf(results: readonly Result[]): string {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  const kibibytesEach = (bytes: number, count: number): string => (bytes / 1024 / count).toFixed(2);
  const good = results.filter(({ fault }) => fault === null);
  const idle = good.flatMap(({ peer, idle: one }) => {
    if (one === null) return [];
    const { connections, answered, emptyBytes, openedBytes, requestedBytes } = one;
    const opened = kibibytesEach(openedBytes - emptyBytes, connections);
    const requested = kibibytesEach(requestedBytes - emptyBytes, connections);
    return [
      [
        peer,
        `${connections}`,
        `${answered}`,
        mebibytes(emptyBytes),
        opened,
        requested,
        mebibytes(requestedBytes),
      ],
    ];
  });
  const flows = good.flatMap(({ peer, transfer, slow }) =>
    [['one fast reader', transfer] as const, ['slow readers', slow] as const].flatMap(([kind, flow]) => {
      if (flow === null) return [];
      const { beforeBytes, greatestBytes, transferredBytes, seconds } = flow;
      const figures = [beforeBytes, greatestBytes - beforeBytes, transferredBytes].map(mebibytes);
      return [[`${peer}, ${kind}`, ...figures, seconds.toFixed(1)]];
    }),
  );
  const idleTitles = [
    'proxy',
    'connections',
    'answered',
    'RSS empty MiB',
    'KiB each, opened',
    'KiB each, after a request',
  ];
  return [
    markdownTable([...idleTitles, 'RSS at the end MiB'], idle),
    markdownTable(['transfer', 'RSS before MiB', 'growth at most MiB', 'relayed MiB', 'seconds'], flows),
    ...results.flatMap(({ peer, fault }) => (fault === null ? [] : [`${peer}: ${fault}`])),
  ].join('\n\n');
}

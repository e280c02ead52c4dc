/** `npm run bench:tls`: what a new TLS connection costs, in full and resumed, and what an idle one holds in memory. */
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { parseArgs } from 'node:util';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import { block, END_HEADERS, END_STREAM, frame, PREFACE, Type } from '../support/http2-peer.ts';
import { startBackends } from './backends.ts';
import { chooseCores } from './cores.ts';
import { NAMEABLE } from './peers.ts';
import { cpuMicrosOfTree, residentOfTree } from './proc-stat.ts';
import { markdownTable } from './report.ts';
import { type Running, startPeer } from './running.ts';
import { HOST, requestBytes, SCENARIOS } from './scenarios.ts';
import { median } from './statistics.ts';

const USAGE = `usage: node test/bench/tls.ts [options]
  --only A,B          default holdfast,haproxy,nginx
  --rounds N          default 3, each with all of them in turn
  --seconds N         default 3, of each kind of handshake in a round
  --connections N     default 3000, idle ones
  --groups A:B        key exchanges that the client offers; default X25519, which all of them know. Node alone prefers
                      X25519MLKEM768, which is dearer and leaves more in memory`;

const AT_ONCE = 8;
/** Node compiles what runs often: until then a connection costs several times as much. */
const WARM_SECONDS = 4;
const KINDS = ['full', 'resumed'] as const;
type Kind = (typeof KINDS)[number];
const PROTOCOLS = ['http/1.1', 'h2'] as const;
type Protocol = (typeof PROTOCOLS)[number];
const ACK = 1;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'holdfast,haproxy,nginx' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '3000' },
    groups: { type: 'string', default: 'X25519' },
    help: { type: 'boolean', default: false },
  },
});
const [seconds, rounds, idle] = [values.seconds, values.rounds, values.connections].map(Number) as [
  number,
  number,
  number,
];
let opened = 0;
const request = requestBytes(SCENARIOS[0] as (typeof SCENARIOS)[number], '');

if (values.help) console.log(USAGE);
else await main();

interface Cost {
  readonly micros: Record<Kind, number[]>;
  readonly kibibytes: Record<Protocol, number[]>;
}

async function main(): Promise<void> {
  const cores = chooseCores();
  const backends = await startBackends(cores.load);
  const peers = NAMEABLE.filter(({ name, speaksTls }) => speaksTls && values.only.split(',').includes(name));
  const costs = new Map<string, Cost>();
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of peers) {
      if (peer.version() === null) continue;
      const cost = costs.get(peer.name) ?? {
        micros: { full: [], resumed: [] },
        kibibytes: { 'http/1.1': [], h2: [] },
      };
      costs.set(peer.name, cost);
      const start = (): Promise<Running> => startPeer(peer, backends.list, cores.proxy, idle + 100);
      const running = await start();
      for (const kind of KINDS) await handshakes(running, kind, WARM_SECONDS);
      for (const kind of KINDS) cost.micros[kind].push(await handshakes(running, kind, seconds));
      await running.stop();
      for (const protocol of PROTOCOLS) {
        const fresh = await start();
        if (protocol === 'h2' && !(await hasHttp2(fresh))) {
          await fresh.stop();
          continue;
        }
        await handshakes(fresh, 'full', WARM_SECONDS);
        cost.kibibytes[protocol].push(await memory(fresh, protocol));
        await fresh.stop();
      }
    }
  }
  await backends.stop();
  const reference = costs.get('haproxy');
  const rows = [...costs].map(([name, { micros, kibibytes }]) => [
    name,
    ...KINDS.map((kind) => {
      const micro = median(micros[kind]);
      const times =
        reference === undefined ? '' : ` (${(micro / median(reference.micros[kind])).toFixed(2)})`;
      return `${micro.toFixed(0)} µs${times}`;
    }),
    ...PROTOCOLS.map((protocol) =>
      kibibytes[protocol].length === 0 ? '–' : `${median(kibibytes[protocol]).toFixed(1)} KiB`,
    ),
  ]);
  console.log(`${rounds} × ${seconds} s, ${idle} idle connections; ${cores.text}\n`);
  console.log(
    markdownTable(
      ['', 'full handshake + request (× HAProxy)', 'resumed', 'idle, each', 'idle, HTTP/2'],
      rows,
    ),
  );
}

/** CPU of the proxy for each connection with one request, in microseconds. */
async function handshakes({ pid, securePort }: Running, kind: Kind, forSeconds: number): Promise<number> {
  const port = securePort as number;
  const session = await ticket(port);
  const endMs = performance.now() + forSeconds * 1000;
  const before = cpuMicrosOfTree(pid);
  let count = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await visit(port, kind === 'resumed' ? session : null);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  return (cpuMicrosOfTree(pid) - before) / count;
}

/** A session to be resumed. */
function ticket(port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = open(port, null);
    socket.once('session', (session) => {
      resolve(session);
      socket.destroy();
    });
    socket.on('error', reject).write(request);
    socket.resume();
  });
}

/** One connection, one request. Rejects when it is not answered, or not shaken hands as was asked for. */
function visit(port: number, session: Buffer | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = open(port, session);
    let text = '';
    let isResumed = false;
    socket.once('secureConnect', () => {
      isResumed = socket.isSessionReused();
    });
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1');
      if (isWhole(text)) socket.end(done);
    });
    socket.on('error', reject).on('close', done);
    function done(): void {
      if (!text.startsWith('HTTP/1.1 200')) reject(new Error(`answered ${text.slice(0, 40)}`));
      else if (isResumed !== (session !== null)) reject(new Error('not resumed as asked'));
      else resolve();
    }
    socket.write(request);
  });
}

function isWhole(text: string): boolean {
  const headEnd = text.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
  return headEnd >= 0 && length !== undefined && text.length >= headEnd + 4 + Number(length);
}

/** From one address after the other: a connection that is over keeps its port for a minute. */
function open(port: number, session: Buffer | null, protocol: Protocol = 'http/1.1'): TLSSocket {
  opened += 1;
  const options: ConnectionOptions & { readonly localAddress: string } = {
    port,
    host: '127.0.0.1',
    localAddress: `127.0.1.${1 + (opened % 200)}`,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    ecdhCurve: values.groups,
    ALPNProtocols: [protocol],
    ...(session === null ? {} : { session }),
  };
  return connect(options);
}

/** The relay knows no protocol. */
function hasHttp2({ securePort }: Running): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = open(securePort as number, null, 'h2');
    socket.on('error', reject).once('secureConnect', () => {
      resolve(socket.alpnProtocol === 'h2');
      socket.destroy();
    });
  });
}

/** What an idle connection that has been answered once holds of the proxy's memory, in KiB. */
async function memory({ pid, securePort }: Running, protocol: Protocol): Promise<number> {
  const before = residentOfTree(pid).nowBytes;
  const sockets: TLSSocket[] = [];
  const client = async (): Promise<void> => {
    while (sockets.length < idle) {
      const socket = open(securePort as number, null, protocol);
      sockets.push(socket);
      await (protocol === 'h2' ? askInHttp2(socket) : ask(socket));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  const kibibytes = (residentOfTree(pid).nowBytes - before) / idle / 1024;
  for (const socket of sockets) socket.destroy();
  return kibibytes;
}

/** Resolves when the answer has begun to come. */
function ask(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('data', () => resolve()).on('error', reject);
    socket.write(request);
  });
}

/** As `ask`. */
function askInHttp2(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const reader = new FrameReader({
      onFrame(type, flags) {
        if (type === Type.settings && flags === 0) socket.write(frame(Type.settings, ACK));
        else if (type === Type.headers) resolve();
      },
      onDataBegin: () => undefined,
      onDataPart: () => undefined,
      onDataEnd: () => undefined,
      onBadFrame: (_, detail) => reject(new Error(detail)),
    });
    socket.on('error', reject).on('data', (bytes: Buffer) => reader.read(bytes));
    const head = block([
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', HOST],
      [':path', '/small'],
    ]);
    socket.write(
      Buffer.concat([
        Buffer.from(PREFACE),
        frame(Type.settings, 0),
        frame(Type.headers, END_HEADERS | END_STREAM, 1, head),
      ]),
    );
  });
}

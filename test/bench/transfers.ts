/** `npm run bench:transfers`: 100 MB each way over HTTP/1 and HTTP/2, in the clear and over TLS, one request at a time in turn. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { parseArgs } from 'node:util';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { block, END_HEADERS, END_STREAM, frame, number, PREFACE, Type } from '../support/http2-peer.ts';
import { forProgram, whenDone } from '../support/lifetime.ts';
import { cpuMicrosOfTree } from './proc-stat.ts';
import { markdownTable } from './report.ts';
import { median } from './statistics.ts';

const MIB = 1 << 20;
const BYTES = 100 * MIB;
const FRAME_BYTES = 16_384;
const FRAMES_AT_ONCE = 64;
const WINDOW_FIRST = 65_535;
const WINDOW = 64 * MIB;
const INITIAL_WINDOW = 4;
/** The first round is for the compiler. */
const WARM_ROUNDS = 1;
const PART = Buffer.alloc(MIB, 'x');

type Direction = 'down' | 'up';

/** Ends with the answer, or with the last byte of it. */
type Transfer = (socket: Socket, direction: Direction) => Promise<void>;

function serve(): void {
  const server = createServer((request, response) => {
    if (request.method === 'POST') request.on('end', () => response.end('ok')).resume();
    else {
      response.writeHead(200, { 'content-length': BYTES });
      const left = Array.from({ length: BYTES / MIB }, () => PART);
      const more = (): void => {
        for (let part = left.pop(); part !== undefined; part = left.pop())
          if (!response.write(part)) return void response.once('drain', more);
        response.end();
      };
      more();
    }
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
}

/** Writes on whenever the socket takes more. */
function pour(socket: Socket, next: () => Buffer | null): () => void {
  let isFull = false;
  const more = (): void => {
    for (let bytes = isFull ? null : next(); bytes !== null; bytes = isFull ? null : next()) {
      isFull = !socket.write(bytes);
      if (!isFull) continue;
      socket.once('drain', () => {
        isFull = false;
        more();
      });
    }
  };
  return more;
}

const http1: Transfer = (socket, direction) =>
  new Promise((resolve, reject) => {
    let got = 0;
    socket.on('error', reject).on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (direction === 'up' || got > BYTES) resolve();
    });
    if (direction === 'down') socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    else socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${BYTES}\r\n\r\n`);
    let left = direction === 'up' ? BYTES / MIB : 0;
    pour(socket, () => (left-- > 0 ? PART : null))();
  });

const FRAMES = Buffer.concat(
  Array.from({ length: FRAMES_AT_ONCE }, () => frame(Type.data, 0, 1, Buffer.alloc(FRAME_BYTES, 'x'))),
);

const http2: Transfer = (socket, direction) =>
  new Promise((resolve, reject) => {
    const isUpload = direction === 'up';
    let left = isUpload ? BYTES / FRAME_BYTES : 0;
    const windows = [WINDOW_FIRST, WINDOW_FIRST];
    const more = pour(socket, () => {
      const count = Math.min(FRAMES_AT_ONCE, left, Math.floor(Math.min(...windows) / FRAME_BYTES));
      if (count === 0) return null;
      left -= count;
      for (const id of [0, 1]) windows[id] = (windows[id] as number) - count * FRAME_BYTES;
      const bytes = FRAMES.subarray(0, (FRAMES.length / FRAMES_AT_ONCE) * count);
      return left > 0 ? bytes : Buffer.concat([bytes, frame(Type.data, END_STREAM, 1)]);
    });
    const open = (stream: number, increment: number): void => {
      windows[stream] = (windows[stream] as number) + increment;
    };
    let got = 0;
    let untold = 0;
    const reader = new FrameReader({
      onFrame: (type, flags, stream, bytes, begin, end) => {
        if (type === Type.settings && flags === 0) {
          for (let at = begin; at < end; at += 6)
            if (bytes.readUInt16BE(at) === INITIAL_WINDOW) open(1, bytes.readUInt32BE(at + 2) - WINDOW_FIRST);
          socket.write(frame(Type.settings, 1));
        } else if (type === Type.window) open(stream, bytes.readUInt32BE(begin));
        else if (type === Type.headers && isUpload) resolve();
        else if (type === Type.reset || type === Type.goaway) reject(new Error(`ended by frame ${type}`));
        more();
      },
      onDataBegin: () => undefined,
      onDataPart: (_, begin, end) => {
        got += end - begin;
        untold += end - begin;
        if (got === BYTES) resolve();
        if (untold < WINDOW / 8) return;
        const more = number(untold);
        untold = 0;
        socket.write(Buffer.concat([frame(Type.window, 0, 0, more), frame(Type.window, 0, 1, more)]));
      },
      onDataEnd: () => undefined,
      onBadFrame: (_, detail) => reject(new Error(detail)),
    });
    socket.on('error', reject).on('data', (chunk: Buffer) => reader.read(chunk));
    socket.write(opening(isUpload));
  });

function opening(isUpload: boolean): Buffer {
  const window = Buffer.alloc(6);
  window.writeUInt16BE(INITIAL_WINDOW);
  window.writeUInt32BE(WINDOW, 2);
  const head = block([
    [':method', isUpload ? 'POST' : 'GET'],
    [':scheme', 'http'],
    [':authority', 'a'],
    [':path', '/'],
    ...(isUpload ? ([['content-length', `${BYTES}`]] as const) : []),
  ]);
  return Buffer.concat([
    Buffer.from(PREFACE),
    frame(Type.settings, 0, 0, window),
    frame(Type.window, 0, 0, number(WINDOW - WINDOW_FIRST)),
    frame(Type.headers, isUpload ? END_HEADERS : END_HEADERS | END_STREAM, 1, head),
  ]);
}

function opened(port: number, alpn: string | null): Promise<Socket> {
  const to = { port, host: '127.0.0.1' };
  return new Promise((resolve, reject) => {
    const socket: Socket =
      alpn === null
        ? connect(to, () => resolve(socket))
        : connectTls({ ...to, rejectUnauthorized: false, ALPNProtocols: [alpn] }, () => resolve(socket));
    socket.on('error', reject);
  });
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
  const server = fork(import.meta.filename);
  whenDone(() => server.kill('SIGKILL'));
  const [serverPort] = await once(server, 'message');
  const running = await runHoldfast(`
threads: 1
listen: [{ address: 127.0.0.1:0, h2c: true }, { address: 127.0.0.1:0, tls: { selfSigned: true } }]
admin: { address: 127.0.0.1:0 }
accessLog: off
pools: { web: { servers: ["http://127.0.0.1:${serverPort}"] } }
`);
  const [plain = 0, secure = 0] = running.ports;
  const pid = running.child.pid ?? 0;
  const kinds = (['down', 'up'] as const).flatMap((direction) =>
    (['clear', 'TLS'] as const).map((over) => ({
      direction,
      over,
      rates: { http1: [] as number[], http2: [] as number[] },
      cpuMs: { http1: [] as number[], http2: [] as number[] },
    })),
  );
  for (let round = -WARM_ROUNDS; round < Number(values.rounds); round += 1) {
    for (const { direction, over, rates, cpuMs } of kinds) {
      for (const [version, transfer] of [
        ['http1', http1],
        ['http2', http2],
      ] as const) {
        const alpn = version === 'http1' ? 'http/1.1' : 'h2';
        const socket = await opened(over === 'TLS' ? secure : plain, over === 'TLS' ? alpn : null);
        const cpuBefore = cpuMicrosOfTree(pid);
        const beganMs = performance.now();
        await transfer(socket, direction);
        const tookMs = performance.now() - beganMs;
        socket.destroy();
        if (round < 0) continue;
        rates[version].push(BYTES / MIB / (tookMs / 1000));
        cpuMs[version].push((cpuMicrosOfTree(pid) - cpuBefore) / 1000);
      }
    }
  }
  const rows = kinds.map(({ direction, over, rates, cpuMs }) => {
    const [first, second] = [median(rates.http1), median(rates.http2)];
    const cpu = [median(cpuMs.http1), median(cpuMs.http2)];
    return [
      `${direction}, ${over}`,
      first.toFixed(0),
      second.toFixed(0),
      (second / first).toFixed(2),
      ...cpu.map((each) => each.toFixed(0)),
    ];
  });
  const titles = ['100 MB', 'HTTP/1, MiB/s', 'HTTP/2', '×', 'CPU, HTTP/1, ms', 'HTTP/2'];
  process.stdout.write(`${markdownTable(titles, rows)}\n`);
  await running.stop();
  return true;
}

if (process.send === undefined) process.exit((await forProgram(main)) ? 0 : 1);
else serve();

// Ten thousand clients at once, half of which never come to the end of their handshake: cut, garbage, or silent. The others
// are all answered, nothing is left behind, and no thread dies.
//
//   node test/soak/handshakes.ts [--clients 10000] [--at-once 1000]      exit 1 when that is not so

import { connect as connectPlainly } from 'node:net';
import { connect } from 'node:tls';
import { parseArgs } from 'node:util';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { forProgram } from '../support/lifetime.ts';

const CLIENT_MS = 60_000;
/** Most of it is the clients' own: all are in one process. */
const P99_MS_MAX = 30_000;

const { values } = parseArgs({ options: { clients: { type: 'string' }, 'at-once': { type: 'string' } } });
const clients = Number(values.clients ?? 10_000);
const atOnce = Number(values['at-once'] ?? 1000);

/** Resolves with how long it took until the answer, or rejects. */
function ask(port: number): Promise<number> {
  const beganMs = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), CLIENT_MS);
    socket.once('secureConnect', () =>
      socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'),
    );
    socket.once('data', (part: Buffer) => {
      if (part.toString().startsWith('HTTP/1.1 200')) resolve(performance.now() - beganMs);
      else reject(new Error(part.toString().slice(0, 40)));
      socket.destroy();
    });
    socket.on('error', reject).on('close', () => {
      clearTimeout(timer);
      reject(new Error('closed without an answer'));
    });
  });
}

/** Says something else, or the beginning, or nothing, and goes. */
function abuse(port: number, kind: number): Promise<void> {
  return new Promise((resolve) => {
    if (kind === 2) {
      // in the middle: the client has heard what the server says, and goes
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      socket.on('error', () => undefined).on('close', () => resolve());
      socket.once('keylog', () => socket.destroy());
      return;
    }
    const socket = connectPlainly(port, '127.0.0.1', () => {
      if (kind === 0) socket.end('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      else socket.write(Buffer.from('16030100c8010000c403', 'hex'), () => socket.resetAndDestroy());
    });
    socket.resume();
    socket.on('error', () => undefined).on('close', () => resolve());
  });
}

const isGood = await forProgram(async () => {
  const backend = await httpBackend('a');
  const running = await runHoldfast(`
threads: 2
listen: { address: 127.0.0.1:0, tls: { selfSigned: true } }
admin: { address: 127.0.0.1:0 }
pools:
  # the server shares its process with the clients, and is slow to accept
  web: { servers: ["${backend.url}"], timeouts: { connect: 1m }, keepAlive: { max: 0 } }
`);
  const before = await running.metric('holdfast_descriptors');
  const times: number[] = [];
  const failures: string[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < clients) {
      next += 1;
      if (next % 2 === 0) await abuse(running.port, (next / 2) % 3);
      else
        await ask(running.port).then(
          (ms) => times.push(ms),
          (error: Error) => failures.push(error.message),
        );
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  await eventually(async () => (await running.metric('holdfast_client_connections')) === 0);
  const left = (await running.metric('holdfast_descriptors')) - before;
  const restarts = await running.metric('holdfast_worker_restarts_total');
  const p99Ms = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;
  const counted = (await running.metrics()).split('\n').filter((line) => /^holdfast_tls_hand/.test(line));
  process.stdout.write(
    `${times.length} answered, p99 ${p99Ms.toFixed(0)} ms, ${failures.length} failed; ${left} descriptors left, ${restarts} restarts; log of ${running.log().length} characters\n${counted.join('\n')}\n`,
  );
  for (const failure of new Set(failures)) process.stderr.write(`${failure}\n`);
  return failures.length === 0 && restarts === 0 && left <= 8 && p99Ms < P99_MS_MAX;
});
process.exit(isGood ? 0 : 1);

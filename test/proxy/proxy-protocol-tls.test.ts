// A PROXY header, and TLS behind it: one listener takes both, in this order.

import { connect as connectPlainly, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { FAILURE_KINDS } from '../../src/base/failure.ts';
import { formatProxyHeader } from '../../src/base/proxy-protocol.ts';
import { NO_POOL } from '../../src/shared/stripe.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const ENDS = { address: '192.0.2.7', port: 56_324, localAddress: '198.51.100.1', localPort: 8443 };
const V1 = Buffer.from(formatProxyHeader('v1', ENDS), 'latin1');
const V2 = Buffer.from(formatProxyHeader('v2', ENDS), 'latin1');
const GET = 'GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.9\r\nconnection: close\r\n\r\n';

async function scene(mode: string, tls = '', more = '', trusted = '127.0.0.1'): Promise<RunningThread> {
  const server = await httpBackend('echo', (request, response) => {
    let bytes = 0;
    request.on('data', (part: Buffer) => {
      bytes += part.length;
    });
    request.on('end', () => response.end(JSON.stringify({ ...request.headers, bytes })));
  });
  return runThread(
    `trusted: ["${trusted}"]\npools: { web: { health: off, servers: ["${server.url}"] } }`,
    `proxyProtocol: ${mode}, tls: { selfSigned: true${tls} }${more}`,
  );
}

function plain(port: number): Socket {
  const socket = connectPlainly({ port, host: '127.0.0.1', noDelay: true });
  whenDone(() => socket.destroy());
  return socket.on('error', () => undefined);
}

/** What TLS writes first goes out behind the header in one piece, cut at that byte into two. */
class BehindHeader extends Duplex {
  readonly #socket: Socket;
  readonly #cut: number;
  #header: Buffer | null;

  constructor(socket: Socket, header: Buffer, cut: number) {
    super();
    this.#socket = socket;
    this.#header = header;
    this.#cut = cut;
    socket.on('data', (part: Buffer) => this.push(part));
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {}

  override _write(part: Buffer, _: string, done: (error?: Error | null) => void): void {
    if (this.#header === null) {
      this.#socket.write(part, done);
      return;
    }
    const bytes = Buffer.concat([this.#header, part]);
    this.#header = null;
    this.#socket.write(bytes.subarray(0, this.#cut));
    setTimeout(() => this.#socket.write(bytes.subarray(this.#cut), done), 2);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }
}

/** Resolves when the handshake is over, rejects when it failed. `cut`: how much comes in the first piece. */
function open(port: number, header: Buffer, cut: number): Promise<TLSSocket> {
  const socket = connect({ socket: new BehindHeader(plain(port), header, cut), rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.once('close', () => reject(new Error('closed')));
    socket.on('error', reject);
  });
}

/** Body of the answer to what is sent. */
function answer(socket: TLSSocket, ...sent: readonly (string | Buffer)[]): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1');
    });
    socket.on('error', reject);
    socket.on('end', () => resolve(JSON.parse(/\{.*\}/.exec(text)?.[0] ?? 'null')));
    for (const part of sent) socket.write(part);
  });
}

const refusals = ({ thread }: RunningThread): number =>
  thread.own.rejected(FAILURE_KINDS.indexOf('bad-proxy-header'), NO_POOL);

describe.each(['optional', 'required'])('%s', (mode) => {
  test.each([
    ['v1', V1],
    ['v2', V2],
  ])('cut anywhere, the client of TLS is the one that the header names: %s', async (_, header) => {
    const running = await scene(mode);
    const cuts = [
      1,
      7,
      header.length - 1,
      header.length,
      header.length + 1,
      header.length + 5,
      header.length + 200,
    ];
    for (const cut of cuts) {
      const told = await answer(await open(running.port, header, cut), GET);
      expect(told).toMatchObject({
        'x-forwarded-for': '192.0.2.7',
        'x-forwarded-proto': 'https',
        'x-forwarded-port': '8443',
      });
    }
    expect(running.thread.own.handshakes(0, 'full')).toBe(cuts.length);
    expect(refusals(running)).toBe(0);
    await running.isQuiet();
  });

  test('a long body behind both arrives whole', async () => {
    const running = await scene(mode);
    const head = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\nconnection: close\r\n\r\n';
    const told = await answer(await open(running.port, V2, V2.length), head, Buffer.alloc(1_000_000, 'x'));
    expect(told).toMatchObject({ bytes: 1_000_000 });
    await running.isQuiet();
  });

  test('a header from a peer that is not trusted begins no handshake', async () => {
    const running = await scene(mode, '', '', '192.0.2.1');
    await expect(open(running.port, V2, V2.length)).rejects.toThrow();
    expect(refusals(running)).toBe(1);
    await running.isQuiet();
  });

  test('who sends a header and no more is cut in time, and nothing is left of it', async () => {
    const running = await scene(mode, ', handshakeTimeout: 1s');
    plain(running.port).write(V2);
    await eventually(() => running.thread.own.clientConnections(0) === 1);
    // which begins when the header is there, and that nothing tells from outside
    await eventually(() => {
      running.pass(300);
      return running.thread.own.handshakes(0, 'timed_out') === 1;
    });
    expect(refusals(running)).toBe(0);
    await running.isQuiet();
  });

  test('who sends a header and goes leaves nothing', async () => {
    const running = await scene(mode);
    plain(running.port).end(V2);
    await eventually(() => running.thread.own.handshakes(0, 'failed') === 1);
    await running.isQuiet();
  });

  test('a stop does not wait for handshakes behind a header', async () => {
    const running = await scene(mode);
    const socket = plain(running.port);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.resume().write(V2);
    await eventually(() => running.thread.own.clientConnections(0) === 1);
    running.thread.stop();
    await closed;
    await running.isQuiet();
  });

  test('connections are limited by the address in the header', async () => {
    const running = await scene(mode, '', ', limits: { connectionsPerAddress: 1 }');
    const first = await open(running.port, V2, V2.length);
    await expect(open(running.port, V2, V2.length)).rejects.toThrow();
    expect(running.thread.own.handshakes(0, 'refused')).toBe(1);
    const other = Buffer.from(formatProxyHeader('v2', { ...ENDS, address: '192.0.2.8' }), 'latin1');
    expect(await answer(await open(running.port, other, 1), GET)).toMatchObject({
      'x-forwarded-for': '192.0.2.8',
    });
    first.destroy();
    await running.isQuiet();
  });

  test('in a full house who has sent a header and nothing else makes room', async () => {
    const running = await scene(mode, ', handshakesMax: 2');
    const silent = [plain(running.port), plain(running.port)];
    const gone = Promise.race(
      silent.map((socket) => new Promise((resolve) => socket.resume().on('close', resolve))),
    );
    for (const socket of silent) socket.write(V2);
    await eventually(() => running.thread.own.clientConnections(0) === 2);
    expect(await answer(await open(running.port, V2, V2.length + 10), GET)).not.toBeNull();
    await gone;
    expect(running.thread.own.handshakes(0, 'refused')).toBe(1);
    expect(running.thread.own.handshakes(0, 'full')).toBe(1);
  });
});

test('a client that comes straight is the peer, where a header is optional', async () => {
  const running = await scene('optional');
  const told = await answer(await open(running.port, Buffer.alloc(0), 1), GET);
  expect(told).toMatchObject({ 'x-forwarded-for': '203.0.113.9, 127.0.0.1', 'x-forwarded-proto': 'https' });
  const required = await scene('required');
  await expect(open(required.port, Buffer.alloc(0), 1)).rejects.toThrow();
  expect(refusals(required)).toBe(1);
  await required.isQuiet();
});

// gRPC through one thread, both ends @grpc/grpc-js: the four kinds of calls, deadlines, cancellation, and failures of ours.

import { type Client, Metadata, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { FAILURE_KINDS, FAILURES, type FailureKind } from '../../src/base/failure.ts';
import { HpackDecoder } from '../../src/http2/hpack-decoder.ts';
import { eventually } from '../support/eventually.ts';
import { bytes, type GrpcServer, grpcClient, grpcServer, SERVICE, unary } from '../support/grpc.ts';
import { http2Backend, scriptedServer } from '../support/http2-backend.ts';
import { type Fields, frame, Http2Peer, number, request, Type } from '../support/http2-peer.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

interface Scene {
  readonly server: GrpcServer;
  readonly running: RunningThread;
  readonly client: Client;
  done(): Promise<void>;
}

async function scene(pool = ''): Promise<Scene> {
  const server = await grpcServer();
  const running = await runThread(
    `pools: { rpc: { protocol: h2, health: off, ${pool} servers: ["${server.url}"] } }`,
    'h2c: true, http2: { streams: 2000 }',
  );
  const client = grpcClient(running.port);
  const done = async (): Promise<void> => {
    client.close();
    await running.isQuiet();
  };
  return { server, running, client, done };
}

const code = (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => status.OK,
    (error: { readonly code: number }) => error.code,
  );

test('unary: the message and metadata both ways', async () => {
  const { client, done } = await scene();
  const metadata = new Metadata();
  metadata.set('x-told', 'yes');
  metadata.set('x-some-bin', Buffer.from([0, 255, 10]));
  const seen = new Promise<Metadata>((resolve, reject) => {
    const call = client.makeUnaryRequest(
      SERVICE.Unary.path,
      bytes.serialize,
      bytes.deserialize,
      Buffer.from('hello'),
      metadata,
      (error, value) => {
        if (error !== null || value?.toString() !== 'hello') reject(error ?? new Error(String(value)));
      },
    );
    let head: Metadata | null = null;
    call.on('metadata', (fields: Metadata) => {
      head = fields;
    });
    call.on('status', ({ metadata: trailers }) => {
      if (head !== null) trailers.merge(head);
      resolve(trailers);
    });
  });
  const all = await seen;
  expect([all.get('x-told'), all.get('x-server'), all.get('x-some-bin')]).toEqual([
    ['yes'],
    ['a'],
    [Buffer.from([0, 255, 10])],
  ]);
  await done();
});

test('a stream of the server, of the client, and of both', async () => {
  const { client, done } = await scene();
  const down = client.makeServerStreamRequest(
    SERVICE.Down.path,
    bytes.serialize,
    bytes.deserialize,
    Buffer.from('500'),
  );
  const got: string[] = [];
  for await (const message of down) got.push(String(message));
  expect(got).toEqual(Array.from({ length: 500 }, (_, index) => String(index)));

  const sum = await new Promise<string>((resolve, reject) => {
    const up = client.makeClientStreamRequest(
      SERVICE.Up.path,
      bytes.serialize,
      bytes.deserialize,
      (error, value) => (error === null ? resolve(String(value)) : reject(error)),
    );
    for (let index = 0; index < 200; index += 1) up.write(Buffer.alloc(10_000));
    up.end();
  });
  expect(sum).toBe('2000000');

  const both = client.makeBidiStreamRequest(SERVICE.Both.path, bytes.serialize, bytes.deserialize);
  const echoed: string[] = [];
  // one at a time: what is answered is what was said
  both.write(Buffer.from('0'));
  for await (const message of both) {
    echoed.push(String(message));
    if (echoed.length < 50) both.write(Buffer.from(String(echoed.length)));
    else both.end();
  }
  expect(echoed).toEqual(Array.from({ length: 50 }, (_, index) => String(index)));
  await done();
});

test('messages of 10 MB, and 1000 calls at once', async () => {
  const { client, done } = await scene();
  const large = Buffer.alloc(10 << 20);
  for (let at = 0; at < large.length; at += 4096) large.writeUInt32BE(at, at);
  expect((await unary(client, 'Unary', large)).equals(large)).toBe(true);
  const replies = await Promise.all(
    Array.from({ length: 1000 }, (_, index) => unary(client, 'Unary', Buffer.from(String(index)))),
  );
  expect(replies.map(String)).toEqual(Array.from({ length: 1000 }, (_, index) => String(index)));
  await done();
});

test('an error of the server is a head without a message: it arrives as it was', async () => {
  const { client, done } = await scene();
  await expect(unary(client, 'Fail', Buffer.from(''))).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    details: 'not today: ünlucky',
  });
  await done();
});

test('a call that is cancelled is cancelled at the server', async () => {
  const { client, server, done } = await scene();
  const call = client.makeUnaryRequest(
    SERVICE.Hang.path,
    bytes.serialize,
    bytes.deserialize,
    Buffer.from(''),
    () => undefined,
  );
  await eventually(() => server.hanging() === 1, { what: () => 'the call' });
  call.cancel();
  await eventually(() => server.cancelled() === 1, { what: () => 'the end of the call' });
  await done();
});

test('a deadline ends the call at the server and at the client', async () => {
  const { client, server, done } = await scene();
  expect(await code(unary(client, 'Hang', Buffer.from(''), { deadline: Date.now() + 500 }))).toBe(
    status.DEADLINE_EXCEEDED,
  );
  await eventually(() => server.cancelled() === 1, { what: () => 'the end of the call' });
  await done();
});

test('no server: UNAVAILABLE, in words', async () => {
  const running = await runThread(
    'pools: { rpc: { protocol: h2, health: off, queue: { whenDown: 0s }, servers: ["http://127.0.0.1:1"] } }',
    'h2c: true',
  );
  const client = grpcClient(running.port);
  await expect(unary(client, 'Unary', Buffer.from(''))).rejects.toMatchObject({
    code: status.UNAVAILABLE,
    details: 'the server could not be reached',
  });
  client.close();
  await running.isQuiet();
});

test('no route: UNIMPLEMENTED', async () => {
  const running = await runThread(
    'routes: [{ path: /other, pool: rpc }]\npools: { rpc: { protocol: h2, health: off, servers: ["http://127.0.0.1:1"] } }',
    'h2c: true',
  );
  const client = grpcClient(running.port);
  expect(await code(unary(client, 'Unary', Buffer.from('')))).toBe(status.UNIMPLEMENTED);
  client.close();
  await running.isQuiet();
});

const CALL: Fields = [
  ['content-type', 'application/grpc+proto'],
  ['te', 'trailers'],
];

function answerOf(peer: Http2Peer, stream: number): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  const decoder = new HpackDecoder();
  for (const { payload } of peer.of(Type.headers, stream))
    decoder.decode(payload, 0, payload.length, 65_536, {
      onField: ({ name, value }) => {
        fields[name] = value;
      },
    });
  return fields;
}

test.each<[what: string, more: Fields, afterMs: number, code: number]>([
  ['grpc-timeout', [['grpc-timeout', '5S']], 5100, status.DEADLINE_EXCEEDED],
  ['grpc-timeout in milliseconds', [['grpc-timeout', '900m']], 1000, status.DEADLINE_EXCEEDED],
  ['timeouts.response, which is earlier', [['grpc-timeout', '1H']], 31_000, status.DEADLINE_EXCEEDED],
])(
  'a server that is silent for longer than %s: DEADLINE_EXCEEDED of ours, and the stream ends',
  async (_, more, afterMs, expected) => {
    const server = await scriptedServer(() => undefined);
    const running = await runThread(
      `pools: { rpc: { protocol: h2, health: off, retry: { attempts: 0 }, timeouts: { response: 30s }, servers: ["${server.url}"] } }`,
      'h2c: true',
    );
    const peer = new Http2Peer(running.port);
    peer.send(request(1, [...CALL, ...more], '/test.Echo/Hang', 'POST', true));
    await server.until((each) => each.of(Type.headers).length === 1, 'a call');
    running.pass(afterMs - 300);
    expect(peer.of(Type.headers)).toEqual([]);
    running.pass(afterMs);
    await peer.until(() => peer.isWhole(1), 'an answer');
    const seen = answerOf(peer, 1);
    expect(seen).toMatchObject({
      ':status': '200',
      'content-type': 'application/grpc+proto',
      'grpc-status': String(expected),
    });
    await server.until((each) => each.of(Type.reset, 1).length === 1, 'CANCEL');
    peer.socket.destroy();
    await running.isQuiet();
  },
);

test.each<[what: string, ends: Buffer | null, code: number]>([
  ['RST_STREAM(CANCEL)', number(8), status.CANCELLED],
  ['RST_STREAM(ENHANCE_YOUR_CALM)', number(11), status.RESOURCE_EXHAUSTED],
  ['RST_STREAM(INADEQUATE_SECURITY)', number(12), status.PERMISSION_DENIED],
  ['RST_STREAM(INTERNAL_ERROR)', number(2), status.INTERNAL],
  ['the end of its connection', null, status.UNAVAILABLE],
])('a server that ends a call with %s', async (_, ends, expected) => {
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type !== Type.headers) return;
    if (ends !== null) connection.send(frame(Type.reset, 0, stream, ends));
    else connection.socket.end();
  });
  const running = await runThread(
    `pools: { rpc: { protocol: h2, health: off, retry: { attempts: 0 }, servers: ["${server.url}"] } }`,
    'h2c: true',
  );
  const client = grpcClient(running.port);
  expect(await code(unary(client, 'Unary', Buffer.from('')))).toBe(expected);
  client.close();
  await running.isQuiet();
});

test('a call of both that sends more than limits.bodyBytes after it was answered: RESOURCE_EXHAUSTED, in words', async () => {
  const server = await grpcServer();
  const running = await runThread(
    `pools: { rpc: { protocol: h2, health: off, servers: ["${server.url}"] } }`,
    'h2c: true, limits: { bodyBytes: 10KB }',
  );
  const client = grpcClient(running.port);
  const call = client.makeBidiStreamRequest(SERVICE.Both.path, bytes.serialize, bytes.deserialize);
  const ended = new Promise((resolve) =>
    call.on('status', ({ code: said, details }) => resolve([said, details])),
  );
  call.on('error', () => undefined);
  call.on('data', () => call.write(Buffer.alloc(9000)));
  call.write(Buffer.alloc(3000));
  expect(await ended).toEqual([status.RESOURCE_EXHAUSTED, 'the request body is larger than allowed']);
  client.close();
  await running.isQuiet();
});

test('calls that the end of the grace finds under way: UNAVAILABLE, in words, answered in part or not; counted as ours', async () => {
  const { server, running, client, done } = await scene();
  const call = client.makeBidiStreamRequest(SERVICE.Both.path, bytes.serialize, bytes.deserialize);
  const ended = new Promise((resolve) =>
    call.on('status', ({ code: said, details }) => resolve([said, details])),
  );
  call.on('error', () => undefined);
  call.write(Buffer.from('hello'));
  await new Promise((resolve) => call.once('data', resolve));
  const hanging = unary(client, 'Hang', Buffer.from('')).then(
    () => null,
    (error: { readonly code: number; readonly details: string }) => [error.code, error.details],
  );
  await eventually(() => server.hanging() === 1);
  running.thread.stop();
  running.thread.finish();
  const told = [status.UNAVAILABLE, FAILURES.stopping.text];
  expect([await ended, await hanging]).toEqual([told, told]);
  const counted = (kind: FailureKind): number => running.shared.sumRejected(FAILURE_KINDS.indexOf(kind), 0);
  expect([counted('stopping'), counted('client-aborted')]).toEqual([2, 0]);
  await done();
});

test.each([
  ['within limits.responseHeadBytes', 40_000, status.FAILED_PRECONDITION, 'not today', []],
  [
    'beyond',
    70_000,
    status.RESOURCE_EXHAUSTED,
    FAILURES['trailers-too-large'].text,
    [/larger than 65536 bytes/],
  ],
  ['far beyond', 150_000, status.RESOURCE_EXHAUSTED, FAILURES['trailers-too-large'].text, [/too large/]],
])(
  'trailers %s: what the call comes to arrives, or is said in words; the server is not taken for unwell',
  async (_, size, said, words, logged) => {
    const server = await http2Backend(
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () =>
          stream.sendTrailers({
            'grpc-status': `${status.FAILED_PRECONDITION}`,
            'grpc-message': 'not today',
            'x-details-bin': Buffer.alloc(size / 2, 'x')
              .toString('base64')
              .slice(0, size / 2),
            'x-more-bin': Buffer.alloc(size / 2, 'y')
              .toString('base64')
              .slice(0, size / 2),
          }),
        );
        stream.end(Buffer.from([0, 0, 0, 0, 0]));
      },
      { maxSendHeaderBlockLength: 1 << 20 },
    );
    const running = await runThread(
      `pools: { rpc: { protocol: h2, health: off, servers: ["${server.url}"] } }`,
      'h2c: true',
    );
    const client = grpcClient(running.port);
    const told = await unary(client, 'Unary', Buffer.from('')).catch(
      (error: { readonly code: number; readonly details: string }) => [error.code, error.details],
    );
    expect(told).toEqual([said, words]);
    expect(running.log).toEqual(logged.map((each) => expect.stringMatching(each)));
    expect(running.failures(0)).toBe(0);
    const counted = running.shared.sumRejected(FAILURE_KINDS.indexOf('trailers-too-large'), 0);
    expect(counted).toBe(logged.length);
    client.close();
    await running.isQuiet();
  },
);

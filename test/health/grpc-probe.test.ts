// The health protocol of gRPC, asked of a server of @grpc/grpc-js and of servers that answer otherwise.

import { type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { serverAt } from '../../src/config/address.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createProbe, type Probe } from '../../src/health/probe.ts';
import { http2Backend, type OnStream } from '../support/http2-backend.ts';
import { whenDone } from '../support/lifetime.ts';

function probe(url: string, health: string): Probe {
  const text = `pools: { rpc: { protocol: h2, health: { timeout: 2s, ${health} }, servers: ["${url}"] } }`;
  const { config, problems } = loadConfig(text, { file: 'test.yaml', env: {} });
  const pool = config?.pools[0];
  const server = pool?.servers[0];
  if (pool?.health === undefined || pool.health === null || server === undefined)
    throw new Error(JSON.stringify(problems));
  const made = createProbe(
    { ...server, ...serverAt('127.0.0.1', Number(new URL(url).port)) },
    pool.health,
    pool,
  );
  whenDone(() => made.close());
  return made;
}

/** Knows the services, '' among them, by their status. */
async function healthServer(known: Readonly<Record<string, number>>): Promise<string> {
  const server = new Server();
  const check: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
    // 0x0a, length, name
    const serving = known[call.request.subarray(2).toString()];
    if (serving === undefined) answer({ code: status.NOT_FOUND, details: 'no such service' });
    else answer(null, Buffer.from([8, serving]));
  };
  const bytes = (value: Buffer): Buffer => value;
  server.addService(
    {
      Check: {
        path: '/grpc.health.v1.Health/Check',
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    },
    { Check: check },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  whenDone(() => server.forceShutdown());
  return `http://127.0.0.1:${port}`;
}

test('the server as a whole, a service that serves, one that does not, one that there is not', async () => {
  const url = await healthServer({ '': 1, 'shop.v1.Cart': 1, 'shop.v1.Search': 2 });
  const ask = async (service: string) => {
    const { result, detail } = await probe(url, `grpc: "${service}"`).check();
    return `${result}: ${detail}`;
  };
  expect(await ask('')).toBe('success: SERVING');
  expect(await ask('shop.v1.Cart')).toBe('success: SERVING');
  expect(await ask('shop.v1.Search')).toBe('failure: NOT_SERVING');
  expect(await ask('shop.v1.Other')).toBe('failure: grpc-status 5: no such service');
});

test('again and again with one probe, each on a connection of its own', async () => {
  const backend = await http2Backend((stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
  });
  const checked = probe(backend.url, 'grpc: ""');
  for (let round = 1; round <= 3; round += 1) {
    expect(await checked.check()).toMatchObject({ result: 'success' });
    expect(backend.connections()).toBe(round);
  }
});

test.each<[what: string, detail: RegExp, onStream: OnStream]>([
  [
    'a server that is none of gRPC',
    /status 404/,
    (stream) => stream.respond({ ':status': 404 }, { endStream: true }),
  ],
  [
    'no status',
    /grpc-status is missing/,
    (stream) => stream.respond({ ':status': 200 }, { endStream: true }),
  ],
  ['a reset', /reset|closed|NGHTTP2/i, (stream) => stream.close(2)],
  ['nothing', /no answer within 2000 ms/, () => undefined],
  ['the end of the connection', /closed|reset|cancel|GOAWAY/i, (stream) => stream.session?.destroy()],
])('%s is a failed check', async (_, detail, onStream) => {
  const backend = await http2Backend(onStream);
  const outcome = await probe(backend.url, 'grpc: ""').check();
  expect(['failure', 'timeout']).toContain(outcome.result);
  expect(outcome.detail).toMatch(detail);
});

test('nobody listens', async () => {
  expect(await probe('http://127.0.0.1:1', 'grpc: ""').check()).toMatchObject({
    result: 'failure',
    isRefused: true,
    detail: 'connection refused',
  });
});

test('header fields of the configuration go instead of ours, whatever their letters', async () => {
  let seen: unknown = null;
  const backend = await http2Backend((stream, headers) => {
    seen = headers['user-agent'];
    stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true });
  });
  await probe(backend.url, 'grpc: "", headers: { User-Agent: mine }').check();
  expect(seen).toBe('mine');
});

test('a header field that HTTP/2 does not have is a failed check', async () => {
  const url = await healthServer({ '': 1 });
  const outcome = await probe(url, 'grpc: "", headers: { Keep-Alive: "5" }').check();
  expect([outcome.result, outcome.detail]).toEqual(['failure', expect.stringMatching(/connection/i)]);
});

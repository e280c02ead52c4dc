// Reloads that change what servers are spoken to in, and remove servers under streams: every request is answered.

import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { expect, test } from 'vitest';
import { selfSigned } from '../../src/tls/self-signed.ts';
import { eventually } from '../support/eventually.ts';
import { reload, runHoldfast } from '../support/holdfast.ts';
import { Askers } from '../support/http2-asker.ts';
import { type Http2Backend, http2Backend } from '../support/http2-backend.ts';

const CONNECTIONS = 20;
const EACH_TIME = 1000;

/** Speaks either version, and counts the requests of each. */
async function server(): Promise<Http2Backend & { readonly asked: Record<number, number> }> {
  const asked: Record<number, number> = { 1: 0, 2: 0 };
  const own = selfSigned(['localhost'], Date.now());
  const backend = await http2Backend(() => undefined, {}, { cert: own.cert, key: own.key, allowHTTP1: true });
  backend.server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    asked[request.httpVersionMajor] = (asked[request.httpVersionMajor] ?? 0) + 1;
    // some are under way whenever something changes
    setImmediate(() => response.end(`you asked for ${request.url}`));
  });
  return { ...backend, asked };
}

test('h1, h2, auto, and servers that come and go', async () => {
  const servers = await Promise.all([server(), server(), server()]);
  const yaml = (protocol: string, names: string): string => `
threads: 2
listen: [{ address: 127.0.0.1:0, h2c: true }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    protocol: ${protocol}
    tls: { verify: off }
    # the servers are in the process that asks, and Node accepts one connection in each turn of a loop that is full
    timeouts: { connect: 30s }
    servers: [${servers
      .map(({ url }, index) => ({ name: 'abc'[index] ?? '', url }))
      .filter(({ name }) => names.includes(name))
      .map(({ name, url }) => `{ name: ${name}, url: "${url}" }`)
      .join(', ')}]
`;
  const holdfast = await runHoldfast(yaml('h1', 'abc'));
  const askers = new Askers(CONNECTIONS, holdfast.port);
  const variants = [
    ['h2', 'abc'],
    ['h2', 'ab'],
    ['h2', 'bc'],
    ['h1', 'bc'],
    ['auto', 'abc'],
    ['h2', 'c'],
    ['h1', 'ab'],
  ] as const;
  await askers.answer(EACH_TIME, 60_000);
  for (const [protocol, names] of variants) {
    const before = servers.map(({ asked }) => ({ ...asked }));
    await reload(holdfast, yaml(protocol, names));
    await askers.answer(EACH_TIME, 60_000);
    const version = protocol === 'h1' ? 1 : 2;
    const isAsked = (asked: Record<number, number>, index: number): boolean =>
      !names.includes('abc'[index] ?? '') || (asked[version] ?? 0) > (before[index]?.[version] ?? 0);
    // a server is asked once it has passed a check in the other version
    await eventually(
      () => askers.failures.length > 0 || servers.every(({ asked }, index) => isAsked(asked, index)),
      {
        deadlineMs: 60_000,
        what: () => `${protocol} ${names}: ${JSON.stringify(servers.map(({ asked }) => asked))}`,
      },
    );
  }
  await askers.end();
  expect(askers.failures).toEqual([]);
  expect(askers.connections).toEqual(askers.connections.map(() => 1));
}, 180_000);

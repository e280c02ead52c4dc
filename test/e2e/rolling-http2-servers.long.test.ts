// Servers of HTTP/2 that end their connections in order, are drained in turn and are behind a process that is replaced, all
// under connections that are full of streams: every request is answered.

import { expect, test } from 'vitest';
import { changeServer, runHoldfast } from '../support/holdfast.ts';
import { Askers } from '../support/http2-asker.ts';
import { type Http2Backend, http2Backend } from '../support/http2-backend.ts';

const CONNECTIONS = 100;
const EACH_TIME = 4000;

/** GOAWAY on each of its connections: what is under way is finished. */
function recycle({ sessions }: Http2Backend): void {
  for (const session of sessions) session.close();
}

test('100 connections with 20 streams each: no request fails', async () => {
  const servers = await Promise.all(
    ['a', 'b', 'c'].map(() =>
      http2Backend(
        (stream, headers) => {
          stream.respond({ ':status': 200 });
          stream.end(`you asked for ${headers[':path']}`);
        },
        { settings: { maxConcurrentStreams: 200 } },
      ),
    ),
  );
  const yaml = `
threads: 2
listen: [{ address: 127.0.0.1:0, h2c: true }]
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 30s }
pools:
  shop:
    protocol: h2
    retry: { budget: 100% }
    # the servers are in the process that asks, and Node accepts one connection in each turn of a loop that is full
    timeouts: { connect: 30s }
    servers: [${servers.map(({ url }, index) => `{ name: ${'abc'[index]}, url: "${url}" }`).join(', ')}]
`;
  const first = await runHoldfast(yaml);
  const askers = new Askers(CONNECTIONS, first.port);
  const enough = (): Promise<unknown> => askers.answer(EACH_TIME, 60_000);
  await enough();
  for (const server of servers) {
    recycle(server);
    await enough();
  }
  const second = await runHoldfast(yaml, { args: ['--takeover', first.adminUrl] });
  for (const [index, server] of ['a', 'b', 'c'].entries()) {
    await changeServer(second, `shop/${server}`, { mode: 'drain' });
    await enough();
    recycle(servers[index] as Http2Backend);
    await changeServer(second, `shop/${server}`, { mode: 'ready' });
  }
  expect(await first.exited()).toBe(0);
  await enough();
  await askers.end();
  expect(askers.failures).toEqual([]);
  expect(await second.metric('holdfast_http2_streams')).toBe(0);
}, 300_000);

// Servers of HTTP/2 that end their connections in order, are drained in turn and are behind a process that is replaced, all
// under connections that are full of streams: every request is answered.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { Asker } from '../support/http2-asker.ts';
import { type Http2Backend, http2Backend } from '../support/http2-backend.ts';

const CONNECTIONS = 100;
const EACH_TIME = 4000;

async function setMode({ adminUrl }: RunningHoldfast, server: string, mode: string): Promise<void> {
  const response = await fetch(`${adminUrl}/api/pools/shop/servers/${server}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ mode }),
  });
  expect(response.status).toBe(200);
}

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
    servers: [${servers.map(({ url }, index) => `{ name: ${'abc'[index]}, url: "${url}" }`).join(', ')}]
`;
  const first = await runHoldfast(yaml);
  const askers = Array.from({ length: CONNECTIONS }, () => new Asker(first.port));
  const asking = Promise.all(askers.map((asker) => asker.ask()));
  const answered = (): number => askers.reduce((sum, asker) => sum + asker.answered, 0);
  const failures = (): string[] => askers.flatMap((asker) => asker.failures);
  const enough = (): Promise<unknown> => {
    const from = answered();
    return eventually(() => answered() - from >= EACH_TIME || failures().length > 0, { deadlineMs: 60_000 });
  };
  await enough();
  for (const server of servers) {
    recycle(server);
    await enough();
  }
  const second = await runHoldfast(yaml, { args: ['--takeover', first.adminUrl] });
  for (const [index, server] of ['a', 'b', 'c'].entries()) {
    await setMode(second, server, 'drain');
    await enough();
    recycle(servers[index] as Http2Backend);
    await setMode(second, server, 'ready');
  }
  expect(await first.exited()).toBe(0);
  await enough();
  for (const asker of askers) asker.end();
  await asking;
  expect(failures()).toEqual([]);
  expect(await second.metric('holdfast_http2_streams')).toBe(0);
}, 300_000);

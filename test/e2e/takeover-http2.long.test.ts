// One process replaces another under connections of HTTP/2 that are full of streams, and servers are drained in turn: every
// request is answered, whether it was asked before, while or after its connection was told to go.

import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { changeServer, runHoldfast } from '../support/holdfast.ts';
import { Askers } from '../support/http2-asker.ts';

const CONNECTIONS = 10;
const EACH_TIME = 2000;

test('full connections through two replacements and a drain of each server: no request fails', async () => {
  const servers = await Promise.all(
    ['a', 'b', 'c'].map((name) =>
      httpBackend(name, ({ url }, response) => response.end(`you asked for ${url}`)),
    ),
  );
  const yaml = `
threads: 2
listen: [{ address: 127.0.0.1:0, h2c: true }]
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 30s }
pools:
  shop:
    servers: [${servers.map(({ url }, index) => `{ name: ${'abc'[index]}, url: "${url}" }`).join(', ')}]
`;
  const first = await runHoldfast(yaml);
  const askers = new Askers(CONNECTIONS, first.port);
  const enough = (): Promise<unknown> => askers.answer(EACH_TIME);
  await enough();
  const second = await runHoldfast(yaml, { args: ['--takeover', first.adminUrl] });
  await enough();
  for (const server of ['a', 'b', 'c']) {
    await changeServer(second, `shop/${server}`, { mode: 'drain' });
    await enough();
    await changeServer(second, `shop/${server}`, { mode: 'ready' });
  }
  const third = await runHoldfast(yaml, { args: ['--takeover', second.adminUrl] });
  expect([await first.exited(), await second.exited()]).toEqual([0, 0]);
  await enough();
  await askers.end();
  expect(askers.failures).toEqual([]);
  // each was told twice to go, and came back
  expect(Math.min(...askers.connections)).toBeGreaterThanOrEqual(3);
  await eventually(async () => (await third.metric('holdfast_http2_streams')) === 0);
  expect([first.log(), second.log()].filter((log) => log.includes('cutting off'))).toEqual([]);
}, 120_000);

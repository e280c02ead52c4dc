// A server's name with a dot at its end is complete: it is looked up so, and what a server hears and shows has no dot.

import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { authority } from '../support/authority.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';
import { get } from '../support/talker.ts';

const COMPLETE_NAMES_ONLY = new URL('../support/complete-names-only.mjs', import.meta.url).href;
const NAME = 'app.shop.svc.cluster.test';

test('a server whose name ends in a dot is checked and asked by the name without it', async ({ skip }) => {
  const own = authority(skip);
  const { cert, key } = own.issue(`DNS:${NAME}`);
  const heard = new Map<string, Set<string>>();
  const server = createServer({ cert, key }, (request, response) => {
    const { servername = '' } = request.socket as TLSSocket & { servername?: string };
    const path = request.url ?? '';
    heard.set(path, (heard.get(path) ?? new Set()).add(`${servername}, ${request.headers.host}`));
    response.end('ok');
  }).listen(0, '127.0.0.1');
  whenDone(() => server.close());
  whenDone(() => server.closeAllConnections());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const holdfast = await runHoldfast(
    `
threads: 1
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  p: { host: server, tls: { ca: ${own.caFile} }, health: { path: /health, interval: 200ms }, servers: ["https://${NAME}.:${port}"] }
`,
    { env: { NODE_OPTIONS: `--import=${COMPLETE_NAMES_ONLY}`, COMPLETE_NAME: `${NAME}.` } },
  );
  const status = await eventually(async () => {
    const found = (await holdfast.status()).pools[0]?.servers[0];
    return found?.state === 'up' ? found : null;
  });
  expect(status.name).toBe(`${NAME}:${port}`);
  expect((await get(holdfast.port, '/')).status).toBe(200);
  const said = new Set([`${NAME}, ${NAME}:${port}`]);
  expect(heard).toEqual(
    new Map([
      ['/health', said],
      ['/', said],
    ]),
  );
});

// Between two HAProxies: one that says in a PROXY header who the client is, and one that is told by us.
//
//   client, 127.0.0.2 -> HAProxy (send-proxy) -> Holdfast -> HAProxy (accept-proxy) -> server

import { request } from 'node:http';
import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';
import { runHaproxy } from '../support/other-balancer.ts';

interface Seen {
  readonly headers: Record<string, string>;
  readonly clientPort: number;
}

function ask(port: number): Promise<Seen> {
  return new Promise((resolve, reject) => {
    let clientPort = 0;
    const options = { port, host: '127.0.0.1', localAddress: '127.0.0.2', agent: false } as const;
    const asked = request(options, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text += part.toString()));
      response.on('end', () => {
        if (response.statusCode === 200)
          resolve({ clientPort, headers: (JSON.parse(text) as { headers: Record<string, string> }).headers });
        else reject(new Error(`${response.statusCode}: ${text}`));
      });
    });
    asked.on('error', reject);
    asked.on('socket', (socket) => socket.once('connect', () => (clientPort = socket.localPort ?? 0)));
    asked.end();
  });
}

test.for([
  ['send-proxy', 'v1'],
  ['send-proxy-v2', 'v2'],
] as const)('right addresses in both directions: %s, %s', async ([sends, version], { skip }) => {
  const program = needs('haproxy', skip);
  const server = await httpBackend('a');
  const [before, behind, own] = [await freePort(), await freePort(), await freePort()];
  await runHaproxy(
    program,
    `frontend f
  bind 127.0.0.1:${behind} accept-proxy
  http-request set-header x-source %[src]:%[src_port]
  http-request set-header x-destination %[dst]:%[dst_port]
  default_backend b
backend b
  server s 127.0.0.1:${server.port}`,
    behind,
  );
  const holdfast = await runHoldfast(`
listen: { address: "127.0.0.1:${own}", proxyProtocol: required }
admin: { address: 127.0.0.1:0 }
accessLog: json
pools:
  shop:
    sticky: { mode: address-hash }
    sendProxyProtocol: ${version}
    health: { path: /healthz, interval: 500ms }
    servers: ["http://127.0.0.1:${behind}"]
`);
  await runHaproxy(
    program,
    `listen l
  bind 127.0.0.1:${before}
  server s 127.0.0.1:${own} ${sends} check`,
    before,
  );
  const { headers, clientPort } = await ask(before);
  expect(headers).toMatchObject({
    'x-forwarded-for': '127.0.0.2',
    'x-forwarded-port': String(before),
    'x-source': `127.0.0.2:${clientPort}`,
    'x-destination': `127.0.0.1:${before}`,
  });
  // HAProxy's checks of us and ours of HAProxy carry one too, so that nobody is refused or down
  expect((await holdfast.status()).pools[0]?.servers[0]?.state).toBe('up');
  expect(await holdfast.metric('holdfast_rejected_requests_total', { reason: 'bad-proxy-header' })).toBe(0);
  await eventually(() => holdfast.output().includes('"client":"127.0.0.2"'));
});

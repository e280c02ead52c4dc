// A reload adds and removes listeners: the others do not notice, what is in flight on a removed one is finished.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { Http2Peer, request, Type } from '../support/http2-peer.ts';
import { PlainClient } from '../support/plain-client.ts';
import { rawClient } from '../support/raw-client.ts';
import { type SessionServer, serversYaml, sessionServers } from '../support/session-servers.ts';

function yamlFor(servers: readonly SessionServer[], addresses: readonly string[]): string {
  return `
listen: [${addresses.map((address) => `{ address: "${address}" }`).join(', ')}]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    servers:
${serversYaml(servers)}`;
}

async function reload(holdfast: Holdfast, yaml: string): Promise<{ status: number; text: string }> {
  writeFileSync(holdfast.configFile, yaml);
  const response = await fetch(`${holdfast.adminUrl}/api/reload`, { method: 'POST' });
  return { status: response.status, text: await response.text() };
}

function portsOf(holdfast: Holdfast): number[] {
  return [...holdfast.output().matchAll(/^listening on http:\/\/.*:(\d+)$/gm)].map((match) =>
    Number(match[1]),
  );
}

test.each([1, 2])('listeners come and go by reload, on %i threads', async (threads) => {
  const servers = await sessionServers(2);
  const holdfast = await runInside(yamlFor(servers, ['127.0.0.1:0']), { threads });
  const kept = new PlainClient(holdfast.port);
  expect((await kept.ask('GET', '/')).status).toBe(401);

  expect((await reload(holdfast, yamlFor(servers, ['127.0.0.1:0', '0.0.0.0:0']))).status).toBe(200);
  const ports = await eventually(() => (portsOf(holdfast).length === 2 ? portsOf(holdfast) : null));
  expect(ports[0]).toBe(holdfast.port);
  const added = new PlainClient(ports[1]!);
  const addedToo = Array.from({ length: 8 }, () => new PlainClient(ports[1]!));
  for (const client of [added, ...addedToo]) expect((await client.ask('GET', '/')).status).toBe(401);

  let release: () => void = () => undefined;
  for (const server of servers) {
    server.hold = (target) =>
      target === '/held' ? new Promise((resolve) => (release = resolve)) : Promise.resolve();
  }
  const held = added.ask('GET', '/held');
  await eventually(async () => (await holdfast.metric('holdfast_requests_in_flight')) === 1);
  expect((await reload(holdfast, yamlFor(servers, ['127.0.0.1:0']))).status).toBe(200);
  await expect(rawClient(ports[1]!)).rejects.toThrow('ECONNREFUSED');
  release();
  const last = await held;
  expect([last.status, last.header('connection')]).toEqual([401, 'close']);
  expect((await kept.ask('GET', '/')).status).toBe(401);
  await eventually(async () => (await holdfast.metric('holdfast_client_connections')) === 1);
  expect(portsOf(holdfast)).toEqual(ports);
  for (const client of [kept, added, ...addedToo]) client.close();
});

test('a new listener whose port is taken refuses the reload, and nothing changes', async () => {
  const servers = await sessionServers(1);
  const holdfast = await runInside(yamlFor(servers, ['127.0.0.1:0']), { threads: 2 });
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  onTestFinished(() => {
    blocker.close();
  });
  const { port } = blocker.address() as AddressInfo;
  const { status, text } = await reload(holdfast, yamlFor(servers, ['127.0.0.1:0', `127.0.0.1:${port}`]));
  expect(status).toBe(409);
  expect(text).toContain(`cannot listen on 127.0.0.1:${port}: the port is taken by another process`);
  expect((await holdfast.status()).revision).toBe(1);
  const client = new PlainClient(holdfast.port);
  expect((await client.ask('GET', '/')).status).toBe(401);
  client.close();
});

test.each([1, 2])(
  'two listeners that leave their port to the system have one each, on %i threads',
  async (threads) => {
    const servers = await sessionServers(2);
    const same = ['127.0.0.1:0', '127.0.0.1:0', '127.0.0.1:0'];
    const holdfast = await runInside(yamlFor(servers, same), { threads });
    const ports = portsOf(holdfast);
    expect(new Set(ports).size).toBe(same.length);
    for (const port of ports)
      for (let nth = 0; nth < 4; nth += 1)
        expect((await new PlainClient(port).ask('GET', '/')).status).toBe(401);

    expect((await reload(holdfast, yamlFor(servers, same.slice(1)))).status).toBe(200);
    await expect(rawClient(ports[2]!)).rejects.toThrow('ECONNREFUSED');
    for (const port of ports.slice(0, 2))
      expect((await new PlainClient(port).ask('GET', '/')).status).toBe(401);
  },
);

test('a reload with fewer requests to a connection ends one of HTTP/2 that has had more, with its next', async () => {
  const servers = await sessionServers(1);
  const yaml = (limits: string): string =>
    yamlFor(servers, ['127.0.0.1:0']).replace('address:', `h2c: true, limits: { ${limits} }, address:`);
  const holdfast = await runInside(yaml(''));
  const client = new Http2Peer(holdfast.port);
  client.send(request(1), request(3), request(5));
  await client.until(() => client.isWhole(1) && client.isWhole(3) && client.isWhole(5), 'answers');
  expect((await reload(holdfast, yaml('requestsPerConnection: 2'))).status).toBe(200);
  client.send(request(7));
  await client.until(() => client.isWhole(7) && client.of(Type.goaway).length > 0, 'an answer, and GOAWAY');
});

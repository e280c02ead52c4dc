// IPv6 from end to end: the listener, the server, and what is said of the client in fields and PROXY headers.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { checkServerIdentity, connect } from 'node:tls';
import { expect, test } from 'vitest';
import { formatProxyHeader } from '../../src/base/proxy-protocol.ts';
import { eventually } from '../support/eventually.ts';
import { runInside } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';
import { needsAddress } from '../support/needs.ts';
import { rawClient } from '../support/raw-client.ts';

const HOST = '::1';
const ENDS = { address: '2001:db8::7', port: 56_324, localAddress: '2001:db8::1', localPort: 443 };

/** Answers each request, and keeps what it was sent on each connection with one. */
async function server(): Promise<{ port: number; requests: readonly string[] }> {
  const requests: string[] = [];
  const listening = createServer((socket: Socket) => {
    let text = '';
    whenDone(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (part) => {
      text += part.toString('latin1');
      if (!text.endsWith('\r\n\r\n')) return;
      requests.push(text);
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello');
    });
  }).listen(0, HOST);
  whenDone(() => listening.close());
  await once(listening, 'listening');
  return { port: (listening.address() as AddressInfo).port, requests };
}

test('listener, server, forwarded fields, PROXY headers both ways and TLS', async ({ skip }) => {
  needsAddress(HOST, skip);
  const { port, requests } = await server();
  const running = await runInside(`
threads: 1
trusted: ["${HOST}"]
listen: [{ address: "[${HOST}]:0", proxyProtocol: optional, tls: { selfSigned: true } }]
admin: { address: "[${HOST}]:0", token: a-token-of-the-test }
pools: { web: { sendProxyProtocol: v1, servers: ["http://[${HOST}]:${port}"] } }
`);
  const ask = async (header: string): Promise<string> => {
    const raw = await rawClient(running.port, HOST);
    if (header !== '') raw.socket.write(header, 'latin1');
    const socket = connect({ socket: raw.socket, rejectUnauthorized: false });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    expect(checkServerIdentity(HOST, socket.getPeerCertificate())).toBeUndefined();
    const { length } = requests;
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    return eventually(() => requests[length] ?? null);
  };
  const own = await ask('');
  expect(own).toMatch(new RegExp(`^PROXY TCP6 ::1 ::1 \\d+ ${running.port}\r\nGET / HTTP/1\\.1\r\n`));
  expect(own).toContain('\r\nx-forwarded-for: ::1\r\n');
  const named = await ask(formatProxyHeader('v2', ENDS));
  expect(named).toMatch(/^PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\nGET /);
  expect(named).toContain('\r\nx-forwarded-for: 2001:db8::7\r\n');
  expect(named).toContain('\r\nx-forwarded-proto: https\r\n');
});

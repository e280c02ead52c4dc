// What TLS decrypts, read into memory of ours: every byte once and in order, whatever pauses, and no more than is wanted.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { readInto } from '../../src/proxy/secured-reading.ts';
import { selfSigned } from '../../src/tls/self-signed.ts';
import { eventually } from '../support/eventually.ts';

const BUFFER_BYTES = 64 * 1024;
const MIB = 1 << 20;

interface Pair {
  /** The end that reads. */
  readonly server: TLSSocket;
  readonly client: TLSSocket;
}

async function securedPair(): Promise<Pair> {
  const secureContext = createSecureContext(selfSigned(['localhost'], Date.now()));
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'connection');
  const client = connect({
    port: (listener.address() as AddressInfo).port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
  });
  const [raw] = (await accepted) as [Socket];
  const server = new TLSSocket(raw, { isServer: true, secureContext });
  onTestFinished(() => {
    client.destroy();
    server.destroy();
    listener.close();
  });
  await Promise.all([once(server, 'secure'), once(client, 'secureConnect')]);
  return { server, client };
}

/** Reads the way a connection does. `parts` are copies: the memory is read into again. */
function readAll(server: TLSSocket, onPart: () => void = () => undefined) {
  const memory = Buffer.alloc(BUFFER_BYTES);
  const parts: Buffer[] = [];
  const took = { inMemory: 0, bytes: 0 };
  const take = (part: Uint8Array): void => {
    parts.push(Buffer.from(part));
    took.bytes += part.length;
    onPart();
  };
  const isRead = readInto(server, {
    buffer: () => memory,
    callback: (bytes) => {
      took.inMemory += bytes;
      take(memory.subarray(0, bytes));
      return true;
    },
  });
  server.on('data', take);
  return { isRead, took, whole: () => Buffer.concat(parts) };
}

test('this Node reads into memory of ours, all of it while nobody pauses', async () => {
  const { server, client } = await securedPair();
  const sent = randomBytes(3 * MIB);
  const { isRead, took, whole } = readAll(server);
  client.end(sent);
  await once(server, 'end');
  expect(isRead).toBe(true);
  expect(took.inMemory).toBe(sent.length);
  expect(whole().equals(sent)).toBe(true);
});

test('what comes around pauses keeps its order', async () => {
  const { server, client } = await securedPair();
  const sent = randomBytes(6 * MIB);
  let count = 0;
  const { took, whole } = readAll(server, () => {
    count += 1;
    if (count % 3 === 0) server.pause();
    // at once, before what one read decrypted is over; and later, when it waits in the stream
    if (count % 6 === 0) server.resume();
    else if (server.isPaused()) setImmediate(() => server.resume());
  });
  client.end(sent);
  await once(server, 'end');
  expect(whole().equals(sent)).toBe(true);
  expect(took.inMemory).toBeGreaterThan(0);
  expect(took.inMemory).toBeLessThan(sent.length);
});

test('who is paused is not read from, beyond what the kernel gave last', async () => {
  const { server, client } = await securedPair();
  const sent = randomBytes(32 * MIB);
  const { took, whole } = readAll(server, () => server.pause());
  client.end(sent);
  await eventually(() => took.bytes > 0);
  for (let index = 0; index < 300; index += 1) await turn(); // both ends are in this process: each turn would carry some
  expect(took.bytes + server.readableLength).toBeLessThan(MIB / 4);
  const before = whole();
  const rest: Buffer[] = [];
  server.removeAllListeners('data').on('data', (part: Buffer) => rest.push(part));
  server.resume();
  for (let index = 0; index < 20; index += 1) await turn();
  const all = Buffer.concat([before, ...rest]);
  expect(all.length).toBeGreaterThan(before.length);
  expect(all.equals(sent.subarray(0, all.length))).toBe(true);
});

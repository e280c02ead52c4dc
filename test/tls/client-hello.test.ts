// The name in a client's first message: as clients send it, in pieces, and in bytes that mean nothing.

import { once } from 'node:events';
import { type AddressInfo, connect as connectPlainly, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { serverNameIn, ticketsIn } from '../../src/tls/client-hello.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { seeds } from '../support/seeds.ts';

const HEAD_BYTES = 5;
const LONGEST = 20_000;
let hello: Buffer;
let nameless: Buffer;

/** The first record that node:tls sends. */
async function firstRecord(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  whenDone(() => server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const client = connect({ socket: connectPlainly(port, '127.0.0.1'), servername });
  client.on('error', () => undefined);
  const [socket] = await accepted;
  whenDone(() => socket.destroy());
  socket.on('error', () => undefined);
  let received = Buffer.alloc(0);
  for await (const part of socket) {
    received = Buffer.concat([received, part]);
    if (received.length > HEAD_BYTES && received.length >= HEAD_BYTES + received.readUInt16BE(3)) break;
  }
  return received;
}

/** The same message in records of so many bytes. */
function inRecords(record: Buffer, bytes: number): Buffer {
  const message = record.subarray(HEAD_BYTES);
  const parts: Buffer[] = [];
  for (let begin = 0; begin < message.length; begin += bytes) {
    const part = message.subarray(begin, begin + bytes);
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(parts);
}

forFile(async () => {
  hello = await firstRecord('Shop.example.test');
  nameless = await firstRecord('');
});

test('is there once the message is whole, and not before', () => {
  for (let end = 0; end < hello.length; end += 1) expect(serverNameIn(hello.subarray(0, end))).toBe(null);
  expect(serverNameIn(hello)).toBe('Shop.example.test');
  expect(serverNameIn(Buffer.concat([hello, Buffer.from('more')]))).toBe('Shop.example.test');
  expect(serverNameIn(nameless)).toBe('');
});

test('is there where the message is spread over records, not over a crowd of them', () => {
  const third = Math.ceil(hello.length / 3);
  expect(serverNameIn(inRecords(hello, third))).toBe('Shop.example.test');
  expect(serverNameIn(inRecords(hello, third).subarray(0, -1))).toBe(null);
  expect(serverNameIn(inRecords(hello, 3))).toBe('');
});

test.each([
  ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n')],
  ['an alert', Buffer.from('15030100020100', 'hex')],
  ['another message', Buffer.from('160301000402000000', 'hex')],
  ['a hello without anything', Buffer.from('160301000401000000', 'hex')],
  ['a record that never ends', Buffer.from('160301ffff01', 'hex')],
  ['a message that never ends', Buffer.from('160301000401ffffff'.repeat(8), 'hex')],
])('is none in %s', (_, bytes) => {
  expect(serverNameIn(bytes)).toBe('');
});

test.each(seeds(3))(
  'of changed bytes is a name, none or not there yet, and of long ones known (seed %i)',
  (seed) => {
    const random = new SeededRandom(seed);
    const below = (limit: number): number => Math.floor(random.next() * limit);
    for (let round = 0; round < 300; round += 1) {
      const changed = Buffer.from(hello);
      for (let changes = below(6); changes >= 0; changes -= 1) changed[below(changed.length)] = below(256);
      const name = serverNameIn(changed);
      expect(name === null || name.length < changed.length).toBe(true);
      for (const ticket of ticketsIn(changed)) expect(ticket.length).toBeLessThan(changed.length);
      expect(serverNameIn(Buffer.concat([changed, Buffer.alloc(LONGEST, 22)]))).not.toBe(null);
    }
  },
);

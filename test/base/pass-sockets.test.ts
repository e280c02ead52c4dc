import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { fetchSockets, identityOf, offerSockets } from '../../src/base/pass-sockets.ts';
import { needsAddress } from '../support/needs.ts';

interface Listener {
  readonly port: number;
  readonly fd: number;
  close(): Promise<unknown>;
}

/** Answers with its name, on a thread of its own as in the balancer. */
async function listener(name: string, options: object): Promise<Listener> {
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const { createServer } = require('node:net');
     const server = createServer((socket) => socket.on('error', () => 0).end(workerData.name));
     server.listen(workerData.options, () =>
       parentPort.postMessage({ port: server.address().port, fd: server._handle.fd }));
     parentPort.on('message', () => server.close(() => parentPort.postMessage('closed')));`,
    { eval: true, workerData: { name, options } },
  );
  onTestFinished(async () => void (await worker.terminate()));
  const [{ port, fd }] = (await once(worker, 'message')) as [{ port: number; fd: number }];
  const close = (): Promise<unknown> => {
    worker.postMessage('close');
    return once(worker, 'message');
  };
  return { port, fd, close };
}

function pathOf(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-pass-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return join(directory, name);
}

/** How many of this process are of the same socket. */
function descriptorsOf(fd: number): number {
  const own = identityOf(fd);
  return readdirSync('/proc/self/fd').filter((name) => identityOf(Number(name)) === own).length;
}

async function hears(port: number, host: string): Promise<string> {
  const socket = connect(port, host).setEncoding('latin1');
  const [text] = (await once(socket, 'data')) as [string];
  socket.destroy();
  return text;
}

test.for(['127.0.0.1', '::1'])(
  'connections that come while nobody listens on %s are served by who listens next',
  async (host, { skip }) => {
    needsAddress(host, skip);
    const first = await listener('first', { host, port: 0 });
    const { port, fd } = first;
    const path = pathOf('sockets');
    const offer = await offerSockets(path, [
      { address: 'web', fd },
      { address: 'web too', fd },
    ]);
    const [passed, second] = await fetchSockets(path, 2);
    expect([passed!.address, second!.address]).toEqual(['web', 'web too']);
    offer.close();
    second!.close();
    expect(await hears(port, host)).toBe('first');
    await first.close();
    const waiting = Array.from({ length: 50 }, () => hears(port, host));
    const early = connect(port, host);
    await once(early, 'connect');
    early.destroy();
    await listener('next', { fd: passed!.fd });
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['next']));
  },
);

test('a passed socket that is closed keeps no connection waiting', async () => {
  const first = await listener('first', { host: '127.0.0.1', port: 0 });
  const { port, fd } = first;
  const path = pathOf('sockets');
  const offer = await offerSockets(path, [{ address: 'web', fd }]);
  const [passed] = await fetchSockets(path, 1);
  offer.close();
  passed!.close();
  expect(await hears(port, '127.0.0.1')).toBe('first');
  await first.close();
  await expect(hears(port, '127.0.0.1')).rejects.toThrow('ECONNREFUSED');
});

test('where there are no sockets, none are waited for', async () => {
  const path = pathOf('sockets');
  const offer = await offerSockets(path, []);
  expect(await fetchSockets(path, 0)).toEqual([]);
  offer.close();
});

test('too few sockets, nobody at the path, or no socket to pass: an error each', async () => {
  const { fd } = await listener('first', { host: '127.0.0.1', port: 0 });
  const path = pathOf('sockets');
  const offer = await offerSockets(path, [{ address: 'web', fd }]);
  const before = descriptorsOf(fd);
  const tooMany = expect(fetchSockets(path, 2)).rejects.toThrow('only 1 of 2 listening sockets came');
  // who comes later has been served later
  expect((await fetchSockets(path, 1)).length).toBe(1);
  offer.close();
  await tooMany;
  // that which came is closed: the kernel would give it connections
  expect(descriptorsOf(fd)).toBe(before + 1);
  await expect(fetchSockets(pathOf('nobody'), 1)).rejects.toThrow('nobody');
  await expect(offerSockets(pathOf('sockets'), [{ address: 'web', fd: -1 }])).rejects.toThrow(
    'socket of web',
  );
});

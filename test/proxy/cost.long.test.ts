// What a request costs beside its bytes, counted: calls to read and write, and bytes allocated by the program. Both stay
// the same on a machine that is busy, so that a change that makes each request dearer is seen where time cannot be measured.

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { expect, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { whenDone } from '../support/lifetime.ts';
import { runThread } from '../support/proxy-thread.ts';

const WARM_UP = 6_000;
const REQUESTS = 2_000;
const WINDOWS = 4;

const REQUEST = [
  'GET /catalogue/page/3 HTTP/1.1',
  'Host: shop.example.com',
  'user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36',
  'accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'accept-encoding: gzip, deflate, br, zstd',
  'accept-language: en-GB,en;q=0.9,de;q=0.8',
  'referer: http://shop.example.com/catalogue/page/2',
  'cookie: theme=dark; session=0123456789abcdef; consent=yes',
].join('\r\n');
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello';

interface Cost {
  readonly reads: number;
  readonly writes: number;
  readonly allocated: number;
}

function countedSoFar(): Cost {
  const io = readFileSync('/proc/self/io', 'latin1');
  const of = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1]);
  return { reads: of('syscr'), writes: of('syscw'), allocated: getHeapStatistics().total_allocated_bytes };
}

/** Of one request of a session, one after the other on one connection: the least of some windows, so that what happens beside it counts little. */
async function costOf(port: number): Promise<Cost> {
  const socket = connect(port, '127.0.0.1');
  whenDone(() => socket.destroy());
  const times = async (count: number, request: string): Promise<string> => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let left = count;
    const onData = (chunk: Buffer): void => {
      const answer = chunk.toString('latin1');
      if (!answer.endsWith('hello')) reject(new Error(`not the answer: ${answer}`));
      left -= 1;
      if (left === 0) resolve(answer);
      else socket.write(request, 'latin1');
    };
    socket.on('data', onData).once('close', () => reject(new Error('closed')));
    socket.write(request, 'latin1');
    const last = await promise;
    socket.removeListener('data', onData);
    return last;
  };
  const first = await times(1, `${REQUEST}\r\n\r\n`);
  const cookie = /^set-cookie: ([^;]+)/im.exec(first)?.[1] ?? 'none=none';
  const request = `${REQUEST}; ${cookie}\r\n\r\n`;
  await times(WARM_UP, request);
  const windows: Cost[] = [];
  for (let window = 0; window < WINDOWS; window += 1) {
    const before = countedSoFar();
    await times(REQUESTS, request);
    const after = countedSoFar();
    windows.push({
      reads: (after.reads - before.reads) / REQUESTS,
      writes: (after.writes - before.writes) / REQUESTS,
      allocated: (after.allocated - before.allocated) / REQUESTS,
    });
  }
  const least = (name: keyof Cost): number => Math.min(...windows.map((window) => window[name]));
  return { reads: least('reads'), writes: least('writes'), allocated: least('allocated') };
}

test('two reads, two writes and few bytes allocated for a request of a session', async () => {
  const backend = await tcpBackend((socket) => {
    socket.on('data', () => socket.write(ANSWER, 'latin1')).on('error', () => undefined);
  });
  const { port } = await runThread(`
pools:
  shop:
    health: off
    sticky: { mode: cookie-hash, secret: a-secret-of-sixteen-bytes-or-more }
    servers: ["${backend.url}"]
`);
  const direct = await costOf(backend.port);
  const proxied = await costOf(port);
  const added = (name: keyof Cost): number => proxied[name] - direct[name];
  expect([Math.round(added('reads')), Math.round(added('writes'))]).toEqual([2, 2]);
  // Measured 3 000 to 3 050, of which 1 100 are what a stream of Node costs that passes bytes on.
  expect(added('allocated')).toBeLessThan(3_500);
});

// Uploads in frames of a byte: they arrive as they are, and cost memory for their bytes, not for their frames.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { KeptParts } from '../../src/http2/kept-parts.ts';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { frame, Http2Peer, request, Type } from '../support/http2-peer.ts';
import { runThread } from '../support/proxy-thread.ts';
import { seeds } from '../support/seeds.ts';

const WINDOW = 65_535;

const bytesOf = (kept: KeptParts): Buffer[] => {
  const chunks: Buffer[] = [];
  while (!kept.isEmpty) chunks.push(kept.take());
  return chunks;
};

test('what is kept of a full window of one-byte parts are a few pieces', () => {
  const kept = new KeptParts();
  for (let at = 0; at < WINDOW; at += 1) kept.add(Buffer.from([at & 255]));
  const chunks = bytesOf(kept);
  expect(chunks.length).toBeLessThan(16);
  expect(Buffer.concat(chunks)).toEqual(Buffer.from(Array.from({ length: WINDOW }, (_, at) => at & 255)));
});

for (const seed of seeds(20))
  test(`parts of all sizes come out in order, also when taken in between (seed ${seed})`, () => {
    const random = new SeededRandom(seed);
    const kept = new KeptParts();
    const put: Buffer[] = [];
    const taken: Buffer[] = [];
    for (let round = 0; round < 200; round += 1) {
      const part = Buffer.alloc(Math.floor(random.next() ** 4 * 40_000) + 1, round & 255);
      put.push(part);
      kept.add(part);
      const what = random.next();
      if (what < 0.3) taken.push(...bytesOf(kept));
      else if (what < 0.5) taken.push(kept.take());
    }
    taken.push(...bytesOf(kept));
    expect(Buffer.concat(taken).equals(Buffer.concat(put))).toBe(true);
  });

test('uploads a byte a frame to a server that reads late', async () => {
  const got: string[] = [];
  const servers = await tcpBackend((socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (text === '') {
        // the rest waits until all streams have sent what they may
        socket.pause();
        waiting.push(() => socket.resume());
      }
      text += chunk.toString('latin1');
      if (!text.endsWith('\r\n0\r\n\r\n')) return;
      got.push(unchunked(text));
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  const waiting: (() => void)[] = [];
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${servers.url}"] } }`,
    'h2c: true',
  );
  const peer = new Http2Peer(running.port);
  const ids = [1, 3, 5];
  const bytes = 20_000;
  peer.send(...ids.map((id) => request(id, [], '/', 'POST')));
  for (let at = 0; at < bytes; at += 1000)
    peer.send(
      ...ids.flatMap((id) =>
        Array.from({ length: 1000 }, (_, offset) =>
          frame(Type.data, at + offset === bytes - 1 ? 1 : 0, id, letter(id + at + offset)),
        ),
      ),
    );
  await eventually(() => waiting.length === ids.length);
  for (const resume of waiting) resume();
  await peer.until(() => ids.every((id) => peer.isWhole(id)), 'answers');
  const bodies = ids.map((id) => Array.from({ length: bytes }, (_, at) => letter(id + at)).join(''));
  expect(new Set(got)).toEqual(new Set(bodies));
  peer.socket.destroy();
  await running.isQuiet();
});

const letter = (at: number): string => String.fromCharCode(97 + (at % 26));

function unchunked(text: string): string {
  const parts: string[] = [];
  let at = text.indexOf('\r\n\r\n') + 4;
  for (;;) {
    const end = text.indexOf('\r\n', at);
    const length = Number.parseInt(text.slice(at, end), 16);
    if (length === 0) return parts.join('');
    parts.push(text.slice(end + 2, end + 2 + length));
    at = end + 4 + length;
  }
}

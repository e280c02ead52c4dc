// What a client of HTTP/2 might send: frames that are right, nearly right and wrong.

import type { SeededRandom } from '../../src/base/random.ts';
import { frame, number, PREFACE, request, Type } from './http2-peer.ts';

const FRAMES_MAX = 60;

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[Math.floor(random.next() * list.length)] as T;
}

/** A frame that a client might send, in a place where it may or may not. */
function someFrame(random: SeededRandom, next: () => number): Buffer {
  const known = Math.max(1, next() - 2 * Math.floor(random.next() * 4));
  const bytes = Buffer.alloc(Math.floor(random.next() * 3000), 'x');
  const kind = random.next();
  if (kind < 0.35)
    return request(
      next() + 2,
      [['x-a', 'b'.repeat(Math.floor(random.next() * 200))]],
      '/',
      pick(random, ['GET', 'POST']),
    );
  if (kind < 0.6) return frame(Type.data, pick(random, [0, 0, 1]), known, bytes);
  if (kind < 0.65) return frame(Type.reset, 0, known, number(8));
  if (kind < 0.75)
    return frame(Type.window, 0, pick(random, [0, known]), number(1 + Math.floor(random.next() * 50_000)));
  if (kind < 0.8)
    return frame(
      Type.settings,
      0,
      0,
      Buffer.concat([Buffer.from([0, 4]), number(Math.floor(random.next() * 100_000))]),
    );
  if (kind < 0.85) return frame(Type.ping, 0, 0, Buffer.alloc(8));
  if (kind < 0.88) return frame(Type.priority, 0, known + 8, Buffer.alloc(5));
  if (kind < 0.91) return frame(Type.headers, 4, known, Buffer.from([0x80 | Math.floor(random.next() * 80)]));
  if (kind < 0.94)
    return Buffer.concat([request(next() + 2).fill(0, 4, 5), frame(Type.continuation, 4, next() + 2)]);
  return frame(Math.floor(random.next() * 20), Math.floor(random.next() * 256), known, bytes.subarray(0, 20));
}

/** Everything one client sends, up to so many frames; a few bytes of it may be others. */
export function conversation(random: SeededRandom): Buffer {
  let last = 1;
  const parts = [Buffer.from(PREFACE), frame(Type.settings)];
  const count = Math.floor(random.next() * FRAMES_MAX);
  for (let at = 0; at < count; at += 1) {
    const part = someFrame(random, () => last);
    if (part[3] === Type.headers) last = Math.max(last, part.readUInt32BE(5) & 0x7fffffff);
    parts.push(part);
  }
  const all = Buffer.concat(parts);
  const changes = random.next() < 0.5 ? 0 : Math.floor(random.next() * 6);
  for (let change = 0; change < changes; change += 1)
    all[Math.floor(random.next() * all.length)] = Math.floor(random.next() * 256);
  return all;
}

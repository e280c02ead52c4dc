// The end of an HTTP/2 connection that asks, fed with frames of a server that are right, nearly right and wrong, in any cuts: it
// never throws, what it writes is always frames, each of its streams ends once, and nothing is heard after the end.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { ClientEnd, type ResponseUser } from '../../src/http2/client-end.ts';
import type { Http2Stream } from '../../src/http2/stream.ts';
import { block, frame, number, PREFACE, Type } from '../support/http2-peer.ts';
import { seeds } from '../support/seeds.ts';
import { WrittenFrames } from '../support/written-frames.ts';

const CONNECTIONS = 400;
const FRAMES_MAX = 60;
const LIMITS = {
  streams: Number.POSITIVE_INFINITY,
  window: 65_536,
  connectionWindow: 262_144,
  headerBytes: 4096,
  resets: { count: Number.POSITIVE_INFINITY, withinMs: 1000 },
  frames: { count: 50, withinMs: 1000 },
};

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[Math.floor(random.next() * list.length)] as T;
}

class Scene {
  readonly written = new WrittenFrames(PREFACE.length);
  isOver = false;
  /** Streams by what is still to come of them. */
  readonly open = new Set<Http2Stream>();
  answered = 0;
  readonly faults: string[] = [];
  readonly http2: ClientEnd;
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
    this.http2 = new ClientEnd(this.written, LIMITS, {
      isFull: false,
      onAbuse: () => undefined,
      onConnectionError: () => {
        this.isOver = true;
      },
      onPong: () => undefined,
      onStreams: () => undefined,
      onSettings: () => undefined,
    });
    this.http2.begin();
  }

  ask(): void {
    const { http2 } = this;
    let stream: Http2Stream | null = null;
    const end = (): void => {
      if (this.isOver) this.faults.push('heard after the end');
      if (stream === null || !this.open.delete(stream)) this.faults.push('ended twice');
    };
    const user: ResponseUser = {
      isHead: this.#random.next() < 0.1,
      isConnect: false,
      onHead: (_, isLast) => {
        if (stream === null || !this.open.has(stream)) this.faults.push('a head after the end');
        else if (isLast) this.#leave(stream, end);
      },
      onData: (_, begin, dataEnd) => {
        if (stream === null || !this.open.has(stream)) this.faults.push('data after the end');
        else http2.taken(stream, dataEnd - begin);
      },
      onEnd: () => {
        if (stream !== null) this.#leave(stream, end);
      },
      onReset: end,
      onDrained: () => undefined,
    };
    stream = http2.open(user);
    this.open.add(stream);
    const { sender } = http2;
    sender.encoder.begin();
    sender.encoder.line(':method: POST');
    const hasBody = this.#random.next() < 0.5;
    sender.headers(stream, !hasBody);
    if (hasBody) sender.write(stream, Buffer.alloc(Math.floor(this.#random.next() * 100_000)), true);
  }

  #leave(stream: Http2Stream, end: () => void): void {
    this.answered += 1;
    end();
    this.http2.leave(stream);
  }
}

function someFrame(random: SeededRandom, lastId: number): Buffer {
  const known = Math.max(1, lastId - 2 * Math.floor(random.next() * 4));
  const isWrong = random.next() < 0.05;
  const kind = isWrong ? 0.9 + random.next() / 10 : random.next() * 0.9;
  const status = pick(random, ['200', '200', '200', '103', '204', '304', '101', 'x']);
  const more = random.next() < 0.2 ? ([['content-length', pick(random, ['0', '5', '3000'])]] as const) : [];
  if (kind < 0.4)
    return frame(
      Type.headers,
      isWrong ? 0 : pick(random, [4, 4, 4, 5]),
      known,
      block([[':status', status], ...more]),
    );
  if (kind < 0.65) return frame(Type.data, pick(random, [0, 0, 1]), known, Buffer.alloc(random.below(3000)));
  if (kind < 0.7) return frame(Type.reset, 0, known, number(random.below(14)));
  if (kind < 0.8) return frame(Type.window, 0, pick(random, [0, known]), number(1 + random.below(50_000)));
  if (kind < 0.84)
    return frame(
      Type.settings,
      0,
      0,
      Buffer.concat([Buffer.from([0, pick(random, [1, 3, 4, 8])]), number(random.below(100_000))]),
    );
  if (kind < 0.88) return frame(Type.ping, 0, 0, Buffer.alloc(8));
  if (kind < 0.9) return frame(Type.headers, 5, known, block([['x-trailer', 'y']]));
  if (kind < 0.93) return frame(Type.goaway, 0, 0, Buffer.concat([number(known), number(0)]));
  if (kind < 0.95) return frame(Type.continuation, 4, known, block([['x', 'y']]));
  return frame(
    random.below(20),
    random.below(256),
    random.below(40),
    Buffer.alloc(random.below(60), random.below(256)),
  );
}

for (const seed of seeds(2))
  test(`${CONNECTIONS} servers, seed ${seed}`, () => {
    const random = new SeededRandom(seed);
    let ended = 0;
    let answered = 0;
    for (let each = 0; each < CONNECTIONS; each += 1) {
      const scene = new Scene(random);
      let nowMs = 0;
      let bytes = frame(Type.settings, 0, 0, '');
      scene.ask();
      for (let count = random.below(FRAMES_MAX); count > 0; count -= 1) {
        if (!scene.isOver && random.next() < 0.3) scene.ask();
        bytes = Buffer.concat([bytes, someFrame(random, scene.http2.lastId)]);
        const cut = random.below(bytes.length + 1);
        const chunk = Buffer.from(bytes.subarray(0, cut));
        scene.http2.read(chunk, nowMs);
        // whatever was kept must be a copy
        chunk.fill('?');
        bytes = bytes.subarray(cut);
        nowMs += random.next() * 20;
      }
      scene.isOver = false;
      scene.http2.breakAll('the end');
      scene.written.check();
      expect([scene.written.isBad, scene.faults, scene.open.size, scene.http2.streams.size]).toEqual([
        false,
        [],
        0,
        expect.any(Number),
      ]);
      if (scene.http2.isOver) ended += 1;
      answered += scene.answered;
    }
    // neither all good nor all bad, or it tests little
    expect(ended).toBeGreaterThan(CONNECTIONS / 20);
    expect(ended).toBeLessThan((CONNECTIONS * 19) / 20);
    expect(answered).toBeGreaterThan(CONNECTIONS / 10);
  });

// A client's HTTP/2 connection fed with frames that are right, nearly right and wrong, in any cuts: it never throws, what it
// writes is always frames, it keeps no more than its limits, and once it has ended nothing is begun any more.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import type { Http2Limits } from '../../src/http2/abuse.ts';
import { ServerEnd } from '../../src/http2/server-end.ts';
import type { Http2Stream, StreamUser } from '../../src/http2/stream.ts';
import { conversation } from '../support/http2-conversation.ts';
import { seeds } from '../support/seeds.ts';
import { WrittenFrames } from '../support/written-frames.ts';

const CONNECTIONS = 400;
const LIMITS: Http2Limits = {
  streams: 8,
  window: 65_536,
  connectionWindow: 262_144,
  headerBytes: 4096,
  resets: { count: 20, withinMs: 1000 },
  frames: { count: 100, withinMs: 1000 },
};

/** Answers requests as it happens, like an exchange behind each stream. */
class Scene {
  readonly written = new WrittenFrames();
  readonly http2: ServerEnd;
  isOver = false;
  begunAfterEnd = 0;
  readonly #random: SeededRandom;
  readonly #untaken = new Map<Http2Stream, number>();

  constructor(random: SeededRandom) {
    this.#random = random;
    this.http2 = new ServerEnd(this.written, LIMITS, {
      isFull: false,
      onRequest: (stream) => this.#onRequest(stream),
      retire: () => undefined,
      onHeadTooLarge: (stream) => this.#answer(stream),
      onAbuse: () => undefined,
      onConnectionError: () => {
        this.isOver = true;
      },
      onPong: () => undefined,
      onStreams: () => undefined,
    });
    this.http2.begin();
  }

  #onRequest(stream: Http2Stream): void {
    if (this.isOver) this.begunAfterEnd += 1;
    const user: StreamUser = {
      onData: (_, begin, end) => {
        const bytes = end - begin;
        if (this.#random.next() < 0.7) this.http2.taken(stream, bytes);
        else this.#untaken.set(stream, (this.#untaken.get(stream) ?? 0) + bytes);
      },
      onEnd: () => this.#answer(stream),
      onReset: () => undefined,
      onDrained: () => undefined,
    };
    stream.user = user;
    if (stream.isReceived || this.#random.next() < 0.2) this.#answer(stream);
  }

  #answer(stream: Http2Stream): void {
    const { sender } = this.http2;
    if (stream.isGone) return;
    sender.encoder.begin();
    sender.encoder.status(200);
    sender.encoder.line(`x-random: ${Math.floor(this.#random.next() * 10)}`);
    const length = Math.floor(this.#random.next() * 40_000);
    sender.headers(stream, false);
    if (length > 0) sender.write(stream, Buffer.alloc(length), this.#random.next() < 0.5);
    sender.end(stream, this.#random.next() < 0.2 ? ['x-t', 'y'] : []);
    this.http2.leave(stream);
  }

  takeAll(): void {
    for (const [stream, bytes] of this.#untaken) this.http2.taken(stream, bytes);
    this.#untaken.clear();
  }
}

for (const seed of seeds(2))
  test(`${CONNECTIONS} clients, seed ${seed}`, () => {
    const random = new SeededRandom(seed);
    let ended = 0;
    for (let each = 0; each < CONNECTIONS; each += 1) {
      const scene = new Scene(random);
      const bytes = conversation(random);
      let nowMs = 0;
      for (let begin = 0; begin < bytes.length; ) {
        const end = Math.min(bytes.length, begin + 1 + Math.floor(random.next() ** 3 * 20_000));
        const chunk = Buffer.from(bytes.subarray(begin, end));
        scene.http2.read(chunk, nowMs);
        // whatever was kept must be a copy
        chunk.fill('?');
        if (random.next() < 0.3) scene.takeAll();
        begin = end;
        nowMs += random.next() * 20;
        expect(scene.http2.streams.size).toBeLessThanOrEqual(LIMITS.streams);
      }
      scene.written.check();
      expect([scene.written.isBad, scene.begunAfterEnd]).toEqual([false, 0]);
      if (scene.isOver) ended += 1;
    }
    // neither all good nor all bad, or it tests little
    expect(ended).toBeGreaterThan(CONNECTIONS / 20);
    expect(ended).toBeLessThan((CONNECTIONS * 19) / 20);
  });

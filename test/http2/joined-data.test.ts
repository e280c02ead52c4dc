// What a read has of several frames of one stream is one part, so that an upload costs as many writes as in HTTP/1.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import type { ErrorCode } from '../../src/http2/codes.ts';
import { ServerEnd, type ServerEndUser } from '../../src/http2/server-end.ts';
import type { Http2Stream } from '../../src/http2/stream.ts';
import { END_STREAM, frame, number, PREFACE, request, Type } from '../support/http2-peer.ts';
import { seeds } from '../support/seeds.ts';

const MIB = 1 << 20;
const LIMITS = {
  streams: 100,
  window: MIB,
  connectionWindow: 16 * MIB,
  headerBytes: 32 * 1024,
  resets: { count: 200, withinMs: 10_000 },
  frames: { count: 1000, withinMs: 1000 },
};

/** Says what comes of each stream, in its order. */
class Listening implements ServerEndUser {
  readonly isFull = false;
  readonly heard: string[] = [];
  readonly at = 0;
  readonly room = 0;
  readonly http2: ServerEnd = new ServerEnd(this, LIMITS, this);
  readonly #bytes = Buffer.alloc(32 * 1024);

  constructor() {
    this.http2.read(Buffer.concat([Buffer.from(PREFACE), frame(Type.settings)]), 0);
  }

  reserve(): Buffer {
    return this.#bytes;
  }

  retire(): void {}

  onRequest(stream: Http2Stream): void {
    const { id } = stream;
    stream.user = {
      onData: (buffer, begin, end) => {
        this.heard.push(`${id}: ${buffer.toString('latin1', begin, end)}`);
        this.http2.taken(stream, end - begin);
      },
      onEnd: (trailers) => this.heard.push(`${id} ends${trailers.length > 0 ? ' with trailers' : ''}`),
      onReset: (code) => this.heard.push(`${id} is reset: ${code}`),
      onDrained: () => undefined,
    };
  }

  onConnectionError(code: ErrorCode): void {
    this.heard.push(`error ${code}`);
    this.http2.cancel();
  }

  onHeadTooLarge(): void {}
  onAbuse(): void {}
  onPong(): void {}
  onStreams(): void {}
}

const data = (id: number, text: string, flags = 0): Buffer => frame(Type.data, flags, id, text);
const post = (id: number): Buffer => request(id, [], '/', 'POST');

test.each([
  [
    'frames of one stream are one part',
    [post(1), data(1, 'ab'), data(1, 'cd'), data(1, '', 0), data(1, 'e', END_STREAM)],
    ['1: abcde', '1 ends'],
  ],
  [
    'padding between them is none of it',
    [post(1), frame(Type.data, 8, 1, '\x03ab\0\0\0'), data(1, 'cd')],
    ['1: abcd'],
  ],
  [
    'those of others come in between, each where it was',
    [post(1), post(3), data(1, 'ab'), data(3, 'xy'), data(3, 'z'), data(1, 'cd')],
    ['1: ab', '3: xyz', '1: cd'],
  ],
  [
    'what is said between them is heard in its place',
    [post(1), data(1, 'ab'), frame(Type.reset, 0, 1, number(8)), data(1, 'cd')],
    ['1: ab', '1 is reset: 8'],
  ],
  [
    'trailers follow all of it',
    [post(1), data(1, 'ab'), data(1, 'cd'), frame(Type.headers, 5, 1, Buffer.from('\0\x01x\x01y'))],
    ['1: abcd', '1 ends with trailers'],
  ],
  [
    'an error of the connection ends all',
    [post(1), data(1, 'ab'), data(7, 'cd')],
    ['error 1', '1 is reset: 8'],
  ],
])('%s', (_, frames, heard) => {
  const listening = new Listening();
  listening.http2.read(Buffer.concat(frames), 0);
  expect(listening.heard).toEqual(heard);
});

for (const seed of seeds(20))
  test(`bodies are the same in whatever frames and reads they come (seed ${seed})`, () => {
    const random = new SeededRandom(seed);
    const upTo = (most: number): number => Math.floor(random.next() * (most + 1));
    const listening = new Listening();
    const sent = ['', '', ''];
    const frames = [post(1), post(3), post(5)];
    for (let index = 0; index < 200; index += 1) {
      const which = upTo(2);
      const text = String.fromCharCode(97 + upTo(25)).repeat(upTo(300));
      sent[which] += text;
      if (text === '') frames.push(frame(Type.ping, 0, 0, Buffer.alloc(8)));
      else if (random.next() < 0.2) frames.push(frame(Type.data, 8, 1 + 2 * which, `\x02${text}\0\0`));
      else frames.push(data(1 + 2 * which, text));
    }
    const all = Buffer.concat(frames);
    for (let at = 0; at < all.length; ) {
      const end = Math.min(all.length, at + 1 + upTo(5000));
      listening.http2.read(all.subarray(at, end), 0);
      at = end;
    }
    const got = [1, 3, 5].map((id) =>
      listening.heard.flatMap((each) => (each.startsWith(`${id}: `) ? [each.slice(3)] : [])).join(''),
    );
    expect(got).toEqual(sent);
  });

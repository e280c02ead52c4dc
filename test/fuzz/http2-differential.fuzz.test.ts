// The same bytes for our HTTP/2 and for node:http2. Where node:http2 ends the connection, and we go on and begin more
// requests, the frame that it ended for is looked for: we have refused that one as well, by ending its stream.
//
//   FRAMES=1000000 npx vitest run test/fuzz/http2-differential.fuzz.test.ts      so many frames, by hand

import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { RequestHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import type { Http2Limits } from '../../src/http2/abuse.ts';
import { ServerEnd } from '../../src/http2/server-end.ts';
import { conversation } from '../support/http2-conversation.ts';
import { Type } from '../support/http2-peer.ts';
import { whenDone } from '../support/lifetime.ts';
import { seeds } from '../support/seeds.ts';

const FRAMES = Number(process.env['FRAMES'] ?? 5000);
const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;
const MANY = { count: 1e9, withinMs: 1000 };
/** Only what is forbidden ends a connection here: what is too much is not compared. */
const LIMITS: Http2Limits = {
  streams: 1e6,
  window: 1 << 24,
  connectionWindow: 1 << 30,
  headerBytes: 65_536,
  resets: MANY,
  frames: MANY,
};

const HEAD_LIMITS = { headBytesMax: 65_536, headerCountMax: 1000, watched: [] };
const head = new RequestHead();

/** What became of a connection: the requests that began, the error that it ended with ('' for none), the streams that were reset. */
interface Outcome {
  readonly begun: number[];
  error: string;
  resets: ReadonlySet<number>;
}

/** Knows the streams whose RST_STREAM was written. */
class CountedOutput {
  readonly at = 0;
  readonly room = 0;
  readonly #memory = Buffer.alloc(65_536);
  readonly #resets = new Set<number>();

  reserve(): Buffer {
    this.#note();
    return this.#memory;
  }

  #note(): void {
    if (this.#memory[3] === Type.reset) this.#resets.add(this.#memory.readUInt32BE(5));
    this.#memory[3] = 255;
  }

  get resets(): ReadonlySet<number> {
    this.#note();
    return this.#resets;
  }
}

function ours(bytes: Buffer): Outcome {
  const outcome: Outcome = { begun: [], error: '', resets: new Set() };
  const output = new CountedOutput();
  const http2 = new ServerEnd(output, LIMITS, {
    isFull: true,
    onRequest: (stream, fields, hasBody) => {
      const text = Buffer.from(fields.headText(hasBody, ''), 'latin1');
      // what HTTP/1's parser refuses is answered 400
      if (parseRequestHead(text, 0, text.length, HEAD_LIMITS, head) > 0) outcome.begun.push(stream.id);
      stream.user = {
        onData: (_, begin, end) => http2.taken(stream, end - begin),
        onEnd: () => undefined,
        onReset: () => undefined,
        onDrained: () => undefined,
      };
    },
    retire: () => undefined,
    onHeadTooLarge: () => undefined,
    onAbuse: () => undefined,
    onConnectionError: (_, detail) => {
      outcome.error = detail;
    },
    onPong: () => undefined,
    onStreams: () => undefined,
  });
  http2.begin();
  http2.read(bytes, 0);
  outcome.resets = output.resets;
  return outcome;
}

/** The socket of node:http2: it reads these bytes, and what it writes goes nowhere. */
class Feed extends Duplex {
  readonly #bytes: Buffer;
  #isRead = false;

  constructor(bytes: Buffer) {
    super();
    this.#bytes = bytes;
  }

  override _read(): void {
    if (this.#isRead) return;
    this.#isRead = true;
    this.push(this.#bytes);
    this.push(null);
  }

  override _write(_part: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

async function theirs(server: Http2Server, bytes: Buffer): Promise<Outcome> {
  const outcome: Outcome = { begun: [], error: '', resets: new Set() };
  await new Promise<void>((resolve) => {
    server.once('session', (session: ServerHttp2Session) => {
      session.on('stream', (stream) => {
        outcome.begun.push(stream.id ?? 0);
        stream.on('error', () => undefined).resume();
      });
      session.on('error', (error: Error) => {
        outcome.error = error.message;
      });
      session.on('close', resolve);
    });
    server.emit('connection', new Feed(bytes));
  });
  return outcome;
}

/** Where each frame ends. */
function endsOf(bytes: Buffer): readonly number[] {
  const ends: number[] = [];
  for (let at = PREFACE_BYTES; at + FRAME_HEAD_BYTES <= bytes.length; ) {
    at += FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
    ends.push(Math.min(at, bytes.length));
  }
  return ends;
}

/** Number of the first frame that node:http2 ends the connection for. */
async function refusedAt(server: Http2Server, bytes: Buffer, ends: readonly number[]): Promise<number> {
  let low = 0;
  let high = ends.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const { error } = await theirs(server, bytes.subarray(0, ends[middle]));
    if (error === '') low = middle + 1;
    else high = middle;
  }
  return low;
}

const streamOf = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at + 5) & 0x7fffffff;

function nameOf(bytes: Buffer, at: number): string {
  const type = bytes[at + 3] as number;
  return `type ${type}, flags ${bytes[at + 4]}, stream ${streamOf(bytes, at)}, ${bytes.readUIntBE(at, 3)} bytes`;
}

for (const seed of seeds(1))
  test(`${FRAMES} frames, seed ${seed}`, { timeout: 30_000 + FRAMES }, async () => {
    const random = new SeededRandom(seed);
    const server = createServer({ maxSessionInvalidFrames: 1e6, maxSessionRejectedStreams: 1e6 });
    whenDone(() => server.close());
    const beyond: string[] = [];
    const counts = { connections: 0, frames: 0, same: 0, stricter: 0, asStreamError: 0, requests: 0 };
    while (counts.frames < FRAMES) {
      const bytes = conversation(random);
      const ends = endsOf(bytes);
      const own = ours(Buffer.from(bytes));
      const other = await theirs(server, bytes);
      counts.connections += 1;
      counts.frames += ends.length;
      counts.requests += own.begun.length;
      if (own.begun.every((id) => other.begun.includes(id))) {
        if (own.begun.length < other.begun.length) counts.stricter += 1;
        else counts.same += 1;
        continue;
      }
      const frame = await refusedAt(server, bytes, ends);
      const at = ends[frame - 1] ?? PREFACE_BYTES;
      const after = ours(bytes.subarray(0, ends[frame]));
      if (after.resets.has(streamOf(bytes, at)) || after.error !== '') counts.asStreamError += 1;
      else beyond.push(`${nameOf(bytes, at)}: "${other.error}"`);
    }
    process.stdout.write(`${JSON.stringify(counts)}\n`);
    expect(beyond).toEqual([]);
    expect(counts.requests).toBeGreaterThan(counts.connections);
  });

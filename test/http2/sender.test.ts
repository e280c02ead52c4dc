// In which order the streams of one connection send, and in how many frames, without sockets.

import { expect, test } from 'vitest';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import { FrameWriter } from '../../src/http2/frame-writer.ts';
import { StreamReceiveWindow } from '../../src/http2/receive-window.ts';
import { Sender } from '../../src/http2/sender.ts';
import { Http2Stream } from '../../src/http2/stream.ts';

const FRAME = 16_375;

/** A connection that can be full; `sent`: stream, bytes and whether it ends there, of each DATA frame since it was asked last. */
class Line {
  at = 0;
  isFull = false;
  room = 0;
  readonly sender: Sender = new Sender(new FrameWriter(this), this, () => undefined);
  #bytes = Buffer.alloc(1 << 20);
  #length = 0;

  reserve(length: number): Buffer {
    this.at = this.#length;
    this.#length += length;
    this.room = this.#bytes.length - this.#length;
    return this.#bytes;
  }

  sent(): readonly string[] {
    const frames: string[] = [];
    let of = 0;
    let bytes = 0;
    let isLast = false;
    const reader = new FrameReader({
      onFrame: () => undefined,
      onDataBegin: (id, flags, length) => {
        of = id;
        bytes = length;
        isLast = (flags & 1) !== 0;
      },
      onDataPart: () => undefined,
      onDataEnd: () => frames.push(`${of}: ${bytes}${isLast ? ' end' : ''}`),
      onBadFrame: (_, detail) => frames.push(detail),
    });
    reader.read(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    this.room = 0;
    return frames;
  }
}

const stream = (id: number, urgency = 3, window = 1 << 20): Http2Stream =>
  new Http2Stream(id, new StreamReceiveWindow(65_535, 65_535), window, urgency);

function setUp(): Line {
  const line = new Line();
  line.sender.openConnection(1 << 20);
  return line;
}

test('a small response is not stuck behind a download', () => {
  const line = setUp();
  line.isFull = true;
  line.sender.write(stream(1), Buffer.alloc(5 * FRAME), true);
  line.sender.write(stream(3), Buffer.alloc(100), true);
  line.isFull = false;
  line.sender.pump();
  expect(line.sent().slice(0, 3)).toEqual([`1: ${FRAME}`, '3: 100 end', `1: ${FRAME}`]);
});

test('bytes that come one by one and have to wait are put together, and go in full frames', () => {
  const line = setUp();
  line.isFull = true;
  const [slow, other] = [stream(1), stream(3)];
  for (let nth = 0; nth < 2 * FRAME; nth += 1) line.sender.write(slow, Buffer.from('x'), false);
  line.sender.write(slow, Buffer.alloc(FRAME), true);
  line.sender.write(other, Buffer.from('y'), true);
  line.isFull = false;
  line.sender.pump();
  const frames = line.sent();
  expect(frames.length).toBeLessThan(12);
  expect(frames.at(-1)).toMatch(/^1: \d+ end$/);
  const bytes = frames
    .filter((frame) => frame.startsWith('1:'))
    .map((frame) => Number.parseInt(frame.slice(3), 10));
  expect(bytes.reduce((sum, each) => sum + each, 0)).toBe(3 * FRAME);
});

test('equals take turns, a frame each', () => {
  const line = setUp();
  line.isFull = true;
  for (const id of [1, 3, 5]) line.sender.write(stream(id), Buffer.alloc(2 * FRAME), true);
  line.isFull = false;
  line.sender.pump();
  expect(line.sent().map((frame) => Number.parseInt(frame, 10))).toEqual([1, 3, 5, 1, 3, 5]);
});

test('the more urgent goes first, also when its client says so later', () => {
  const line = setUp();
  line.isFull = true;
  const late = stream(5, 7);
  line.sender.write(stream(1, 3), Buffer.alloc(2 * FRAME), true);
  line.sender.write(stream(3, 1), Buffer.alloc(2 * FRAME), true);
  line.sender.write(late, Buffer.alloc(FRAME), true);
  late.urgency = 0;
  line.isFull = false;
  line.sender.pump();
  expect(line.sent().map((frame) => Number.parseInt(frame, 10))).toEqual([5, 3, 3, 1, 1]);
});

test('a stream without a window holds up no other', () => {
  const line = setUp();
  line.isFull = true;
  const closed = stream(1, 0, 10);
  line.sender.write(closed, Buffer.alloc(100), true);
  line.sender.write(stream(3), Buffer.alloc(100), true);
  line.isFull = false;
  line.sender.pump();
  expect(line.sent()).toEqual(['1: 10', '3: 100 end']);
  line.sender.openStream(closed, 1000);
  line.sender.pump();
  expect(line.sent()).toEqual(['1: 90 end']);
});

test('small pieces of one response that come at once are one frame, its end with them', () => {
  const line = setUp();
  const one = stream(1);
  for (let piece = 0; piece < 50; piece += 1) line.sender.write(one, Buffer.alloc(10), false);
  line.sender.end(one, []);
  expect(line.sent()).toEqual(['1: 500 end']);
  line.sender.write(stream(3), Buffer.alloc(10), false);
  expect(line.sent()).toEqual(['3: 10']);
  line.sender.end(stream(3), []);
  expect(line.sent()).toEqual(['3: 0 end']);
});

test('pieces are put together up to a frame, not across other streams, and not into what was written', () => {
  const line = setUp();
  const [one, other] = [stream(1), stream(3)];
  line.sender.write(one, Buffer.alloc(16_000), false);
  line.sender.write(one, Buffer.alloc(384), false);
  line.sender.write(one, Buffer.alloc(1), false);
  line.sender.write(other, Buffer.alloc(2), false);
  line.sender.write(one, Buffer.alloc(3), false);
  expect(line.sent()).toEqual(['1: 16384', '1: 1', '3: 2', '1: 3']);
  line.sender.write(one, Buffer.alloc(4), false);
  line.sender.end(one, []);
  line.sender.end(other, []);
  expect(line.sent()).toEqual(['1: 4 end', '3: 0 end']);
});

// The memory that sockets read into: what is passed on is never overwritten by a later read.

import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { ReadBuffers, Reader } from '../../src/proxy/read-buffers.ts';

const LARGE = 40_000;

/** A socket's writing side. What it sent stands for what the peer gets: taken from the memory only when it is sent. */
class Target extends Writable {
  sent = '';
  /** Called to let the next waiting write go; a target that is not `slow` sends at once. */
  #sendNext: (() => void) | null = null;
  readonly #isSlow: boolean;

  constructor(isSlow = false) {
    super({ decodeStrings: false, highWaterMark: 64 * 1024 });
    this.#isSlow = isSlow;
  }

  get socket(): Socket {
    return this as Writable as Socket;
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    const send = (): void => {
      this.sent += typeof chunk === 'string' ? chunk : chunk.toString('latin1');
      done();
    };
    if (this.#isSlow) this.#sendNext = send;
    else send();
  }

  /** The peer takes everything. */
  async flush(): Promise<void> {
    while (this.#sendNext !== null) {
      const send = this.#sendNext;
      this.#sendNext = null;
      send();
      await new Promise(setImmediate);
    }
  }
}

/** Calls a reader the way Node does: fill the buffer it named last, hand the bytes over, ask where to read next. */
class Wire {
  readonly reader: Reader;
  #bound: Uint8Array;
  readonly #options;
  onRead: (chunk: Buffer) => void = () => undefined;

  constructor(buffers: ReadBuffers) {
    this.reader = new Reader(buffers, (chunk) => this.onRead(chunk));
    this.#options = this.reader.options();
    this.#bound = this.#nextBuffer();
  }

  #nextBuffer(): Uint8Array {
    const { buffer } = this.#options;
    return typeof buffer === 'function' ? buffer() : buffer;
  }

  receive(text: string, length: number): void {
    this.#bound.set(Buffer.alloc(length, text));
    this.#options.callback(length, this.#bound);
    this.#bound = this.#nextBuffer();
  }
}

function isAll(bytes: Buffer, text: string): boolean {
  return bytes.equals(Buffer.alloc(bytes.length, text));
}

describe('a reader', () => {
  test('copies what has to outlive the event', () => {
    const buffers = new ReadBuffers();
    const [first, second] = [new Wire(buffers), new Wire(buffers)];
    let kept: Buffer = Buffer.alloc(0);
    first.onRead = (chunk) => {
      kept = first.reader.copy(chunk);
    };
    first.receive('a', 100);
    second.receive('b', 100);
    expect(isAll(kept, 'a')).toBe(true);
  });

  test('leaves bytes alone that already have memory of their own', () => {
    const own = Buffer.from('own');
    const { reader } = new Wire(new ReadBuffers());
    expect(reader.copy(own)).toBe(own);
  });

  test.each([
    ['a slow peer', (target: Target) => void target.write('x')],
    ['a corked socket', (target: Target) => target.cork()],
  ])(
    'what was written to %s is not touched by later reads, its own or another connection',
    async (_what, stop) => {
      const buffers = new ReadBuffers();
      const [first, second] = [new Wire(buffers), new Wire(buffers)];
      const target = new Target(true);
      const before = target.sent.length;
      stop(target);
      first.onRead = (chunk) => {
        // several parts of one read, as with chunks that lose their framing
        const half = chunk.length / 2;
        first.reader.writeTo(target.socket, chunk.subarray(0, half), '<', '>');
        first.reader.writeTo(target.socket, chunk.subarray(half));
      };
      second.onRead = (chunk) => void second.reader.writeTo(new Target().socket, chunk);
      for (const text of 'abc') {
        first.receive(text, LARGE);
        first.reader.release();
        second.receive('x', LARGE);
      }
      while (target.writableCorked > 0) target.uncork();
      await target.flush();
      const half = LARGE / 2;
      const expected = [...'abc'].map((text) => `<${text.repeat(half)}>${text.repeat(half)}`).join('');
      expect(target.sent.slice(before).replace(/^x/, '') === expected).toBe(true);
    },
  );

  test('a long part goes out between its texts', () => {
    const wire = new Wire(new ReadBuffers());
    const target = new Target();
    wire.onRead = (chunk) => void wire.reader.writeTo(target.socket, chunk, '<', '>');
    wire.receive('a', LARGE);
    wire.receive('b', 3);
    expect(target.sent === `<${'a'.repeat(LARGE)}><bbb>`).toBe(true);
  });

  test('a long body is read into one buffer as long as everything is written at once', () => {
    const wire = new Wire(new ReadBuffers());
    const memory = new Set<ArrayBufferLike>();
    wire.onRead = (chunk) => {
      memory.add(chunk.buffer);
      wire.reader.writeTo(new Target().socket, chunk, '', '>');
    };
    for (const text of 'abcd') wire.receive(text, LARGE);
    // the shared one for the first read, then its own
    expect(memory.size).toBe(2);
  });

  test('released outside a read, it does not lend out the buffer its next read is bound for', async () => {
    const buffers = new ReadBuffers();
    const [first, second] = [new Wire(buffers), new Wire(buffers)];
    first.onRead = (chunk) => void first.reader.writeTo(new Target().socket, chunk);
    first.receive('a', LARGE);
    // The response is over: that is an event of the server's connection, not of this one.
    first.reader.release();
    const target = new Target(true);
    second.onRead = (chunk) => void second.reader.writeTo(target.socket, chunk);
    second.receive('b', LARGE);
    first.onRead = () => undefined;
    first.receive('z', LARGE);
    await target.flush();
    expect(target.sent === 'b'.repeat(LARGE)).toBe(true);
  });

  test('released inside a read, its buffer is used again by another connection', () => {
    const buffers = new ReadBuffers();
    const [first, second] = [new Wire(buffers), new Wire(buffers)];
    const memory = new Set<ArrayBufferLike>();
    for (const wire of [first, second]) {
      let reads = 0;
      wire.onRead = (chunk) => {
        reads += 1;
        if (reads === 2) memory.add(chunk.buffer);
        wire.reader.writeTo(new Target().socket, chunk);
        if (reads === 2) wire.reader.release();
      };
      wire.receive('a', LARGE);
      wire.receive('b', LARGE);
    }
    expect(memory.size).toBe(1);
  });
});

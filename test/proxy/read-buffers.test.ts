// The memory that sockets read into: what is passed on is never overwritten by a later read.

import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ReadBuffers, Reader } from '../../src/proxy/read-buffers.ts';

const LARGE = 20_000;

/** A socket's writing side as far as `settle` looks at it. */
function target(writableLength: number): Socket {
  return { writableLength } as Socket;
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
    expect([reader.copy(own), reader.keep(own)]).toEqual([own, own]);
    expect(reader.copy(own)).toBe(own);
  });

  test('keeps bytes that wait in a write queue through the next reads of both connections', () => {
    const buffers = new ReadBuffers();
    const [first, second] = [new Wire(buffers), new Wire(buffers)];
    const waiting: Buffer[] = [];
    first.onRead = (chunk) => {
      waiting.push(first.reader.keep(chunk));
      first.reader.settle(target(LARGE));
    };
    first.receive('a', LARGE);
    second.receive('x', LARGE);
    first.receive('b', LARGE);
    first.receive('c', LARGE);
    expect(waiting.map((bytes, index) => isAll(bytes, 'abc'.charAt(index)))).toEqual([true, true, true]);
  });

  test('reads a long body into one buffer as long as everything is written at once', () => {
    const wire = new Wire(new ReadBuffers());
    const memory = new Set<ArrayBufferLike>();
    wire.onRead = (chunk) => {
      memory.add(wire.reader.keep(chunk).buffer);
      wire.reader.settle(target(0));
    };
    for (const text of 'abcd') wire.receive(text, LARGE);
    expect(memory.size).toBe(1);
  });

  test('released outside a read, it does not lend out the buffer its next read is bound for', () => {
    const buffers = new ReadBuffers();
    const [first, second] = [new Wire(buffers), new Wire(buffers)];
    first.onRead = (chunk) => {
      first.reader.keep(chunk);
      first.reader.settle(target(0));
    };
    first.receive('a', LARGE);
    // The response is over: that is an event of the server's connection, not of this one.
    first.reader.release();
    let kept: Buffer = Buffer.alloc(0);
    second.onRead = (chunk) => {
      kept = second.reader.keep(chunk);
      second.reader.settle(target(0));
    };
    second.receive('b', LARGE);
    first.onRead = () => undefined;
    first.receive('z', LARGE);
    expect(isAll(kept, 'b')).toBe(true);
  });

  test('released inside a read, its buffer is used again by another connection', () => {
    const buffers = new ReadBuffers();
    const [first, second] = [new Wire(buffers), new Wire(buffers)];
    const memory = new Set<ArrayBufferLike>();
    for (const wire of [first, second]) {
      wire.onRead = (chunk) => {
        memory.add(wire.reader.keep(chunk).buffer);
        wire.reader.settle(target(0));
        wire.reader.release();
      };
      wire.receive('a', LARGE);
    }
    expect(memory.size).toBe(1);
  });
});

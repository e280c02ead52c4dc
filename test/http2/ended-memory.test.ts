// What a connection keeps that has ended because of what its client sends: nothing of it, as the client may hold it for seconds yet.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { ServerEnd } from '../../src/http2/server-end.ts';
import { frame, PREFACE, Type } from '../support/http2-peer.ts';
import { WrittenFrames } from '../support/written-frames.ts';

const CONNECTIONS = 400;
/** What V8 has not freed yet of other work is in it. */
const KEPT_BYTES_MAX = 16 * 1024;
const HEADER_BYTES = 32 * 1024;
const nothing = (): void => undefined;
/** Of all of them: it has memory of its own. */
const written = new WrittenFrames();

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Bytes outside of V8's heap that somebody refers to. */
async function referredTo(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    gc();
    await new Promise(setImmediate); // memory is given back beside this thread
  }
  return process.memoryUsage().arrayBuffers;
}

function connection(): ServerEnd {
  const http2 = new ServerEnd(
    written,
    {
      ...{ streams: 8, window: 65_536, connectionWindow: 262_144, headerBytes: HEADER_BYTES },
      resets: { count: 20, withinMs: 1000 },
      frames: { count: 100, withinMs: 1000 },
    },
    {
      isFull: false,
      onRequest: nothing,
      retire: nothing,
      onHeadTooLarge: nothing,
      onAbuse: nothing,
      onConnectionError: nothing,
      onPong: nothing,
      onStreams: nothing,
    },
  );
  http2.begin();
  http2.read(Buffer.concat([Buffer.from(PREFACE), frame(Type.settings)]), 0);
  return http2;
}

test.each([
  ['a block that is too large', 9, 16_000],
  ['a block that is not whole, in a frame that is not', 3, 16_000],
])('%s', async (_, frames, bytes) => {
  const before = await referredTo();
  const ended = Array.from({ length: CONNECTIONS }, () => {
    const http2 = connection();
    http2.read(frame(Type.headers, 1, 1), 0);
    for (let count = 0; count < frames; count += 1)
      http2.read(frame(Type.continuation, 0, 1, Buffer.alloc(bytes)), 0);
    http2.read(frame(Type.continuation, 0, 1, Buffer.alloc(bytes)).subarray(0, bytes / 2), 0);
    http2.close();
    return http2;
  });
  const kept = (await referredTo()) - before;
  expect(ended.every(({ isOver }) => isOver)).toBe(true);
  expect(kept / CONNECTIONS).toBeLessThan(KEPT_BYTES_MAX);
});

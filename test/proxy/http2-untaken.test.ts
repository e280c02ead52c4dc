// Responses of HTTP/2 that are complete before their client has taken them, without sockets.

import { expect, test } from 'vitest';
import type { ByteOutput } from '../../src/http2/frame-writer.ts';
import { StreamReceiveWindow } from '../../src/http2/receive-window.ts';
import { ServerEnd } from '../../src/http2/server-end.ts';
import { Http2Stream } from '../../src/http2/stream.ts';
import { Untaken } from '../../src/proxy/http2/slow-client.ts';

const rate = { count: 1000, withinMs: 1000 };
const LIMITS = {
  ...{ streams: 100, window: 65_535, connectionWindow: 65_535, headerBytes: 32_768 },
  ...{ resets: rate, frames: rate },
};
const OUTPUT: ByteOutput = { at: 0, room: 0, reserve: (length) => Buffer.alloc(length) };

function connection(): ServerEnd {
  const nothing = (): void => undefined;
  return new ServerEnd(OUTPUT, LIMITS, {
    isFull: false,
    ...{ onAbuse: nothing, onConnectionError: nothing, onPong: nothing, onStreams: nothing },
    ...{ onRequest: nothing, onHeadTooLarge: nothing },
  });
}

test('those that were taken at last cost nothing, however many there were within a minute', () => {
  const untaken = new Untaken(connection());
  const beganMs = performance.now();
  let dueMs = 0;
  for (let at = 0; at < 30_000; at += 1) {
    const stream = new Http2Stream(1 + 2 * at, new StreamReceiveWindow(65_535, 65_535), 0, 3);
    dueMs = untaken.add(stream, at);
    stream.isGone = true;
  }
  expect(dueMs).toBe(60_000);
  expect(untaken.check(60_000)).toBe(Number.POSITIVE_INFINITY);
  expect(performance.now() - beganMs).toBeLessThan(2000);
});

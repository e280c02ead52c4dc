// Which responses are held until they are complete, and how much of one.

import { describe, expect, test } from 'vitest';
import { ResponseBuffer, shouldHold } from '../../src/exchange/response-buffer.ts';
import { ResponseHead } from '../../src/http1/message.ts';
import { parseResponseHead } from '../../src/http1/response.ts';

const MOST = 64 * 1024;

function headOf(status: number, ...lines: readonly string[]): ResponseHead {
  const buffer = Buffer.from(`HTTP/1.1 ${status} So\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
  const head = new ResponseHead();
  const limits = { headBytesMax: 1000, headerCountMax: 10, watched: [] };
  expect(parseResponseHead(buffer, 0, buffer.length, limits, false, head)).toBe(buffer.length);
  return head;
}

describe('held by off, redirects, set-cookie and small', () => {
  const LENGTH = 'content-length: 5';
  const CHUNKED = 'transfer-encoding: chunked';
  test.each([
    ['a redirect', headOf(302, LENGTH), [false, true, true, true]],
    ['the last status of redirects', headOf(399, CHUNKED), [false, true, true, true]],
    ['the first status after', headOf(400, LENGTH), [false, false, false, true]],
    ['a small page', headOf(200, LENGTH), [false, false, false, true]],
    ['a page of unknown length', headOf(200, CHUNKED), [false, false, false, false]],
    ['a cookie', headOf(200, CHUNKED, 'set-cookie: a=1'), [false, false, true, true]],
    ['as long as may be', headOf(302, `content-length: ${MOST}`), [false, true, true, true]],
    ['longer', headOf(302, `content-length: ${MOST + 1}`, 'set-cookie: a=1'), [false, false, false, false]],
    ['nothing', headOf(302, 'content-length: 0'), [false, false, false, false]],
  ])('%s', (_, head, held) => {
    const modes = ['off', 'redirects', 'set-cookie', 'small'] as const;
    expect(modes.map((mode) => shouldHold(mode, head))).toEqual(held);
  });
});

test('what is held comes out once, and no more than there is room for goes in', () => {
  const buffer = new ResponseBuffer();
  expect(buffer.isHolding).toBe(false);
  buffer.begin();
  expect([buffer.isHolding, buffer.add('ab'), buffer.add('c'.repeat(MOST - 2)), buffer.add('d')]).toEqual([
    ...[true, true, true, false],
  ]);
  expect([buffer.release().length, buffer.isHolding, buffer.release()]).toEqual([MOST, false, '']);
});

test('what comes a byte at a time takes little more than its bytes, and comes out whole', () => {
  const bytes = Array.from({ length: 60_000 }, (_, at) => String.fromCharCode(at & 255));
  const before = process.memoryUsage().heapUsed;
  const buffers = Array.from({ length: 50 }, () => new ResponseBuffer());
  for (const buffer of buffers) {
    buffer.begin();
    expect(bytes.every((byte) => buffer.add(byte))).toBe(true);
  }
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(30_000_000);
  for (const buffer of buffers) expect(buffer.release()).toBe(bytes.join(''));
});

// What is used again from message to message: nothing of the one before shows in the next.

import { describe, expect, test } from 'vitest';
import { ChunkedScanner, lastChunk, mayTrailersPass } from '../../src/http1/chunked.ts';
import { Field, Refusal, RequestHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';

describe('trailers', () => {
  const NO_SINK = { onChunkData: () => undefined };

  function scanned(scanner: ChunkedScanner, text: string): readonly string[] {
    const bytes = Buffer.from(text, 'latin1');
    expect(scanner.scan(bytes, 0, bytes.length)).toBe(bytes.length);
    expect([scanner.done, scanner.refusal]).toEqual([true, 0]);
    return scanner.trailers;
  }

  test('of a body are not those of the next, and who has them keeps them', () => {
    const scanner = new ChunkedScanner();
    scanner.sink = NO_SINK;
    const first = scanned(scanner, '0\r\nX-A: \t1 \r\nx-b:\r\n\r\n');
    expect(first).toEqual(['X-A', '1', 'x-b', '']);
    scanner.reset();
    expect(scanned(scanner, '0\r\n\r\n')).toEqual([]);
    scanner.reset();
    expect(scanned(scanner, '0\r\nx-c: 3\r\n\r\n')).toEqual(['x-c', '3']);
    expect(first).toEqual(['X-A', '1', 'x-b', '']);
  });

  test('of one that was broken off in them neither', () => {
    const scanner = new ChunkedScanner();
    scanner.sink = NO_SINK;
    const broken = Buffer.from('0\r\nx-a: 1\r\nx-b: 2');
    scanner.scan(broken, 0, broken.length);
    scanner.reset();
    expect(scanned(scanner, '0\r\nx-c: 3\r\n\r\n')).toEqual(['x-c', '3']);
  });

  test('are kept only where the data is asked for', () => {
    expect(scanned(new ChunkedScanner(), '0\r\nx-a: 1\r\n\r\n')).toEqual([]);
  });

  test('that come without chunks have the same limits: lines, bytes and names', () => {
    const lines = (count: number, value = '1') => Array.from({ length: count }, () => ['x-a', value]).flat();
    expect([64, 65].map((count) => mayTrailersPass(lines(count)))).toEqual([true, false]);
    expect([8189, 8190].map((bytes) => mayTrailersPass(lines(1, 'v'.repeat(bytes))))).toEqual([true, false]);
    expect([97, 98].map((bytes) => mayTrailersPass(lines(1, 'v'.repeat(bytes)), 100))).toEqual([true, false]);
    expect(mayTrailersPass(['x-a', 'host', 'x-b', 'cookie'])).toBe(true);
    expect(mayTrailersPass(['x-a', '1', 'Host', 'a'])).toBe(false);
    expect(mayTrailersPass([])).toBe(true);
  });

  test('end a body in their order', () => {
    expect(lastChunk(['X-A', '1', 'x-b', ''])).toBe('0\r\nX-A: 1\r\nx-b: \r\n\r\n');
    const scanner = new ChunkedScanner();
    scanner.sink = NO_SINK;
    expect(scanned(scanner, lastChunk(['X-A', '1', 'x-b', '']))).toEqual(['X-A', '1', 'x-b', '']);
  });
});

describe('fields that are watched', () => {
  const WATCHED = ['x-session-id', 'x-session-ip', 'cookie'];

  function found(watched: readonly string[], ...lines: readonly string[]): readonly unknown[] {
    const limits = { headBytesMax: 1_024, headerCountMax: 10, watched };
    const buffer = Buffer.from(['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n'), 'latin1');
    const head = new RequestHead();
    expect(parseRequestHead(buffer, 0, buffer.length, limits, head)).toBe(buffer.length);
    const { lines: kept } = head;
    return Array.from({ length: kept.count }, (_, at) => [
      kept.field[at] === Field.watched,
      watched[kept.watchedIndex[at] as number] ?? null,
      buffer.toString('latin1', kept.valueBegin[at], kept.valueEnd[at]),
    ]).slice(1);
  }

  test('are told by their whole name, in whatever letters, with which it is', () => {
    const names = [
      'X-SESSION-IP: 1',
      'x-session-id: 2',
      'x-session-ie: 3',
      'x-session-i: 4',
      'y-session-id: 5',
    ];
    expect(found(WATCHED, ...names)).toEqual([
      [true, 'x-session-ip', '1'],
      [true, 'x-session-id', '2'],
    ]);
  });

  test('that are known for something else stay that as well', () => {
    expect(found(WATCHED, 'Cookie: a=1')).toEqual([[false, 'cookie', 'a=1']]);
    expect(found([], 'Cookie: a=1', 'x-session-id: 2')).toEqual([[false, null, 'a=1']]);
  });

  test('one head after another, with fewer lines, holds nothing of the longer one', () => {
    const limits = { headBytesMax: 1_024, headerCountMax: 10, watched: [] };
    const head = new RequestHead();
    const parse = (...lines: readonly string[]): number => {
      const buffer = Buffer.from(['POST / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n'));
      const end = parseRequestHead(buffer, 0, buffer.length, limits, head);
      return end === buffer.length ? head.contentLength : end;
    };
    expect(parse('Cookie: a', 'Cookie: b', 'Content-Length: 5')).toBe(5);
    expect(parse('Transfer-Encoding: chunked')).toBe(0);
    expect(parse('Content-Length: 5', 'Content-Length: 6')).toBe(Refusal.badContentLength);
    expect(parse()).toBe(0);
  });
});

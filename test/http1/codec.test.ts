// What goldens cannot say: tables, formatting, reuse of heads and scanners, and the cost bound of growing heads.

import { describe, expect, it } from 'vitest';
import {
  CHUNK_TAIL,
  ChunkedScanner,
  encodeChunkHead,
  lastChunk,
  SIZE_DIGITS_MAX,
} from '../../src/http1/chunked.ts';
import { mayEndHead } from '../../src/http1/completeness.ts';
import { formatSetCookie } from '../../src/http1/cookies.ts';
import { FIELD_NAMES, fieldOfName } from '../../src/http1/field-names.ts';
import { isCutFromRequest, isCutFromResponse } from '../../src/http1/hop-by-hop.ts';
import {
  Body,
  Field,
  HEADER_COUNT_MAX,
  Refusal,
  RequestHead,
  ResponseHead,
} from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { parseResponseHead } from '../../src/http1/response.ts';
import { LIMITS } from './render.ts';

function cutNames(isCut: (field: number) => boolean): string[] {
  return Object.entries(Field).flatMap(([name, field]) => (isCut(field) ? [name] : []));
}

describe('names', () => {
  it.each(Object.entries(FIELD_NAMES))('%s is found in every letter case', (name, field) => {
    for (const text of [name, name.toUpperCase()]) {
      const bytes = Buffer.from(`..${text}:`);
      expect(fieldOfName(bytes, 2, 2 + text.length)).toBe(field);
      expect(fieldOfName(bytes, 2, 1 + text.length)).not.toBe(field);
    }
  });

  it('of hop-by-hop and reserved fields are cut', () => {
    const always = [
      'connection',
      'upgrade',
      'keepAlive',
      'proxyConnection',
      'te',
      'http2Settings',
      'holdfast',
    ];
    expect(cutNames(isCutFromResponse).sort()).toEqual([...always, 'dropped'].sort());
    expect(cutNames(isCutFromRequest).sort()).toEqual([...always, 'dropped', 'proxyAuthorization'].sort());
  });
});

describe('heads', () => {
  it('are overwritten whole by the next parse', () => {
    const head = new RequestHead();
    const rich = Buffer.from(
      'POST http://b/ HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n',
    );
    const plain = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(parseRequestHead(rich, 0, rich.length, LIMITS, head)).toBe(rich.length);
    expect(parseRequestHead(plain, 0, plain.length, LIMITS, head)).toBe(plain.length);
    const fresh = new RequestHead();
    parseRequestHead(plain, 0, plain.length, LIMITS, fresh);
    expect({ ...head, lines: head.lines.count }).toEqual({ ...fresh, lines: fresh.lines.count });
  });

  it('of responses are overwritten whole by the next parse', () => {
    const head = new ResponseHead();
    const rich = Buffer.from(
      'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\nKeep-Alive: timeout=9\r\n\r\n',
    );
    const plain = Buffer.from('HTTP/1.1 200 OK\r\n\r\n');
    parseResponseHead(rich, 0, rich.length, LIMITS, false, head);
    parseResponseHead(plain, 0, plain.length, LIMITS, false, head);
    const fresh = new ResponseHead();
    parseResponseHead(plain, 0, plain.length, LIMITS, false, fresh);
    expect({ ...head, lines: head.lines.count }).toEqual({ ...fresh, lines: fresh.lines.count });
    expect(head.body).toBe(Body.untilClose);
  });

  it('may hold the most header lines there is room for, all recorded, and not one more', () => {
    const limits = { headBytesMax: 1 << 20, headerCountMax: 1e9, watched: [] };
    const headOf = (count: number): Buffer =>
      Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${'Cookie: a=b\r\n'.repeat(count - 1)}\r\n`);
    const full = headOf(HEADER_COUNT_MAX);
    const head = new RequestHead();
    expect(parseRequestHead(full, 0, full.length, limits, head)).toBe(full.length);
    expect(head.lines.count).toBe(HEADER_COUNT_MAX);
    const over = headOf(HEADER_COUNT_MAX + 1);
    expect(parseRequestHead(over, 0, over.length, limits, head)).toBe(Refusal.tooManyHeaders);
  });

  it('that grow byte by byte are parsed again only where they may have ended', () => {
    const bytes = Buffer.from('\r\nGET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nGET');
    const ends: number[] = [];
    for (let end = 1; end <= bytes.length; end += 1) if (mayEndHead(bytes, 0, end - 1, end)) ends.push(end);
    expect(ends).toEqual([bytes.length - 3]);
    expect(mayEndHead(bytes, 0, 5, bytes.length)).toBe(true);
    expect(mayEndHead(bytes, 0, 5, bytes.length - 4)).toBe(false);
  });
});

describe('chunked', () => {
  it('scanner is as new after reset, even after a refusal', () => {
    const scanner = new ChunkedScanner();
    const bad = Buffer.from('5;x="');
    const broken = Buffer.from('zz');
    const good = Buffer.from('2\r\nhi\r\n0\r\n\r\n');
    scanner.scan(bad, 0, bad.length);
    scanner.reset();
    scanner.scan(broken, 0, broken.length);
    expect(scanner.refusal).toBe(Refusal.badChunk);
    expect(scanner.scan(good, 0, good.length)).toBe(0);
    scanner.reset();
    expect(scanner.scan(good, 0, good.length)).toBe(good.length);
    expect([scanner.done, scanner.refusal, scanner.dataBytes]).toEqual([true, 0, 2]);
    expect(scanner.scan(good, 0, good.length)).toBe(0);
  });

  it('encoder writes what the scanner reads', () => {
    let text = '';
    for (const size of [1, 15, 16, 65536]) text += encodeChunkHead(size) + 'x'.repeat(size) + CHUNK_TAIL;
    const bytes = Buffer.from(text + lastChunk([]));
    const scanner = new ChunkedScanner();
    expect(scanner.scan(bytes, 0, bytes.length)).toBe(bytes.length);
    expect([scanner.done, scanner.dataBytes]).toEqual([true, 65568]);
    expect(encodeChunkHead(Number.MAX_SAFE_INTEGER).length - 2).toBeLessThanOrEqual(SIZE_DIGITS_MAX);
  });

  it('data is skipped without looking at it', () => {
    const scanner = new ChunkedScanner();
    const head = Buffer.from('1fffffffffffff\r\n');
    scanner.scan(head, 0, head.length);
    const data = Buffer.alloc(1 << 20);
    const before = process.threadCpuUsage();
    for (let count = 0; count < 10_000; count += 1) scanner.scan(data, 0, data.length);
    expect(scanner.dataBytes).toBe(10_000 * data.length);
    // Ten gigabytes; a look at each byte would take seconds.
    expect(process.threadCpuUsage(before).user).toBeLessThan(1_000_000);
  });
});

describe('formatSetCookie', () => {
  it('writes every attribute once, in a fixed order', () => {
    const attributes = {
      path: '/',
      domain: 'example.com',
      maxAge: 60,
      httpOnly: true,
      sameSite: 'None',
      partitioned: true,
    } as const;
    expect(formatSetCookie('sid', 'x', attributes, true)).toBe(
      'sid=x; Max-Age=60; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=None; Partitioned',
    );
  });

  it('writes no attribute that was not asked for', () => {
    expect(formatSetCookie('sid', 'x', {}, false)).toBe('sid=x');
  });
});

it('a scanner that is used again counts from nothing: extensions, trailer bytes and trailer lines of each body', () => {
  const scanner = new ChunkedScanner();
  const limits = { extensionBytesMax: 8, extensionBytesTotalMax: 8, trailerBytesMax: 20, trailerCountMax: 2 };
  // each body uses more than half of what it may
  const body = Buffer.from('1;abcd\r\nx\r\n0\r\na: 1\r\nb: 2\r\n\r\n');
  for (let round = 0; round < 3; round += 1) {
    scanner.reset(limits);
    expect([scanner.scan(body, 0, body.length), scanner.done, scanner.refusal]).toEqual([
      body.length,
      true,
      0,
    ]);
  }
});

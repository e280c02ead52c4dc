// Small rules of the codec, one by one: which names may stand behind a body, which statuses there are, what is a blank.

import { describe, expect, it } from 'vitest';
import { withoutBlanks } from '../../src/http1/bytes.ts';
import { mayEndHead } from '../../src/http1/completeness.ts';
import { Field, Refusal, ResponseHead } from '../../src/http1/message.ts';
import { isIdempotentMethod, METHOD_BYTES_MAX, methodOf } from '../../src/http1/method.ts';
import { parseResponseHead } from '../../src/http1/response.ts';
import { isTrailerAllowed, TRAILER_NAME_BYTES_MAX, TrailerName } from '../../src/http1/trailer.ts';
import { LIMITS } from './render.ts';

describe('a name behind a body', () => {
  const refused = [
    // framing, and what ends at a hop
    ...[
      'Content-Length',
      'Transfer-Encoding',
      'Trailer',
      'TE',
      'Connection',
      'Keep-Alive',
      'Proxy-Connection',
    ],
    ...['Upgrade', 'HTTP2-Settings', 'Expect', 'Host', 'Max-Forwards', 'Range', 'If-Range', 'If-Match'],
    ...['If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since'],
    // who somebody is
    ...[
      'Authorization',
      'Proxy-Authorization',
      'Proxy-Authenticate',
      'WWW-Authenticate',
      'Authentication-Info',
    ],
    ...['Proxy-Authentication-Info', 'Cookie', 'Cookie2', 'Set-Cookie', 'Set-Cookie2'],
    // where a request came from
    ...['Forwarded', 'Via', 'X-Request-Id', 'X-Real-IP', 'Traceparent', 'Origin', 'Referer', 'User-Agent'],
    ...['X-Forwarded', 'X-Forwarded-For', 'X-Forwarded-Anything', 'X-Holdfast-Error'],
    // what the body is, and how it is kept
    ...['Content-Type', 'Content-Encoding', 'Content-Range', 'Content-Location', 'Content-Disposition'],
    ...[
      'Cache-Control',
      'Pragma',
      'Age',
      'Date',
      'Expires',
      'Vary',
      'Location',
      'Retry-After',
      'Clear-Site-Data',
    ],
    // what else changes the meaning of what came before
    ...['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'X-Original-URL', 'X-Rewrite-URL'],
    ...['Access-Control-Allow-Origin', 'Sec-Fetch-Site', 'Proxy-Anything'],
  ];
  const allowed = ['X-Sum', 'Grpc-Status', 'Server-Timing', 'Digest', 'Section', 'Proxy', 'Date-Of', 'ETag'];

  function gathered(name: string): boolean {
    const trailer = new TrailerName();
    trailer.begin(name.charCodeAt(0));
    for (const byte of Buffer.from(name.slice(1), 'latin1')) trailer.push(byte);
    expect(trailer.text).toBe(name);
    return trailer.isAllowed();
  }

  it.each(refused)('is not %s, in whatever letters, with "_" for "-" or not', (name) => {
    for (const written of [name, name.toUpperCase(), name.replaceAll('-', '_'), name.replace('-', '_')])
      expect([written, isTrailerAllowed(written), gathered(written)]).toEqual([written, false, false]);
  });

  it.each(allowed)('may be %s', (name) => {
    expect([isTrailerAllowed(name), gathered(name)]).toEqual([true, true]);
  });

  it('has a limit', () => {
    const longest = 'x'.repeat(TRAILER_NAME_BYTES_MAX);
    expect([isTrailerAllowed(longest), gathered(longest)]).toEqual([true, true]);
    expect([isTrailerAllowed(`${longest}x`), gathered(`${longest}x`)]).toEqual([false, false]);
  });
});

describe('a status', () => {
  const parsed = (status: string): number => {
    const buffer = Buffer.from(`HTTP/1.1 ${status} So\r\n\r\n`);
    const head = new ResponseHead();
    const end = parseResponseHead(buffer, 0, buffer.length, LIMITS, false, head);
    return end === buffer.length ? head.status : end;
  };

  it.each(['100', '199', '200', '299', '300', '399', '404', '499', '500', '503', '599'])(
    'may be %s',
    (status) => {
      expect(parsed(status)).toBe(Number(status));
    },
  );

  it.each(['099', '600', '2:0', '20:', '2/0', '20/', '/00', ':00', '+20'])('is not %s', (status) => {
    expect(parsed(status)).toBe(Refusal.badStatusLine);
  });
});

describe('a method', () => {
  const read = (text: string): string => methodOf(Buffer.from(`..${text} /`), 2, 2 + text.length);

  it('is what is written, no longer than it may be', () => {
    const known = [
      'GET',
      'POST',
      'PUT',
      'HEAD',
      'DELETE',
      'OPTIONS',
      'PATCH',
      'CONNECT',
      'TRACE',
      'PROPFIND',
    ];
    for (const method of [...known, 'PURGE', 'get', 'GETS', 'BREW', 'X'.repeat(METHOD_BYTES_MAX)])
      expect(read(method)).toBe(method);
    expect(read('X'.repeat(METHOD_BYTES_MAX + 1))).toBe('');
  });

  it('is idempotent by RFC 9110 section 9.2.2', () => {
    const methods = [
      'GET',
      'HEAD',
      'PUT',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'POST',
      'PATCH',
      'CONNECT',
      'BREW',
      'get',
      '',
    ];
    expect(methods.filter(isIdempotentMethod)).toEqual(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']);
  });
});

it('a head does not end with what stands before it', () => {
  const buffer = Buffer.from('\n\n\r\nGET /');
  expect(mayEndHead(buffer, 2, 2, buffer.length)).toBe(false);
  expect(mayEndHead(buffer, 1, 2, buffer.length)).toBe(true);
});

it('blanks around a text go, and no others', () => {
  expect([' a ', '\t a b\t ', 'a', ' ', '', '\u00a0a\u00a0', '\na'].map(withoutBlanks)).toEqual([
    ...['a', 'a b', 'a', '', '', '\u00a0a\u00a0', '\na'],
  ]);
});

it('a refusal cannot be taken for the end of a head, nor for another; a field not for another', () => {
  const refusals = Object.values(Refusal);
  expect(refusals.every((refusal) => refusal < 0)).toBe(true);
  for (const numbers of [refusals, Object.values(Field)]) expect(new Set(numbers).size).toBe(numbers.length);
});

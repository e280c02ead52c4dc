// What one server has differently in the heads it is sent.

import { describe, expect, test } from 'vitest';
import { parseServerUrl } from '../../src/config/address.ts';
import type { ServerAddress } from '../../src/config/model.ts';
import { changedHead, headChangeFor } from '../../src/exchange/server-head.ts';

function at(url: string): ServerAddress {
  const parsed = parseServerUrl(url);
  if ('refused' in parsed) throw new Error(parsed.refused);
  return parsed;
}

const HEAD = 'GET /a?b=/c HTTP/1.1\r\nx-host: 1\r\nHOST: shop.example.com\r\nx-forwarded-host: x\r\n\r\n';

function sent(url: string, host = 'keep', head = HEAD): string[] {
  const change = headChangeFor(at(url), host);
  return (change === null ? head : changedHead(head, change)).split('\r\n').slice(0, 3);
}

test('the usual server is sent the head as it is', () => {
  expect(headChangeFor(at('http://127.0.0.1:3000/'), 'keep')).toBeNull();
});

describe('Host', () => {
  test.each([
    ['http://app:3000', 'server', 'host: app:3000'],
    ['http://app', 'server', 'host: app'],
    ['http://app:80', 'server', 'host: app'],
    // complete for whoever looks the name up
    ['http://app.internal.:3000', 'server', 'host: app.internal:3000'],
    ['https://app.internal.:443', 'server', 'host: app.internal'],
    ['http://[::1]:80', 'server', 'host: [::1]'],
    ['http://[::1]:81', 'server', 'host: [::1]:81'],
    ['unix:/run/app.sock', 'server', 'host: localhost'],
    ['http://app:3000', 'inner.example.com', 'host: inner.example.com'],
    ['http://app:3000', 'keep', 'HOST: shop.example.com'],
  ])('%s with host: %s', (url, host, line) => {
    expect(sent(url, host)).toEqual(['GET /a?b=/c HTTP/1.1', 'x-host: 1', line]);
  });

  test('a field that only ends in that name is left alone', () => {
    expect(sent('http://app', 'server', 'GET / HTTP/1.1\r\nx-host: 1\r\nhost: a\r\n\r\n')).toEqual([
      'GET / HTTP/1.1',
      'x-host: 1',
      'host: app',
    ]);
  });
});

describe('the path of the server', () => {
  test.each([
    ['http://app/base', 'GET /base/a?b=/c HTTP/1.1'],
    ['http://app/base/more/', 'GET /base/more/a?b=/c HTTP/1.1'],
    ['http://app/$&/a%20b', 'GET /$&/a%20b/a?b=/c HTTP/1.1'],
    ['http://app', 'GET /a?b=/c HTTP/1.1'],
  ])('%s', (url, line) => {
    expect(sent(url, 'server')).toEqual([line, 'x-host: 1', 'host: app']);
  });

  test('a question about the server as a whole has no path', () => {
    expect(sent('http://app/base', 'keep', 'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n')[0]).toBe(
      'OPTIONS * HTTP/1.1',
    );
  });
});

test('a server with a path of its own is sent the Host as it is, where it is to be kept', () => {
  expect(sent('http://app/base')).toEqual([
    'GET /base/a?b=/c HTTP/1.1',
    'x-host: 1',
    'HOST: shop.example.com',
  ]);
});

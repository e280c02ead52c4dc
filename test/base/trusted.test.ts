// Whose forwarding headers are believed.

import { expect, test } from 'vitest';
import { compileTrusted } from '../../src/base/trusted.ts';

const isTrusted = compileTrusted(['127.0.0.0/8', '::1', '10.1.2.3', '2001:db8::/32']);

test.each([
  ['127.0.0.1', true],
  ['127.255.0.9', true],
  ['::ffff:127.0.0.1', true],
  ['::FFFF:10.1.2.3', true],
  ['10.1.2.3', true],
  ['10.1.2.4', false],
  ['::1', true],
  ['::2', false],
  ['2001:db8:ffff::1', true],
  ['2001:db9::1', false],
  ['', false],
  ['unknown', false],
  ['127.0.0.1:80', false],
  ['::ffff:7f00:1', true],
  ['::ffff:8080:1', false],
])('%s: %s', (address, expected) => {
  expect(isTrusted(address)).toBe(expected);
  expect(isTrusted(address)).toBe(expected);
});

test('nobody is trusted by an empty list', () => {
  expect(compileTrusted([])('127.0.0.1')).toBe(false);
});

test('remembers a bounded number of answers and stays right', () => {
  for (let index = 0; index < 25_000; index += 1) {
    expect(isTrusted(`192.0.${(index >> 8) & 255}.${index & 255}`)).toBe(false);
  }
  expect(isTrusted('127.0.0.1')).toBe(true);
});

// The Forwarded field of RFC 7239.

import { expect, test } from 'vitest';
import { forwardedHops, forwardedNode } from '../../src/http1/forwarded.ts';

test.each([
  ['for=192.0.2.43', [['192.0.2.43', '']]],
  ['For="[2001:db8:cafe::17]:4711"', [['[2001:db8:cafe::17]:4711', '']]],
  ['for=192.0.2.60;proto=http;by=203.0.113.43', [['192.0.2.60', 'http']]],
  [
    'for=192.0.2.43, for=198.51.100.17;PROTO=https',
    [
      ['192.0.2.43', ''],
      ['198.51.100.17', 'https'],
    ],
  ],
  ['host="a, b; for=9.9.9.9";for=192.0.2.43', [['192.0.2.43', '']]],
  ['for="a\\"b"', [['a"b', '']]],
  [
    'for=unknown , proto=https',
    [
      ['unknown', ''],
      ['', 'https'],
    ],
  ],
  ['for="_gazonk"', [['_gazonk', '']]],
  ['', []],
])('%s', (value, hops) => {
  expect(forwardedHops(value)).toEqual(hops.map(([node, scheme]) => ({ node, scheme })));
});

test.each(['for', 'for=', 'for="open', 'for=a b', '=a', 'for=a;;proto=b', 'for="a"b'])(
  '%s is malformed: nobody is believed',
  (value) => {
    expect(forwardedHops(value)).toEqual([]);
    expect(forwardedHops(`for=192.0.2.1, ${value}`)).toEqual([]);
  },
);

test('an address is written as the field needs it', () => {
  expect(['192.0.2.1', '2001:db8::1', ''].map(forwardedNode)).toEqual([
    '192.0.2.1',
    '"[2001:db8::1]"',
    'unknown',
  ]);
});

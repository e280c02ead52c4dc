// One spelling for each address, and what counts as one client.

import { describe, expect, test } from 'vitest';
import { AddressMask, ONE_CLIENT, plainAddress } from '../../src/base/client-address.ts';

describe('an address is read as it may be written', () => {
  test.each([
    ['203.0.113.9', '203.0.113.9'],
    [' 203.0.113.9\t', '203.0.113.9'],
    ['203.0.113.9:50001', '203.0.113.9'],
    ['"203.0.113.9:50001"', '203.0.113.9'],
    ['203.0.113.9:_port', '203.0.113.9'],
    ['2001:db8::9', '2001:db8::9'],
    ['2001:0DB8:0:0:0:0:0:9', '2001:db8::9'],
    ['2001:db8:0:0:1:0:0:9', '2001:db8::1:0:0:9'],
    ['2001:db8:0:1:1:1:1:9', '2001:db8:0:1:1:1:1:9'],
    ['[2001:db8::9]', '2001:db8::9'],
    ['[2001:db8::9]:50001', '2001:db8::9'],
    ['"[2001:DB8::9]:50001"', '2001:db8::9'],
    ['[2001:db8::9]:_x', '2001:db8::9'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:80', 'fe80::1'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['[::ffff:203.0.113.9]:80', '203.0.113.9'],
    ['0:0:0:0:0:ffff:203.0.113.9', '203.0.113.9'],
    ['::', '::'],
    ['::1', '::1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%j is %s', (written, plain) => {
    expect(plainAddress(written)).toBe(plain);
    expect(plainAddress(plain)).toBe(plain);
  });

  test.each([
    ...['', ' ', 'unknown', '_hidden', 'example.com', '203.0.113', '203.0.113.256', '203.0.113.09', '1:2:3'],
    ...['2001:db8::9::1', '[203.0.113.9]', '[2001:db8::9', '2001:db8::9]', '2001:db8::g', ':1', '%eth0'],
    ...[
      '203.0.113.9 198.51.100.7',
      '203.0.113.9, 198.51.100.7',
      `${'1'.repeat(10_000)}`,
      '203.0.113.9\r\nx: y',
    ],
  ])('%j is none', (written) => {
    expect(plainAddress(written)).toBe('');
  });
});

describe('what counts as one client', () => {
  test.each([
    [32, 64, '203.0.113.9', '203.0.113.9'],
    [24, 64, '203.0.113.9', '203.0.113.0'],
    [20, 64, '203.0.119.9', '203.0.112.0'],
    [8, 64, '203.0.119.9', '203.0.0.0'],
    [32, 64, '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    [32, 128, '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6'],
    [32, 56, '2001:db8:1:2ff:3:4:5:6', '2001:db8:1:200::'],
    [32, 16, '2001:db8::9', '2001::'],
    [24, 64, '::ffff:203.0.113.9', '203.0.113.0'],
    [32, 64, '', ''],
    [32, 64, 'somebody', 'somebody'],
  ])('of %i and %i bits %s is %s', (ipv4, ipv6, address, network) => {
    expect(new AddressMask({ ipv4, ipv6 }).of(address)).toBe(network);
  });

  test('for limits: an IPv4 address, or the first 64 bits of an IPv6 address however it is written', () => {
    expect(ONE_CLIENT.of('203.0.113.9')).toBe('203.0.113.9');
    expect(ONE_CLIENT.of('2001:DB8:0:0:ffff::1')).toBe(ONE_CLIENT.of('2001:db8::2'));
    expect(ONE_CLIENT.of('2001:db8:0:1::1')).not.toBe(ONE_CLIENT.of('2001:db8::1'));
  });
});

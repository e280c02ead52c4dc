// Host syntax at its edges. Each text stands between bytes that would make another of it: what is read beyond its end shows.

import { isIPv4, isIPv6 } from 'node:net';
import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { HOST_BYTES_MAX, isHost } from '../../src/http1/host.ts';
import { seeds } from '../support/seeds.ts';

const BESIDE = ['', 'a', '1', ':', '.', ']', ':1', '1]', '::1]'] as const;

/** The same with whatever stands before and behind it. */
function judge(text: string): boolean {
  const found = new Set(
    BESIDE.flatMap((before) =>
      BESIDE.map((behind) => {
        const buffer = Buffer.from(before + text + behind, 'latin1');
        return isHost(buffer, before.length, before.length + text.length);
      }),
    ),
  );
  expect(found.size, `${text} is judged by what stands beside it`).toBe(1);
  return found.has(true);
}

test.each([
  'a',
  'a.b-c_d.example',
  'a.',
  '1',
  '127.0.0.1',
  'a:',
  'a:1',
  'a:9',
  'a:80',
  'a:00080',
  'a:65535',
  'h'.repeat(HOST_BYTES_MAX),
  `${'h'.repeat(HOST_BYTES_MAX)}:65535`,
  '[::]',
  '[::1]',
  '[1::]',
  '[::1]:443',
  '[::1]:',
  '[1:2:3:4:5:6:7:8]',
  '[0001:0002:0003:0004:0005:0006:0007:abcD]',
  '[1:2:3:4:5:6:7::]',
  '[::2:3:4:5:6:7:8]',
  '[1::3:4:5:6:7:8]',
  '[::ffff:192.0.2.1]',
  '[1:2:3:4:5:6:0.0.0.0]',
  '[64:ff9b::255.255.255.255]',
])('%s is a host', (text) => expect(judge(text)).toBe(true));

test.each([
  '',
  ':',
  ':80',
  'a:0',
  'a:00000',
  'a:65536',
  'a:99999',
  'a:000080',
  'a:8 ',
  'a:8a',
  'a:-1',
  'a:/1',
  'a:;1',
  'a::80',
  'a:80:',
  'a b',
  'a@b',
  'a%41',
  'a/b',
  'a;',
  'h'.repeat(HOST_BYTES_MAX + 1),
  '[',
  '[]',
  '[:]',
  '[:::]',
  '[:1]',
  '[:1::]',
  '[1:]',
  '[1]',
  '[12345::]',
  '[::12345]',
  '[g::]',
  '[1::2::3]',
  '[1:2:3:4:5:6:7]',
  '[1:2:3:4:5:6:7:8:9]',
  '[1:2:3:4:5:6:7:8::]',
  '[::1:2:3:4:5:6:7:8]',
  '[1:2:3:4:5:6:7:0.0.0.0]',
  '[1:2:3:4:5:0.0.0.0]',
  '[::1.2.3]',
  '[::1.2.3.4.5]',
  '[::256.1.1.1]',
  '[::1.1.1.256]',
  '[::1.1.1.1:1]',
  '[::1.1..1]',
  '[::1.1.1.]',
  '[::.1.1.1]',
  '[::0001.1.1.1]',
  '[::1.1.1.a]',
  '[1.1.1.1]',
  '[::1%eth0]',
  '[v1.x]',
  '[::1',
  '[::1]x',
  '[::1]80',
  '[::1]:0',
  '[[::1]]',
  '::1',
])('%s is none', (text) => expect(judge(text)).toBe(false));

test.each(seeds(20))(
  'with seed %i: an address in brackets is what Node takes for IPv6, without a zone',
  (seed) => {
    const random = new SeededRandom(seed);
    const PARTS = [
      '0',
      '1',
      'f',
      'fff',
      '12345',
      ':',
      ':',
      ':',
      '::',
      '.',
      '1.2.3.4',
      '255',
      '256',
      '1:2:3:4:5:6',
    ];
    let addresses = 0;
    for (let count = 0; count < 3000; count += 1) {
      const length = 1 + random.below(9);
      const text = Array.from({ length }, () => PARTS[random.below(PARTS.length)]).join('');
      // leading zeros of a decimal part are octal to some, and refused by Node
      const isDecimal = /(^|[:.])0\d*\.|\.0\d/.test(text);
      const bytes = Buffer.from(`[${text}]`, 'latin1');
      const found = isHost(bytes, 0, bytes.length);
      if (found) addresses += 1;
      if (!isDecimal) expect(found, text).toBe(isIPv6(text));
      if (isIPv4(text)) expect(found).toBe(false);
    }
    expect(addresses).toBeGreaterThan(0);
  },
);

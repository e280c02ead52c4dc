// PROXY headers, read and written. The bytes of version 2 were recorded from HAProxy 2.6 (send-proxy-v2).

import { describe, expect, test } from 'vitest';
import {
  formatProxyHeader,
  PROXY_HEADER_BYTES_MAX,
  parseProxyHeader,
} from '../../src/base/proxy-protocol.ts';
import { SeededRandom } from '../../src/base/random.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const v2 = (hex: string): Buffer => Buffer.from(SIGNATURE + hex.replaceAll(' ', ''), 'hex');
const text = (line: string): Buffer => Buffer.from(line, 'latin1');
const said = (buffer: Buffer): unknown => {
  const header = parseProxyHeader(buffer);
  if (header.kind !== 'header') return header.kind === 'refused' ? header.why : header.kind;
  const { ends, bytes } = header;
  return ends === null
    ? `${bytes}: itself`
    : `${bytes}: ${ends.address} ${ends.port} -> ${ends.localAddress} ${ends.localPort}`;
};

describe('version 1', () => {
  test.each([
    ['PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET', '45: 192.0.2.7 56324 -> 198.51.100.1 443'],
    ['PROXY TCP6 2001:DB8::1 ::1 1 65535\r\n', '36: 2001:db8::1 1 -> ::1 65535'],
    ['PROXY TCP6 ::ffff:192.0.2.7 ::1 0 1\r\n', '37: 192.0.2.7 0 -> ::1 1'],
    ['PROXY UNKNOWN\r\n', '15: itself'],
    ['PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n', '43: itself'],
    ['PROXY TCP4 192.0.2.7 198.51.100.1 56324 443', 'incomplete'],
    ['P', 'incomplete'],
    ['PROXY ', 'incomplete'],
  ])('%j', (line, expected) => {
    expect(said(text(line))).toBe(expected);
  });

  test.each([
    'PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n',
    'PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n',
    'PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n',
    'PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP6 192.0.2.7 192.0.2.7 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY UDP4 192.0.2.7 192.0.2.7 1 2\r\n',
    'PROXY tcp4 192.0.2.7 192.0.2.7 1 2\r\n',
    'PROXY UNKNOWNX\r\n',
    'PROXY UNKNOWN \x01\r\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 1 2\nGET / HTTP/1.1\r\n',
  ])('%j is refused', (line) => {
    expect(said(text(line))).toBe('malformed line of version 1');
  });

  test.each(['65536', '00', '01', '-1', '1e1'])('port %s is refused', (port) => {
    expect(said(text(`PROXY TCP4 192.0.2.7 198.51.100.1 ${port} 2\r\n`))).toMatch(/^malformed/);
    expect(said(text(`PROXY TCP4 192.0.2.7 198.51.100.1 1 ${port}\r\n`))).toMatch(/^malformed/);
  });

  test('a line has an end within 107 bytes, however it comes', () => {
    const line = `PROXY UNKNOWN ${'x'.repeat(107 - 16)}\r\n`;
    expect(line.length).toBe(107);
    expect(said(text(line))).toBe('107: itself');
    expect(said(text(line.replace(' x', ' xx')))).toBe('no end of the line in its first 107 bytes');
    expect(said(text(`PROXY UNKNOWN ${'x'.repeat(100)}`))).toBe('no end of the line in its first 107 bytes');
  });
});

describe('version 2', () => {
  test.each([
    ['21 11 000c 7f000002 7f000001 c37d 1f90', '28: 127.0.0.2 50045 -> 127.0.0.1 8080'],
    // TLVs: CRC32c and a unique id
    [
      '21 11 0018 7f000002 7f000001 c37d 1f90 030004 01020304 050002 4142',
      '40: 127.0.0.2 50045 -> 127.0.0.1 8080',
    ],
    [
      '21 21 0024 20010db8000000000000000000000001 00000000000000000000000000000001 0001 ffff',
      '52: 2001:db8::1 1 -> ::1 65535',
    ],
    [
      '21 21 0024 00000000000000000000ffffc0000207 00000000000000000000000000000001 0001 ffff',
      '52: 192.0.2.7 1 -> ::1 65535',
    ],
    ['20 00 0000', '16: itself'],
    ['20 11 000c 7f000002 7f000001 c37d 1f90', '28: itself'],
    // a connection of the peer's own: whatever family it says, and however much
    ['20 41 0000', '16: itself'],
    ['20 ff 0003 010000', '19: itself'],
    ['20 12 000c 7f000002 7f000001 c37d', 'incomplete'],
    ['20 ff ffff', `65551 bytes, at most ${PROXY_HEADER_BYTES_MAX}`],
    ['21 00 0003 010000', '19: itself'],
    [`21 31 00d8 ${'00'.repeat(216)}`, '232: itself'],
    ['', 'incomplete'],
    ['21 11 000c', 'incomplete'],
    ['22 11 000c', 'unknown version or command'],
    ['11 11 000c', 'unknown version or command'],
    ['21 12 000c 7f000002 7f000001 c37d 1f90', 'unknown family, or datagrams'],
    ['21 41 0000', 'unknown family, or datagrams'],
    ['21 11 000b 7f000002 7f000001 c37d 1f', 'shorter than its addresses'],
    ['21 21 000c 7f000002 7f000001 c37d 1f90', 'shorter than its addresses'],
    ['21 31 0000', 'shorter than its addresses'],
    ['21 11 ffff', `65551 bytes, at most ${PROXY_HEADER_BYTES_MAX}`],
  ])('%s', (hex, expected) => {
    expect(said(v2(hex))).toBe(expected);
  });
});

test.each([
  'GET / HTTP/1.1\r\n',
  'PROPFIND / HTTP/1.1\r\n',
  'PRI * HTTP/2.0\r\n',
  '\r\n\r\nGET /',
  '\x16\x03\x01',
])('%j begins with none', (line) => {
  expect(said(text(line))).toBe('absent');
});

const ENDS = [
  { address: '192.0.2.7', port: 1, localAddress: '198.51.100.1', localPort: 65_535 },
  { address: '2001:db8::7', port: 56_324, localAddress: '::1', localPort: 0 },
  // of two families: never on one socket, but two balancers may say so
  { address: '192.0.2.7', port: 1, localAddress: '2001:db8::1', localPort: 2 },
];

describe.each(['v1', 'v2'] as const)('what we write in %s', (version) => {
  test.each(ENDS)('is read as it was meant, and not before its last byte: %o', (ends) => {
    const header = text(formatProxyHeader(version, ends));
    expect(parseProxyHeader(Buffer.concat([header, text('GET')]))).toEqual({
      kind: 'header',
      bytes: header.length,
      ends,
    });
    for (let end = 0; end < header.length; end += 1)
      expect(parseProxyHeader(header.subarray(0, end)).kind).toBe('incomplete');
  });

  test('a connection of our own says so', () => {
    const header = text(formatProxyHeader(version, null));
    expect(parseProxyHeader(header)).toEqual({ kind: 'header', bytes: header.length, ends: null });
  });
});

test('whatever comes, a header is never longer than what is there, and one byte more changes no verdict', () => {
  const seed = Number(process.env['SEED'] ?? 7);
  const random = new SeededRandom(seed);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  for (let round = 0; round < 20_000; round += 1) {
    const valid = text(formatProxyHeader(below(2) === 0 ? 'v1' : 'v2', ENDS[below(ENDS.length)] ?? null));
    const bytes = Buffer.concat([valid, Buffer.alloc(below(20), 'x')]).subarray(
      0,
      1 + below(valid.length + 20),
    );
    for (let count = below(4); count > 0; count -= 1) bytes[below(bytes.length)] = below(256);
    const header = parseProxyHeader(bytes);
    if (header.kind === 'incomplete') continue;
    if (header.kind === 'header') expect(header.bytes).toBeLessThanOrEqual(bytes.length);
    const more = Buffer.concat([bytes, Buffer.from([below(256)])]);
    expect(parseProxyHeader(more), `SEED=${seed} ${bytes.toString('hex')}`).toEqual(header);
  }
});

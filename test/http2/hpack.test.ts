// Header compression: the examples of RFC 7541 appendix C both ways, what must be refused, and what costs too much.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import type { HeaderField } from '../../src/http2/header-field.ts';
import { Decoded, HpackDecoder } from '../../src/http2/hpack-decoder.ts';
import { HpackEncoder } from '../../src/http2/hpack-encoder.ts';
import { decodeHuffman, encodeHuffman, huffmanBytes } from '../../src/http2/huffman.ts';
import { seeds } from '../support/seeds.ts';

const BYTES_MAX = 32 * 1024;

class Fields {
  readonly lines: string[] = [];
  onField({ name, value }: HeaderField): void {
    this.lines.push(`${name}: ${value}`);
  }
}

function decode(decoder: HpackDecoder, hex: string, bytesMax = BYTES_MAX): readonly string[] | Decoded {
  const bytes = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
  const fields = new Fields();
  const decoded = decoder.decode(bytes, 0, bytes.length, bytesMax, fields);
  return decoded === Decoded.whole ? fields.lines : decoded;
}

/** Three requests on one connection, C.3 without Huffman and C.4 with it. */
const REQUESTS = [
  {
    plain: '828684410f7777772e6578616d706c652e636f6d',
    coded: '828684418cf1e3c2e5f23a6ba0ab90f4ff',
    fields: [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  },
  {
    plain: '828684be58086e6f2d6361636865',
    coded: '828684be5886a8eb10649cbf',
    fields: [
      ':method: GET',
      ':scheme: http',
      ':path: /',
      ':authority: www.example.com',
      'cache-control: no-cache',
    ],
  },
  {
    plain: '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    coded: '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    fields: [
      ':method: GET',
      ':scheme: https',
      ':path: /index.html',
      ':authority: www.example.com',
      'custom-key: custom-value',
    ],
  },
];

describe('decoding', () => {
  test('a literal that is indexed, one that is not, one that never is, and a field of the table (C.2)', () => {
    const decoder = new HpackDecoder();
    expect(decode(decoder, '400a637573746f6d2d6b65790d637573746f6d2d686561646572')).toEqual([
      'custom-key: custom-header',
    ]);
    expect(decode(decoder, '040c2f73616d706c652f70617468')).toEqual([':path: /sample/path']);
    expect(decode(decoder, '100870617373776f726406736563726574')).toEqual(['password: secret']);
    expect(decode(decoder, '82')).toEqual([':method: GET']);
    expect(decode(decoder, 'be')).toEqual(['custom-key: custom-header']);
  });

  for (const kind of ['plain', 'coded'] as const)
    test(`three requests in a row, ${kind} (C.3, C.4)`, () => {
      const decoder = new HpackDecoder();
      for (const request of REQUESTS) expect(decode(decoder, request[kind])).toEqual(request.fields);
    });

  test('responses that push each other out of a table of 256 bytes (C.6)', () => {
    const decoder = new HpackDecoder();
    // the size of the example's table is said first: 3f e1 01
    const first = decode(
      decoder,
      '3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
    );
    expect(first).toEqual([
      ':status: 302',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'location: https://www.example.com',
    ]);
    expect(decode(decoder, '4883640effc1c0bf')).toEqual([
      ':status: 307',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'location: https://www.example.com',
    ]);
    const third = decode(
      decoder,
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    );
    expect(third).toEqual([
      ':status: 200',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:22 GMT',
      'location: https://www.example.com',
      'content-encoding: gzip',
      'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ]);
  });

  test.each([
    ['index 0', '80'],
    ['an index beyond both tables', 'c5'],
    ['a name beyond both tables', '7f 20 01 61'],
    ['an integer without its end', 'ff'],
    ['an integer that grows on', 'ffffffffffff01'],
    ['a literal without a name', '40'],
    ['a literal without a value', '4001 61'],
    ['text longer than the block', '4001 61 7f 00'],
    ['a table larger than announced', '3fe21f'],
    ['a change of size behind a field', '8220'],
    ['Huffman with padding of zeros', '0085 a8eb10649c 0161'],
    ['Huffman with a whole byte of padding', '0082 1fff 0161'],
    ['Huffman with EOS in it', '0084 ffffffff 0161'],
  ])('%s does not decode', (_, hex) => {
    expect(decode(new HpackDecoder(), hex)).toBe(Decoded.malformed);
  });

  test('a table that was emptied knows nothing of before', () => {
    const decoder = new HpackDecoder();
    expect(decode(decoder, '4001610162')).toEqual(['a: b']);
    expect(decode(decoder, '20 3fe11f be')).toBe(Decoded.malformed);
  });

  test('fields that are larger than allowed are counted on, and keep the tables in step', () => {
    const decoder = new HpackDecoder();
    // 34 bytes each, 100 allowed: the third is one too many
    expect(decode(decoder, '400161 0162 be be be', 100)).toBe(Decoded.tooLarge);
    expect(decode(decoder, 'be', 100)).toEqual(['a: b']);
  });

  test('a block that decodes to far more than it has is given up, however small it is', () => {
    const decoder = new HpackDecoder();
    const value = 'v'.repeat(3000);
    const entry = `400161 7f${integer(3000 - 127)}${Buffer.from(value).toString('hex')}`;
    expect(decode(decoder, entry + 'be'.repeat(10_000))).toBe(Decoded.bomb);
  });
});

function integer(rest: number): string {
  return rest < 128 ? byte(rest) : byte(128 | (rest & 127)) + integer(rest >> 7);
}

function byte(value: number): string {
  return value.toString(16).padStart(2, '0');
}

describe('encoding', () => {
  function encode(encoder: HpackEncoder, lines: readonly string[]): string {
    encoder.begin();
    for (const line of lines) encoder.line(line);
    return encoder.block.toString('hex', 0, encoder.length);
  }

  test('what repeats is a byte, what changes is not kept, and a secret is marked as one', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const lines = [
      ':status: 200',
      'content-type: text/html',
      'Server: Test',
      'content-length: 12',
      'set-cookie: a=secret',
      'x-own: value',
    ];
    const told = lines.map((line) => line.replace('Server', 'server'));
    const first = encode(encoder, lines);
    expect(decode(decoder, first)).toEqual(told);
    expect(first).toContain('1f28');
    const second = encode(encoder, lines);
    expect(decode(decoder, second)).toEqual(told);
    expect(second.slice(0, 6)).toBe('88c0bf');
    for (let round = 0; round < 300; round += 1) {
      const more = [':status: 200', `x-round: ${round}`, `x-half: ${round >> 1}`, 'server: Test'];
      expect(decode(decoder, encode(encoder, more))).toEqual(more);
    }
  });

  test('a secret and what changes are as they were in the block before, in the same place: kept by nobody', () => {
    const encoder = new HpackEncoder();
    const [etag, cookie] = [encode(encoder, ['etag: "1"']), encode(encoder, ['set-cookie: a=1'])];
    const both = [':status: 200', 'ETag: "1"', 'Set-Cookie: a=1'];
    const block = `88${etag}${cookie}`;
    for (let round = 0; round < 3; round += 1) expect(encode(encoder, both)).toBe(block);
    // at that place there was a field that changes
    expect(encode(encoder, [':status: 200', 'set-cookie: a=1', 'ETag: "1"'])).toBe(`88${cookie}${etag}`);
  });

  test('texts that are not coded are longer, and the same', () => {
    const encoder = new HpackEncoder();
    const lines = [':path: /somewhere', 'x-text: some words'];
    const coded = encode(encoder, lines);
    const plain = new HpackEncoder();
    plain.isCoded = false;
    const uncoded = encode(plain, lines);
    expect(uncoded.length).toBeGreaterThan(coded.length);
    expect(uncoded).toContain(Buffer.from('/somewhere').toString('hex'));
    expect(decode(new HpackDecoder(), uncoded)).toEqual(lines);
  });

  test('blanks around a value are no part of it, what ends a letter of UTF-8 is', () => {
    const voila = Buffer.from('voilà').toString('latin1');
    const lines = [`x-a: \t${voila} `, `x-b:${voila}\t`];
    expect(decode(new HpackDecoder(), encode(new HpackEncoder(), lines))).toEqual([
      `x-a: ${voila}`,
      `x-b: ${voila}`,
    ]);
  });

  test("the peer's table is used as far as it goes, none at all if it has none", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const lines = ['x-a: 1', 'x-b: 2', 'x-c: 3'];
    encode(encoder, []);
    for (const size of [70, 0, 4096, 100_000, 40]) {
      encoder.resize(size);
      for (let round = 0; round < 3; round += 1)
        expect(decode(decoder, encode(encoder, lines))).toEqual(lines);
    }
  });

  test.each(seeds(3))(
    'heads that alternate, move fields and push each other out of the table come back (SEED=%i)',
    (seed) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      const random = new SeededRandom(seed);
      const unkept = ['etag', 'Content-Length', 'cookie', 'Set-Cookie', 'x-request-id', ':path'];
      const values = Array.from({ length: 12 }, (_, index) => `${'v'.repeat(100 * index)}${index}`);
      for (let block = 0; block < 500; block += 1) {
        encoder.isCoded = random.below(2) === 0;
        const lines = Array.from({ length: 1 + random.below(40) }, () => {
          const kind = random.below(6);
          if (kind === 0) return ':status: 204';
          const name = kind < 3 ? unkept[random.below(6)] : `x-${random.below(5)}`;
          return `${name}: ${values[random.below(12)]}`;
        });
        const told = lines.map((line) => line.replace(/^[^:]+:/, (name) => name.toLowerCase()));
        expect(decode(decoder, encode(encoder, lines))).toEqual(told);
      }
    },
  );

  test('every byte comes back from Huffman, in any neighbourhood', () => {
    const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
    for (let turn = 0; turn < 256; turn += 1) {
      const text = (all.slice(turn) + all.slice(0, turn)).slice(0, 40 + turn / 2);
      const coded = Buffer.alloc(huffmanBytes(text));
      expect(encodeHuffman(text, coded, 0)).toBe(coded.length);
      const plain = Buffer.alloc(Math.ceil((coded.length * 8) / 5));
      const length = decodeHuffman(coded, 0, coded.length, plain);
      expect(plain.toString('latin1', 0, length)).toBe(text);
    }
  });
});

// Header blocks to fields (RFC 7541 section 6).
//
//   1 index 7             a field of a table
//   01 index 6 [name] value    a literal that enters the dynamic table
//   001 size 5            the dynamic table's size, before all fields
//   000x index 4 [name] value  a literal that does not

import { latin1 } from '../base/latin1.ts';
import { DynamicTable } from './dynamic-table.ts';
import { HeaderField } from './header-field.ts';
import { decodeHuffman } from './huffman.ts';
import { DYNAMIC_FIRST, STATIC_TABLE } from './static-table.ts';

export interface FieldSink {
  onField(field: HeaderField): void;
}

/** The size that a dynamic table has unless it is agreed otherwise. */
export const TABLE_BYTES = 4096;

export const Decoded = {
  whole: 0,
  /** The fields are larger than they may be; those beyond were not handed on. The tables are in step still. */
  tooLarge: 1,
  /** They are so large that nothing was read to the end. */
  bomb: 2,
  malformed: 3,
} as const;
export type Decoded = (typeof Decoded)[keyof typeof Decoded];

/** Largest number that may be meant by anything: more is an attack. */
const INTEGER_MAX = 2 ** 24;
/** Fields are counted on for so many times what they may be, so that a request can be refused alone. */
export const BOMB_TIMES = 4;

/** Of all decoders: nothing of it is needed after a decode. */
let scratch: Buffer = Buffer.allocUnsafe(4096);

export class HpackDecoder {
  readonly #table = new DynamicTable<HeaderField>(TABLE_BYTES);
  #bytes: Buffer = scratch;
  #at = 0;
  #end = 0;
  #isMalformed = false;

  /**
   * Decodes the whole block. The size of the fields is counted as RFC 7541 section 4.1 does, while they are decoded, those
   * that are only referred to as well.
   */
  decode(bytes: Buffer, begin: number, end: number, bytesMax: number, sink: FieldSink): Decoded {
    this.#bytes = bytes;
    this.#at = begin;
    this.#end = end;
    this.#isMalformed = false;
    let total = 0;
    while (this.#at < end) {
      const first = bytes[this.#at] as number;
      if (first >= 0x20 && first < 0x40) {
        if (total > 0 || !this.#resize()) return Decoded.malformed;
        continue;
      }
      const field = first >= 0x80 ? this.#indexed() : this.#literal(first);
      if (field === null) return Decoded.malformed;
      total += field.bytes;
      if (total > bytesMax * BOMB_TIMES) return Decoded.bomb;
      if (total <= bytesMax) sink.onField(field);
    }
    return total > bytesMax ? Decoded.tooLarge : Decoded.whole;
  }

  #resize(): boolean {
    const size = this.#integer(0x1f);
    if (this.#isMalformed || size > TABLE_BYTES) return false;
    this.#table.resize(size);
    return true;
  }

  #indexed(): HeaderField | null {
    const index = this.#integer(0x7f);
    return this.#isMalformed ? null : this.#entry(index);
  }

  #literal(first: number): HeaderField | null {
    const isKept = first >= 0x40;
    const index = this.#integer(isKept ? 0x3f : 0x0f);
    const name = index === 0 ? this.#text() : (this.#entry(index)?.name ?? null);
    const value = this.#text();
    if (this.#isMalformed || name === null || value === null) return null;
    const field = new HeaderField(name, value);
    if (isKept) this.#table.add(field);
    return field;
  }

  #entry(index: number): HeaderField | null {
    if (index === 0) return null;
    return STATIC_TABLE[index] ?? this.#table.at(index - DYNAMIC_FIRST) ?? null;
  }

  /** An integer whose first bits are those of `mask` (RFC 7541 section 5.1). */
  #integer(mask: number): number {
    const bytes = this.#bytes;
    let value = this.#at < this.#end ? (bytes[this.#at] as number) & mask : this.#malformed();
    this.#at += 1;
    if (value < mask) return value;
    for (let shift = 0; this.#at < this.#end && shift < 28; shift += 7) {
      const byte = bytes[this.#at] as number;
      this.#at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (value > INTEGER_MAX) break;
      if (byte < 0x80) return value;
    }
    return this.#malformed();
  }

  #text(): string | null {
    const isHuffman = (this.#bytes[this.#at] as number) >= 0x80 && this.#at < this.#end;
    const length = this.#integer(0x7f);
    if (this.#isMalformed || length > this.#end - this.#at) {
      this.#isMalformed = true;
      return null;
    }
    const begin = this.#at;
    this.#at += length;
    return isHuffman ? this.#decoded(begin, this.#at) : latin1(this.#bytes, begin, this.#at);
  }

  #decoded(begin: number, end: number): string | null {
    const bytesMax = Math.ceil(((end - begin) * 8) / 5);
    if (scratch.length < bytesMax) scratch = Buffer.allocUnsafe(2 * bytesMax);
    const length = decodeHuffman(this.#bytes, begin, end, scratch);
    if (length >= 0) return latin1(scratch, 0, length);
    this.#isMalformed = true;
    return null;
  }

  #malformed(): number {
    this.#isMalformed = true;
    return 0;
  }
}

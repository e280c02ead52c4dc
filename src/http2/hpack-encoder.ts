// Fields to header blocks (RFC 7541). What repeats enters the dynamic table and is a byte or two from then on; what is
// different in each response, or nobody's business, does not.

import { withoutBlanks } from '../http1/bytes.ts';
import { DynamicTable } from './dynamic-table.ts';
import { ENTRY_BYTES } from './header-field.ts';
import { TABLE_BYTES } from './hpack-decoder.ts';
import { encodeHuffman, huffmanBytes } from './huffman.ts';
import { DYNAMIC_FIRST, STATIC_NAMES, STATIC_TABLE } from './static-table.ts';

/** Their values change from response to response. */
const CHANGING: ReadonlySet<string> = new Set([
  ...['content-length', 'content-range', 'etag', 'last-modified', 'location', 'age', 'expires'],
  ...['x-request-id', 'traceparent', 'retry-after', 'grpc-status', 'grpc-message', ':path'],
]);
/** Their values are secrets: no table keeps them here or behind us (RFC 7541 section 7.1.3). */
const SECRET: ReadonlySet<string> = new Set(['set-cookie', 'authorization', 'cookie', 'proxy-authorization']);

const WITH_INDEXING = 0x40;
const WITHOUT_INDEXING = 0x00;
const NEVER_INDEXED = 0x10;
/** A larger entry would push out too much. */
const ENTRY_BYTES_MAX = TABLE_BYTES / 4;

interface Entry {
  readonly line: string;
  readonly bytes: number;
}

/** What a block before had at this place: a field that is one index, or one that no table keeps. */
interface Recent {
  /** '': it is kept in none. */
  readonly line: string;
  /** Index in the static table, of the field or, where no table keeps it, of its name. */
  readonly fixed: number;
  /** Of its entry in the dynamic one; 0: it is in the static one. */
  readonly number: number;
  /** Of a field that no table keeps: its name as it came, with the colon. */
  readonly begin: string;
  readonly name: string;
}

const NONE: Recent = { line: '', fixed: 0, number: 0, begin: '', name: '' };
const RECENT_MAX = 32;

/** Static entries that are whole fields, by their line. */
const STATIC_LINES: ReadonlyMap<string, number> = new Map(
  STATIC_TABLE.flatMap(({ name, value }, index) => (value === '' ? [] : [[`${name}: ${value}`, index]])),
);

export class HpackEncoder {
  /** The block is block[0, length), until another encoder begins one. */
  block: Buffer = shared;
  length = 0;
  /** Texts are written in Huffman's code: a quarter fewer bytes for ten times the work. */
  isCoded = true;
  readonly #table = new DynamicTable<Entry>(TABLE_BYTES);
  /** Number of each line's entry: entries are numbered as they enter. */
  readonly #numbers = new Map<string, number>();
  #entered = 0;
  /**
   * The fields of blocks before, by their place: most heads are like the one before, and to compare two texts costs less than
   * to look one up.
   */
  readonly #recent: Recent[] = new Array(RECENT_MAX).fill(NONE);
  #place = 0;
  /** Changes of the table's size that the next block begins with: the smallest on the way, and the last; -1: none. */
  #smallest = -1;
  #announced = -1;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  resize(bytesMax: number): void {
    const size = Math.min(bytesMax, TABLE_BYTES);
    if (size === this.#table.bytesMax) return;
    this.#forget(this.#table.resize(size));
    this.#smallest = this.#announced < 0 ? size : Math.min(this.#smallest, size);
    this.#announced = size;
  }

  begin(): void {
    this.block = shared;
    this.length = 0;
    this.#place = 0;
    if (this.#announced < 0) return;
    if (this.#smallest < this.#announced) this.#integer(this.#smallest, 0x1f, 0x20);
    this.#integer(this.#announced, 0x1f, 0x20);
    this.#announced = -1;
  }

  status(status: number): void {
    this.line(`:status: ${status}`);
  }

  /** A field as a line of HTTP/1 without its end, letters of the name as they came. */
  line(line: string): void {
    const recent = this.#recent[this.#place] ?? NONE;
    const isUnkept = recent.begin !== '' && line.startsWith(recent.begin);
    if (isUnkept) this.#unkept(recent, line);
    else
      this.#kept(
        line,
        recent.line === line && this.#isThere(recent) ? this.#indexOf(recent) : this.#find(line),
      );
    this.#place += 1;
  }

  /** `index`: of the line; 0: neither table has it. */
  #kept(line: string, index: number): void {
    if (index > 0) {
      this.#integer(index, 0x7f, 0x80);
      return;
    }
    this.#literal(line);
  }

  /** A field that no table keeps, by what is known of its name. */
  #unkept({ fixed, begin, name }: Recent, line: string): void {
    const value = withoutBlanks(line.slice(begin.length));
    this.#field(fixed, name, value, 0x0f, SECRET.has(name) ? NEVER_INDEXED : WITHOUT_INDEXING);
  }

  /** `fixed`: index of the name, 0 where it is written out; `mask`, `bits`: how it is indexed. */
  #field(fixed: number, name: string, value: string, mask: number, bits: number): void {
    this.#room(3 * (name.length + value.length) + 32);
    this.#integer(fixed, mask, bits);
    if (fixed === 0) this.#text(name);
    this.#text(value);
  }

  #note(recent: Recent): void {
    if (this.#place < RECENT_MAX) this.#recent[this.#place] = recent;
  }

  /** Index of a line; 0: neither table has it. */
  #find(line: string): number {
    const fixed = STATIC_LINES.get(line) ?? 0;
    const number = fixed > 0 ? 0 : (this.#numbers.get(line) ?? 0);
    if (fixed === 0 && number === 0) return 0;
    const found = { ...NONE, line, fixed, number };
    this.#note(found);
    return this.#indexOf(found);
  }

  #indexOf({ fixed, number }: Recent): number {
    return fixed > 0 ? fixed : DYNAMIC_FIRST + this.#entered - number;
  }

  #isThere({ fixed, number }: Recent): boolean {
    return fixed > 0 || this.#entered - number < this.#table.count;
  }

  #literal(line: string): void {
    const colon = line.indexOf(':', 1);
    const name = line.slice(0, colon).toLowerCase();
    const fixed = STATIC_NAMES.get(name) ?? 0;
    if (SECRET.has(name) || CHANGING.has(name)) {
      const recent = { ...NONE, fixed, begin: line.slice(0, colon + 1), name };
      this.#note(recent);
      this.#unkept(recent, line);
      return;
    }
    const value = withoutBlanks(line.slice(colon + 1));
    const bytes = name.length + value.length + ENTRY_BYTES;
    const isKept = bytes <= ENTRY_BYTES_MAX && bytes <= this.#table.bytesMax;
    if (isKept) this.#enter({ line, bytes });
    this.#field(fixed, name, value, isKept ? 0x3f : 0x0f, isKept ? WITH_INDEXING : WITHOUT_INDEXING);
  }

  #enter(entry: Entry): void {
    this.#forget(this.#table.add(entry));
    this.#entered += 1;
    this.#numbers.set(entry.line, this.#entered);
  }

  /** Lines whose entries have gone are found no more. A Map keeps the order of entering, which is that of going. */
  #forget(gone: number): void {
    let left = gone;
    for (const line of this.#numbers.keys()) {
      if (left === 0) return;
      this.#numbers.delete(line);
      left -= 1;
    }
  }

  #integer(value: number, mask: number, bits: number): void {
    this.#room(8);
    if (value < mask) {
      this.block[this.length] = bits | value;
      this.length += 1;
      return;
    }
    this.block[this.length] = bits | mask;
    this.length += 1;
    let rest = value - mask;
    for (; rest >= 128; rest >>>= 7, this.length += 1) this.block[this.length] = 128 | (rest & 127);
    this.block[this.length] = rest;
    this.length += 1;
  }

  #text(text: string): void {
    const coded = this.isCoded ? huffmanBytes(text) : text.length;
    if (coded < text.length) {
      this.#integer(coded, 0x7f, 0x80);
      this.length = encodeHuffman(text, this.block, this.length);
      return;
    }
    this.#integer(text.length, 0x7f, 0);
    this.block.write(text, this.length, 'latin1');
    this.length += text.length;
  }

  #room(bytes: number): void {
    if (this.block.length - this.length >= bytes) return;
    shared = Buffer.allocUnsafe(2 * (this.length + bytes));
    this.block.copy(shared, 0, 0, this.length);
    this.block = shared;
  }
}

/** Of all encoders: a block is copied out before the next begins. */
let shared: Buffer = Buffer.allocUnsafe(16 * 1024);

// Chunked bodies (RFC 9112 section 7.1): finds the end, checks every byte that is not data, and can hand out the data.
//
//   size [;ext[=val]]* CRLF  data CRLF  ...  0 [;ext]* CRLF  [trailer CRLF]*  CRLF
//
// Blanks may stand before and behind ";" and "=" (BWS of RFC 9112 section 7.1.1), never at the end of the line.
//
// The scanner is a state machine over single bytes, so a cut anywhere changes nothing; data is skipped whole.

import {
  BACKSLASH,
  COLON,
  CR,
  DOUBLE_QUOTE,
  EQUALS,
  HEX,
  isBlank,
  LF,
  SEMICOLON,
  TOKEN,
  VALUE,
  withoutBlanks,
} from './bytes.ts';
import { Refusal } from './message.ts';
import { isTrailerAllowed, TrailerName } from './trailer.ts';

export interface ChunkedLimits {
  /** Bytes of extensions on one chunk, from ";" to CRLF. */
  readonly extensionBytesMax: number;
  /** Bytes of extensions over the whole body. */
  readonly extensionBytesTotalMax: number;
  readonly trailerBytesMax: number;
  readonly trailerCountMax: number;
}

export const CHUNKED_LIMITS: ChunkedLimits = Object.freeze({
  extensionBytesMax: 256,
  extensionBytesTotalMax: 4096,
  trailerBytesMax: 8192,
  trailerCountMax: 64,
});

/** Most hex digits of a chunk size, leading zeros included. */
export const SIZE_DIGITS_MAX = 15;

/** Receives the data of a chunked body, as ranges of the scanned buffer, without any framing. */
export interface ChunkSink {
  onChunkData(buffer: Buffer, begin: number, end: number): void;
}

const State = {
  sizeFirst: 0, // needs one digit
  size: 1,
  extensionName: 2, // after ";"
  extensionNameMore: 3,
  extensionNameBlank: 4, // blanks after a name: "=" or ";" must come
  extensionValue: 5, // after "="
  extensionToken: 6,
  extensionQuoted: 7,
  extensionEscape: 8, // after "\" in quotes
  extensionQuotedEnd: 9,
  extensionBlank: 10, // blanks after a size or a value: ";" must come
  sizeLf: 11,
  data: 12,
  dataCr: 13,
  dataLf: 14,
  trailerFirst: 15, // first byte of a trailer line or the last CR
  trailerName: 16,
  trailerValue: 17,
  trailerLf: 18,
  lastLf: 19,
  done: 20,
} as const;

export class ChunkedScanner {
  /** The body was seen to its last byte. */
  done = false;
  /** A Refusal once the bytes broke a rule, 0 before. The scanner stays refused until reset. */
  refusal = 0;
  /** Data bytes seen so far, framing not counted. */
  dataBytes = 0;
  /** Gets the data when set; kept over resets. */
  sink: ChunkSink | null = null;
  #state: number = State.sizeFirst;
  #limits = CHUNKED_LIMITS;
  /** Size being read, then data bytes left of this chunk. */
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #extensionBytesTotal = 0;
  #trailerBytes = 0;
  #trailerCount = 0;
  readonly #trailerName = new TrailerName();
  /** Of a body whose data goes to `sink`: `[name, value, ...]`. */
  trailers: string[] = [];
  #trailerValue = '';

  /** Makes ready for the next body; limits stay as they are when left out. */
  reset(limits: ChunkedLimits = this.#limits): void {
    this.done = false;
    this.refusal = 0;
    this.dataBytes = 0;
    this.#state = State.sizeFirst;
    this.#limits = limits;
    this.#left = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#extensionBytesTotal = 0;
    this.#trailerBytes = 0;
    this.#trailerCount = 0;
    if (this.trailers.length > 0) this.trailers = [];
  }

  /**
   * Consumes bytes of the body. Returns the offset up to which they belong to it: `end`, or less when `done`, where
   * the rest is the next message. When `refusal` is set nothing from the returned offset on may be forwarded and the
   * message must be broken off: what was forwarded before is valid but unfinished. O(chunks), not O(data bytes).
   */
  scan(buffer: Buffer, begin: number, end: number): number {
    let position = begin;
    while (position < end && !this.done && this.refusal === 0) {
      if (this.#state === State.data) {
        position = this.#skipData(buffer, position, end);
      } else {
        const refusal = this.#step(buffer[position] as number);
        if (refusal === 0) position += 1;
        else this.refusal = refusal;
      }
    }
    return position;
  }

  #skipData(buffer: Buffer, begin: number, end: number): number {
    const dataEnd = Math.min(end, begin + this.#left);
    this.#left -= dataEnd - begin;
    this.dataBytes += dataEnd - begin;
    if (this.#left === 0) this.#state = State.dataCr;
    if (this.sink !== null) this.sink.onChunkData(buffer, begin, dataEnd);
    return dataEnd;
  }

  /** Takes one byte that is not data: 0 or a Refusal. */
  #step(byte: number): number {
    const state = this.#state;
    if (state <= State.size) return this.#stepSize(byte);
    if (state <= State.extensionBlank) return this.#stepExtension(byte);
    if (state >= State.trailerFirst) return this.#stepTrailer(byte);
    if (state === State.sizeLf) return byte === LF ? this.#beginChunk() : Refusal.badChunk;
    if (state === State.dataCr) return byte === CR ? this.#go(State.dataLf) : Refusal.badChunk;
    return byte === LF ? this.#go(State.sizeFirst) : Refusal.badChunk;
  }

  #go(state: number): number {
    this.#state = state;
    return 0;
  }

  #stepSize(byte: number): number {
    const digit = HEX[byte] as number;
    if (digit !== 255) {
      this.#digits += 1;
      if (this.#digits > SIZE_DIGITS_MAX) return Refusal.chunkTooLarge;
      this.#left = this.#left * 16 + digit;
      if (this.#left > Number.MAX_SAFE_INTEGER) return Refusal.chunkTooLarge;
      return this.#go(State.size);
    }
    if (this.#state === State.sizeFirst) return Refusal.badChunk;
    return isBlank(byte) ? this.#stepExtension(byte) : this.#endOfExtension(byte);
  }

  /** After a size or a whole extension: another extension or the end of the line. */
  #endOfExtension(byte: number): number {
    if (byte === CR) return this.#go(State.sizeLf);
    if (isBlank(byte)) return this.#go(State.extensionBlank);
    return byte === SEMICOLON ? this.#go(State.extensionName) : Refusal.badChunk;
  }

  #beginChunk(): number {
    const isLast = this.#left === 0;
    this.#extensionBytes = 0;
    this.#digits = 0;
    return this.#go(isLast ? State.trailerFirst : State.data);
  }

  #stepExtension(byte: number): number {
    this.#extensionBytes += 1;
    this.#extensionBytesTotal += 1;
    if (this.#extensionBytes > this.#limits.extensionBytesMax) return Refusal.badChunk;
    if (this.#extensionBytesTotal > this.#limits.extensionBytesTotalMax) return Refusal.badChunk;
    const isToken = TOKEN[byte] === 1;
    switch (this.#state) {
      case State.extensionName:
        if (isBlank(byte)) return 0;
        return isToken ? this.#go(State.extensionNameMore) : Refusal.badChunk;
      case State.extensionNameMore:
        if (isToken) return 0;
        if (isBlank(byte)) return this.#go(State.extensionNameBlank);
        return byte === EQUALS ? this.#go(State.extensionValue) : this.#endOfExtension(byte);
      case State.extensionNameBlank:
        if (isBlank(byte)) return 0;
        if (byte === EQUALS) return this.#go(State.extensionValue);
        return byte === SEMICOLON ? this.#go(State.extensionName) : Refusal.badChunk;
      case State.extensionValue:
        if (isBlank(byte)) return 0;
        if (isToken) return this.#go(State.extensionToken);
        return byte === DOUBLE_QUOTE ? this.#go(State.extensionQuoted) : Refusal.badChunk;
      case State.extensionToken:
        return isToken ? 0 : this.#endOfExtension(byte);
      case State.extensionQuoted:
        if (byte === DOUBLE_QUOTE) return this.#go(State.extensionQuotedEnd);
        if (byte === BACKSLASH) return this.#go(State.extensionEscape);
        return VALUE[byte] === 1 ? 0 : Refusal.badChunk;
      case State.extensionEscape:
        return VALUE[byte] === 1 ? this.#go(State.extensionQuoted) : Refusal.badChunk;
      case State.extensionBlank:
        if (isBlank(byte)) return 0;
        return byte === SEMICOLON ? this.#go(State.extensionName) : Refusal.badChunk;
      default:
        return this.#endOfExtension(byte);
    }
  }

  #keepTrailerByte(byte: number): number {
    if (this.sink !== null) this.#trailerValue += String.fromCharCode(byte);
    return 0;
  }

  #stepTrailer(byte: number): number {
    this.#trailerBytes += 1;
    if (this.#trailerBytes > this.#limits.trailerBytesMax) return Refusal.badTrailer;
    switch (this.#state) {
      case State.trailerFirst:
        if (byte === CR) return this.#go(State.lastLf);
        this.#trailerCount += 1;
        if (TOKEN[byte] !== 1 || this.#trailerCount > this.#limits.trailerCountMax) return Refusal.badTrailer;
        this.#trailerName.begin(byte);
        return this.#go(State.trailerName);
      case State.trailerName:
        if (TOKEN[byte] === 1) {
          this.#trailerName.push(byte);
          return 0;
        }
        if (byte !== COLON || !this.#trailerName.isAllowed()) return Refusal.badTrailer;
        this.#trailerValue = '';
        return this.#go(State.trailerValue);
      case State.trailerValue:
        if (VALUE[byte] === 1) return this.#keepTrailerByte(byte);
        if (byte !== CR) return Refusal.badTrailer;
        if (this.sink !== null) this.trailers.push(this.#trailerName.text, withoutBlanks(this.#trailerValue));
        return this.#go(State.trailerLf);
      case State.trailerLf:
        return byte === LF ? this.#go(State.trailerFirst) : Refusal.badTrailer;
      default:
        if (byte !== LF) return Refusal.badTrailer;
        this.done = true;
        return this.#go(State.done);
    }
  }
}

/** What stands before a chunk of that many bytes; CRLF follows the data. `encodeChunkHead(0)` + CRLF ends a body. */
export function encodeChunkHead(size: number): string {
  return `${size.toString(16)}\r\n`;
}

/** Follows the data of each chunk. */
export const CHUNK_TAIL = '\r\n';

/** Ends a chunked body with these trailers: `[name, value, ...]`, each of them allowed. */
export function lastChunk(trailers: readonly string[]): string {
  let text = '0\r\n';
  for (let at = 0; at + 1 < trailers.length; at += 2) text += `${trailers[at]}: ${trailers[at + 1]}\r\n`;
  return `${text}\r\n`;
}

/** Of their names and values. */
export function trailerBytes(trailers: readonly string[]): number {
  return trailers.reduce((sum, text) => sum + text.length, 0);
}

/** Whether trailers that come without chunks may pass, by the rules that chunked bodies have for them. */
export function mayTrailersPass(
  trailers: readonly string[],
  bytesMax: number = CHUNKED_LIMITS.trailerBytesMax,
): boolean {
  if (trailers.length > 2 * CHUNKED_LIMITS.trailerCountMax || trailerBytes(trailers) > bytesMax) return false;
  return trailers.every((name, at) => at % 2 === 1 || isTrailerAllowed(name));
}

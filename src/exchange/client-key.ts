// What tells clients apart for limits: a keyed hash of an address, a header or a cookie. Nothing is kept in the clear.

import { ONE_CLIENT } from '../base/client-address.ts';
import { type HashKey, hashBytes, hashed, hashKeyFrom } from '../base/hash.ts';
import { findSessionHeader } from '../choose/session-key.ts';
import type { RateLimitConfig } from '../config/model.ts';
import { CookieRange, findCookie } from '../http1/cookies.ts';
import { Field, type RequestHead } from '../http1/message.ts';
import { paceOf, type RateCells, type RatePace } from '../shared/rate-cells.ts';
import type { Revision } from '../shared/revision.ts';

const ADDRESS_CHARS_MAX = 64;
const addressBytes = Buffer.alloc(ADDRESS_CHARS_MAX);
const range = new CookieRange();

/** The same for all threads of a revision: made of the first pool's key. */
export function limitKeyOf(revision: Revision): HashKey {
  return hashKeyFrom(revision.pools[0]?.keys[0] ?? new Uint8Array(8));
}

/** Leaves the hash in `hashed`. */
export function hashClientAddress(key: HashKey, address: string): void {
  const text = ONE_CLIENT.of(address);
  const length = Math.min(text.length, ADDRESS_CHARS_MAX);
  for (let at = 0; at < length; at += 1) addressBytes[at] = text.charCodeAt(at);
  hashBytes(key, addressBytes, 0, length);
}

/** The rate limit of one route or listener. */
export class RateLimit {
  readonly #index: number;
  readonly #config: RateLimitConfig;
  readonly #pace: RatePace;
  readonly #cells: RateCells;
  readonly #hashKey: HashKey;
  readonly #name: string;
  readonly #cookie: Buffer;

  constructor(index: number, config: RateLimitConfig, cells: RateCells, hashKey: HashKey) {
    const { key } = config;
    this.#index = index;
    this.#config = config;
    this.#pace = paceOf(config.perSecond, config.burst);
    this.#cells = cells;
    this.#hashKey = hashKey;
    this.#name = key.kind === 'header' ? key.name.toLowerCase() : '';
    this.#cookie = Buffer.from(key.kind === 'cookie' ? key.name : '', 'latin1');
  }

  /** 0: the request may pass. Otherwise milliseconds to wait. `address` is asked for only where it counts. */
  take(buffer: Buffer, head: RequestHead, address: () => string, nowMs: number): number {
    if (!this.#hashValue(buffer, head)) hashClientAddress(this.#hashKey, address());
    return this.#cells.take(this.#index, hashed.low, hashed.high, this.#pace, nowMs);
  }

  /** The same for a client that has sent nothing yet. */
  takeFor(address: string, nowMs: number): number {
    hashClientAddress(this.#hashKey, address);
    return this.#cells.take(this.#index, hashed.low, hashed.high, this.#pace, nowMs);
  }

  /** False when the request does not have the header or cookie. */
  #hashValue(buffer: Buffer, head: RequestHead): boolean {
    const { kind } = this.#config.key;
    const found =
      kind === 'header'
        ? findSessionHeader(this.#name, buffer, head.lines)
        : kind === 'cookie'
          ? this.#findCookie(buffer, head)
          : null;
    if (found === null || found.valueBegin === found.valueEnd) return false;
    hashBytes(this.#hashKey, buffer, found.valueBegin, found.valueEnd);
    return true;
  }

  #findCookie(buffer: Buffer, { lines }: RequestHead): CookieRange | null {
    for (let line = 0; line < lines.count; line += 1) {
      if (lines.field[line] !== Field.cookie) continue;
      const begin = lines.valueBegin[line] as number;
      if (findCookie(buffer, begin, lines.valueEnd[line] as number, this.#cookie, range) > 0) return range;
    }
    return null;
  }
}

// The balancer's own cookies. Two kinds, both base64url, both found in the session table by the routing id alone,
// so that a cookie issued anew for the same session (after a move) still finds the session's entry:
//
//   cookie-hash, 33 bytes, 44 characters
//   0 version = 1 | 1 rid (16 random bytes) | 17 turn (2) | 19 issued, seconds (4) | 23 HMAC-SHA-256, first 10 bytes
//
//   cookie-pin, 57 bytes, 76 characters
//   0 version = 2 | 1 rid (16) | 17 nonce (12) | 29 AES-256-GCM { server reference (8), issued, seconds (4) } | 41 tag (16)
//
// cookie-hash: the home is the rendezvous winner of (rid, turn). The balancer is free in the turn, so it can have both
// policy and hash: turns are counted up until the winner is the server that the policy chose, n of them on average.
// A moved session keeps its rid and gets the first turn that says the new home. So whatever the cookie says is the
// truth for every balancer with the same configuration and secret, without a word between them; and two balancers
// that move the same session to the same server make the same cookie. Turns from REST_TURNS on range over the servers
// that new sessions normally do not go to (backups, weight 0).
//
// The issue time survives a move: a move must not lengthen a session's life.

import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { hashBytes } from '../base/hash.ts';
import { fillRandomBytes } from '../base/random.ts';
import { decodeBase64url, encodeBase64url } from './base64url.ts';
import type { PoolPlan } from './plan.ts';
import { isWinner, rankWord, winnerOf } from './rendezvous.ts';

export const HASH_COOKIE_LENGTH = 44;
export const PIN_COOKIE_LENGTH = 76;
export const COOKIE_TEXT_MAX = 76;
/** The characters that version and rid alone determine (132 of their 136 bits). */
const KEY_CHARACTERS = 22;

const HASH_VERSION = 1;
const PIN_VERSION = 2;
const RID_AT = 1;
const RID_BYTES = 16;
const TURN_AT = 17;
const ISSUED_AT = 19;
const MAC_AT = 23;
const MAC_BYTES = 10;
const HASH_BYTES = 33;
const NONCE_AT = 17;
const SEALED_AT = 29;
const TAG_AT = 41;
const PIN_BYTES = 57;
const REFERENCE_BYTES = 8;

/** Turns below range over plan.hashRange, from here on over plan.hashRest. */
export const REST_TURNS = 0x8000;
/** The ranking by which sessions of a dead home are spread: no cookie's own. */
export const FAILOVER_TURN = 0x1_0000;

const text = Buffer.alloc(COOKIE_TEXT_MAX);

/** A cookie taken apart, or being put together: reused. */
export class OwnCookie {
  readonly bytes: Buffer = Buffer.alloc(PIN_BYTES);
  /** Seconds since the Unix epoch. */
  issuedSeconds = 0;
  /** Index of the server it names, -1 when that server is not of the pool any more. */
  homeIndex = -1;
}

/** Characters of a well-formed cookie of this pool. */
export function cookieLength(plan: PoolPlan): number {
  return plan.isPin ? PIN_COOKIE_LENGTH : HASH_COOKIE_LENGTH;
}

/** The session key of a cookie's characters, left in `hashed`. */
export function hashCookieKey(plan: PoolPlan, characters: Uint8Array, begin: number): void {
  hashBytes(plan.keys.hash, characters, begin, begin + KEY_CHARACTERS);
}

/** Starts a new session's cookie; its key is left in `hashed`. */
export function mint(plan: PoolPlan, wallMs: number, cookie: OwnCookie): void {
  cookie.bytes[0] = plan.isPin ? PIN_VERSION : HASH_VERSION;
  fillRandomBytes(cookie.bytes, RID_AT, RID_BYTES);
  cookie.bytes[TURN_AT] = 0;
  cookie.issuedSeconds = Math.floor(wallMs / 1000);
  cookie.homeIndex = -1;
  encodeBase64url(cookie.bytes, TURN_AT + 1, text);
  hashCookieKey(plan, text, 0);
}

/** Takes a cookie apart and checks that a balancer with this secret made it. False: forged, damaged or foreign. */
export function open(
  plan: PoolPlan,
  characters: Uint8Array,
  keyLow: number,
  keyHigh: number,
  cookie: OwnCookie,
): boolean {
  const { bytes } = cookie;
  if (!decodeBase64url(characters, cookieLength(plan), bytes)) return false;
  if (plan.isPin) return bytes[0] === PIN_VERSION && unseal(plan, cookie);
  if (bytes[0] !== HASH_VERSION) return false;
  const mac = macOf(plan, bytes);
  if (!timingSafeEqual(mac, bytes.subarray(MAC_AT, HASH_BYTES))) return false;
  cookie.issuedSeconds = bytes.readUInt32BE(ISSUED_AT);
  cookie.homeIndex = homeOfTurn(plan, keyLow, keyHigh, bytes.readUInt16BE(TURN_AT));
  return true;
}

/** The cookie's value naming server `index` as the home. */
export function seal(
  plan: PoolPlan,
  cookie: OwnCookie,
  keyLow: number,
  keyHigh: number,
  index: number,
): string {
  const { bytes } = cookie;
  cookie.homeIndex = index;
  if (plan.isPin) {
    sealReference(plan, cookie, index);
    encodeBase64url(bytes, PIN_BYTES, text);
    return text.toString('latin1', 0, PIN_COOKIE_LENGTH);
  }
  bytes.writeUInt16BE(turnTo(plan, keyLow, keyHigh, index), TURN_AT);
  bytes.writeUInt32BE(cookie.issuedSeconds, ISSUED_AT);
  macOf(plan, bytes).copy(bytes, MAC_AT);
  encodeBase64url(bytes, HASH_BYTES, text);
  return text.toString('latin1', 0, HASH_COOKIE_LENGTH);
}

/** Index of the server that rid (by its key) and turn name; -1 when the pool has none. */
export function homeOfTurn(plan: PoolPlan, keyLow: number, keyHigh: number, turn: number): number {
  const wantsRest = turn >= REST_TURNS ? plan.hashRest.length > 0 : plan.hashRange.length === 0;
  const range = wantsRest ? plan.hashRest : plan.hashRange;
  return winnerOf(plan, range, range.length, rankWord(keyLow, keyHigh, turn));
}

/**
 * The first turn that names `index`. About as many tries as the inverse of the server's share of the weight; over
 * all new sessions that is n. Bounded by the number of turns: past it (a share under about 1/5000) the cookie names
 * another server than the table, which then is right only as long as the entry lives.
 */
export function turnTo(plan: PoolPlan, keyLow: number, keyHigh: number, index: number): number {
  const isInRange = plan.isInHashRange[index] === 1;
  const range = isInRange ? plan.hashRange : plan.hashRest;
  const begin = isInRange ? 0 : REST_TURNS;
  for (let turn = begin; turn < begin + REST_TURNS; turn += 1) {
    if (isWinner(plan, range, index, rankWord(keyLow, keyHigh, turn))) return turn;
  }
  return begin;
}

function macOf(plan: PoolPlan, bytes: Buffer): Buffer {
  const mac = createHmac('sha256', plan.keys.mac);
  return mac.update(bytes.subarray(0, MAC_AT)).update(plan.cookieName).digest().subarray(0, MAC_BYTES);
}

function unseal(plan: PoolPlan, cookie: OwnCookie): boolean {
  const { bytes } = cookie;
  const decipher = createDecipheriv('aes-256-gcm', plan.keys.seal, bytes.subarray(NONCE_AT, SEALED_AT), {
    authTagLength: PIN_BYTES - TAG_AT,
  });
  decipher.setAAD(associatedData(plan, bytes));
  decipher.setAuthTag(bytes.subarray(TAG_AT, PIN_BYTES));
  const content = decipher.update(bytes.subarray(SEALED_AT, TAG_AT));
  try {
    decipher.final();
  } catch {
    return false; // the tag does not fit: not one of ours
  }
  cookie.issuedSeconds = content.readUInt32BE(REFERENCE_BYTES);
  cookie.homeIndex = -1;
  for (let index = 0; index < plan.slots.length; index += 1) {
    if (content.readInt32BE(0) === plan.seedLow[index] && content.readInt32BE(4) === plan.seedHigh[index]) {
      cookie.homeIndex = index;
    }
  }
  return true;
}

function sealReference(plan: PoolPlan, cookie: OwnCookie, index: number): void {
  const { bytes } = cookie;
  fillRandomBytes(bytes, NONCE_AT, SEALED_AT - NONCE_AT);
  const content = Buffer.allocUnsafe(REFERENCE_BYTES + 4);
  content.writeInt32BE(plan.seedLow[index] ?? 0, 0);
  content.writeInt32BE(plan.seedHigh[index] ?? 0, 4);
  content.writeUInt32BE(cookie.issuedSeconds, REFERENCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', plan.keys.seal, bytes.subarray(NONCE_AT, SEALED_AT), {
    authTagLength: PIN_BYTES - TAG_AT,
  });
  cipher.setAAD(associatedData(plan, bytes));
  cipher.update(content).copy(bytes, SEALED_AT);
  cipher.final();
  cipher.getAuthTag().copy(bytes, TAG_AT);
}

/** Version, rid and cookie name; the pool is in the key already. */
function associatedData(plan: PoolPlan, bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, NONCE_AT), plan.cookieName]);
}

// Cookies as version 0.1 set them: still read, never written. Whoever shows one gets the present layout.
//
//   cookie-hash, 33 bytes, 44 characters
//   0 version = 1 | 1 rid (16 random bytes) | 17 turn (2) | 19 issued, seconds (4) | 23 HMAC-SHA-256, first 10 bytes
//
//   cookie-pin, 57 bytes, 76 characters
//   0 version = 2 | 1 rid (16) | 17 nonce (12) | 29 AES-256-GCM { server reference (8), issued, seconds (4) } | 41 tag (16)
//
// cookie-hash: the home is the rendezvous winner of (rid, turn) among the servers that new sessions normally go to;
// turns from REST_TURNS on range over the others (backups, weight 0). So it may name another server than it did before
// the servers or their weights changed: why the present layout names the server itself.

import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { hashed } from '../base/hash.ts';
import { decodeBase64url } from './base64url.ts';
import type { OpeningKeys } from './keys.ts';
import type { OwnCookie } from './own-cookie-parts.ts';
import type { PoolPlan } from './plan.ts';
import { rankWord, winnerOf } from './rendezvous.ts';

export const FORMER_HASH_LENGTH = 44;
export const FORMER_PIN_LENGTH = 76;

const HASH_VERSION = 1;
const PIN_VERSION = 2;
const TURN_AT = 17;
const HASH_ISSUED_AT = 19;
const MAC_AT = 23;
const HASH_BYTES = 33;
const REST_TURNS = 0x8000;
const NONCE_AT = 17;
const SEALED_AT = 29;
const TAG_AT = 41;
const PIN_BYTES = 57;
const REFERENCE_BYTES = 8;

/** As `open`, with the secret's session key of the cookie in `hashed`. */
export function openFormer(
  plan: PoolPlan,
  keys: OpeningKeys,
  characters: Uint8Array,
  length: number,
  cookie: OwnCookie,
): boolean {
  if (!decodeBase64url(characters, length, cookie.bytes)) return false;
  cookie.renewedSeconds = -1;
  const [version] = cookie.bytes;
  if (length === FORMER_HASH_LENGTH) return version === HASH_VERSION && openHash(plan, keys, cookie);
  return version === PIN_VERSION && openPin(plan, keys, cookie);
}

function openHash(plan: PoolPlan, keys: OpeningKeys, cookie: OwnCookie): boolean {
  const { bytes } = cookie;
  const isOurs = plan.cookieNames.some((name) => {
    const mac = createHmac('sha256', keys.formerMac).update(bytes.subarray(0, MAC_AT)).update(name).digest();
    return timingSafeEqual(mac.subarray(0, HASH_BYTES - MAC_AT), bytes.subarray(MAC_AT, HASH_BYTES));
  });
  if (!isOurs) return false;
  cookie.issuedSeconds = bytes.readUInt32BE(HASH_ISSUED_AT);
  const turn = bytes.readUInt16BE(TURN_AT);
  const { hashRange, hashRest } = plan;
  const wantsRest = turn >= REST_TURNS ? hashRest.length > 0 : hashRange.length === 0;
  const range = wantsRest ? hashRest : hashRange;
  cookie.homeIndex = winnerOf(keys, range, range.length, rankWord(hashed.low, hashed.high, turn));
  return true;
}

function openPin(plan: PoolPlan, keys: OpeningKeys, cookie: OwnCookie): boolean {
  return plan.cookieNames.some((name) => unseal(plan, keys, cookie, name));
}

function unseal(plan: PoolPlan, keys: OpeningKeys, cookie: OwnCookie, name: Uint8Array): boolean {
  const { bytes } = cookie;
  const nonce = bytes.subarray(NONCE_AT, SEALED_AT);
  const decipher = createDecipheriv('aes-256-gcm', keys.formerSeal, nonce, {
    authTagLength: PIN_BYTES - TAG_AT,
  });
  decipher.setAAD(Buffer.concat([bytes.subarray(0, NONCE_AT), name]));
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
    if (content.readInt32BE(0) === keys.seedLow[index] && content.readInt32BE(4) === keys.seedHigh[index]) {
      cookie.homeIndex = index;
    }
  }
  return true;
}

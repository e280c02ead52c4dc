// The balancer's own cookie, base64url, one layout for every mode that sets one. It is found in the session table by
// the routing id alone, so that a cookie issued again for the same session (after a move) still finds its entry:
//
//   60 bytes, 80 characters
//   0 kind (1) | 1 rid (16 random) | 17 renewed, seconds (4) | 21 nonce (12)
//     | 33 AES-256-GCM { server reference (7), issued, seconds (4) } | 44 tag (16)
//
// The cookie names the home, so that adding, weighing and restarting change nothing for a session whose home lives,
// and every balancer with the same secret reads the same home from it. Only when that home is gone the hash decides
// (chooser.ts), again alike everywhere. Kind, rid and renewed stand in the clear but under the tag: when a cookie is
// due for renewal shows without a key. The issue time survives moves and renewals: they do not lengthen a life.
//
// The pool and its secret are in the keys. The name is not: between its default names a pool keeps its sessions (`cookieAliases`).
// Earlier layouts, told by their lengths, are still read (former-cookies.ts) and replaced by this one.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { hashBytes } from '../base/hash.ts';
import { fillRandomBytes } from '../base/random.ts';
import { decodeBase64url, encodeBase64url } from './base64url.ts';
import { FORMER_HASH_LENGTH, FORMER_PIN_LENGTH, openFormer } from './former-cookies.ts';
import type { OpeningKeys } from './keys.ts';
import { type OwnCookie, REFERENCE_BYTES, RID_AT, RID_BYTES } from './own-cookie-parts.ts';
import type { PoolPlan } from './plan.ts';

export const COOKIE_LENGTH = 80;
export const COOKIE_TEXT_MAX = COOKIE_LENGTH;
/** The characters that kind and rid alone determine (132 of their 136 bits). */
const KEY_CHARACTERS = 22;

const HASH_KIND = 1;
const PIN_KIND = 2;
const RENEWED_AT = 17;
const NONCE_AT = 21;
const SEALED_AT = 33;
const TAG_AT = 44;
const COOKIE_BYTES = 60;
/** Characters 20 to 27 are bytes 15 to 20: the renewal time is the last four. */
const RENEWED_TEXT_AT = 20;
const RENEWED_TEXT_LENGTH = 8;
const CONTENT_BYTES = REFERENCE_BYTES + 4;

const text = Buffer.alloc(COOKIE_TEXT_MAX);
const renewedBytes = Buffer.alloc(6);

/** Is it as long as a cookie of ours, of this layout or a former one? */
export function isCookieLength(length: number): boolean {
  return length === COOKIE_LENGTH || length === FORMER_HASH_LENGTH || length === FORMER_PIN_LENGTH;
}

/** The session key of a cookie's characters under one secret, left in `hashed`. */
export function hashCookieKey(keys: OpeningKeys, characters: Uint8Array, begin: number): void {
  hashBytes(keys.hash, characters, begin, begin + KEY_CHARACTERS);
}

/** Starts a new session's cookie; its key is left in `hashed`. */
export function mint(plan: PoolPlan, wallMs: number, cookie: OwnCookie): void {
  cookie.bytes[0] = plan.config.sticky.mode === 'cookie-pin' ? PIN_KIND : HASH_KIND;
  fillRandomBytes(cookie.bytes, RID_AT, RID_BYTES);
  cookie.bytes[RENEWED_AT] = 0;
  cookie.issuedSeconds = Math.floor(wallMs / 1000);
  cookie.homeIndex = -1;
  encodeBase64url(cookie.bytes, RENEWED_AT + 1, text);
  hashCookieKey(plan.keys, text, 0);
}

/** When the cookie was last written, in seconds: unchecked, 0 for a former layout. Costs no cryptography. */
export function renewedSeconds(characters: Uint8Array, length: number): number {
  if (length !== COOKIE_LENGTH) return 0;
  if (!decodeBase64url(characters, RENEWED_TEXT_LENGTH, renewedBytes, RENEWED_TEXT_AT)) return 0;
  return renewedBytes.readUInt32BE(2);
}

/** Takes a cookie apart and checks that a balancer with one of the secrets made it. False: forged, damaged, foreign. */
export function open(plan: PoolPlan, characters: Uint8Array, length: number, cookie: OwnCookie): boolean {
  for (let at = 0; at < plan.openers.length; at += 1) {
    const keys = plan.openers[at] as OpeningKeys;
    if (length !== COOKIE_LENGTH) {
      hashCookieKey(keys, characters, 0);
      if (openFormer(plan, keys, characters, length, cookie)) return true;
    } else if (decodeBase64url(characters, length, cookie.bytes) && unseal(plan, keys, cookie)) {
      return true;
    }
  }
  return false;
}

/** The cookie's value naming server `index` as the home, renewed now. */
export function seal(plan: PoolPlan, cookie: OwnCookie, index: number, wallMs: number): string {
  const { bytes } = cookie;
  cookie.homeIndex = index;
  cookie.renewedSeconds = Math.floor(wallMs / 1000);
  bytes.writeUInt32BE(cookie.renewedSeconds, RENEWED_AT);
  fillRandomBytes(bytes, NONCE_AT, SEALED_AT - NONCE_AT);
  const content = Buffer.allocUnsafe(CONTENT_BYTES);
  (plan.references[index] as Uint8Array).forEach((byte, at) => {
    content[at] = byte;
  });
  content.writeUInt32BE(cookie.issuedSeconds, REFERENCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', plan.keys.cookie, bytes.subarray(NONCE_AT, SEALED_AT), {
    authTagLength: COOKIE_BYTES - TAG_AT,
  });
  cipher.setAAD(bytes.subarray(0, NONCE_AT));
  cipher.update(content).copy(bytes, SEALED_AT);
  cipher.final();
  cipher.getAuthTag().copy(bytes, TAG_AT);
  encodeBase64url(bytes, COOKIE_BYTES, text);
  return text.toString('latin1', 0, COOKIE_LENGTH);
}

function unseal(plan: PoolPlan, keys: OpeningKeys, cookie: OwnCookie): boolean {
  const { bytes } = cookie;
  const decipher = createDecipheriv('aes-256-gcm', keys.cookie, bytes.subarray(NONCE_AT, SEALED_AT), {
    authTagLength: COOKIE_BYTES - TAG_AT,
  });
  decipher.setAAD(bytes.subarray(0, NONCE_AT));
  decipher.setAuthTag(bytes.subarray(TAG_AT, COOKIE_BYTES));
  const content = decipher.update(bytes.subarray(SEALED_AT, TAG_AT));
  try {
    decipher.final();
  } catch {
    return false; // the tag does not fit: not one of ours
  }
  cookie.issuedSeconds = content.readUInt32BE(REFERENCE_BYTES);
  cookie.renewedSeconds = bytes.readUInt32BE(RENEWED_AT);
  const reference = content.subarray(0, REFERENCE_BYTES);
  cookie.homeIndex = plan.references.findIndex((candidate) => reference.equals(candidate));
  return true;
}

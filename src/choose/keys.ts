// The keys of one pool, each for one purpose, all derived from the pool's secret: the same on every balancer that has
// the same secret, of no use for one another.

import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { type HashKey, hashKeyFrom } from '../base/hash.ts';

export interface PoolKeys {
  /** Keys the session table and the rendezvous ranking. */
  readonly hash: HashKey;
  /** HMAC-SHA-256 of cookie-hash cookies. */
  readonly mac: KeyObject;
  /** AES-256-GCM of cookie-pin cookies. */
  readonly seal: KeyObject;
}

export function derivePoolKeys(secret: Uint8Array, poolName: string): PoolKeys {
  return {
    hash: hashKeyFrom(derive(secret, poolName, 'holdfast 1 session hash', 8)),
    mac: createSecretKey(derive(secret, poolName, 'holdfast 1 cookie mac', 32)),
    seal: createSecretKey(derive(secret, poolName, 'holdfast 1 cookie seal', 32)),
  };
}

/** HKDF-SHA-256 (RFC 5869): pool name as salt, label as info. */
function derive(secret: Uint8Array, poolName: string, label: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, poolName, label, bytes));
}

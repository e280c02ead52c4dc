// The keys of one pool under one secret, each for one purpose: the same on every balancer that has the same secret, of
// no use for one another.

import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { type HashKey, hashKeyFrom } from '../base/hash.ts';
import type { RankedServers } from './rendezvous.ts';

export interface PoolKeys {
  /** Keys the session table and the rendezvous ranking. */
  readonly hash: HashKey;
  /** AES-256-GCM of the balancer's own cookies. */
  readonly cookie: KeyObject;
  /** HMAC-SHA-256 and AES-256-GCM of cookies in the layouts of 0.1. */
  readonly formerMac: KeyObject;
  readonly formerSeal: KeyObject;
}

/** Keys with the ranking that goes with them. */
export interface OpeningKeys extends PoolKeys, RankedServers {}

export function derivePoolKeys(secret: Uint8Array, poolName: string): PoolKeys {
  return {
    hash: hashKeyFrom(derive(secret, poolName, 'holdfast 1 session hash', 8)),
    cookie: createSecretKey(derive(secret, poolName, 'holdfast 3 cookie', 32)),
    formerMac: createSecretKey(derive(secret, poolName, 'holdfast 1 cookie mac', 32)),
    formerSeal: createSecretKey(derive(secret, poolName, 'holdfast 1 cookie seal', 32)),
  };
}

/** HKDF-SHA-256 (RFC 5869): pool name as salt, label as info. */
function derive(secret: Uint8Array, poolName: string, label: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, poolName, label, bytes));
}

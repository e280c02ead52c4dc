// How many new sessions one client address may begin: a sliding minute per thread, over all its pools.
//
// Two windows of a minute; what the older one holds counts less the further the newer one has come, which is exact for
// a steady rate. An IPv6 client is its /64, since it may take any address of it.

import { ONE_CLIENT } from '../base/client-address.ts';
import { type Affinity, Finding } from './affinity.ts';

const WINDOW_MS = 60_000;
/** Addresses remembered per window. Beyond them a new address is not limited: whoever has so many is not stopped here. */
const ADDRESSES_MAX = 16_384;

export class AddressLimit {
  /** New sessions per address and minute; 0: no limit. */
  most = 0;
  #begunMs = 0;
  #now = new Map<string, number>();
  #before = new Map<string, number>();

  /** May the address begin one more session? Then it is counted. */
  take(address: string, nowMs: number): boolean {
    if (this.most === 0) return true;
    this.#turn(nowMs);
    const key = ONE_CLIENT.of(address);
    const count = this.#now.get(key) ?? 0;
    const weightBefore = 1 - (nowMs - this.#begunMs) / WINDOW_MS;
    if (count + (this.#before.get(key) ?? 0) * weightBefore >= this.most) return false;
    if (count > 0 || this.#now.size < ADDRESSES_MAX) this.#now.set(key, count + 1);
    return true;
  }

  #turn(nowMs: number): void {
    const elapsedMs = nowMs - this.#begunMs;
    if (elapsedMs < WINDOW_MS) return;
    this.#before = elapsedMs < 2 * WINDOW_MS ? this.#now : new Map();
    this.#now = new Map();
    this.#begunMs = nowMs - (elapsedMs % WINDOW_MS);
  }
}

/** Counts a new session of the exchange's client; false: there have been too many, and the exchange goes without one. */
export function mayBegin(limit: AddressLimit, affinity: Affinity, nowMs: number): boolean {
  if (affinity.isLimited) return false;
  affinity.isLimited = !limit.take(affinity.clientAddress, nowMs);
  if (affinity.isLimited) affinity.outcome = Finding.limited;
  return !affinity.isLimited;
}

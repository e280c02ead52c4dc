// What one thread asks of its clients beyond the limits of a single message: request rates, connections by
// address, a minimum data rate. Each is off by default and then costs one comparison.

import { type HashKey, hashed } from '../base/hash.ts';
import type { ListenConfig, RateLimitConfig } from '../config/model.ts';
import type { AddressCounts } from '../shared/address-counts.ts';
import type { RateCells } from '../shared/rate-cells.ts';
import type { Revision } from '../shared/revision.ts';
import { hashClientAddress, limitKeyOf, RateLimit } from './client-key.ts';
import { MinRateMonitor, type Transfer } from './min-rate.ts';

const LOOK_EVERY_MS = 1000;
const NO_KEY: HashKey = { low: 0, high: 0 };

/** A connection that is counted under its address. */
export interface Counted {
  readonly isTrusted: boolean;
  readonly peerAddress: string;
  /** Where its address is counted, -1 for nowhere; kept for ClientLimits. */
  addressCells: number;
}

/** A client's connection as far as its limits go. */
export interface LimitedClient extends Counted {
  owing(): Transfer | null;
  abortSlow(): void;
}

export interface LimitedListener {
  readonly config: ListenConfig;
  readonly connections: Iterable<LimitedClient>;
}

export class ClientLimits {
  /** Some route or listener has a rate limit. */
  hasRates = false;
  readonly #rateCells: RateCells;
  readonly #addresses: AddressCounts;
  readonly #pace = new MinRateMonitor<LimitedClient>();
  #ofRoutes: readonly (RateLimit | null)[] = [];
  #ofListeners: ReadonlyMap<string, RateLimit | null> = new Map();
  #ofHandshakes: ReadonlyMap<string, RateLimit | null> = new Map();
  #key: HashKey = NO_KEY;
  #lookedMs = 0;
  #stoodStillMs = 0;

  constructor(rateCells: RateCells, addresses: AddressCounts) {
    this.#rateCells = rateCells;
    this.#addresses = addresses;
  }

  configure(revision: Revision): void {
    this.#key = limitKeyOf(revision);
    let used = 0;
    const limitOf = (rateLimit: RateLimitConfig | null): RateLimit | null => {
      if (rateLimit === null) return null;
      used += 1;
      return new RateLimit(used - 1, rateLimit, this.#rateCells, this.#key);
    };
    const { routes, listen } = revision.config;
    this.#ofRoutes = routes.map(({ rateLimit }) => limitOf(rateLimit));
    this.#ofListeners = new Map(listen.map(({ address, rateLimit }) => [address, limitOf(rateLimit)]));
    this.hasRates = used > 0;
    this.#ofHandshakes = new Map(
      listen.map(({ address, tls }) => {
        const rate = tls?.handshakeRate ?? null;
        const burst = Math.max(1, Math.ceil(rate ?? 0));
        return [
          address,
          limitOf(rate === null ? null : { key: { kind: 'address' }, perSecond: rate, burst }),
        ];
      }),
    );
  }

  /** Limit of the route at this place in the configuration, else that of the listener; null when neither has one. */
  rateOf(route: number, listener: string): RateLimit | null {
    return this.#ofRoutes[route] ?? this.#ofListeners.get(listener) ?? null;
  }

  /** Whether the peer may begin another handshake with the listener. Trusted peers always may. */
  mayShakeHands(
    listener: string,
    peer: Pick<LimitedClient, 'isTrusted' | 'peerAddress'>,
    nowMs: number,
  ): boolean {
    const limit = peer.isTrusted ? null : (this.#ofHandshakes.get(listener) ?? null);
    return limit === null || limit.takeFor(peer.peerAddress, nowMs) === 0;
  }

  /** Counts a new connection under its address; false when there are more than `max`. Trusted peers have no limit, nor has 0. */
  admit(connection: Counted, max: number): boolean {
    if (connection.isTrusted || max === 0) return true;
    hashClientAddress(this.#key, connection.peerAddress);
    const cells = this.#addresses.cellsOf(hashed.low, hashed.high);
    connection.addressCells = cells;
    this.#addresses.add(cells, 1);
    return this.#addresses.count(cells) <= max;
  }

  /** The connection has gone; only for one that was counted or may be paced. */
  release(connection: LimitedClient): void {
    this.uncount(connection);
    this.#pace.forget(connection);
  }

  /** It is counted no more. */
  uncount(connection: Counted): void {
    if (connection.addressCells >= 0) this.#addresses.add(connection.addressCells, -1);
    connection.addressCells = -1;
  }

  /**
   * Cuts clients that are slower than their listener allows. Call at every tick; looks once a second. `stoodStillMs`: of
   * this thread so far.
   */
  scan(listeners: readonly LimitedListener[], nowMs: number, stoodStillMs: number): void {
    if (stoodStillMs !== this.#stoodStillMs) this.#pace.beginAnew();
    this.#stoodStillMs = stoodStillMs;
    if (nowMs - this.#lookedMs < LOOK_EVERY_MS) return;
    this.#lookedMs = nowMs;
    for (const { config, connections } of listeners) {
      const { minRate } = config.limits;
      if (minRate === 0) continue;
      for (const connection of connections) {
        if (this.#pace.isTooSlow(connection, connection.owing(), minRate, nowMs)) connection.abortSlow();
      }
    }
  }
}

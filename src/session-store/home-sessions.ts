// Sessions for any framework: Home with promises, real time, ids that are hashed and a Redis.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../base/clock.ts';
import { systemScheduler } from '../base/scheduler.ts';
import { REFILL_MS } from './backing.ts';
import { type Changed, COPY_BYTES, type Found } from './copy.ts';
import { SessionConflictError, SessionEndedError, StoreAwayError } from './errors.ts';
import { Home, type HomeCounts } from './home.ts';
import { type CheckedOptions, checkOptions, type SessionsOptions } from './options.ts';
import { RedisLink } from './redis-link.ts';
import { Sealing } from './sealing.ts';

/** How it stands; counts are since the start, but for `sessions`, `bytes`, `unbacked`, `rejected` and `backlog`. */
export interface SessionsStats extends HomeCounts {
  /** Of `bytes`, what is data. */
  readonly dataBytes: number;
  /** Sessions that could not be opened with the secrets in `seal`. */
  readonly unreadable: number;
  readonly isStoreUp: boolean;
}

/** Whether the store has a change, or this server alone until the store answers. */
export type Backed = 'backed' | 'unbacked';

/** The field of a reply to a health check that says how many sessions have no backup. */
const UNBACKED_HEADER = 'x-holdfast-unbacked';
const CLOSE_MS = 5000;

/**
 * Goes on while this process stands still, as `systemClock` does not where a balancer is embedded: others may have taken
 * the sessions meanwhile.
 */
const CLOCK: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => systemClock.wallMs(),
  stoodStillMs: 0,
};
const ENDED_AT_ONCE = 64;
/** A hundred years. */
const LIFE_MS_MAX = 3_155_760_000_000;
/** Servers may have other times for loading: so much longer ones are allowed for. */
const CLAIM_SPARE_MS = 60_000;

interface Stored {
  /** Null where the store has one that cannot be opened. */
  readonly data: string | null;
  /** Where connect-redis has it; null where it has not. */
  readonly oldKey: string | null;
}

export class HomeSessions<T extends object = Record<string, unknown>> {
  readonly #options: CheckedOptions;
  readonly #home: Home;
  readonly #link: RedisLink;
  /** Until the first connection is there, or has been waited for long enough; null from then on. */
  #starting: Promise<void> | null;
  #closing: Promise<void> | null = null;

  constructor(options: SessionsOptions) {
    this.#options = checkOptions(options);
    const { client, prefix, server, seal, adopt, loadTimeoutMs, onTrouble } = this.#options;
    let begun = (): void => {};
    this.#link = new RedisLink({
      source: client,
      prefix,
      me: `${server}~${randomBytes(9).toString('base64url')}`,
      refillMs: REFILL_MS,
      claimMsMax: loadTimeoutMs + CLAIM_SPARE_MS,
      sealing: new Sealing(seal, adopt !== null),
      scheduler: systemScheduler,
      onUp: (mayHaveMissed) => {
        this.#home.connected(mayHaveMissed);
        begun();
      },
      onDown: () => this.#home.disconnected(),
      onTaken: (key, tenure) => this.#home.taken(key, tenure),
      onEnded: (key) => this.#home.ended(key),
      // What the application throws there is not to break off what we are at.
      onTrouble: (error) => queueMicrotask(() => onTrouble(error)),
    });
    this.#home = new Home({
      link: this.#link,
      clock: CLOCK,
      scheduler: systemScheduler,
      options: this.#options,
    });
    this.#starting = new Promise((resolve) => {
      const timer = systemScheduler.after(this.#options.loadTimeoutMs, () => begun());
      begun = () => {
        timer.cancel();
        this.#starting = null;
        resolve();
      };
    });
    this.#link.begin();
  }

  /**
   * The session, or null when there is none. Rejects with StoreAwayError when it is not here and the store does not
   * answer. `isMoved`: a balancer has just sent it here, so a copy from before may be old.
   */
  async get(id: string, isMoved = false): Promise<T | null> {
    const key = this.#keyOf(id);
    await this.#begun();
    if (this.#options.adopt !== null && !this.#home.has(key)) await this.#adopt(key, id);
    const found = await new Promise<Found>((resolve) => this.#home.get(key, resolve, isMoved));
    if (found.kind === 'away') throw new StoreAwayError();
    return found.kind === 'found' ? (JSON.parse(found.data) as T) : null;
  }

  /** The session as this server has it, which asks nobody; null when its home is not here. */
  peek(id: string): T | null {
    const data = this.#home.dataOf(this.#keyOf(id));
    return data === null ? null : (JSON.parse(data) as T);
  }

  /** Makes or replaces a session that lives `ttl` seconds from now. A ttl of 0 or less ends it. */
  async set(id: string, session: T, ttl: number = this.#options.ttlMs / 1000): Promise<Backed> {
    const ttlMs = msOf(ttl);
    if (ttlMs <= 0) return this.destroy(id);
    const data = textOf(session);
    const key = this.#keyOf(id);
    await this.#begun();
    return asBacked(await new Promise((resolve) => this.#home.set(key, data, ttlMs, resolve)));
  }

  /** The session lives `ttl` seconds from now. */
  async touch(id: string, ttl: number = this.#options.ttlMs / 1000): Promise<void> {
    const ttlMs = msOf(ttl);
    if (ttlMs > 0) this.#home.touch(this.#keyOf(id), ttlMs);
    else await this.destroy(id);
  }

  /** Ends a session, wherever it lives. Its id must not be used again. */
  async destroy(id: string): Promise<Backed> {
    await this.#begun();
    // It is sent before the tombstone, which stands for it from then on.
    if (this.#options.adopt !== null) this.#link.remove([this.#options.adopt + id]).catch(() => {});
    return this.#destroy(this.#keyOf(id));
  }

  /** All sessions, wherever they live. For administration: it reads the whole store. */
  async all(): Promise<readonly T[]> {
    return [...(await this.#everywhere()).values()].flatMap(({ data }) =>
      data === null ? [] : [JSON.parse(data) as T],
    );
  }

  /** How many sessions there are. For administration: it reads the whole store. */
  async length(): Promise<number> {
    return (await this.#everywhere()).size;
  }

  /** Ends all sessions, those that cannot be opened too. */
  async clear(): Promise<void> {
    await this.#endAll([...(await this.#everywhere())]);
  }

  /** Ends the sessions for which `isMeant` is true, wherever they live: those of a user who is banned. Returns how many. */
  async endWhere(isMeant: (session: T) => boolean): Promise<number> {
    const found = [...(await this.#everywhere())].filter(
      ([, { data }]) => data !== null && isMeant(JSON.parse(data) as T),
    );
    await this.#endAll(found);
    return found.length;
  }

  stats(): SessionsStats {
    const counts = this.#home.counts();
    const dataBytes = counts.bytes - counts.sessions * COPY_BYTES;
    return { ...counts, dataBytes, unreadable: this.#link.unreadable, isStoreUp: this.#link.isUp };
  }

  /** Whether the store has the latest of a session of this server; null when it is not here. */
  isBacked(id: string): boolean | null {
    return this.#home.isBacked(this.#keyOf(id));
  }

  /** For the reply to the balancer's health check, so that it moves no session that only this server has. */
  healthHeaders(): Record<string, string> {
    return { [UNBACKED_HEADER]: String(this.#home.counts().unbacked) };
  }

  /**
   * Writes what the store does not have, then lets go of it: other servers can take every session. For the end of the
   * process, after the last request. Resolves after `limitMs` at the latest.
   */
  close(limitMs: number = CLOSE_MS): Promise<void> {
    this.#closing ??= new Promise<void>((resolve) => this.#home.stop(limitMs, resolve)).then(() =>
      this.#link.end(),
    );
    return this.#closing;
  }

  async #begun(): Promise<void> {
    if (this.#starting !== null && this.#closing === null) await this.#starting;
    if (this.#closing !== null) throw new StoreAwayError({ cause: new Error('the sessions are closed') });
  }

  #keyOf(id: string): string {
    const { secret } = this.#options;
    const hash = secret === '' ? createHash('sha256') : createHmac('sha256', secret);
    return hash.update(id).digest('base64url');
  }

  async #endAll(found: readonly (readonly [key: string, Stored])[]): Promise<void> {
    for (let from = 0; from < found.length; from += ENDED_AT_ONCE) {
      const some = found.slice(from, from + ENDED_AT_ONCE);
      const old = some.flatMap(([, { oldKey }]) => oldKey ?? []);
      if (old.length > 0) this.#link.remove(old).catch(() => {});
      await Promise.all(some.map(([key]) => this.#destroy(key, true)));
    }
  }

  async #destroy(key: string, isKnown = false): Promise<Backed> {
    const changed = await new Promise<Changed>((resolve) => this.#home.destroy(key, resolve, isKnown));
    return changed === 'ended' ? 'backed' : asBacked(changed);
  }

  /**
   * A store that does not answer is told by what follows. One that refuses, as when it is full or has given no leave for these
   * keys, would call the session unknown then.
   */
  async #adopt(key: string, id: string): Promise<void> {
    const { adopt, ttlMs, loadTimeoutMs } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const timer = systemScheduler.after(loadTimeoutMs, resolve);
      const failed = (error: unknown): void => reject(new StoreAwayError({ cause: error }));
      this.#link
        .adopt(key, `${adopt}${id}`, ttlMs)
        .finally(() => timer.cancel())
        .then(resolve, failed);
    });
  }

  /** Sessions by key: those of the store, those not taken over yet, and what is newer here. */
  async #everywhere(): Promise<Map<string, Stored>> {
    await this.#begun();
    const oldKeys = new Map<string, string>();
    const found = new Map<string, Stored>();
    const put = (key: string, data: string | null): unknown =>
      found.set(key, { data, oldKey: oldKeys.get(key) ?? null });
    const { adopt } = this.#options;
    try {
      // these first, since one that is taken over meanwhile is a record afterwards
      if (adopt !== null)
        for await (const { id, data } of this.#link.adoptable(adopt)) {
          oldKeys.set(this.#keyOf(id), adopt + id);
          put(this.#keyOf(id), data);
        }
      for await (const { key, data, hasEnded } of this.#link.records()) {
        if (hasEnded) found.delete(key);
        else put(key, data);
      }
      for (const { key, data } of this.#home.here()) put(key, data);
    } catch (error) {
      throw new StoreAwayError({ cause: error });
    }
    for (const key of found.keys()) if (this.#home.hasEnded(key)) found.delete(key);
    return found;
  }
}

/** Milliseconds; what is said to live for ever lives as long as a store can note. */
function msOf(ttl: number): number {
  if (Number.isNaN(Number(ttl))) throw new TypeError(`the ttl of a session is ${ttl}`);
  return Math.min(ttl * 1000, LIFE_MS_MAX);
}

/** What cannot be read as a session later is refused before it takes the place of one. */
function textOf(session: object): string {
  const text: unknown = JSON.stringify(session);
  if (typeof text === 'string' && /^[{[]/.test(text)) return text;
  throw new TypeError('a session is an object that JSON can express');
}

function asBacked(changed: Changed): Backed {
  switch (changed) {
    case 'backed':
    case 'unbacked':
      return changed;
    case 'conflict':
      throw new SessionConflictError();
    case 'ended':
      throw new SessionEndedError();
    case 'away':
      throw new StoreAwayError();
  }
}

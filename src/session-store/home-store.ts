// HomeSessions as a store of express-session.
import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import type { SessionData, Store } from 'express-session';
import { systemClock } from '../base/clock.ts';
import { HomeSessions } from './home-sessions.ts';
import type { SessionsOptions } from './options.ts';

type Cookie = SessionData['cookie'];
type Callback<T = void> = (error?: unknown, value?: T) => void;

/** express-session reckons a cookie's life anew with each request: now and then it is a millisecond less. */
const LIFE_OFF_MS = 1000;

/** express-session is the application's; HomeSessions does without. */
function storeOfExpressSession(): typeof Store {
  try {
    const require = createRequire(import.meta.url);
    return (require('express-session') as { readonly Store: typeof Store }).Store;
  } catch {
    return class {
      constructor() {
        throw new Error('HomeStore needs the package express-session; without it HomeSessions does the same');
      }
    } as unknown as typeof Store;
  }
}

const BaseStore: typeof Store = storeOfExpressSession();

/** A store of express-session whose sessions live in this server's memory, with a backup in Redis or Valkey. */
export class HomeStore extends BaseStore {
  /** What the store is made of, for what express-session does not know: stats, health, closing. */
  readonly sessions: HomeSessions<SessionData>;

  constructor(options: SessionsOptions) {
    super();
    this.sessions = new HomeSessions(options);
  }

  override get(id: string, callback: Callback<SessionData | null>): void {
    this.sessions.get(id).then((session) => callback(null, session), callback);
  }

  override set(id: string, session: SessionData, callback?: Callback): void {
    done(this.sessions.set(id, session, ttlOf(session)), callback);
  }

  /**
   * The cookie is part of the session, but express-session takes one with another cookie for unchanged: it would have its
   * former life again with the next request.
   */
  override touch(id: string, session: SessionData, callback?: Callback): void {
    const { cookie } = session;
    const known = this.sessions.peek(id);
    const isSame = known === null || isSameCookie(known.cookie, cookie);
    const ttl = ttlOf(session);
    done(isSame ? this.sessions.touch(id, ttl) : this.sessions.set(id, { ...known, cookie }, ttl), callback);
  }

  override destroy(id: string, callback?: Callback): void {
    done(this.sessions.destroy(id), callback);
  }

  override all(callback: Callback<SessionData[]>): void {
    this.sessions.all().then((sessions) => callback(null, [...sessions]), callback);
  }

  override length(callback: Callback<number>): void {
    this.sessions.length().then((length) => callback(null, length), callback);
  }

  override clear(callback?: Callback): void {
    done(this.sessions.clear(), callback);
  }

  close(limitMs?: number): Promise<void> {
    return this.sessions.close(limitMs);
  }
}

/** Without a callback nobody wants to know. */
function done(promise: Promise<unknown>, callback: Callback = () => {}): void {
  promise.then(() => callback(), callback);
}

/** When they expire apart, which is another with each request. */
function isSameCookie(one: Cookie | undefined, other: Cookie | undefined): boolean {
  const { expires, originalMaxAge, ...rest } = asStored(one);
  const { expires: otherExpires, originalMaxAge: otherMaxAge, ...otherRest } = asStored(other);
  const offMs = Math.abs(Number(originalMaxAge) - Number(otherMaxAge));
  const isSameKind = typeof originalMaxAge === typeof otherMaxAge;
  return isSameKind && offMs < LIFE_OFF_MS && isDeepStrictEqual(rest, otherRest);
}

function asStored(cookie: Cookie | undefined): Record<string, unknown> {
  return JSON.parse(JSON.stringify(cookie ?? { originalMaxAge: null }));
}

/**
 * Seconds that the cookie lives from now; undefined where it says nothing, as for those that end with the browser. When it
 * expires says less: a session that is saved on the way has that from the server it was at before, whose clock may be another.
 */
function ttlOf({ cookie }: SessionData): number | undefined {
  const { expires, originalMaxAge } = cookie ?? {};
  if (expires === undefined || expires === null || typeof expires === 'boolean') return undefined;
  if (typeof originalMaxAge === 'number') return originalMaxAge / 1000;
  return (new Date(expires).getTime() - systemClock.wallMs()) / 1000;
}

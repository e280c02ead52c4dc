// The session layer of every architecture whose sessions live in a store behind express-session: memory,
// replicated, database, redis. They differ only in the SessionRecords they bring.
import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import session from 'express-session';
import { systemClock } from '../../src/base/clock.ts';
import {
  asSessionState,
  type BanResult,
  type LayerStats,
  NO_STATS,
  SessionEnded,
  type SessionLayer,
  type SessionLimits,
  type SessionState,
  StoreUnavailable,
  timeToLiveMs,
} from '../session-layer.ts';

declare module 'express-session' {
  interface SessionData {
    state?: SessionState;
  }
}

/** Where sessions live. Every method may reject, which the client sees as 503. */
export interface SessionRecords {
  readonly sentence: string;
  begin(): Promise<void>;
  load(id: string): Promise<session.SessionData | null>;
  /** Creates a session. */
  create(id: string, data: session.SessionData, ttlMs: number): Promise<void>;
  /** Replaces a session; false when it has ended meanwhile, which must not bring it back. */
  replace(id: string, data: session.SessionData, ttlMs: number): Promise<boolean>;
  /** Renews the idle timeout; does nothing to a session that has ended. */
  touch(id: string, data: session.SessionData, ttlMs: number): Promise<void>;
  remove(id: string): Promise<void>;
  ban(user: string): Promise<BanResult | null>;
  stats(): Promise<Partial<LayerStats>>;
  /** Where only some sessions have a copy elsewhere: whether this one has. */
  isBacked?(id: string): boolean | null;
  healthHeaders?(): Readonly<Record<string, string>>;
  end(): Promise<void>;
}

/** What the layer needs of the backend's options. */
export interface ExpressLayerOptions {
  readonly limits: SessionLimits;
  readonly cookieName: string;
  readonly secret: string;
  /** Read at every operation, so that the lab can slow the store while it runs. */
  readonly storeDelayMs: () => number;
}

/** A store key from a session id: a dump of the store then holds no usable id. */
export function storeKey(id: string): string {
  return createHash('sha256').update(id).digest('base64url');
}

/** express-session over `records`. */
export function expressLayer(records: SessionRecords, options: ExpressLayerOptions): SessionLayer {
  const store = new RecordStore(records, options);
  // The cookie has no Max-Age: it ends with the browser, and the store ends the session.
  const cookie = { httpOnly: true, secure: 'auto', sameSite: 'lax', path: '/' } as const;
  const { httpOnly, sameSite, path } = cookie;
  return {
    sentence: records.sentence,
    middleware: session({
      name: options.cookieName,
      secret: options.secret,
      store,
      cookie,
      resave: false,
      saveUninitialized: false,
    }),
    begin: () => records.begin(),
    async read(request) {
      const state = asSessionState(sessionOf(request).state);
      if (state === null) return null;
      if (timeToLiveMs(state, options.limits, systemClock.wallMs()) > 0) return state;
      await done((callback) => request.session.destroy(callback));
      return null;
    },
    async login(request, _response, state) {
      await done((callback) => sessionOf(request).regenerate(callback));
      request.session.state = state;
      store.created.add(request.session);
      await done((callback) => request.session.save(callback));
    },
    async write(request, _response, state) {
      sessionOf(request).state = state;
      // Saved before the response begins: express-session's own save at the end cannot change the status any more.
      await done((callback) => request.session.save(callback));
    },
    async logout(request: Request, response: Response) {
      await done((callback) => sessionOf(request).destroy(callback));
      response.clearCookie(options.cookieName, { httpOnly, sameSite, path, secure: request.secure });
    },
    ban: (user) => records.ban(user),
    stats: async () => ({ ...NO_STATS, ...store.counts(), ...(await records.stats()) }),
    isBacked: (request) => records.isBacked?.(request.sessionID) ?? null,
    healthHeaders: () => records.healthHeaders?.() ?? {},
    end: () => records.end(),
  };
}

/** express-session's store interface over SessionRecords, with counting, the lab's delay and one kind of error. */
class RecordStore extends session.Store {
  /** Sessions born in this request, so that their first save may create a record. */
  readonly created = new WeakSet<object>();
  /** What was saved in this request: express-session saves and touches again at the end, a second write of the same. */
  readonly #saved = new WeakMap<object, SessionState>();
  readonly #records: SessionRecords;
  readonly #options: ExpressLayerOptions;
  #reads = 0;
  #writes = 0;
  #errors = 0;

  constructor(records: SessionRecords, options: ExpressLayerOptions) {
    super();
    this.#records = records;
    this.#options = options;
  }

  counts(): Pick<LayerStats, 'storeReads' | 'storeWrites' | 'storeErrors'> {
    return { storeReads: this.#reads, storeWrites: this.#writes, storeErrors: this.#errors };
  }

  override get(id: string, callback: (error: unknown, data?: session.SessionData | null) => void): void {
    this.#reads += 1;
    this.#operate(() => this.#records.load(id)).then(
      (data) => callback(null, data),
      (error: unknown) => callback(error),
    );
  }

  override set(id: string, data: session.SessionData, callback?: (error?: unknown) => void): void {
    if (data.state !== undefined && this.#saved.get(data) === data.state) {
      callback?.();
      return;
    }
    this.#writes += 1;
    const ttlMs = this.#ttlMs(data);
    const save = async (): Promise<void> => {
      if (this.created.has(data)) await this.#records.create(id, data, ttlMs);
      else if (!(await this.#records.replace(id, data, ttlMs)))
        throw new SessionEnded('the session has ended');
      this.created.delete(data);
      if (data.state !== undefined) this.#saved.set(data, data.state);
    };
    this.#operate(save).then(
      () => callback?.(),
      (error: unknown) => callback?.(error),
    );
  }

  override touch(id: string, data: session.SessionData, callback?: (error?: unknown) => void): void {
    if (this.#saved.has(data) || data.state === undefined) {
      callback?.();
      return;
    }
    this.#writes += 1;
    this.#operate(() => this.#records.touch(id, data, this.#ttlMs(data))).then(
      () => callback?.(),
      (error: unknown) => callback?.(error),
    );
  }

  override destroy(id: string, callback?: (error?: unknown) => void): void {
    this.#writes += 1;
    this.#operate(() => this.#records.remove(id)).then(
      () => callback?.(),
      (error: unknown) => callback?.(error),
    );
  }

  async #operate<T>(operation: () => Promise<T>): Promise<T> {
    const delayMs = this.#options.storeDelayMs();
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    try {
      return await operation();
    } catch (error) {
      if (error instanceof SessionEnded) throw error;
      this.#errors += 1;
      throw new StoreUnavailable('the session store cannot be reached', { cause: error });
    }
  }

  #ttlMs(data: session.SessionData): number {
    const state = asSessionState(data.state);
    return state === null
      ? this.#options.limits.idleMs
      : timeToLiveMs(state, this.#options.limits, systemClock.wallMs());
  }
}

/** The request's session. express-session leaves it out while its store says it is disconnected. */
function sessionOf(request: Request): Request['session'] {
  const found: Request['session'] | undefined = request.session;
  if (found === undefined) throw new StoreUnavailable('the session store is disconnected');
  return found;
}

function done(start: (callback: (error?: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}

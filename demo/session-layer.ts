// The vocabulary of the demo backends: what a session holds and what each session architecture must do with it.
// One file under layers/ per architecture implements SessionLayer; everything else is the same program.
import type { Request, RequestHandler, Response } from 'express';

/** The session architectures a backend can run, by the names users type. */
export const ARCHITECTURES = ['memory', 'replicated', 'database', 'redis', 'home', 'cookie', 'jwt'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** True when `name` is one of ARCHITECTURES. */
export function isArchitecture(name: string): name is Architecture {
  return (ARCHITECTURES as readonly string[]).includes(name);
}

/** What a logged-in session holds: the same shape, and by default the same 1 KB, in every architecture. */
export interface SessionState {
  readonly user: string;
  readonly counter: number;
  /** Wall clock of the log-in; the absolute timeout counts from here and nothing extends it. */
  readonly loginAtMs: number;
  readonly data: Readonly<Record<string, string>>;
  /** Fills the session up to the configured size. */
  readonly pad: string;
}

/** Idle and absolute timeout of a session. */
export interface SessionLimits {
  readonly idleMs: number;
  readonly lifeMs: number;
}

/** What a layer knows of itself for GET /lab/stats. */
export interface LayerStats {
  /** server: `sessions` and `bytes` are in this process's memory. pool: in the store all backends share. */
  readonly sessionsScope: 'server' | 'pool';
  /** Logged-in, unexpired sessions this layer can see; null when nobody but the clients knows. */
  readonly sessions: number | null;
  /** Sessions begun and ended since the start, for whatever reason; null where they are not counted. */
  readonly started: number | null;
  readonly ended: number | null;
  /** Bytes of those sessions as stored; null like `sessions`. */
  readonly bytes: number | null;
  /** Messages between backends (replicated), both directions counted where they are sent or received. */
  readonly messagesSent: number;
  readonly messagesReceived: number;
  readonly messageBytesSent: number;
  readonly messageBytesReceived: number;
  /** Operations on the session store, wherever it lives. */
  readonly storeReads: number;
  readonly storeWrites: number;
  /** Store operations that failed. */
  readonly storeErrors: number;
}

/** Stats of a layer with neither messages nor store; spread it and override. */
export const NO_STATS: LayerStats = {
  sessionsScope: 'server',
  sessions: null,
  started: null,
  ended: null,
  bytes: null,
  messagesSent: 0,
  messagesReceived: 0,
  messageBytesSent: 0,
  messageBytesReceived: 0,
  storeReads: 0,
  storeWrites: 0,
  storeErrors: 0,
};

/** Outcome of a ban: how many sessions ended, or null when the architecture only knows that none will be accepted. */
export interface BanResult {
  readonly ended: number | null;
  /** server: only this process's sessions ended; pool: those of every backend. */
  readonly scope: 'server' | 'pool';
}

/** One session architecture. Every method that takes a response must be called before its head is sent. */
export interface SessionLayer {
  /** The architecture in a sentence, for the page. */
  readonly sentence: string;
  /** Mounted before the session endpoints; null when the layer needs none. */
  readonly middleware: RequestHandler | null;
  /** Connects, joins, receives state. The backend is ready when it resolves. */
  begin(): Promise<void>;
  /** The session of this request; null means not logged in. Renews the idle timeout. */
  read(request: Request, response: Response): Promise<SessionState | null>;
  /** Starts a session under a new identifier; a session the client already had ends. */
  login(request: Request, response: Response, state: SessionState): Promise<void>;
  /** Replaces the state of the session that `read` returned; resolves once it is as durable as the layer promises. */
  write(request: Request, response: Response, state: SessionState): Promise<void>;
  /** Ends the session and deletes the cookie. */
  logout(request: Request, response: Response): Promise<void>;
  /** Ends every session of a user; null when this architecture cannot. */
  ban(user: string): Promise<BanResult | null>;
  stats(): Promise<LayerStats>;
  /** Whether the session of this request has a copy elsewhere; null, or absent, where that is no question. */
  isBacked?(request: Request): boolean | null;
  /** What a reply to a health check says beside. */
  healthHeaders?(): Readonly<Record<string, string>>;
  /** Lets go of connections and timers. */
  end(): Promise<void>;
}

/** A session store (or the link to it) failed: answered with 503, never with "not logged in". */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** The session ended (log-out, ban) while this request was on its way: answered with 401. */
export class SessionEnded extends Error {
  override readonly name = 'SessionEnded';
}

/** The session no longer fits what the architecture can carry: answered with 413. */
export class SessionTooLarge extends Error {
  override readonly name = 'SessionTooLarge';
}

const DATA_KEYS = ['theme', 'language', 'currency', 'cart', 'lastPage'] as const;

/** A fresh session of `user`, padded so that its JSON takes `bytes` bytes (or its natural size if that is more). */
export function newSessionState(user: string, bytes: number, nowMs: number): SessionState {
  const data = Object.fromEntries(DATA_KEYS.map((key) => [key, `${key} of ${user}`]));
  const bare: SessionState = { user, counter: 0, loginAtMs: nowMs, data, pad: '' };
  return { ...bare, pad: 'x'.repeat(Math.max(0, bytes - JSON.stringify(bare).length)) };
}

/** How long a session used at `nowMs` may live from now on; zero or less means it has ended. */
export function timeToLiveMs(state: SessionState, limits: SessionLimits, nowMs: number): number {
  return Math.min(limits.idleMs, state.loginAtMs + limits.lifeMs - nowMs);
}

/** Narrows a value that came out of a store, a cookie or a token; null when it is not a session. */
export function asSessionState(value: unknown): SessionState | null {
  if (typeof value !== 'object' || value === null) return null;
  const { user, counter, loginAtMs, data, pad } = value as Partial<Record<keyof SessionState, unknown>>;
  if (typeof user !== 'string' || typeof counter !== 'number' || typeof loginAtMs !== 'number') return null;
  if (typeof data !== 'object' || data === null || typeof pad !== 'string') return null;
  return { user, counter, loginAtMs, data: data as Record<string, string>, pad };
}

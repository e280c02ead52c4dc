// The session in a signed token (JWT, jose). Without a deny list a token works until it expires, log-out or not;
// with it, every request asks a central process, which is what the token was meant to avoid.
import { createHash, randomBytes } from 'node:crypto';
import type { CookieOptions, Request, Response } from 'express';
import { errors, jwtVerify, SignJWT } from 'jose';
import { systemClock } from '../../src/base/clock.ts';
import type { BackendOptions } from '../flags.ts';
import {
  type LayerStats,
  NO_STATS,
  type SessionLayer,
  type SessionState,
  SessionTooLarge,
  StoreUnavailable,
  timeToLiveMs,
} from '../session-layer.ts';
import type { SessiondClient } from '../sessiond-client.ts';
import { type Carried, needsRenewal, readCarried } from './carried.ts';

type Options = Pick<BackendOptions, 'limits' | 'cookieName' | 'secret' | 'oldSecret'>;

const ALGORITHM = 'HS256';
const ISSUER = 'holdfast-demo';
/** How much longer than its tokens a log-out stays on the deny list. */
const DENIED_LONGER_MS = 60_000;
/** Browsers refuse a cookie whose name and value take more (RFC 6265bis). */
const COOKIE_BYTES_MAX = 4096;

interface SigningKey {
  /** What the token's header calls it; says nothing about the key. */
  readonly id: string;
  readonly key: Uint8Array;
}

interface Token extends Carried {
  /** Names the log-in over all renewals of its token; what the deny list holds. */
  readonly session: string;
}

/** The layer of architecture `jwt`; `denyList` is the process that keeps the list, null for none. */
export function jwtLayer(
  options: Options,
  denyList: SessiondClient | null,
  storeDelayMs: () => number,
): SessionLayer {
  return new JwtLayer(options, denyList, storeDelayMs);
}

class JwtLayer implements SessionLayer {
  readonly middleware = null;
  readonly sentence: string;
  readonly #options: Options;
  readonly #signing: SigningKey;
  /** Every key a token may be signed with, by the name in its header. */
  readonly #keys: ReadonlyMap<string, Uint8Array>;
  readonly #denyList: SessiondClient | null;
  readonly #storeDelayMs: () => number;
  /** The token each request came with, from `read` to `write`. */
  readonly #tokens = new WeakMap<Request, Token>();
  #reads = 0;
  #writes = 0;
  #errors = 0;

  constructor(options: Options, denyList: SessiondClient | null, storeDelayMs: () => number) {
    this.#options = options;
    this.#denyList = denyList;
    this.#storeDelayMs = storeDelayMs;
    this.#signing = keyOf(options.secret);
    const keys = [this.#signing, ...(options.oldSecret === null ? [] : [keyOf(options.oldSecret)])];
    this.#keys = new Map(keys.map(({ id, key }) => [id, key]));
    this.sentence =
      denyList === null
        ? 'The session travels in a signed token that any server can check; until it expires nobody can revoke it.'
        : 'The session travels in a signed token; a central deny list, asked at every request, can revoke it.';
  }

  async begin(): Promise<void> {
    if (this.#denyList !== null) await this.#ask(this.#denyList.call('stats', {}));
  }

  async read(request: Request, response: Response): Promise<SessionState | null> {
    const token = await this.#verify(request);
    if (token === null || (await this.#isDenied(token))) return null;
    this.#tokens.set(request, token);
    if (needsRenewal(token, this.#options.limits, systemClock.wallMs()))
      await this.#issue(request, response, token);
    return token.state;
  }

  async login(request: Request, response: Response, state: SessionState): Promise<void> {
    const old = await this.#verify(request);
    if (old !== null) await this.#deny(old);
    await this.#issue(request, response, {
      session: randomBytes(16).toString('base64url'),
      state,
      seenAtMs: 0,
    });
  }

  async write(request: Request, response: Response, state: SessionState): Promise<void> {
    const token = this.#tokens.get(request);
    if (token === undefined) throw new Error('write before read');
    await this.#issue(request, response, { ...token, state });
  }

  async logout(request: Request, response: Response): Promise<void> {
    const token = await this.#verify(request);
    if (token !== null) await this.#deny(token);
    response.removeHeader('set-cookie');
    response.clearCookie(this.#options.cookieName, this.#attributes(request));
  }

  async ban(user: string) {
    if (this.#denyList === null) return null;
    this.#writes += 1;
    await this.#ask(
      this.#denyList.call('deny', { subject: `user ${user}`, ttlMs: this.#options.limits.lifeMs }),
    );
    return { ended: null, scope: 'pool' } as const;
  }

  stats(): Promise<LayerStats> {
    const counts = { storeReads: this.#reads, storeWrites: this.#writes, storeErrors: this.#errors };
    return Promise.resolve({ ...NO_STATS, ...counts });
  }

  async end(): Promise<void> {
    await this.#denyList?.end();
  }

  async #verify(request: Request): Promise<Token | null> {
    const text = cookieValue(request.headers.cookie ?? '', this.#options.cookieName);
    if (text === null) return null;
    try {
      const { payload } = await jwtVerify(text, ({ kid }) => this.#keyNamed(kid), {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience: ISSUER,
        requiredClaims: ['exp', 'sub', 'jti'],
      });
      const carried = readCarried(payload, this.#options.limits, systemClock.wallMs());
      return carried === null ? null : { ...carried, session: String(payload.jti) };
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  }

  #keyNamed(id: string | undefined): Uint8Array {
    const key = this.#keys.get(id ?? '');
    if (key === undefined) throw new errors.JWKSNoMatchingKey();
    return key;
  }

  async #issue(request: Request, response: Response, token: Token): Promise<void> {
    const { limits, cookieName } = this.#options;
    const nowMs = systemClock.wallMs();
    const text = await new SignJWT({ state: token.state, seenAtMs: nowMs })
      .setProtectedHeader({ alg: ALGORITHM, kid: this.#signing.id })
      .setIssuer(ISSUER)
      .setAudience(ISSUER)
      .setSubject(token.state.user)
      .setJti(token.session)
      .setIssuedAt(Math.floor(nowMs / 1000))
      .setExpirationTime(Math.ceil((nowMs + timeToLiveMs(token.state, limits, nowMs)) / 1000))
      .sign(this.#signing.key);
    if (cookieName.length + 1 + text.length > COOKIE_BYTES_MAX) {
      throw new SessionTooLarge(`the token does not fit into a cookie of ${COOKIE_BYTES_MAX} bytes`);
    }
    // Only the last value may go out: `read` may already have renewed the token in this response.
    response.removeHeader('set-cookie');
    response.cookie(cookieName, text, this.#attributes(request));
  }

  async #isDenied(token: Token): Promise<boolean> {
    if (this.#denyList === null) return false;
    this.#reads += 1;
    const question = {
      session: `session ${token.session}`,
      user: `user ${token.state.user}`,
      beganAtMs: token.state.loginAtMs,
    };
    // A list that cannot be asked has not said no, but neither yes: the request fails rather than passes.
    return (await this.#ask(this.#denyList.call('denied', question))) === true;
  }

  async #deny(token: Token): Promise<void> {
    if (this.#denyList === null) return;
    this.#writes += 1;
    // Longer than the token lives: one that is found valid may be asked for only after it has expired.
    const ttlMs =
      token.state.loginAtMs + this.#options.limits.lifeMs - systemClock.wallMs() + DENIED_LONGER_MS;
    await this.#ask(this.#denyList.call('deny', { subject: `session ${token.session}`, ttlMs }));
  }

  async #ask(answer: Promise<unknown>): Promise<unknown> {
    const delayMs = this.#storeDelayMs();
    try {
      const result = await answer;
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      return result;
    } catch (error) {
      this.#errors += 1;
      throw new StoreUnavailable('the deny list cannot be reached', { cause: error });
    }
  }

  #attributes(request: Request): CookieOptions {
    return { httpOnly: true, secure: request.secure, sameSite: 'lax', path: '/' };
  }
}

function keyOf(secret: string): SigningKey {
  const key = createHash('sha256').update(`jwt ${secret}`).digest();
  return { id: createHash('sha256').update(key).digest('base64url').slice(0, 8), key };
}

function cookieValue(header: string, name: string): string | null {
  for (const part of header.split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return null;
}

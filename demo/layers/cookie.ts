// The session itself in an encrypted cookie (iron-session): servers keep nothing, so they cannot take it back.
import type { Request, Response } from 'express';
import { getIronSession, type IronSession } from 'iron-session';
import { systemClock } from '../../src/base/clock.ts';
import type { BackendOptions } from '../flags.ts';
import { NO_STATS, type SessionLayer, type SessionState, SessionTooLarge } from '../session-layer.ts';
import { type Carried, needsRenewal, readCarried } from './carried.ts';

type Options = Pick<BackendOptions, 'limits' | 'cookieName' | 'secret' | 'oldSecret'>;

/** The layer of architecture `cookie`. */
export function cookieLayer(options: Options): SessionLayer {
  const { limits, secret, oldSecret } = options;
  // iron-session seals with the highest number and opens with the one that the seal names.
  const password: Record<string, string> = oldSecret === null ? { 1: secret } : { 2: secret, 1: oldSecret };
  const open = (request: Request, response: Response): Promise<IronSession<Carried>> =>
    getIronSession<Carried>(request, response, {
      cookieName: options.cookieName,
      password,
      // A second line behind the times inside: the seal itself expires too, in whole seconds plus a minute's skew.
      ttl: Math.ceil(limits.idleMs / 1000),
      cookieOptions: { httpOnly: true, secure: request.secure, sameSite: 'lax', path: '/' },
    });
  const save = async (request: Request, response: Response, state: SessionState): Promise<void> => {
    // Only the last value may go out: `read` may already have renewed the cookie in this response.
    response.removeHeader('set-cookie');
    const session = await open(request, response);
    Object.assign(session, { state, seenAtMs: systemClock.wallMs() } satisfies Carried);
    try {
      await session.save();
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('too big')) throw error;
      throw new SessionTooLarge('the session does not fit into a cookie of 4096 bytes', { cause: error });
    }
  };
  return {
    sentence:
      'The whole session travels in an encrypted cookie; servers keep nothing and cannot take it back.',
    middleware: null,
    begin: () => Promise.resolve(),
    async read(request, response) {
      const carried = readCarried(await open(request, response), limits, systemClock.wallMs());
      if (carried === null) return null;
      if (needsRenewal(carried, limits, systemClock.wallMs())) await save(request, response, carried.state);
      return carried.state;
    },
    login: save,
    write: save,
    async logout(request, response) {
      response.removeHeader('set-cookie');
      (await open(request, response)).destroy();
    },
    ban: () => Promise.resolve(null),
    stats: () => Promise.resolve(NO_STATS),
    end: () => Promise.resolve(),
  };
}

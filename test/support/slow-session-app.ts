// An express-session application whose store takes a while to save: the race that holdUntilComplete closes.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import session, { MemoryStore, type SessionData } from 'express-session';

declare module 'express-session' {
  interface SessionData {
    user?: string;
  }
}

/** When a session is saved: after so many milliseconds, or just after somebody has asked for it too early. */
export type SaveAfter = number | 'the next request';

/** Takes its time to save, as a store across a network does. */
class SlowStore extends MemoryStore {
  readonly #after: SaveAfter;
  readonly #waiting = new Map<string, () => void>();

  constructor(after: SaveAfter) {
    super();
    this.#after = after;
  }

  override set(sid: string, data: SessionData, callback?: (error?: unknown) => void): void {
    const save = (): void => super.set(sid, data, callback);
    if (this.#after === 'the next request') this.#waiting.set(sid, save);
    else setTimeout(save, this.#after);
  }

  override get(sid: string, callback: (error: unknown, session?: SessionData | null) => void): void {
    super.get(sid, (error, session) => {
      callback(error, session);
      this.#waiting.get(sid)?.();
      this.#waiting.delete(sid);
    });
  }
}

export interface SlowSessionApp {
  readonly url: string;
  close(): Promise<void>;
}

/** POST /login redirects to /whoami, which answers 200 when the session is there and 401 when not. */
export async function slowSessionApp(saveAfter: SaveAfter): Promise<SlowSessionApp> {
  const app = express();
  app.use(
    session({ secret: 'test', resave: false, saveUninitialized: false, store: new SlowStore(saveAfter) }),
  );
  app.post('/login', (request, response, next) => {
    request.session.regenerate((error: unknown) => {
      if (error !== undefined && error !== null) return next(error);
      request.session.user = 'alice';
      response.redirect(303, '/whoami');
    });
  });
  app.get('/whoami', (request, response) => {
    response.status(request.session.user === undefined ? 401 : 200).send(request.session.user ?? 'nobody');
  });
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Logs in and follows the redirect as soon as its head is there, as browsers do. The status of /whoami. */
export async function logInLikeABrowser(baseUrl: string): Promise<number> {
  // fetch resolves with the head; the body may still be on its way.
  const login = await fetch(`${baseUrl}/login`, { method: 'POST', redirect: 'manual' });
  const cookies = login.headers.getSetCookie().map((cookie) => cookie.split(';')[0]);
  const [whoami] = await Promise.all([
    fetch(`${baseUrl}${login.headers.get('location')}`, { headers: { cookie: cookies.join('; ') } }),
    login.arrayBuffer(),
  ]);
  await whoami.arrayBuffer();
  return whoami.status;
}

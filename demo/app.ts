// The demo application: an Express program with a log-in, a counter and a session layer it knows nothing about.
import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { systemClock } from '../src/base/clock.ts';
import type { BackendOptions } from './flags.ts';
import { page, pageHeaders } from './page.ts';
import {
  newSessionState,
  SessionEnded,
  type SessionLayer,
  SessionTooLarge,
  StoreUnavailable,
} from './session-layer.ts';
import { eventStream, type TickSource } from './streams.ts';
import type { LoginThrottle } from './throttle.ts';
import type { PasswordChecker } from './users.ts';

/** Most values one session may hold by POST /set, and the longest value. */
const SESSION_KEYS_MAX = 64;
const VALUE_BYTES_MAX = 65_536;

/** What the application is made of. */
export interface AppParts {
  readonly options: BackendOptions;
  readonly layer: SessionLayer;
  readonly passwords: PasswordChecker;
  readonly throttle: LoginThrottle;
  readonly ticks: TickSource;
  /** ready: serves. starting and draining: /healthz answers 503, requests are still served. */
  readonly phase: () => 'starting' | 'ready' | 'draining';
}

/** Builds the application of one backend. */
export function createApp(parts: AppParts): Express {
  const { options, layer } = parts;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // The balancer is on this machine; what anybody else says in X-Forwarded-* is not believed.
  app.set('trust proxy', 'loopback');
  app.use((_request, response, next) => {
    response.setHeader('x-served-by', options.name);
    response.setHeader('x-content-type-options', 'nosniff');
    next();
  });
  app.get('/healthz', (_request, response) => {
    const phase = parts.phase();
    response.set(layer.healthHeaders?.() ?? {});
    response.status(phase === 'ready' ? 200 : 503).json({ status: phase, server: options.name });
  });
  app.get('/', (_request, response) => {
    response.set(pageHeaders).send(page(options, layer.sentence));
  });
  app.get('/events', eventStream(options.name, parts.ticks));
  app.use(express.json({ limit: '16kb' }), express.urlencoded({ extended: false, limit: '16kb' }));
  app.use((_request, response, next) => {
    response.setHeader('cache-control', 'no-store');
    next();
  });
  if (layer.middleware !== null) app.use(layer.middleware);
  app.post('/login', loginHandler(parts));
  sessionEndpoints(app, parts);
  app.use((request, response) => {
    response
      .status(404)
      .json({ error: 'not-found', message: `${request.method} ${request.path} is not part of the demo` });
  });
  app.use(errorHandler);
  return app;
}

function loginHandler({ options, layer, passwords, throttle }: AppParts): RequestHandler {
  return async (request, response) => {
    const { user, password } = credentials(request.body);
    if (user === null || password === null) {
      response
        .status(400)
        .json({ error: 'bad-request', message: 'send user and password, as a form or as JSON' });
      return;
    }
    const address = request.ip ?? '';
    const waitMs = throttle.waitMs(user, address, systemClock.wallMs());
    if (waitMs > 0) {
      response.setHeader('retry-after', Math.ceil(waitMs / 1000));
      response
        .status(429)
        .json({ error: 'too-many-attempts', message: 'too many failed log-ins; try again later' });
      return;
    }
    throttle.begin(user, address, systemClock.wallMs());
    if (!(await passwords.verify(user, password))) {
      response.status(401).json({ error: 'wrong-password', message: 'user or password is wrong' });
      return;
    }
    throttle.succeed(user, address, systemClock.wallMs());
    const state = newSessionState(user, options.sessionBytes, systemClock.wallMs());
    await layer.login(request, response, state);
    answer(request, response, { user, server: options.name, counter: 0, architecture: options.architecture });
  };
}

function sessionEndpoints(app: Express, { options, layer }: AppParts): void {
  const facts = { server: options.name, architecture: options.architecture } as const;
  const refuse = (response: Response): void => {
    response.status(401).json({ error: 'not-logged-in', message: 'no live session; log in first', ...facts });
  };
  app.get('/whoami', async (request, response) => {
    const state = await layer.read(request, response);
    if (state === null) return refuse(response);
    const { user, counter, loginAtMs } = state;
    const isBacked = layer.isBacked?.(request) ?? null;
    const backup = isBacked === null ? {} : { isBacked };
    const loginAt = new Date(loginAtMs).toISOString();
    response.json({ user, counter, ...facts, ...backup, pid: process.pid, loginAt });
  });
  app.post('/inc', async (request, response) => {
    const state = await layer.read(request, response);
    if (state === null) return refuse(response);
    const counter = state.counter + 1;
    await layer.write(request, response, { ...state, counter });
    answer(request, response, { user: state.user, counter, ...facts });
  });
  app.post('/set', async (request, response) => {
    const state = await layer.read(request, response);
    if (state === null) return refuse(response);
    const value = keyAndSize(request.body);
    if (
      value === null ||
      (!(value.key in state.data) && Object.keys(state.data).length >= SESSION_KEYS_MAX)
    ) {
      response.status(400).json({
        error: 'bad-request',
        message: `send key (a word) and size (0 to ${VALUE_BYTES_MAX}); at most ${SESSION_KEYS_MAX} keys`,
      });
      return;
    }
    const data = { ...state.data, [value.key]: 'x'.repeat(value.size) };
    await layer.write(request, response, { ...state, data });
    response.json({ user: state.user, keys: Object.keys(data), ...facts });
  });
  app.post('/logout', async (request, response) => {
    await layer.logout(request, response);
    answer(request, response, { user: null, ...facts });
  });
}

/** A browser's form gets the page again; programs get JSON. */
function answer(request: Request, response: Response, body: object): void {
  if (request.is('application/x-www-form-urlencoded') && request.accepts(['json', 'html']) === 'html') {
    response.redirect(303, '/');
    return;
  }
  response.json(body);
}

function errorHandler(error: unknown, _request: Request, response: Response, next: NextFunction): void {
  // express-session reports a failed touch after the response has begun; there is nothing left to say.
  if (response.headersSent) return;
  if (error instanceof StoreUnavailable) {
    response.setHeader('retry-after', '1');
    response.status(503).json({ error: 'store-unavailable', message: error.message });
  } else if (error instanceof SessionEnded) {
    response.status(401).json({ error: 'not-logged-in', message: error.message });
  } else if (error instanceof SessionTooLarge) {
    response.status(413).json({ error: 'session-too-large', message: error.message });
  } else if (hasClientStatus(error)) {
    response.status(error.status).json({ error: 'bad-request', message: 'the request body cannot be read' });
  } else {
    next(error);
  }
}

function hasClientStatus(error: unknown): error is { readonly status: number } {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : null;
  return typeof status === 'number' && status >= 400 && status < 500;
}

function credentials(body: unknown): { readonly user: string | null; readonly password: string | null } {
  const { user, password } = fields(body);
  return {
    user: typeof user === 'string' && user !== '' && user.length <= 64 ? user : null,
    password: typeof password === 'string' && password.length <= 256 ? password : null,
  };
}

function keyAndSize(body: unknown): { readonly key: string; readonly size: number } | null {
  const { key, size } = fields(body);
  const bytes = Number(size);
  if (typeof key !== 'string' || !/^[A-Za-z][\w-]{0,63}$/.test(key)) return null;
  return Number.isInteger(bytes) && bytes >= 0 && bytes <= VALUE_BYTES_MAX ? { key, size: bytes } : null;
}

function fields(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}

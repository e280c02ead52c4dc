// The admin server's routes: guards in front, then one function per path. No sockets here: tests call `fetch`.

import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { plainAddress } from '../base/client-address.ts';
import { packageVersion } from '../base/version.ts';
import { type EventFeed, streamEvents } from './events.ts';
import { bearsToken, isForeignOrigin, isLoopbackHostHeader } from './guards.ts';
import { openApiDocument } from './openapi.ts';
import { pageRoutes } from './page/page-routes.ts';
import { parseServerChange } from './server-change.ts';
import { addSessionRoutes } from './session-routes.ts';
import type { AdminSource, ErrorCode } from './source.ts';

export const BODY_BYTES_MAX = 64 * 1024;

const ERROR_STATUS = {
  'bad-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  'unsupported-media-type': 415,
  internal: 500,
  'too-many-streams': 503,
} as const satisfies Record<ErrorCode, number>;

export interface RouteOptions {
  readonly source: AdminSource;
  readonly feed: EventFeed;
  /** Needed for changes; empty: nobody needs one. */
  readonly token: string;
  /** Bound to loopback: only loopback names are served. */
  readonly isLoopbackOnly: boolean;
  readonly onError: (error: Error) => void;
}

export function createRoutes(options: RouteOptions): Hono {
  const { source, feed, token } = options;
  const app = new Hono();
  app.use(
    secureHeaders({
      contentSecurityPolicy: PAGE_POLICY,
      referrerPolicy: 'no-referrer',
      xFrameOptions: 'DENY',
    }),
  );
  if (options.isLoopbackOnly) app.use(onlyLoopbackNames);
  const mayChange = [requireToken(token), onlySameOrigin] as const;

  app.get('/healthz', (c) => c.text('ok\n'));
  app.get('/readyz', (c) => {
    const { ok, reasons } = source.ready();
    return ok ? c.text('ready\n') : c.text(`${['not ready', ...reasons].join('\n')}\n`, 503);
  });
  app.get('/metrics', async (c) => {
    const { contentType, body } = await source.metrics(c.req.header('accept') ?? '');
    return c.body(body, 200, { 'content-type': contentType, 'cache-control': 'no-store' });
  });
  app.get('/api/status', (c) => c.json(source.status(), 200, { 'cache-control': 'no-store' }));
  app.get('/api/openapi.json', (c) => c.json(openApiDocument(packageVersion())));
  app.get('/api/history', (c) => c.json(source.history(), 200, { 'cache-control': 'no-store' }));
  app.get('/api/events/recent', (c) =>
    c.json({ events: source.recentEvents() }, 200, { 'cache-control': 'no-store' }),
  );
  app.get(
    '/api/events',
    (c) => streamEvents(c, source, feed) ?? refuse(c, 'too-many-streams', 'too many event streams'),
  );
  app.patch('/api/pools/:pool/servers/:server', ...mayChange, limitBody, (c) => changeServer(c, source));
  app.post('/api/reload', ...mayChange, limitBody, (c) => reload(c, source));
  app.post('/api/takeover', ...mayChange, limitBody, (c) => takeOver(c, source));

  addSessionRoutes(app, source, limitBody, refuse);
  app.route('/', pageRoutes());

  app.notFound((c) => refuse(c, 'not-found', `there is no ${c.req.method} ${c.req.path.slice(0, 200)}`));
  app.onError((error, c) => {
    options.onError(error);
    return refuse(c, 'internal', 'the request could not be completed');
  });
  return app;
}

/** The page needs its own script, style and API, and nothing from anywhere else. */
const PAGE_POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
  frameAncestors: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
};

async function changeServer(c: Context, source: AdminSource): Promise<Response> {
  const contentType = c.req.header('content-type') ?? '';
  if (!/^application\/json\s*(;|$)/i.test(contentType)) {
    return refuse(c, 'unsupported-media-type', 'content-type must be application/json');
  }
  const change = parseServerChange(await c.req.text());
  if (typeof change === 'string') return refuse(c, 'bad-request', change);
  const pool = c.req.param('pool') ?? '';
  const server = c.req.param('server') ?? '';
  const result = await source.setServer(pool, server, change, askedBy(c));
  if (!result.ok) return refuse(c, result.code, result.message);
  const inPool = source.status().pools.find(({ name }) => name === pool);
  return c.json({ pool, server: inPool?.servers.find(({ name }) => name === server) ?? null });
}

/** `the page from 10.0.0.7`: what asks, and the address it asks from, where the server knows it. */
function askedBy(c: Context): string {
  const agent = c.req.header('user-agent') ?? '';
  const what =
    c.req.header('sec-fetch-site') === 'same-origin'
      ? 'the page'
      : agent.startsWith('holdfast/')
        ? 'the command'
        : 'the API';
  const address = (c.env as Partial<HttpBindings> | undefined)?.incoming?.socket.remoteAddress;
  return address === undefined ? what : `${what} from ${plainAddress(address)}`;
}

async function reload(c: Context, source: AdminSource): Promise<Response> {
  const result = await source.reload(askedBy(c));
  if (!result.ok) return refuse(c, result.code, result.message);
  return c.json({ revision: result.revision, changes: result.changes });
}

async function takeOver(c: Context, source: AdminSource): Promise<Response> {
  if (source.takeOver === undefined) return refuse(c, 'conflict', 'this process cannot be replaced');
  const result = await source.takeOver();
  if (!result.ok) return refuse(c, result.code, result.message);
  return c.json({ directory: result.directory });
}

function refuse(c: Context, code: ErrorCode, message: string): Response {
  return c.json({ error: { code, message } }, ERROR_STATUS[code]);
}

const limitBody = bodyLimit({
  maxSize: BODY_BYTES_MAX,
  onError: (c) => refuse(c, 'too-large', `the body is larger than ${BODY_BYTES_MAX} bytes`),
});

const onlyLoopbackNames: MiddlewareHandler = async (c, next) => {
  if (isLoopbackHostHeader(c.req.header('host') ?? '')) return next();
  return refuse(c, 'forbidden', 'this address is served under loopback names only');
};

const onlySameOrigin: MiddlewareHandler = async (c, next) => {
  if (!isForeignOrigin(c.req.header('origin'), c.req.header('host') ?? '')) return next();
  return refuse(c, 'forbidden', 'requests from pages of other sites are not served');
};

function requireToken(token: string): MiddlewareHandler {
  return async (c, next) => {
    if (bearsToken(c.req.header('authorization'), token)) return next();
    c.header('www-authenticate', 'Bearer realm="holdfast"');
    return refuse(c, 'unauthorized', 'a valid token is needed: Authorization: Bearer TOKEN');
  };
}

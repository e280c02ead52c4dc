// The second, loopback-only port of a backend: measurements for the lab and the administrator's ban.
// Nothing here is reachable through the balancer.
import express, { type Express } from 'express';
import type { BackendOptions } from './flags.ts';
import type { SessionLayer } from './session-layer.ts';

/** The artificial slowness of the session store, changed by POST /lab/store-delay. */
export interface StoreDelay {
  ms: number;
}

/** Longest delay the lab may ask for. */
const DELAY_MS_MAX = 60_000;

/** GET /lab/stats, POST /lab/store-delay {ms}, POST /admin/ban {user}. */
export function createLabApp(options: BackendOptions, layer: SessionLayer, delay: StoreDelay): Express {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.json({ limit: '16kb' }), express.urlencoded({ extended: false, limit: '16kb' }));
  app.get('/lab/stats', async (_request, response) => {
    const stats = await layer.stats();
    globalThis.gc?.();
    const { heapUsed, rss } = process.memoryUsage();
    response.json({
      server: options.name,
      architecture: options.architecture,
      pid: process.pid,
      ...stats,
      heapUsed,
      rss,
      heapCollected: globalThis.gc !== undefined,
      storeDelayMs: delay.ms,
    });
  });
  app.post('/lab/store-delay', (request, response) => {
    const ms = Number((request.body as { readonly ms?: unknown } | undefined)?.ms);
    if (!(ms >= 0 && ms <= DELAY_MS_MAX)) {
      response.status(400).json({ error: 'bad-request', message: `send ms, 0 to ${DELAY_MS_MAX}` });
      return;
    }
    delay.ms = ms;
    response.json({ storeDelayMs: ms });
  });
  app.post('/admin/ban', async (request, response) => {
    const user = (request.body as { readonly user?: unknown } | undefined)?.user;
    if (typeof user !== 'string') {
      response.status(400).json({ error: 'bad-request', message: 'send user' });
      return;
    }
    const result = await layer.ban(user);
    if (result === null) {
      const message = `with ${options.architecture} the server cannot take back what a client holds`;
      response.status(501).json({ error: 'cannot-revoke', message });
      return;
    }
    response.json({ user, ...result });
  });
  return app;
}

// Serves the dashboard's files, each under its own path; browsers ask again each time and mostly get 304.

import { Hono } from 'hono';
import { readAssets } from './assets.ts';

/** Reads the files once, now. */
export function pageRoutes(): Hono {
  const app = new Hono();
  for (const { path, contentType, body, etag } of readAssets()) {
    const headers = { 'content-type': contentType, etag, 'cache-control': 'no-cache' };
    app.get(path, (c) => {
      if (c.req.header('if-none-match') === etag) return c.body(null, 304, headers);
      return c.body(body, 200, headers);
    });
  }
  return app;
}

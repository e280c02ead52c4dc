// An Express application whose sessions live in its memory, with a backup in Redis or Valkey (docs/session-store.md).
// Run several of these behind Holdfast, with `state: shared` and a health check of /healthz:
//
//   npm init -y && npm pkg set type=module
//   npm install holdfast express express-session redis
//   REDIS=redis://127.0.0.1:6379 SECRET=... PORT=3001 node session-store.ts
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import session from 'express-session';
import { HomeStore } from 'holdfast/session-store';
import { createClient } from 'redis';

declare module 'express-session' {
  interface SessionData {
    count?: number;
  }
}

const { REDIS = 'redis://127.0.0.1:6379', SECRET = 'change me', PORT = '3001' } = process.env;

// a pattern for the store's own connection: it need not be connected here
const client = createClient({ url: REDIS });
const store = new HomeStore({ client, server: `shop:${PORT}`, ttl: 1800 });

const app = express();
// before the sessions: a health check has none
app.get('/healthz', (_request, response) => {
  response.set(store.sessions.healthHeaders()).send('well');
});
app.use(session({ store, secret: SECRET, resave: false, saveUninitialized: false }));
app.get('/', (request, response) => {
  request.session.count = (request.session.count ?? 0) + 1;
  response.send(`visit ${request.session.count}\n`);
});

const server = createServer(app);
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

process.once('SIGTERM', () => {
  // first the requests, then what they have left to write
  server.close(() => void store.close());
});

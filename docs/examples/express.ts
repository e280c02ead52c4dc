// Holdfast inside an Express application: some paths are the application's own, the others are shared out over its
// servers. Run it (Node 24 or newer runs TypeScript as it is):
//
//   npm init -y && npm pkg set type=module
//   npm install holdfast express
//   SERVERS=http://127.0.0.1:3001,http://127.0.0.1:3002 node express.ts
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createBalancer } from 'holdfast';

const { SERVERS = 'http://127.0.0.1:3001', PORT = '8080' } = process.env;

const balancer = await createBalancer({
  routes: [{ path: '/shop/', pool: 'shop' }],
  pools: {
    shop: {
      // the session cookie of the servers' own express-session: its home is the server that set it
      sticky: { mode: 'cookie-hash', cookie: 'connect.sid' },
      servers: SERVERS.split(','),
    },
  },
});

// http-proxy's own events, for those who know them
balancer.proxy.on('proxyReq', (outgoing) => outgoing.setHeader('x-gateway', 'example'));
balancer.proxy.on('error', (error, request) => console.error(`${request.url}: ${error.message}`));

const app = express();
app.get('/readyz', (_request, response) => {
  const { ok, reasons } = balancer.ready();
  response.status(ok ? 200 : 503).json({ ok, reasons });
});
app.get('/metrics', async (request, response) => {
  const { contentType, body } = await balancer.metrics(request.headers.accept);
  response.type(contentType).send(body);
});
app.get('/sessions', (_request, response) => {
  response.json(balancer.status().pools);
});
app.put('/drain/:server', (request, response) => {
  const result = balancer.setServer('shop', request.params.server, { mode: 'drain' });
  response.status(result.ok ? 200 : 404).json(result);
});
// before any body parser: the balancer forwards the body as it comes
app.use(balancer.middleware());
app.use((_request, response) => {
  response.send('not the shop: answered by the application');
});

const server = createServer(app);
server.on('upgrade', balancer.upgrade);
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

process.once('SIGTERM', async () => {
  server.close();
  await balancer.close();
});

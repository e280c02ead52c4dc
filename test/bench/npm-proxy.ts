/**
 * A proxy made of one npm package and node:http, as its README tells: `node npm-proxy.ts PACKAGE TARGET TARGET`.
 * Targets take turns; every package gets keep-alive connections to them. Prints `listening on http://...`.
 */
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';

type Forward = (request: IncomingMessage, response: ServerResponse, target: string) => void;

/** The part of fast-proxy's interface that we use; its own types lack the `undici` option. */
type FastProxy = (options: { base: string; undici: { connections: number } }) => {
  proxy: (
    request: IncomingMessage,
    response: ServerResponse,
    source: string,
    options: { rewriteRequestHeaders: (request: IncomingMessage, headers: Headers) => Headers },
  ) => void;
};
type Headers = Record<string, string | string[] | undefined>;

const KEEP_ALIVE_MS = 600_000;
const [packageName = '', ...targets] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });

const makers: Readonly<Record<string, () => Promise<Forward>>> = {
  'http-proxy': async () => {
    const { default: httpProxy } = await import('http-proxy');
    const proxy = httpProxy.createProxyServer({ agent, xfwd: true });
    proxy.on('error', (_error, _request, response) => refuse(response));
    return (request, response, target) => proxy.web(request, response, { target });
  },
  'http-proxy-3': async () => {
    const { createProxyServer } = await import('http-proxy-3');
    const proxy = createProxyServer({ agent, xfwd: true });
    proxy.on('error', (_error, _request, response) => refuse(response));
    return (request, response, target) => proxy.web(request, response, { target });
  },
  httpxy: async () => {
    const { createProxyServer } = await import('httpxy');
    const proxy = createProxyServer({ agent, xfwd: true });
    proxy.on('error', (_error, _request, response) => refuse(response));
    return (request, response, target) => {
      proxy.web(request, response, { target }).catch(() => refuse(response));
    };
  },
  'fast-proxy': async () => {
    const fastProxy = createRequire(import.meta.url)('fast-proxy') as FastProxy;
    // One undici pool for each target: the faster of the package's two transports.
    const byTarget = new Map(
      targets.map((target) => [target, fastProxy({ base: target, undici: { connections: 256 } }).proxy]),
    );
    // It names the target in Host; the others keep the client's, so we put that back.
    const rewriteRequestHeaders = (request: IncomingMessage, headers: Headers): Headers => {
      const { connection: _, 'transfer-encoding': __, ...kept } = headers;
      return { ...kept, host: request.headers.host };
    };
    return (request, response, target) =>
      byTarget.get(target)?.(request, response, request.url ?? '/', { rewriteRequestHeaders });
  },
};

const forward = await makers[packageName]?.();
if (forward === undefined || targets.length === 0) throw new Error('usage: npm-proxy.ts PACKAGE TARGET...');
let turn = 0;
const server = createServer((request, response) => {
  turn = (turn + 1) % targets.length;
  forward(request, response, targets[turn] ?? '');
});
server.keepAliveTimeout = KEEP_ALIVE_MS;
server.listen(0, '127.0.0.1', 4096, () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') {
    console.log(`listening on http://127.0.0.1:${address.port}`);
  }
});

function refuse(response: unknown): void {
  if (typeof response !== 'object' || response === null || !('destroy' in response)) return;
  const reply = response as ServerResponse;
  if (reply.headersSent) reply.destroy();
  else reply.writeHead(502).end();
}

/**
 * What node:http2 itself costs: a proxy on its core API and node:http, without affinity, the targets in turn.
 *
 *   node node-http2-proxy.ts PORT SECURE_PORT CERT KEY BACKEND_PORT...
 */
import { readFileSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';

const [port, securePort, cert = '', key = '', ...targets] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 1024, scheduling: 'lifo' });
const HOPS = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection']);
let turn = 0;

function targetOf(method: string | undefined, path: string | undefined, headers: Record<string, unknown>) {
  turn = (turn + 1) % targets.length;
  return request({
    host: '127.0.0.1',
    port: Number(targets[turn]),
    agent,
    method: method ?? 'GET',
    path: path ?? '/',
    headers: headers as Record<string, string>,
  });
}

function withoutHops(headers: IncomingMessage['headers']): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !HOPS.has(name)) kept[name] = value;
  return kept;
}

function onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const passed: Record<string, unknown> = { host: headers[':authority'] };
  for (const [name, value] of Object.entries(headers)) if (!name.startsWith(':')) passed[name] = value;
  const outgoing = targetOf(headers[':method'], headers[':path'], passed);
  stream.on('error', () => outgoing.destroy());
  outgoing.on('error', () => stream.destroy());
  outgoing.on('response', (incoming) => {
    incoming.on('error', () => stream.destroy());
    if (stream.destroyed) return;
    stream.respond({ ':status': incoming.statusCode, ...withoutHops(incoming.headers) });
    incoming.pipe(stream);
  });
  stream.pipe(outgoing);
}

createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) })
  .on('stream', onStream)
  .listen(Number(securePort), '127.0.0.1');
createServer((incoming, response) => {
  const outgoing = targetOf(incoming.method, incoming.url, incoming.headers);
  outgoing.on('error', () => response.destroy());
  outgoing.on('response', (from) => {
    from.on('error', () => response.destroy());
    response.writeHead(from.statusCode ?? 502, withoutHops(from.headers));
    from.pipe(response);
  });
  incoming.pipe(outgoing);
}).listen(Number(port), '127.0.0.1');

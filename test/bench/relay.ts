/**
 * The least that a proxy in Node can cost: passes bytes on between a client and a server and reads none of them. A connection
 * to the servers in turn for each of a client's. `node relay.ts PORT SECURE_PORT CERT KEY BACKEND_PORT...`
 */
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

const [port, securePort, cert = '', key = '', ...targets] = process.argv.slice(2);
let turn = 0;

function onClient(client: Socket): void {
  const upstream = connect({
    port: Number(targets[turn++ % targets.length]),
    host: '127.0.0.1',
    noDelay: true,
    allowHalfOpen: true,
  });
  join(client, upstream);
  join(upstream, client);
}

function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}

const options = { noDelay: true, allowHalfOpen: true };
const at = { host: '127.0.0.1', backlog: 4096 };
createServer(options, onClient).listen({ ...at, port: Number(port) });
createTlsServer(
  { ...options, cert: readFileSync(cert), key: readFileSync(key), highWaterMark: 262_144 },
  onClient,
).listen({ ...at, port: Number(securePort) });

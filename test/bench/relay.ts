/**
 * The least that a proxy in Node can cost: passes bytes on between a client and a server and reads none of them. A connection
 * to the servers in turn for each of a client's. `node relay.ts PORT...`; prints `listening on http://ADDRESS:PORT`.
 */
import { connect, createServer, type Socket } from 'node:net';

const ports = process.argv.slice(2).map(Number);
let turn = 0;

const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const upstream = connect({
    port: ports[turn++ % ports.length] ?? 0,
    host: '127.0.0.1',
    noDelay: true,
    allowHalfOpen: true,
  });
  join(client, upstream);
  join(upstream, client);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const address = server.address();
  if (address !== null && typeof address === 'object')
    console.log(`listening on http://127.0.0.1:${address.port}`);
});

function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}

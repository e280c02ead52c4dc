// The processes beside Holdfast while it is attacked; they are talked to by messages:
//
//   node http2-attack-roles.ts serve                             the server
//   node http2-attack-roles.ts attack PORT NAME CONNECTIONS      the attacker

import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { ATTACKS, opening } from './http2-attacks.ts';

const LARGE = Buffer.alloc(1 << 20, 'l');
/** A connection that is to be kept and is not is opened again after so long. */
const AGAIN_MS = 100;

/** `/wait` is never answered, `/large` is a megabyte. */
function serve(): void {
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    request.on('error', () => undefined).resume();
    if (request.url === '/large') response.end(LARGE);
    else if (request.url !== '/wait') request.on('end', () => response.end('ok'));
  });
  server.listen(0, '127.0.0.1', 4096, () => {
    process.send?.((server.address() as AddressInfo).port);
  });
}

/** Told to begin it attacks, told to end it ends all, and says how many connections it took. */
function attack(port: number, name: string | undefined, connections: number): void {
  const found = ATTACKS.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no attack ${name}`);
  const { keeps = false, reads = true } = found;
  const first = opening(found);
  const further = found.again?.() ?? null;
  const sockets = new Set<Socket>();
  let opened = 0;
  let isOn = false;
  const open = (): void => {
    if (!isOn) return;
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    sockets.add(socket);
    opened += 1;
    const more = (): void => {
      while (further !== null && !socket.destroyed && socket.write(further));
    };
    socket.on('connect', () => {
      socket.write(first);
      more();
    });
    socket.on('drain', more).on('error', () => undefined);
    if (reads) socket.resume();
    // it has been told to go
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      if (keeps) setTimeout(open, AGAIN_MS);
      else open();
    });
  };
  process.on('message', (message) => {
    isOn = message === 'begin';
    if (isOn) for (let count = 0; count < connections; count += 1) open();
    else {
      for (const socket of sockets) socket.destroy();
      process.send?.(opened);
    }
  });
  process.send?.('ready');
}

const [role, port, name, connections] = process.argv.slice(2);
if (role === 'serve') serve();
else attack(Number(port), name, Number(connections));

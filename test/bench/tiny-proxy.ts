/** A proxy of a few lines on node:net for testing the harness: honest, or confusing requests that overlap. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export type TinyProxy = { readonly port: number; readonly close: () => void };

/** How it treats what it relays. `swapping` asks for another client's path while several requests are under way. */
export type Conduct = 'honest' | 'swapping';

/** Starts it before the loopback port. */
export async function startTinyProxy(backendPort: number, conduct: Conduct): Promise<TinyProxy> {
  const sockets = new Set<Socket>();
  const state = { underWay: 0, lastPath: '/' };
  const server = createServer((client) => {
    const upstream = connect(backendPort, '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.on('error', () => socket.destroy());
      sockets.add(socket);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (piece: Buffer) =>
      upstream.write(conduct === 'swapping' ? confuse(piece, state) : piece),
    );
    upstream.on('data', (piece: Buffer) => {
      state.underWay = Math.max(0, state.underWay - 1);
      client.write(piece);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port from listen');
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: address.port, close };
}

function confuse(piece: Buffer, state: { underWay: number; lastPath: string }): Buffer {
  const text = piece.toString('latin1');
  const path = /^GET (\/item\/\d+) /.exec(text)?.[1];
  if (path === undefined) return piece;
  const asked = state.underWay > 0 ? state.lastPath : path;
  state.underWay++;
  state.lastPath = path;
  return Buffer.from(text.replace(path, asked), 'latin1');
}

// Users who ask over TLS as fast as they are answered, every other over a new connection each time.

import { once } from 'node:events';
import { type AddressInfo, connect as connectPlainly, createServer, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { ByteReader } from './byte-reader.ts';
import { whenDone } from './lifetime.ts';

export class TlsLoad {
  answers = 0;
  readonly failures: string[] = [];
  /** Serial numbers of the certificates that were shown. */
  readonly serials = new Set<string>();
  readonly #users: readonly Promise<void>[];
  #isOver = false;

  constructor(port: number, users: number) {
    this.#users = Array.from({ length: users }, (_, index) => this.#run(port, index % 2 === 1));
    whenDone(() => this.end());
  }

  async #run(port: number, isAlwaysNew: boolean): Promise<void> {
    let reader: ByteReader | null = null;
    const close = isAlwaysNew ? 'connection: close\r\n' : '';
    while (!this.#isOver) {
      try {
        if (reader === null) {
          reader = await ByteReader.open(port, true);
          this.serials.add((reader.socket as TLSSocket).getPeerX509Certificate()?.serialNumber ?? '');
        }
        reader.socket.write(`GET / HTTP/1.1\r\nhost: a\r\n${close}\r\n`);
        const { status, isKept } = await reader.response('GET');
        if (status === 200) this.answers += 1;
        else this.failures.push(`status ${status}`);
        if (isKept) continue;
      } catch (error) {
        this.failures.push(String(error));
      }
      reader?.socket.destroy();
      reader = null;
    }
    reader?.socket.destroy();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#users);
  }
}

/** One connection and one answer: whether it was resumed, and the session for the next. */
export async function visit(
  port: number,
  session: Buffer | null,
): Promise<{ isResumed: boolean; session: Buffer }> {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false };
  const socket = connect(session === null ? options : { ...options, session });
  // tickets come before the answer; who resumes may go on with the one that it has
  let given = session;
  socket.on('session', (next) => {
    given = next;
  });
  socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
  await new Promise((resolve, reject) => {
    socket.once('data', resolve).on('error', reject);
    socket.on('close', () => reject(new Error('closed without an answer')));
  });
  const isResumed = socket.isSessionReused();
  socket.destroy();
  if (given === null) throw new Error('an answer without a session');
  return { isResumed, session: given };
}

/** One that is connected and has yet to begin. `onAnswered`: it has been answered. */
export async function waitingClient(port: number, onAnswered: () => void): Promise<Socket> {
  const socket = connectPlainly(port, '127.0.0.1');
  whenDone(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.once('data', onAnswered);
  await once(socket, 'connect');
  return socket;
}

/** What a client begins with. */
export async function firstMessage(): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection');
  const client = connect({ port, host: '127.0.0.1' });
  client.on('error', () => undefined);
  const [socket] = (await accepted) as [Socket];
  socket.on('error', () => undefined);
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

// One listening address on one thread.

import { createServer, type Server, type Socket } from 'node:net';
import type { LogLevel } from '../base/log.ts';
import type { ListenConfig } from '../config/model.ts';
import type { HeadLimits } from '../http1/message.ts';
import { ClientConnection } from './client-connection.ts';
import type { Deadlines } from './deadlines.ts';
import type { ListenerPart, ThreadPart } from './parts.ts';

const BACKLOG = 4096;
const CALM_MS = 0.05;
const CALM_TURNS_MAX = 400;

/** The thread as its listeners see it. */
export interface ListenerHome extends ThreadPart {
  readonly deadlines: Deadlines;
  readonly log: (level: LogLevel, message: string) => void;
  clientConnections(listener: number): number;
  connectionClosed(): void;
}

export class ListenerState implements ListenerPart {
  readonly index: number;
  config: ListenConfig;
  headLimits: HeadLimits;
  /** The port in use, also where the configuration says 0. */
  port = 0;
  authority = '';
  isStopping = false;
  /** Stopping because another process has taken over: nobody need be hurried. */
  isRetiring = false;
  #accepted = 0;
  /** Nothing is read while the accept queue is emptied. */
  #isHolding = false;
  readonly connections = new Set<ClientConnection>();
  readonly #thread: ListenerHome;
  readonly #onClosed = (connection: ClientConnection): void => {
    if (!this.connections.delete(connection)) return;
    this.#thread.deadlines.remove(connection);
    this.#thread.limits.release(connection);
    this.#thread.own.addClientConnections(this.index, -1);
    this.#thread.connectionClosed();
  };
  readonly #server: Server;

  constructor(index: number, config: ListenConfig, headLimits: HeadLimits, thread: ListenerHome) {
    this.index = index;
    this.config = config;
    this.headLimits = headLimits;
    this.#thread = thread;
    this.#server = createServer({ noDelay: true, allowHalfOpen: true, highWaterMark: 64 * 1024 }, (socket) =>
      this.#onConnection(socket),
    );
  }

  /** Binds. Resolves with the port in use; rejects with the system's error (EADDRINUSE, EACCES, ...). */
  listen(port: number, reusePort: boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(
        { host: this.config.host, port, reusePort, exclusive: true, backlog: BACKLOG },
        () => {
          this.#server.off('error', reject);
          this.#server.on('error', (error) =>
            this.#thread.log('error', `listener ${this.config.address}: ${error.message}`),
          );
          const address = this.#server.address();
          this.port = address !== null && typeof address === 'object' ? address.port : port;
          this.authority = `${this.config.host}:${this.port}`;
          resolve(this.port);
        },
      );
    });
  }

  #onConnection(socket: Socket): void {
    const thread = this.#thread;
    this.#accepted += 1;
    const connection = new ClientConnection(socket, this, thread, thread.clock.turn(), this.#onClosed);
    this.connections.add(connection);
    if (this.#isHolding) connection.socket.pause();
    thread.deadlines.add(connection);
    thread.own.addClientConnections(this.index, 1);
    const { connections, connectionsPerAddress } = this.config.limits;
    if (connectionsPerAddress > 0 && !thread.limits.admit(connection, connectionsPerAddress)) {
      connection.reply('too-many-connections', 'too many connections from this address', false, false);
    } else if (connections > 0 && thread.clientConnections(this.index) > connections) {
      connection.reply('too-many-connections', '', false, false);
    }
  }

  /**
   * Another process listens on the same port (SO_REUSEPORT): no new connections from now on; open ones end with their
   * next response. The kernel resets what waits in the accept queue of a socket that closes, unless
   * net.ipv4.tcp_migrate_req is 1 (Linux 5.14). So the queue is emptied first, and to have next to no time between the
   * last accept and the close, nothing else is read meanwhile: some turns of the event loop, a few milliseconds.
   */
  async retire(): Promise<void> {
    if (this.isStopping) return;
    this.isStopping = true;
    this.isRetiring = true;
    await rehearseClose();
    this.#isHolding = true;
    for (const { socket } of this.connections) socket.pause();
    for (let turn = 0; turn < CALM_TURNS_MAX; turn += 1) {
      const accepted = this.#accepted;
      const beganMs = this.#thread.clock.turn();
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#accepted === accepted && this.#thread.clock.turn() - beganMs < CALM_MS) break;
    }
    this.#server.close();
    this.#isHolding = false;
    for (const { socket, isPaused } of this.connections) if (!isPaused) socket.resume();
  }

  /** No new connections; idle ones end, busy ones after their response. */
  stop(): void {
    if (this.isStopping) return;
    this.isStopping = true;
    this.#server.close();
    for (const connection of [...this.connections]) connection.stop();
  }

  /** Everything ends at once. */
  destroy(): void {
    for (const connection of [...this.connections]) connection.destroy();
  }
}

/** Code that runs for the first time takes a millisecond: the close that counts must not. */
function rehearseClose(): Promise<void> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve());
    server.listen({ host: '127.0.0.1', port: 0 }, () => server.close(() => resolve()));
  });
}

// One listening address on one thread.

import type { Server, Socket } from 'node:net';
import { plainAddress } from '../base/client-address.ts';
import { fdOf, type ListeningSocket } from '../base/pass-sockets.ts';
import type { Ends } from '../base/proxy-protocol.ts';
import { formatHostPort, UNIX_PEER } from '../config/address.ts';
import type { ListenConfig } from '../config/model.ts';
import type { Counted } from '../exchange/client-limits.ts';
import { QuietLog } from '../exchange/quiet-log.ts';
import type { HeadLimits } from '../http1/message.ts';
import { UNCOUNTED } from '../shared/address-counts.ts';
import type { ListenerSecrets } from '../tls/contexts.ts';
import { hstsValue } from '../tls/options.ts';
import { type ArrivalHome, Arrivals } from './arrivals.ts';
import { ClientConnection } from './client-connection.ts';
import type {
  AcceptedClient,
  ConnectionListener,
  ListenerHome,
  ServedConnection,
  Unfinished,
} from './connection-services.ts';
import { type HandshakeHome, Handshakes } from './handshakes.ts';
import { Http2ClientConnection } from './http2/connection.ts';
import { type OpeningHome, Openings } from './http2/opening.ts';
import { openPort, openServer } from './open-server.ts';
import { bindSocket, fileAt, removeFile, type SocketFile, setMode } from './socket-file.ts';
import type { HandshakePeer } from './tls-handshake.ts';

/** Connections that are refused may wait for the client to read why, if there are not more than this. */
const REFUSED_LINGER_MAX = 32;

export class ListenerState implements ConnectionListener, ArrivalHome, HandshakeHome, OpeningHome {
  readonly index: number;
  config: ListenConfig;
  headLimits: HeadLimits;
  /** The port in use, also where the configuration says 0. */
  port = 0;
  authority = '';
  hsts: string | null = null;
  isStopping = false;
  /** Another process is about to take over: nothing is accepted, but all goes on if it does not. */
  isPaused = false;
  /** Stopping because another process has taken over: nobody need be hurried. */
  isRetiring = false;
  readonly mistakes: QuietLog;
  readonly connections = new Set<ServedConnection>();
  /** Of these, those that were one too many. */
  readonly #refused = new Set<ServedConnection>();
  readonly #thread: ListenerHome;
  readonly #onClosed = (connection: ServedConnection): void => {
    if (!this.connections.delete(connection)) return;
    this.#refused.delete(connection);
    this.#thread.own.beat();
    this.#thread.deadlines.remove(connection);
    this.#thread.limits.release(connection);
    this.#onGone();
  };
  readonly #onGone = (): void => {
    this.#thread.own.addClientConnections(this.index, -1);
    this.#thread.connectionClosed();
  };
  readonly #arrivals: Arrivals;
  readonly #openings: Openings;
  /** null until it has spoken TLS. */
  #handshakes: Handshakes | null = null;
  /** One that was bound here, or those that another process has left. */
  #servers: readonly Server[] = [];
  /** The file of a unix socket that is listened on. */
  #socketFile: SocketFile | null = null;

  constructor(
    index: number,
    config: ListenConfig,
    headLimits: HeadLimits,
    thread: ListenerHome,
    secrets: ListenerSecrets | null,
  ) {
    this.index = index;
    this.config = config;
    this.headLimits = headLimits;
    this.#thread = thread;
    this.mistakes = new QuietLog(thread.log, `listener ${config.address}`);
    this.#arrivals = new Arrivals(thread, new QuietLog(thread.log, `listener ${config.address}`), this);
    this.#openings = new Openings(this, thread);
    this.configure(config, headLimits, secrets);
  }

  /** Nobody is connected. */
  get isEmpty(): boolean {
    const isBegun = this.connections.size > 0 || !this.#openings.isEmpty;
    return !isBegun && this.#arrivals.isEmpty && (this.#handshakes?.isEmpty ?? true);
  }

  /** Binds. Resolves with the port in use; rejects with the system's error (EADDRINUSE, EACCES, ...). */
  async listen(port: number, reusePort: boolean): Promise<number> {
    this.isPaused = false;
    const { host, socket } = this.config;
    this.#servers =
      socket === null
        ? await openPort({ host, port, reusePort, exclusive: true }, (options) => this.#open(options))
        : [await bindSocket(socket, (path) => this.#open({ path }))];
    return this.#opened(port);
  }

  /** Listens on sockets that are bound already. Resolves with their port. */
  async adopt(fds: readonly number[]): Promise<number> {
    this.isPaused = false;
    this.#servers = await Promise.all(fds.map((fd) => this.#open({ fd })));
    return this.#opened(0);
  }

  #open(options: object): Promise<Server> {
    const onError = (error: Error): void =>
      this.#thread.log('error', `listener ${this.config.address}: ${error.message}`);
    return openServer(options, (socket) => this.#onConnection(socket), onError);
  }

  #opened(wanted: number): number {
    const address = this.#servers[0]?.address() ?? null;
    this.port = address !== null && typeof address === 'object' ? address.port : wanted;
    const { host, socket } = this.config;
    this.authority = socket === null ? formatHostPort({ host, port: this.port }) : 'localhost';
    this.#socketFile = socket === null ? null : fileAt(socket.path);
    // stopped while it was being opened
    if (this.isStopping || this.isPaused) this.#close();
    return this.port;
  }

  #close(): void {
    for (const server of this.#servers) server.close();
  }

  /** Takes over what a new revision says of it: for what comes from now on, connections that are open stay as they are. */
  configure(config: ListenConfig, headLimits: HeadLimits, secrets: ListenerSecrets | null): void {
    const { socket } = config;
    if (this.#socketFile !== null && socket !== null && socket.mode !== this.config.socket?.mode)
      setMode(this.#socketFile, socket.mode);
    this.config = config;
    this.headLimits = headLimits;
    this.hsts = hstsValue(config.tls?.hsts ?? null);
    if (config.tls === null) return;
    if (secrets === null) throw new Error(`listener ${config.address} has no certificate`);
    if (this.#handshakes !== null) this.#handshakes.configure(config.tls, secrets);
    else this.#handshakes = new Handshakes(this, this.#thread, config.tls, secrets);
  }

  /** None when it has stopped. */
  get sockets(): readonly ListeningSocket[] {
    if (this.isStopping || this.isPaused) return [];
    return this.#servers.map((server) => ({ address: this.config.address, fd: fdOf(server) }));
  }

  /** PROXY protocol, TLS, ALPN, in this order: what comes before HTTP. */
  #onConnection(socket: Socket): void {
    const thread = this.#thread;
    thread.own.beat();
    thread.own.addClientConnections(this.index, 1);
    const { proxyProtocol, limits } = this.config;
    if (proxyProtocol === 'off') {
      this.begin(socket, null, null);
      return;
    }
    const peer = this.#peerOf(socket, null);
    // it has no address when it has been reset already, as HAProxy ends its checks
    const isOut = peer.peerAddress === '' || this.#tooMany() !== null;
    const isCrowd = !isOut && !thread.limits.admit(peer, limits.connectionsPerAddress);
    if (!isOut && !isCrowd) this.#arrivals.await(socket, peer, this.config);
    else if (isCrowd && proxyProtocol === 'optional') {
      thread.limits.uncount(peer);
      this.begin(socket, null, null);
    } else this.#arrivals.turnAway(socket, peer);
  }

  #peerOf(socket: Socket, ends: Ends | null): HandshakePeer {
    const isUnix = this.config.socket !== null;
    const peerAddress = ends?.address ?? (isUnix ? UNIX_PEER : plainAddress(socket.remoteAddress ?? ''));
    const isTrusted = this.#thread.isTrustedAddress(peerAddress);
    return { peerAddress, isTrusted, ends, addressCells: UNCOUNTED };
  }

  /** The listener counts the connection already. `ends`: as a PROXY header has them; null: they are those of the socket. */
  begin(raw: Socket, ends: Ends | null, rest: Buffer | null): void {
    const thread = this.#thread;
    const nowMs = thread.clock.turn();
    const peer = this.#peerOf(raw, ends);
    const isCrowd = !thread.limits.admit(peer, this.config.limits.connectionsPerAddress);
    const refusal = isCrowd ? 'too many connections from this address' : this.#tooMany();
    if (this.config.tls === null || this.#handshakes === null) {
      const client: AcceptedClient = { raw, secured: null, tls: null, protocol: 'http/1.1', ...peer };
      if (refusal !== null) this.#refuse(client, refusal);
      else if (this.config.h2c) this.#openings.await(client, rest, nowMs + this.config.timeouts.headerMs);
      else this.onOpened(client, rest);
    } else if (refusal === null) this.#handshakes.begin(raw, peer, rest, nowMs);
    else {
      // nobody would understand a reply in the clear
      raw.destroy();
      thread.own.countHandshake(this.index, 'refused');
      this.onGone(peer);
    }
  }

  /** What comes from now on is HTTP. */
  onOpened(client: AcceptedClient, read: Buffer | null): void {
    const connection = this.onAccepted(client);
    if (read !== null && read.length > 0) connection.onRead(read);
  }

  onAccepted(client: AcceptedClient): ServedConnection {
    const thread = this.#thread;
    const Connection = client.protocol === 'h2' ? Http2ClientConnection : ClientConnection;
    return this.#add(client, new Connection(client, this, thread, thread.clock.nowMs(), this.#onClosed));
  }

  #add<Connection extends ServedConnection>(client: AcceptedClient, connection: Connection): Connection {
    connection.addressCells = client.addressCells;
    this.connections.add(connection);
    this.#thread.deadlines.add(connection);
    if (this.isRetiring) connection.retire(); // it was accepted before that
    return connection;
  }

  /** A connection has gone before it came to HTTP. */
  onGone(peer: Counted): void {
    this.#thread.limits.uncount(peer);
    this.#onGone();
  }

  /** Why there is no room for the last connection; null: there is. */
  #tooMany(): string | null {
    const thread = this.#thread;
    const { connections } = this.config.limits;
    if (connections > 0 && thread.clientConnections(this.index) > connections) return '';
    const isOut = thread.allClientConnections() > thread.clientsMax;
    return isOut ? 'this machine has no resources left for another connection' : null;
  }

  /** Says why and closes. Those who come in numbers and stay are not waited for. */
  #refuse(client: AcceptedClient, detail: string): void {
    const thread = this.#thread;
    const begun = new ClientConnection(client, this, thread, thread.clock.nowMs(), this.#onClosed);
    const connection = this.#add(client, begun);
    const mayLinger = this.#refused.size < REFUSED_LINGER_MAX;
    this.#refused.add(connection);
    connection.refuse('too-many-connections', detail);
    // the bytes of the reply are in the kernel by now, and reach who does not send
    if (!mayLinger) connection.destroy();
  }

  /** Accepts nothing until it listens or adopts again; connections go on. */
  pause(): void {
    if (this.isStopping || this.isPaused) return;
    this.isPaused = true;
    this.#close();
  }

  /** Another process has the sockets: no new connections from now on; open ones end with their next response. */
  retire(): void {
    if (this.isStopping) return;
    this.isStopping = true;
    this.isRetiring = true;
    this.#close();
    for (const connection of [...this.connections]) connection.retire();
  }

  /** No new connections; idle ones end, busy ones after their response. */
  stop(): void {
    if (this.isStopping) return;
    this.isStopping = true;
    this.#close();
    // while it is paused a successor may have the socket
    if (this.#socketFile !== null && !this.isPaused) removeFile(this.#socketFile);
    this.#endBegun();
    for (const connection of [...this.connections]) {
      connection.stop();
      this.#thread.own.beat();
    }
  }

  /** What has not come to HTTP. */
  #endBegun(): void {
    for (const each of [this.#arrivals, this.#openings, this.#handshakes]) each?.end();
  }

  /** The grace is over: tunnels and idle connections end politely, the rest is cut. Says what they were, one by one. */
  finish(): readonly Unfinished[] {
    this.#endBegun();
    return [...this.connections].flatMap((connection) => {
      this.#thread.own.beat();
      return connection.finish();
    });
  }

  /** Everything ends at once. */
  destroy(): void {
    this.#endBegun();
    for (const connection of [...this.connections]) connection.destroy();
  }
}

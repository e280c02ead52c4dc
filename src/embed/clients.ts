// The connections of the application's server as the limits on single clients see them: known from their first request
// on, for node:http shows no connection before.

import type { Socket } from 'node:net';
import { plainAddress } from '../base/client-address.ts';
import { systemClock } from '../base/clock.ts';
import type { ListenConfig } from '../config/model.ts';
import type { ClientLimits, LimitedClient } from '../exchange/client-limits.ts';
import type { Transfer } from '../exchange/min-rate.ts';
import { type Forwarding, forwardingLines } from '../exchange/request-lines.ts';
import { UNCOUNTED } from '../shared/address-counts.ts';
import type { Stripe } from '../shared/stripe.ts';

/** The one listener there is in the metrics. */
const LISTENER = 0;

/** A request or upgrade that a connection is busy with. */
export interface PacedExchange {
  /** Request bytes are expected now. */
  readonly isReceiving: boolean;
  readonly isTunnel: boolean;
  /** It has been sending or taking too slowly. */
  abortSlow(isReceiving: boolean): void;
  /** The connection has closed. node:http says so only to the response that is first in line. */
  clientGone(): void;
}

export class Client implements LimitedClient, Forwarding {
  readonly peerAddress: string;
  readonly isTrusted: boolean;
  readonly scheme: 'http' | 'https';
  readonly localPort: number;
  readonly forwardingLines: string;
  readonly streamId = 0;
  readonly tls = null;
  /** Stands in for the Host that an HTTP/1.0 client did not send. */
  readonly listenAuthority: string;
  lastHost = '';
  addressCells: number = UNCOUNTED;
  /** There were as many connections of its address as may be already. */
  isSurplus = false;
  /** Exchanges that its connection has begun and not ended, the oldest first. */
  readonly exchanges: Set<PacedExchange> = new Set();
  readonly #socket: Socket;

  constructor(socket: Socket, isTrusted: (address: string) => boolean) {
    this.#socket = socket;
    this.peerAddress = plainAddress(socket.remoteAddress ?? '');
    this.isTrusted = isTrusted(this.peerAddress);
    this.scheme = 'encrypted' in socket ? 'https' : 'http';
    this.localPort = socket.localPort ?? 0;
    this.forwardingLines = forwardingLines(this.peerAddress, this.scheme, this.localPort);
    this.listenAuthority = localAuthority(socket);
  }

  owing(): Transfer | null {
    const socket = this.#socket;
    const exchange = this.#lastBegun();
    if (exchange?.isTunnel === true) return null;
    const waiting = socket.writableLength;
    if (waiting > 0) return { what: 'taking', bytes: socket.bytesWritten - waiting };
    return exchange?.isReceiving === true ? { what: 'sending', bytes: socket.bytesRead } : null;
  }

  abortSlow(): void {
    const exchange = this.#lastBegun();
    if (exchange === undefined) this.#socket.destroy();
    else exchange.abortSlow(this.#socket.writableLength === 0);
  }

  #lastBegun(): PacedExchange | undefined {
    return [...this.exchanges].at(-1);
  }
}

export class Clients {
  readonly #all = new Map<Socket, Client>();
  readonly #own: Stripe;
  readonly #limits: ClientLimits;

  constructor(own: Stripe, limits: ClientLimits) {
    this.#own = own;
    this.#limits = limits;
  }

  /** Connections open now that have made a request. */
  get size(): number {
    return this.#all.size;
  }

  /** The client of a request, counted when it is new. */
  of(socket: Socket, { limits }: ListenConfig, isTrusted: (address: string) => boolean): Client {
    const known = this.#all.get(socket);
    if (known !== undefined) return known;
    const client = new Client(socket, isTrusted);
    // a request of a connection that has gone meanwhile: its 'close' has been
    if (socket.destroyed) return client;
    this.#all.set(socket, client);
    this.#own.addClientConnections(LISTENER, 1);
    const most = limits.connectionsPerAddress;
    client.isSurplus = !this.#limits.admit(client, most);
    socket.once('close', () => {
      for (const exchange of [...client.exchanges]) exchange.clientGone();
      this.#all.delete(socket);
      this.#limits.release(client);
      this.#own.addClientConnections(LISTENER, -1);
    });
    return client;
  }

  /** Cuts clients that are slower than the listener allows. */
  look(listen: ListenConfig, nowMs: number): void {
    this.#limits.scan([{ config: listen, connections: this.#all.values() }], nowMs, systemClock.stoodStillMs);
  }
}

/** Stands in for the Host that an HTTP/1.0 client did not send. */
function localAuthority(socket: Socket): string {
  const address = socket.localAddress ?? 'localhost';
  return `${address.includes(':') ? `[${address}]` : address}:${socket.localPort ?? 0}`;
}

// The connections of the application's server as the limits on single clients see them: known from their first request
// on, for node:http shows no connection before.

import type { Socket } from 'node:net';
import type { ListenConfig } from '../config/model.ts';
import type { ClientLimits, LimitedClient } from '../proxy/client-limits.ts';
import type { Owing } from '../proxy/pace.ts';
import { UNCOUNTED } from '../shared/address-counts.ts';
import type { Stripe } from '../shared/stripe.ts';
import { peerAddress } from './forwarding.ts';

/** The one listener there is in the metrics. */
const LISTENER = 0;

/** The exchange that a connection is busy with. */
export interface PacedExchange {
  /** Request bytes are expected now. */
  readonly isReceiving: boolean;
  readonly isTunnel: boolean;
  /** It has been sending or taking too slowly. */
  cutSlow(isReceiving: boolean): void;
}

export class Client implements LimitedClient {
  readonly peerAddress: string;
  readonly isTrusted: boolean;
  addressCells: number = UNCOUNTED;
  /** There were as many connections of its address as may be already. */
  isSurplus = false;
  exchange: PacedExchange | null = null;
  readonly #socket: Socket;

  constructor(socket: Socket, isTrusted: (address: string) => boolean) {
    this.#socket = socket;
    this.peerAddress = peerAddress(socket);
    this.isTrusted = isTrusted(this.peerAddress);
  }

  owing(): Owing | null {
    const socket = this.#socket;
    if (this.exchange?.isTunnel === true) return null;
    const waiting = socket.writableLength;
    if (waiting > 0) return { what: 'taking', bytes: socket.bytesWritten - waiting };
    return this.exchange?.isReceiving === true ? { what: 'sending', bytes: socket.bytesRead } : null;
  }

  cutSlow(): void {
    if (this.exchange === null) this.#socket.destroy();
    else this.exchange.cutSlow(this.#socket.writableLength === 0);
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
    client.isSurplus = most > 0 && !this.#limits.admit(client, most);
    socket.once('close', () => {
      this.#all.delete(socket);
      this.#limits.release(client);
      this.#own.addClientConnections(LISTENER, -1);
    });
    return client;
  }

  /** Cuts clients that are slower than the listener allows. */
  look(listen: ListenConfig, nowMs: number): void {
    this.#limits.look([{ config: listen, connections: this.#all.values() }], nowMs);
  }
}

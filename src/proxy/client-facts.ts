// Who is on the other end of a client's connection, as all of its requests have it.

import type { Socket } from 'node:net';
import { plainAddress } from '../base/client-address.ts';
import type { Ends } from '../base/proxy-protocol.ts';
import { type Forwarding, forwardingLines } from '../exchange/request-lines.ts';
import { clientCertificateLines, type TlsFacts } from '../exchange/tls-facts.ts';
import type { AcceptedClient, ConnectionListener } from './connection-services.ts';

const DEFAULT_PORT = 80;

export class ClientFacts implements Omit<Forwarding, 'streamId'> {
  readonly peerAddress: string;
  readonly isTrusted: boolean;
  readonly tls: TlsFacts | null;
  readonly scheme: 'http' | 'https';
  readonly localPort: number;
  readonly forwardingLines: string;
  readonly listenAuthority: string;
  lastHost = '';
  readonly #socket: Socket;
  #ends: Ends | null;
  readonly #isUnix: boolean;

  /** `socket`: what HTTP is read from. */
  constructor(
    { peerAddress, isTrusted, tls, ends }: AcceptedClient,
    listener: ConnectionListener,
    socket: Socket,
  ) {
    this.peerAddress = peerAddress;
    this.isTrusted = isTrusted;
    this.tls = tls;
    this.scheme = tls === null ? 'http' : 'https';
    // a unix socket has none
    this.localPort = ends?.localPort ?? (listener.port || DEFAULT_PORT);
    this.listenAuthority = listener.authority;
    this.forwardingLines =
      forwardingLines(peerAddress, this.scheme, this.localPort) + clientCertificateLines(tls);
    this.#socket = socket;
    this.#ends = ends;
    this.#isUnix = listener.config.socket !== null;
  }

  /** Between whom the connection is; null where it is a unix socket's own. */
  get ends(): Ends | null {
    if (this.#ends !== null || this.#isUnix) return this.#ends;
    const { peerAddress, localPort } = this;
    const localAddress = plainAddress(this.#socket.localAddress ?? '');
    this.#ends = { address: peerAddress, port: this.#socket.remotePort ?? 0, localAddress, localPort };
    return this.#ends;
  }
}

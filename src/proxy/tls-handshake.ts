// One handshake with a client: from the accepted connection to a socket that carries HTTP, within its time, or to nothing.
//
//   accepted ── hello: the name ── handshake ──┬── full, resumed   -> the listener's onSecure
//                     ├── plain HTTP           │                                  -> answered in the clear, closed, and onFailed
//                     │                        ├── an authority's, which has seen all (RFC 8737) -> closed, and onFailed('full')
//                     └────────────────────────┴── failed, unverified, timed_out, refused -> closed, and onFailed
//
// Whoever can connect could fill the log: what fails is counted, and the log hears now and then of plain HTTP and of clients that
// are turned away for their certificates.

import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { TurnClock } from '../base/clock.ts';
import type { Ends } from '../base/proxy-protocol.ts';
import type { Counted } from '../exchange/client-limits.ts';
import { type DeadlineOwner, NEVER } from '../exchange/deadlines.ts';
import type { ClientCertificate, TlsFacts } from '../exchange/tls-facts.ts';
import type { HandshakeResult } from '../shared/stripe.ts';
import { serverNameIn } from '../tls/client-hello.ts';
import type { TlsConfig } from '../tls/options.ts';
import type { AcceptedClient } from './connection-services.ts';

/** Less, and a large body would stop its server at each read: what is written waits until it is encrypted and sent. */
const WRITE_BYTES = 256 * 1024;

const EMPTY = Buffer.alloc(0);
const LETTER = /^[A-Za-z]/;
/** Authorities speak it alone. */
const AUTHORITY_PROTOCOL = 'acme-tls/1';
const SUBJECT_LENGTH_MAX = 200;

interface AskedProtocols {
  /** Nothing, whatever Node's types say, where the client names none. */
  readonly servername: string | false | null | undefined;
  readonly protocols: readonly string[];
}

/** Chooses the certificate. */
interface Contexts {
  readonly default: SecureContext;
  find(name: string): SecureContext | null;
  readonly hasProofs: boolean;
  proof(name: string): SecureContext | null;
  /** Those for a client whose first message this is. */
  forHello(hello: Buffer, wallMs: number): Contexts;
}

/** Whoever has begun a handshake. Exactly one of the first two is called, once. */
export interface HandshakeOwner {
  onSecure(handshake: Handshake, socket: TLSSocket, facts: TlsFacts): void;
  onFailed(handshake: Handshake, result: HandshakeResult): void;
  /** Besides: the client's first message is here, and what OpenSSL makes of it takes a while. */
  onHello(): void;
  /** Besides: what came is plain HTTP. What is returned is answered. */
  onPlain(handshake: Handshake): string;
  /** Besides: the client has no good certificate, and is to have one. */
  onUnverified(handshake: Handshake, why: string): void;
}

/** Whose connection it is. */
export interface HandshakePeer extends Counted, Pick<AcceptedClient, 'ends'> {}

export class Handshake implements DeadlineOwner, Counted {
  readonly raw: Socket;
  readonly peerAddress: string;
  readonly isTrusted: boolean;
  readonly ends: Ends | null;
  addressCells: number;
  deadlineMs: number;
  deadlineIndex = -1;
  readonly #owner: HandshakeOwner;
  readonly #config: TlsConfig;
  readonly #contexts: Contexts;
  readonly #clock: TurnClock;
  /** What came before TLS: a PROXY header. */
  readonly #bytesBefore: number;
  /** What the client has sent until its hello was whole. */
  #received: Buffer = EMPTY;
  #isAuthority = false;
  #isPlain = false;
  /** What it comes to when the connection closes. */
  #result: HandshakeResult = 'failed';
  #isOver = false;

  constructor(
    raw: Socket,
    peer: HandshakePeer,
    config: TlsConfig,
    contexts: Contexts,
    clock: TurnClock,
    owner: HandshakeOwner,
  ) {
    this.raw = raw;
    this.peerAddress = peer.peerAddress;
    this.isTrusted = peer.isTrusted;
    this.ends = peer.ends;
    this.addressCells = peer.addressCells;
    this.#owner = owner;
    this.#config = config;
    this.#contexts = contexts;
    this.#clock = clock;
    this.#bytesBefore = raw.bytesRead - raw.readableLength;
    this.deadlineMs = clock.nowMs() + config.handshakeTimeoutMs;
    raw.on('error', () => {
      // 'close' follows and does the work
    });
    raw.once('close', this.#onClose);
    raw.on('end', this.#onEnd);
    raw.on('data', this.#onHello);
    raw.resume();
  }

  readonly #onClose = (): void => this.#fail(this.#result);

  /** Who sends no more cannot end a handshake. */
  readonly #onEnd = (): void => {
    if (!this.#isOver) this.end(this.#result);
  };

  readonly #onHello = (chunk: Buffer): void => {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const name = serverNameIn(this.#received);
    if (name === null || this.#isOver) return;
    const { raw } = this;
    raw.off('data', this.#onHello);
    // no record of TLS begins so, each request of HTTP does
    if (LETTER.test(this.#received.toString('latin1', 0, 1))) {
      this.#answerInClear();
      return;
    }
    this.#owner.onHello();
    raw.off('end', this.#onEnd);
    raw.off('close', this.#onClose);
    // OpenSSL reads it too
    raw.pause();
    raw.unshift(this.#received);
    const contexts = this.#contexts.forHello(this.#received, this.#clock.wallMs());
    this.#received = EMPTY;
    this.#shake((name === '' ? null : contexts.find(name)) ?? contexts.default);
  };

  /** What else comes is not looked at, but taken: a reset would overtake the answer. The time of the handshake goes on. */
  #answerInClear(): void {
    this.#received = EMPTY;
    this.#isPlain = true;
    this.raw.end(this.#owner.onPlain(this), 'latin1');
    this.raw.resume();
  }

  #shake(secureContext: SecureContext): void {
    const { alpn, clientAuth } = this.#config;
    const options: TLSSocketOptions & { readonly highWaterMark: number } = {
      isServer: true,
      secureContext,
      ...(this.#contexts.hasProofs
        ? { ALPNCallback: (asked) => this.#protocolOf(asked, socket) }
        : { ALPNProtocols: [...alpn] }),
      requestCert: clientAuth !== 'none',
      rejectUnauthorized: clientAuth === 'require',
      highWaterMark: WRITE_BYTES,
    };
    const socket = new TLSSocket(this.raw, options);
    // as long as nobody takes the socket over as a tls.Server would, its errors come by this name and leave it open
    socket.on('_tlsError', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE')
        this.#unverified('it shows no certificate');
      socket.destroy();
    });
    socket.on('error', () => {
      // 'close' follows and does the work
    });
    socket.once('secure', () => this.#onSecure(socket));
    socket.once('close', this.#onClose);
    socket.once('end', this.#onEnd);
  }

  /** As `ALPNProtocols` would choose, but for authorities, who are shown what proves that the name leads here. */
  #protocolOf({ servername, protocols }: AskedProtocols, socket: TLSSocket): string | undefined {
    if (!protocols.includes(AUTHORITY_PROTOCOL))
      return this.#config.alpn.find((protocol) => protocols.includes(protocol));
    const proof = servername && protocols.length === 1 ? this.#contexts.proof(servername) : null;
    if (proof === null) return undefined;
    this.#isAuthority = true;
    socket.setKeyCert(proof);
    // it has no certificate of a client
    handleOf(socket)?.setVerifyMode(false, false);
    return AUTHORITY_PROTOCOL;
  }

  /** It has not sent a byte of TLS: who comes in numbers to be silent goes first. */
  get isSilent(): boolean {
    return this.#isPlain || this.raw.bytesRead === this.#bytesBefore;
  }

  onDeadline(): void {
    this.deadlineMs = NEVER;
    this.end(this.#isPlain ? 'failed' : 'timed_out');
  }

  /** At once. */
  end(result: HandshakeResult): void {
    this.#fail(result);
    this.raw.destroy();
  }

  #fail(result: HandshakeResult): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.deadlineMs = NEVER;
    this.#owner.onFailed(this, result);
  }

  #unverified(why: string): void {
    if (this.#isOver) return;
    this.#result = 'unverified';
    this.#owner.onUnverified(this, why);
  }

  #onSecure(socket: TLSSocket): void {
    if (this.#isOver) return;
    if (this.#isAuthority) {
      this.#result = 'full';
      socket.end();
      return;
    }
    const client = this.#config.clientAuth === 'none' ? null : certificateOf(socket);
    if (this.#config.clientAuth === 'require' && client?.verify !== 'good') {
      const subject = client?.subject.slice(0, SUBJECT_LENGTH_MAX);
      this.#unverified(`its certificate (${subject}) is not good: ${client?.verify}`);
      // Node has no way to send an alert that says so
      this.end(this.#result);
      return;
    }
    this.#isOver = true;
    this.deadlineMs = NEVER;
    this.#owner.onSecure(this, socket, factsOf(socket, client));
  }
}

function factsOf(socket: TLSSocket, client: ClientCertificate | null): TlsFacts {
  const { servername } = socket as TLSSocket & { readonly servername?: string | false | null };
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.name ?? '',
    serverName: typeof servername === 'string' ? servername : '',
    isResumed: socket.isSessionReused(),
    client,
  };
}

/** What Node does with its own server alone. */
interface TlsHandle {
  verifyError(): { readonly code: string } | null | undefined;
  setVerifyMode(requestCert: boolean, rejectUnauthorized: boolean): void;
}

function handleOf(socket: TLSSocket): TlsHandle | null {
  return (socket as unknown as { readonly _handle: TlsHandle | null })._handle;
}

/** What OpenSSL found. */
function certificateOf(socket: TLSSocket): ClientCertificate {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { verify: 'none', subject: '', fingerprint: '' };
  const handle = handleOf(socket);
  const verified = handle === null ? { code: 'CLOSED' } : handle.verifyError();
  return {
    verify: verified?.code ?? 'good',
    subject: certificate.subject.replaceAll('\n', ', '),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

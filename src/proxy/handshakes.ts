// The handshakes of one listener with TLS: begun when a connection is accepted, bounded in number, and counted.
//
// When there are as many as there may be, the oldest that has said nothing goes, so that who only connects keeps nobody out;
// where all have begun to speak, the newcomer goes.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TurnClock } from '../base/clock.ts';
import type { ListenConfig } from '../config/model.ts';
import { countRejection } from '../exchange/accounts.ts';
import type { ClientLimits, Counted } from '../exchange/client-limits.ts';
import type { Deadlines } from '../exchange/deadlines.ts';
import { QuietLog } from '../exchange/quiet-log.ts';
import type { TlsFacts } from '../exchange/tls-facts.ts';
import { type HandshakeResult, NO_POOL, type Stripe } from '../shared/stripe.ts';
import { type ListenerSecrets, TlsContexts } from '../tls/contexts.ts';
import type { TlsConfig } from '../tls/options.ts';
import type { AcceptedClient, ListenerHome } from './connection-services.ts';
import { formatPlainReply } from './replies.ts';
import { Handshake, type HandshakeOwner, type HandshakePeer } from './tls-handshake.ts';

/** How many of the oldest are looked at for one that is silent. */
const LOOKED_AT_MAX = 16;
const PLAIN = 'a request in plain HTTP came to a listener that speaks TLS: use https:// here';

/** The listener as its handshakes see it. */
export interface HandshakeHome {
  readonly index: number;
  readonly config: ListenConfig;
  readonly mistakes: QuietLog;
  /** The client may speak HTTP. */
  onAccepted(client: AcceptedClient): unknown;
  /** It has gone, and is to be counted no more. */
  onGone(peer: Counted): void;
}

interface HandshakeServices {
  readonly clock: TurnClock;
  readonly own: Stripe;
  readonly deadlines: Deadlines;
  readonly limits: ClientLimits;
  readonly log: ListenerHome['log'];
}

export class Handshakes implements HandshakeOwner {
  readonly #home: HandshakeHome;
  readonly #thread: HandshakeServices;
  readonly #all = new Set<Handshake>();
  /** Of its own: requests in plain HTTP are not to hide it. */
  readonly #turnedAway: QuietLog;
  #contexts: TlsContexts;
  #config: TlsConfig;

  constructor(home: HandshakeHome, thread: HandshakeServices, config: TlsConfig, secrets: ListenerSecrets) {
    this.#home = home;
    this.#thread = thread;
    this.#turnedAway = new QuietLog(thread.log, `listener ${home.config.address}`);
    this.#config = config;
    this.#contexts = new TlsContexts(config, secrets, null);
  }

  /** For handshakes from now on. */
  configure(config: TlsConfig, secrets: ListenerSecrets): void {
    const { version, ticketKeys } = this.#contexts.secrets;
    this.#config = config;
    const isSame = version === secrets.version && Buffer.from(ticketKeys).equals(secrets.ticketKeys);
    if (!isSame) this.#contexts = new TlsContexts(config, secrets, this.#contexts);
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /** The connection is counted already. `rest`: what came behind a PROXY header. */
  begin(raw: Socket, peer: HandshakePeer, rest: Buffer | null, nowMs: number): void {
    if (rest !== null) {
      raw.pause();
      if (rest.length > 0) raw.unshift(rest);
    }
    const { clock } = this.#thread;
    const handshake = new Handshake(raw, peer, this.#config, this.#contexts, clock, this);
    this.#all.add(handshake);
    this.#thread.deadlines.add(handshake);
    if (!this.#thread.limits.mayShakeHands(this.#home.config.address, peer, nowMs)) handshake.end('refused');
    else if (this.#all.size > this.#config.handshakesMax) (this.#silent() ?? handshake).end('refused');
  }

  #silent(): Handshake | null {
    let looked = 0;
    for (const handshake of this.#all) {
      if (handshake.isSilent) return handshake;
      looked += 1;
      if (looked === LOOKED_AT_MAX) break;
    }
    return null;
  }

  onSecure(handshake: Handshake, socket: TLSSocket, facts: TlsFacts): void {
    this.#over(handshake, facts.isResumed ? 'resumed' : 'full');
    const { raw, peerAddress, isTrusted, addressCells, ends } = handshake;
    this.#home.onAccepted({
      raw,
      secured: socket,
      protocol: socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1',
      tls: facts,
      peerAddress,
      isTrusted,
      addressCells,
      ends,
    });
  }

  onFailed(handshake: Handshake, result: HandshakeResult): void {
    this.#over(handshake, result);
    this.#home.onGone(handshake);
  }

  /** Thousands may come in one turn, half a millisecond each: a thread that answers them does not hang. */
  onHello(): void {
    this.#thread.own.beat();
  }

  onPlain({ peerAddress }: Handshake): string {
    const { own, clock } = this.#thread;
    countRejection(own, 'bad-request', NO_POOL);
    this.#home.mistakes.warn(`request of ${peerAddress}: ${PLAIN}`, clock.turn());
    return formatPlainReply('bad-request', PLAIN);
  }

  onUnverified({ peerAddress }: Handshake, why: string): void {
    this.#turnedAway.warn(`client ${peerAddress} is turned away: ${why}`, this.#thread.clock.turn());
  }

  #over(handshake: Handshake, result: HandshakeResult): void {
    this.#all.delete(handshake);
    this.#thread.own.beat();
    this.#thread.clock.turn();
    this.#thread.deadlines.remove(handshake);
    this.#thread.own.countHandshake(this.#home.index, result);
  }

  /** All end at once. */
  end(): void {
    for (const handshake of [...this.#all]) handshake.end('refused');
  }
}

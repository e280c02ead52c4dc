// A connection before its first byte of TLS or HTTP, where the listener takes PROXY headers: who the client is, is said by
// the peer, if that is trusted.
//
//                 trusted peer: header        ──> begins, as the client's that it names
//   accepted ──┬─ no header, where optional   ──> begins, as the peer's
//              └─ anything else, or too late  ──> closed, counted
//
// No reply: whoever got it wrong does not speak HTTP to us yet.

import type { Socket } from 'node:net';
import { type Ends, parseProxyHeader } from '../base/proxy-protocol.ts';
import type { ListenConfig } from '../config/model.ts';
import { AccessRecord } from '../exchange/access-log.ts';
import { countRejection } from '../exchange/accounts.ts';
import type { Counted } from '../exchange/client-limits.ts';
import { type DeadlineOwner, type Deadlines, NEVER } from '../exchange/deadlines.ts';
import type { QuietLog } from '../exchange/quiet-log.ts';
import { RequestHead } from '../http1/message.ts';
import { NO_POOL } from '../shared/stripe.ts';
import type { ConnectionServices } from './connection-services.ts';

const EMPTY = Buffer.alloc(0);
const NO_HEAD = new RequestHead();

/** The listener as its arrivals see it. One of the two is called, once for each. */
export interface ArrivalHome {
  /** The connection begins, with what was read beyond the header. `ends` null: it is the peer's own. */
  begin(socket: Socket, ends: Ends | null, rest: Buffer): void;
  /** It has gone before it began, and is to be counted no more. */
  onGone(peer: Counted): void;
}

interface ArrivalOwner {
  refuse(arrival: Arrival, why: string): void;
  begin(arrival: Arrival, ends: Ends | null, rest: Buffer): void;
  /** It is closed before it began. */
  gone(arrival: Arrival): void;
}

class Arrival implements DeadlineOwner {
  readonly socket: Socket;
  readonly peer: Counted;
  deadlineMs: number;
  deadlineIndex = -1;
  readonly #owner: ArrivalOwner;
  readonly #isRequired: boolean;
  #received: Buffer = EMPTY;
  #isOver = false;

  constructor(socket: Socket, peer: Counted, isRequired: boolean, deadlineMs: number, owner: ArrivalOwner) {
    this.socket = socket;
    this.peer = peer;
    this.deadlineMs = deadlineMs;
    this.#owner = owner;
    this.#isRequired = isRequired;
    socket.on('error', () => {
      // 'close' follows and does the work
    });
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const header = parseProxyHeader(this.#received);
    if (header.kind === 'incomplete') return;
    if (header.kind === 'refused') this.#refuse(header.why);
    else if (header.kind === 'absent' && this.#isRequired) this.#refuse('there is none');
    else if (header.kind === 'absent') this.#begin(null, 0);
    else if (!this.peer.isTrusted) this.#refuse('the peer is not in "trusted"');
    else this.#begin(header.ends, header.bytes);
  };

  readonly #onEnd = (): void => {
    // a peer that looks whether somebody listens
    this.destroy();
  };

  readonly #onClose = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.gone(this);
  };

  #begin(ends: Ends | null, headerBytes: number): void {
    this.#isOver = true;
    this.deadlineMs = NEVER;
    const { socket } = this;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose);
    this.#owner.begin(this, ends, this.#received.subarray(headerBytes));
  }

  #refuse(why: string): void {
    this.#owner.refuse(this, why);
    this.socket.destroy();
  }

  onDeadline(): void {
    this.deadlineMs = NEVER;
    this.#refuse('it did not come in time');
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** The thread as its arrivals see it. */
interface ArrivalServices extends ConnectionServices {
  readonly deadlines: Deadlines;
}

/** The arrivals of one listener. */
export class Arrivals implements ArrivalOwner {
  readonly #thread: ArrivalServices;
  readonly #log: QuietLog;
  readonly #home: ArrivalHome;
  readonly #open = new Set<Arrival>();

  /** `log`: of the listener. */
  constructor(thread: ArrivalServices, log: QuietLog, home: ArrivalHome) {
    this.#thread = thread;
    this.#log = log;
    this.#home = home;
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** `peer`: whose the socket itself is, which is counted already. */
  await(socket: Socket, peer: Counted, { proxyProtocol, timeouts }: ListenConfig): void {
    const { clock, deadlines } = this.#thread;
    const deadlineMs = clock.turn() + timeouts.headerMs;
    const arrival = new Arrival(socket, peer, proxyProtocol === 'required', deadlineMs, this);
    this.#open.add(arrival);
    deadlines.add(arrival);
  }

  /** There is no room for it. No reply: that is for who speaks HTTP. */
  turnAway(socket: Socket, peer: Counted): void {
    // without an address it had been reset already
    if (peer.peerAddress !== '') countRejection(this.#thread.own, 'too-many-connections', NO_POOL);
    socket.destroy();
    this.#home.onGone(peer);
  }

  begin(arrival: Arrival, ends: Ends | null, rest: Buffer): void {
    this.#remove(arrival);
    // from now on under the client's address
    this.#thread.limits.uncount(arrival.peer);
    this.#home.begin(arrival.socket, ends, rest);
  }

  gone(arrival: Arrival): void {
    this.#remove(arrival);
    this.#home.onGone(arrival.peer);
  }

  #remove(arrival: Arrival): void {
    this.#open.delete(arrival);
    this.#thread.deadlines.remove(arrival);
  }

  refuse({ peer: { peerAddress } }: Arrival, why: string): void {
    const { own, clock, accessLog } = this.#thread;
    const nowMs = clock.turn();
    countRejection(own, 'bad-proxy-header', NO_POOL);
    const record = accessLog.draws() ? new AccessRecord(EMPTY, NO_HEAD, peerAddress, '', nowMs) : null;
    record?.turnedAway('bad-proxy-header', '');
    accessLog.write(record, 0, null, clock);
    this.#log.warn(`PROXY header of ${peerAddress} refused: ${why}`, nowMs);
  }

  /** All end at once. */
  end(): void {
    for (const arrival of [...this.#open]) arrival.destroy();
  }
}

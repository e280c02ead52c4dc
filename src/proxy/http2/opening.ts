// Which protocol a connection in the clear speaks, where the listener takes both: its first bytes say so (RFC 9113
// section 3.3). As soon as they differ from the preface of HTTP/2 it is HTTP/1.

import type { Counted } from '../../exchange/client-limits.ts';
import { type DeadlineOwner, type Deadlines, NEVER } from '../../exchange/deadlines.ts';
import { Preface } from '../../http2/preface.ts';
import type { AcceptedClient } from '../connection-services.ts';
import { clientSocket, type ReadBuffers } from '../read-buffers.ts';

const NOTHING: Buffer = Buffer.alloc(0);

/** The thread as its openings see it. */
interface OpeningServices {
  readonly deadlines: Deadlines;
  readonly buffers: ReadBuffers;
}

/** The listener as its openings see it. One of the two is called, once for each. */
export interface OpeningHome {
  /** What it speaks is known, and what was read of it. */
  onOpened(client: AcceptedClient, read: Buffer): void;
  /** It has gone before that. */
  onGone(peer: Counted): void;
}

class Opening implements DeadlineOwner {
  deadlineMs: number;
  deadlineIndex = -1;
  readonly client: AcceptedClient;
  readonly #owner: Openings;
  readonly #preface = new Preface();
  #read: Buffer = NOTHING;

  constructor(client: AcceptedClient, buffers: ReadBuffers, deadlineMs: number, owner: Openings) {
    const { socket, reader } = clientSocket(client, buffers, (chunk) => this.onRead(chunk));
    this.client = { ...client, raw: socket, reader };
    this.deadlineMs = deadlineMs;
    this.#owner = owner;
    socket.on('error', () => {
      // 'close' follows and does the work
    });
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
  }

  /** Bytes that are valid until this returns. */
  onRead(chunk: Buffer): void {
    const isFirst = this.#read.length === 0;
    const at = this.#preface.read(chunk);
    const isKnown = at < 0 || this.#preface.isWhole;
    if (!isKnown || !isFirst) this.#read = Buffer.concat([this.#read, chunk]);
    if (!isKnown) return;
    const { raw } = this.client;
    this.deadlineMs = NEVER;
    raw.off('end', this.#onEnd);
    raw.off('close', this.#onClose);
    this.#owner.opened(this, at < 0 ? 'http/1.1' : 'h2', isFirst ? chunk : this.#read);
  }

  readonly #onEnd = (): void => {
    this.destroy();
  };

  readonly #onClose = (): void => {
    this.#owner.gone(this);
  };

  onDeadline(): void {
    this.deadlineMs = NEVER;
    this.destroy();
  }

  destroy(): void {
    this.client.raw.destroy();
  }
}

/** The openings of one listener. */
export class Openings {
  readonly #home: OpeningHome;
  readonly #thread: OpeningServices;
  readonly #open = new Set<Opening>();

  constructor(home: OpeningHome, thread: OpeningServices) {
    this.#home = home;
    this.#thread = thread;
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** `read`: what was read of it already; null: nothing. */
  await(client: AcceptedClient, read: Buffer | null, deadlineMs: number): void {
    const { buffers, deadlines } = this.#thread;
    const opening = new Opening(client, buffers, deadlineMs, this);
    this.#open.add(opening);
    deadlines.add(opening);
    if (read !== null && read.length > 0) opening.onRead(read);
  }

  opened(opening: Opening, protocol: AcceptedClient['protocol'], read: Buffer): void {
    this.#remove(opening);
    this.#home.onOpened({ ...opening.client, protocol }, read);
  }

  gone(opening: Opening): void {
    this.#remove(opening);
    this.#home.onGone(opening.client);
  }

  #remove(opening: Opening): void {
    this.#open.delete(opening);
    this.#thread.deadlines.remove(opening);
  }

  /** All end at once. */
  end(): void {
    for (const opening of [...this.#open]) opening.destroy();
  }
}

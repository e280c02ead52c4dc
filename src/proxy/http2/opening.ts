// Which protocol a connection in the clear speaks, where the listener takes both: its first bytes say so (RFC 9113
// section 3.3). As soon as they differ from the preface of HTTP/2 it is HTTP/1.

import type { Counted } from '../../exchange/client-limits.ts';
import { type DeadlineOwner, type Deadlines, NEVER } from '../../exchange/deadlines.ts';
import { Preface } from '../../http2/preface.ts';
import type { AcceptedClient } from '../connection-services.ts';

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
  #read: Buffer[] = [];

  constructor(client: AcceptedClient, deadlineMs: number, owner: Openings) {
    this.client = client;
    this.deadlineMs = deadlineMs;
    this.#owner = owner;
    const { raw } = client;
    raw.on('error', () => {
      // 'close' follows and does the work
    });
    raw.on('data', this.onData);
    raw.on('end', this.#onEnd);
    raw.on('close', this.#onClose);
  }

  readonly onData = (chunk: Buffer): void => {
    this.#read.push(chunk);
    const at = this.#preface.read(chunk);
    if (at >= 0 && !this.#preface.isWhole) return;
    const { raw } = this.client;
    this.deadlineMs = NEVER;
    raw.off('data', this.onData);
    raw.off('end', this.#onEnd);
    raw.off('close', this.#onClose);
    this.#owner.opened(
      this,
      at < 0 ? 'http/1.1' : 'h2',
      this.#read.length === 1 ? chunk : Buffer.concat(this.#read),
    );
  };

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
  readonly #deadlines: Deadlines;
  readonly #open = new Set<Opening>();

  constructor(home: OpeningHome, deadlines: Deadlines) {
    this.#home = home;
    this.#deadlines = deadlines;
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** `read`: what was read of it already; null: nothing. */
  await(client: AcceptedClient, read: Buffer | null, deadlineMs: number): void {
    const opening = new Opening(client, deadlineMs, this);
    this.#open.add(opening);
    this.#deadlines.add(opening);
    if (read !== null && read.length > 0) opening.onData(read);
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
    this.#deadlines.remove(opening);
  }

  /** All end at once. */
  end(): void {
    for (const opening of [...this.#open]) opening.destroy();
  }
}

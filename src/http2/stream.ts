// One stream of a connection (RFC 9113 section 5.1). One of its halves is the request, the other the response.
//
//   open ── END_STREAM came: it is received ──┐
//     └──── END_STREAM went: it is sent ──────┴──> gone, once the exchange behind it is over
//     \──── RST_STREAM, either way ───────────────> gone

import type { StreamReceiveWindow } from './receive-window.ts';
import { WaitingParts } from './waiting-parts.ts';

/** What a stream tells the exchange behind it. */
export interface StreamUser {
  /** Data of the peer, valid until this returns; `taken` of the connection gives its place in the window back. */
  onData(buffer: Buffer, begin: number, end: number): void;
  /** All of it has come. `trailers`: `[name, value, ...]`. */
  onEnd(trailers: readonly string[]): void;
  /** The stream is gone: the peer ended it, or made us end it. `fault`: what it did wrong, '' where it ended it itself. */
  onReset(code: number, fault: string): void;
  /** All that waited has been sent. */
  onDrained(): void;
}

export class Http2Stream<User extends StreamUser = StreamUser> {
  readonly id: number;
  readonly receiveWindow: StreamReceiveWindow;
  /** null once the exchange behind it is over. */
  user: User | null = null;
  /** What the peer takes; negative after it has made it smaller. */
  sendWindow: number;
  urgency: number;
  /** The peer's final head is still to come. */
  isHeadDue = false;
  /** The peer's last byte has come. */
  isReceived = false;
  /** Our last frame has been written. */
  isSent = false;
  isGone = false;
  /** Of the peer's body that was announced, still to come; -1: nothing was announced. */
  bytesLeft = -1;
  /** Of what is to be sent: waits for a window or for the connection. */
  readonly waiting: WaitingParts = new WaitingParts();
  waitingBytes = 0;
  /** Follows what waits. null: nothing yet; else the trailers, none as a rule. */
  endsWith: readonly string[] | null = null;
  /** It is in the queue of those that may send. */
  isQueued = false;

  constructor(id: number, receiveWindow: StreamReceiveWindow, sendWindow: number, urgency: number) {
    this.id = id;
    this.receiveWindow = receiveWindow;
    this.sendWindow = sendWindow;
    this.urgency = urgency;
  }
}

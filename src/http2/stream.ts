// One stream of a connection (RFC 9113 section 5.1), as its server end sees it.
//
//   open ── END_STREAM came ──> the request is whole ──┐
//     └── END_STREAM went ── the response is whole ────┴──> gone, once the exchange behind it is over
//     \── RST_STREAM, either way ──────────────────────────> gone

import type { StreamReceiveWindow } from './receive-window.ts';

/** What a stream tells the exchange behind it. */
export interface StreamUser {
  /** Data of the request, valid until this returns; `StreamControl.taken` gives its place in the window back. */
  onData(buffer: Buffer, begin: number, end: number): void;
  /** The request is whole. `trailers`: `[name, value, ...]`. */
  onRequestEnd(trailers: readonly string[]): void;
  /** The stream is gone: the peer ended it, or made us end it. */
  onReset(): void;
  /** All that waited has been sent. */
  onDrained(): void;
}

export class Http2Stream {
  readonly id: number;
  readonly receiveWindow: StreamReceiveWindow;
  /** null once the exchange behind it is over. */
  user: StreamUser | null = null;
  /** What the peer takes; negative after it has made it smaller. */
  sendWindow: number;
  urgency: number;
  /** The request's last byte has come. */
  isRequestWhole = false;
  /** The response's last frame has been written. */
  isResponseWhole = false;
  isGone = false;
  /** Of the request's body that was announced, still to come; -1: nothing was announced. */
  bytesLeft = -1;
  /** Of the response, not sent yet: waits for a window or for the connection. */
  readonly waiting: Buffer[] = [];
  /** Sent of the first of them. */
  sentOfFirst = 0;
  waitingBytes = 0;
  /** Follows what waits. null: nothing yet; else the trailers of the response, none as a rule. */
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

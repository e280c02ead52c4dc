// What a peer may do in HTTP/2 without asking for anything: each kind is counted, and beyond its limit the connection ends.

/** So many events within a time. */
export interface RateLimit {
  readonly count: number;
  readonly withinMs: number;
}

/** The listener's `http2`; sizes in bytes. */
export interface Http2Limits {
  /** Streams of one connection at once, until the exchange behind each is over. */
  readonly streams: number;
  /** Most of a request's body that may be here or on its way before its server takes it. */
  readonly window: number;
  /** The same of all requests of a connection together. */
  readonly connectionWindow: number;
  /** Header fields of a request, decoded, each counted with 32 bytes more; also what a header block may have before that. */
  readonly headerBytes: number;
  /** Streams that the client ends before they are answered, or makes us end. */
  readonly resets: RateLimit;
  /** Frames that carry nothing. */
  readonly frames: RateLimit;
}

/** The `kind` label of holdfast_http2_abuse_total. */
export const ABUSE_KINDS = [
  'streams', // more at once than allowed: refused
  'resets',
  'headers', // too large a block, or fields that decode to too much
  'continuation',
  'settings',
  'ping',
  'priority',
  'window_update',
  'empty_data',
  'frames', // others that carry nothing
  'unread', // does not read what it makes us answer
  'stalled', // takes none of a response that is complete
] as const;
export type AbuseKind = (typeof ABUSE_KINDS)[number];

/** Counts events in windows of time that follow each other. */
export class EventRate {
  readonly #limit: RateLimit;
  #beganMs = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /** True when it is one too many; from then on they are counted anew. */
  isTooMany(nowMs: number): boolean {
    if (nowMs - this.#beganMs >= this.#limit.withinMs) {
      this.#beganMs = nowMs;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count <= this.#limit.count) return false;
    this.#count = 0;
    return true;
  }
}

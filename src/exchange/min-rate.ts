// Minimum data rate: clients that owe us bytes, or do not take ours, and are slower than the listener allows. Looked at
// once a second and only where a rate is set; nothing on the way of the bytes.
//
//   owes ── grace 5 s ── window 5 s ── window 5 s ──   each window's average is judged; not owing ends it all

const GRACE_MS = 5000;
const WINDOW_MS = 5000;

/** What a connection is waiting for from its client. */
export interface Transfer {
  /** sending: request bytes are expected. taking: our bytes wait for the client. */
  readonly what: 'sending' | 'taking';
  /** Bytes received, or taken, since the connection began. */
  readonly bytes: number;
}

interface Window {
  what: Transfer['what'];
  beginMs: number;
  bytes: number;
}

/** The slow ones among some connections. Pure but for what it remembers of them. */
export class MinRateMonitor<Connection> {
  readonly #windows = new Map<Connection, Window>();

  /** True when the client has been too slow for a whole window. `bytesPerSecond`: what is asked for. */
  isTooSlow(connection: Connection, owing: Transfer | null, bytesPerSecond: number, nowMs: number): boolean {
    const window = this.#windows.get(connection);
    if (owing === null) {
      if (window !== undefined) this.#windows.delete(connection);
      return false;
    }
    if (window === undefined || window.what !== owing.what) {
      this.#windows.set(connection, { what: owing.what, beginMs: nowMs + GRACE_MS, bytes: owing.bytes });
      return false;
    }
    if (nowMs <= window.beginMs) {
      window.bytes = owing.bytes;
      return false;
    }
    const elapsedMs = nowMs - window.beginMs;
    if (elapsedMs < WINDOW_MS) return false;
    const isTooSlow = (owing.bytes - window.bytes) * 1000 < bytesPerSecond * elapsedMs;
    window.beginMs = nowMs;
    window.bytes = owing.bytes;
    return isTooSlow;
  }

  /** Nobody took the bytes for a while: what is known by now tells nothing. */
  beginAnew(): void {
    this.#windows.clear();
  }

  forget(connection: Connection): void {
    this.#windows.delete(connection);
  }

  /** Connections remembered. */
  get size(): number {
    return this.#windows.size;
  }
}

// GET /api/events: server-sent events; `status` once a second, `change` when something happens.

import type { Context } from 'hono';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import type { AdminSource } from './source.ts';

const STATUS_EVERY_MS = 1_000;
const STREAMS_MAX = 64;
/** So old may a status be that is written to another stream too: with hundreds of servers each costs milliseconds. */
const SHARED_MS = 250;
/** Changes a slow reader may be behind; older ones are dropped, the status shows where they led. */
const BACKLOG_MAX = 256;

/** The streams open now; `close` ends them all. */
export class EventFeed {
  readonly #ends = new Set<() => void>();
  #isClosed = false;
  #status = '';
  #statusMs = Number.NEGATIVE_INFINITY;

  get isFull(): boolean {
    return this.#isClosed || this.#ends.size >= STREAMS_MAX;
  }

  add(end: () => void): void {
    this.#ends.add(end);
  }

  remove(end: () => void): void {
    this.#ends.delete(end);
  }

  /** As JSON, of about now; one for all streams that write at the same time. */
  statusOf(source: AdminSource): string {
    const nowMs = performance.now();
    if (nowMs - this.#statusMs >= SHARED_MS) {
      this.#status = JSON.stringify(source.status());
      this.#statusMs = nowMs;
    }
    return this.#status;
  }

  close(): void {
    this.#isClosed = true;
    for (const end of this.#ends) end();
  }
}

/** Null when there are too many streams already. */
export function streamEvents(c: Context, source: AdminSource, feed: EventFeed): Response | null {
  if (feed.isFull) return null;
  return streamSSE(c, (stream) => new EventStream(stream, source, feed).run());
}

class EventStream {
  readonly #stream: SSEStreamingApi;
  readonly #source: AdminSource;
  readonly #feed: EventFeed;
  #backlog: string[] = [];
  #isOver = false;
  #wake: () => void = () => undefined;

  constructor(stream: SSEStreamingApi, source: AdminSource, feed: EventFeed) {
    this.#stream = stream;
    this.#source = source;
    this.#feed = feed;
  }

  async run(): Promise<void> {
    const end = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    this.#feed.add(end);
    this.#stream.onAbort(end);
    const unsubscribe = this.#source.subscribe((event) => {
      if (this.#backlog.length >= BACKLOG_MAX) this.#backlog.shift();
      this.#backlog.push(JSON.stringify(event));
      this.#wake();
    });
    const timer = setInterval(() => this.#wake(), STATUS_EVERY_MS);
    try {
      await this.#write();
    } finally {
      clearInterval(timer);
      unsubscribe();
      this.#feed.remove(end);
    }
  }

  async #write(): Promise<void> {
    let statusDueMs = 0;
    while (!this.#isOver) {
      const backlog = this.#backlog;
      this.#backlog = [];
      for (const data of backlog) await this.#stream.writeSSE({ event: 'change', data });
      if (performance.now() >= statusDueMs) {
        statusDueMs = performance.now() + STATUS_EVERY_MS - 50;
        await this.#stream.writeSSE({ event: 'status', data: this.#feed.statusOf(this.#source) });
      }
      if (this.#backlog.length === 0) await this.#sleep();
    }
  }

  #sleep(): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

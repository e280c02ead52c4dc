// The one writer of the access log: lines of all threads to standard output or a file, in order, whole, without
// ever blocking main or a worker. What a slow reader leaves over is bounded; beyond that batches are dropped and counted.

import { closeSync, openSync, write } from 'node:fs';
import { messageOf } from '../base/message-of.ts';
import { standardOutput } from '../base/standard-stream.ts';
import type { HoldfastConfig } from '../config/model.ts';

const PENDING_BYTES_MAX = 16 * 1024 * 1024;
/** A non-blocking pipe that is full is tried again after this. */
const FULL_PIPE_MS = 20;
/** How long the last lines may take when the process ends. */
const CLOSE_MS = 2000;

/** What of a logger is used. */
interface WriterLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export class AccessLogWriter {
  readonly #log: WriterLog;
  #fd = -1;
  #file: string | null = null;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #isWriting = false;
  #isBroken = true;
  #isClosed = false;
  #onIdle: (() => void) | null = null;
  /** Lines not written because the reader did not keep up or the file could not be written. */
  dropped = 0;

  constructor(log: WriterLog) {
    this.#log = log;
  }

  /** Where to write from now on; a file is opened again, so that a rotated one is let go of. */
  open(accessLog: HoldfastConfig['accessLog']): void {
    const old = this.#file === null ? -1 : this.#fd;
    this.#file = accessLog?.file ?? null;
    this.#fd = accessLog === null ? -1 : this.#openFile();
    this.#isBroken = this.#fd < 0;
    // A write under way ends on the old descriptor first.
    if (old >= 0) setTimeout(() => closeSync(old), this.#isWriting ? CLOSE_MS : 0);
  }

  #openFile(): number {
    if (this.#file === null) return standardOutput().fd;
    try {
      return openSync(this.#file, 'a', 0o640);
    } catch (error) {
      this.#log.error({ file: this.#file }, `the access log cannot be opened: ${messageOf(error)}`);
      return -1;
    }
  }

  /** Takes whole lines. */
  add(lines: string): void {
    const bytes = Buffer.from(lines, 'utf8');
    if (this.#isBroken || this.#pendingBytes + bytes.length > PENDING_BYTES_MAX) {
      this.#drop(bytes);
      return;
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (!this.#isWriting) this.#next();
  }

  #drop(bytes: Buffer): void {
    if (this.dropped === 0)
      this.#log.warn({}, 'the access log is not read or written fast enough: lines are dropped');
    for (const byte of bytes) if (byte === LINE_FEED) this.dropped += 1;
  }

  #next(): void {
    const bytes = this.#pending[0];
    this.#isWriting = bytes !== undefined;
    if (bytes === undefined) this.#onIdle?.();
    else this.#write(this.#fd, bytes);
  }

  #write(fd: number, bytes: Buffer): void {
    write(fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN' && !this.#isClosed) {
        setTimeout(() => this.#write(fd, bytes), FULL_PIPE_MS);
      } else if (error !== null) {
        this.#giveUp(error);
      } else {
        this.#pendingBytes -= written;
        if (written < bytes.length) this.#write(fd, bytes.subarray(written));
        else {
          this.#pending.shift();
          this.#next();
        }
      }
    });
  }

  /** The reader has gone or the disk is full: the balancer goes on without this log until the next reload. */
  #giveUp(error: Error): void {
    this.#log.error({ file: this.#file }, `the access log cannot be written: ${error.message}`);
    this.#isBroken = true;
    for (const bytes of this.#pending) this.#drop(bytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#next();
  }

  /** Resolves when everything is written, or after a while. */
  async close(): Promise<void> {
    if (!this.#isWriting) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        // who has not read until now must not keep the process from ending
        this.#isClosed = true;
        resolve();
      }, CLOSE_MS);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const LINE_FEED = 0x0a;

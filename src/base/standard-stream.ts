// Standard output and standard error, written at once where somebody reads and never waited for where nobody does: a
// reader that is slow, has stopped, has gone or has closed its terminal holds up neither main nor an exit.

import { constants, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** What a reader may be behind. */
const PENDING_BYTES_MAX = 1024 * 1024;
const RETRY_MS = 50;

export class StandardStream {
  /** A write to it does not block, and may therefore be refused with EAGAIN. */
  readonly fd: number;
  readonly isTerminal: boolean;
  /** The terminal is gone: nobody will ever read this. */
  onHangUp: () => void = () => undefined;
  /** Somebody reads again after so many writes were dropped. */
  onRead: (dropped: number) => void = () => undefined;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #isBroken = false;

  /** Of `process.stdout` or `process.stderr`. */
  constructor(stream: NodeJS.WriteStream & { readonly fd: number }) {
    // what others write there must not end the process either
    stream.on('error', () => undefined);
    this.isTerminal = isatty(stream.fd);
    // Node has made a pipe or a socket non-blocking when it made the stream; a terminal is opened again for that
    this.fd = this.isTerminal ? reopened(stream.fd) : stream.fd;
  }

  write(text: string): void {
    if (this.#isBroken) return;
    const bytes = Buffer.from(text, 'utf8');
    if (this.#pendingBytes + bytes.length > PENDING_BYTES_MAX) {
      this.#dropped += 1;
      return;
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pending.length === 1) this.#flush();
  }

  #flush(): void {
    try {
      for (let bytes = this.#pending[0]; bytes !== undefined; bytes = this.#pending[0]) {
        const written = writeSync(this.fd, bytes);
        this.#pendingBytes -= written;
        if (written === bytes.length) this.#pending.shift();
        else this.#pending[0] = bytes.subarray(written);
      }
    } catch (error) {
      this.#onFailure((error as NodeJS.ErrnoException).code ?? '');
      return;
    }
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.onRead(dropped);
  }

  #onFailure(code: string): void {
    if (code === 'EAGAIN') {
      setTimeout(() => this.#flush(), RETRY_MS).unref();
      return;
    }
    this.#pending = [];
    this.#pendingBytes = 0;
    // a full disk may have room again; a reader that has gone does not come back
    this.#isBroken = code === 'EPIPE' || code === 'EIO';
    if (code === 'EIO' && this.isTerminal) this.onHangUp();
  }
}

/** The same terminal under a descriptor of our own: that of the shell must stay as it is. */
function reopened(fd: number): number {
  try {
    return openSync(`/dev/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // somebody else's terminal, or a platform without /dev/fd
    return fd;
  }
}

let output: StandardStream | null = null;
let errors: StandardStream | null = null;

/** The one for standard output. */
export function standardOutput(): StandardStream {
  output ??= new StandardStream(process.stdout);
  return output;
}

/** The one for standard error. */
export function standardError(): StandardStream {
  errors ??= new StandardStream(process.stderr);
  return errors;
}

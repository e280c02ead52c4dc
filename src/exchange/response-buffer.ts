// Holding a small response back until it is complete.
//
// express-session sends the head and all of the body but its last byte, saves the session, then sends that byte. A
// browser that follows a redirect as soon as the head is there can so arrive before its session exists. Held back
// until the last byte, the response cannot be acted on too early, whatever the application does.

import { latin1 } from '../base/latin1.ts';
import type { HoldMode } from '../config/model.ts';
import { Body, Field, type ResponseHead } from '../http1/message.ts';

/** A larger response is let go where it is: it is no redirect after a log-in. */
const HELD_BYTES_MAX = 64 * 1024;
const NOTHING: Buffer = Buffer.alloc(0);

/** Whether the mode wants this response held; each mode includes the one before. */
export function shouldHold(mode: HoldMode, head: ResponseHead): boolean {
  if (mode === 'off' || head.body === Body.none) return false;
  const isLong = head.body === Body.length && head.contentLength > HELD_BYTES_MAX;
  if (isLong) return false;
  if (head.status >= 300 && head.status < 400) return true;
  if (mode === 'redirects') return false;
  if (head.lines.indexOf(Field.setCookie) >= 0) return true;
  return mode === 'small' && head.body === Body.length;
}

/** In memory of its own: text that is put together of a byte at a time takes thirty times its bytes. */
export class ResponseBuffer {
  isHolding = false;
  #bytes: Buffer = NOTHING;
  #length = 0;

  begin(): void {
    this.isHolding = true;
  }

  /** Keeps the bytes (as latin1 text). False when they are too many: take what `release` returns and send it first. */
  add(text: string): boolean {
    const length = this.#length + text.length;
    if (length > HELD_BYTES_MAX) return false;
    if (length > this.#bytes.length) this.#grow(Math.min(HELD_BYTES_MAX, 2 * length));
    this.#bytes.write(text, this.#length, 'latin1');
    this.#length = length;
    return true;
  }

  #grow(length: number): void {
    const bytes = Buffer.allocUnsafe(length);
    this.#bytes.copy(bytes, 0, 0, this.#length);
    this.#bytes = bytes;
  }

  /** Ends the holding: what has to be sent now. */
  release(): string {
    const text = this.#length === 0 ? '' : latin1(this.#bytes, 0, this.#length);
    this.#bytes = NOTHING;
    this.#length = 0;
    this.isHolding = false;
    return text;
  }
}

// Holding a small response back until it is complete.
//
// express-session sends the head and all of the body but its last byte, saves the session, then sends that byte. A
// browser that follows a redirect as soon as the head is there can so arrive before its session exists. Held back
// until the last byte, the response cannot be acted on too early, whatever the application does.

import type { HoldMode } from '../config/model.ts';
import { Body, Field, type ResponseHead } from '../http1/message.ts';

/** A larger response is let go where it is: it is no redirect after a log-in. */
const HELD_BYTES_MAX = 64 * 1024;

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

export class ResponseBuffer {
  isHolding = false;
  #text = '';

  begin(): void {
    this.isHolding = true;
  }

  /** Keeps the bytes (as latin1 text). False when they are too many: take what `release` returns and send it first. */
  add(text: string): boolean {
    if (this.#text.length + text.length > HELD_BYTES_MAX) return false;
    this.#text += text;
    return true;
  }

  /** Ends the holding: what has to be sent now. */
  release(): string {
    const text = this.#text;
    this.#text = '';
    this.isHolding = false;
    return text;
  }
}

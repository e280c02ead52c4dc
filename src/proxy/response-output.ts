// What one exchange writes to its client. Whatever is written here counts: when the client does not take it, the server is not
// read until it does.

import { latin1 } from '../base/latin1.ts';
import type { HoldMode } from '../config/model.ts';
import type { ResponseHead } from '../http1/message.ts';
import type { RelayedExchange } from './parts.ts';
import { ResponseHold, shouldHold } from './response-hold.ts';

export class ResponseOutput {
  /** Sent to the client, heads included. */
  bytes = 0;
  readonly #exchange: RelayedExchange;
  readonly #hold = new ResponseHold();

  constructor(exchange: RelayedExchange) {
    this.#exchange = exchange;
  }

  reset(): void {
    this.bytes = 0;
    this.#hold.release();
  }

  /** From now on nothing reaches the client, until `letGo` or until it is too much. */
  holdIfWanted(mode: HoldMode, head: ResponseHead): void {
    if (shouldHold(mode, head)) this.#hold.begin();
  }

  get isHolding(): boolean {
    return this.#hold.isHolding;
  }

  /** The client has not taken what was written, and the server waits for it. */
  get isFull(): boolean {
    return this.#exchange.client?.socket.writableNeedDrain === true;
  }

  writeText(text: string): void {
    const { client } = this.#exchange;
    if (client === null) return;
    this.bytes += text.length;
    if (this.#isKept(text)) return;
    if (!client.socket.write(text, 'latin1')) this.#pauseServer();
  }

  /** Bytes of the server's current read, with text before and after them. */
  write(part: Buffer, before = '', after = ''): void {
    const { client, upstream } = this.#exchange;
    if (client === null || upstream === null) return;
    this.bytes += before.length + part.length + after.length;
    if (this.#hold.isHolding && this.#isKept(before + latin1(part, 0, part.length) + after)) return;
    if (!upstream.reader.writeTo(client.socket, part, before, after)) this.#pauseServer();
  }

  /** False when nothing is held back, or no longer, because it is too much. */
  #isKept(text: string): boolean {
    if (!this.#hold.isHolding) return false;
    if (this.#hold.add(text)) return true;
    this.letGo();
    return false;
  }

  /** Sends what was held back. */
  letGo(): void {
    const { client } = this.#exchange;
    if (!this.#hold.isHolding || client === null) return;
    if (!client.socket.write(this.#hold.release(), 'latin1')) this.#pauseServer();
  }

  #pauseServer(): void {
    this.#exchange.upstream?.socket.pause();
  }
}

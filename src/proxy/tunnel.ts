// An exchange after a successful upgrade: bytes both ways until one side closes, and the end of it in bounded time.
//
//   open ── one side closes ──> half closed ── the other too, or too long ──> over
//    \────────────── silence for timeouts.tunnel, or a stop ─────────────────> over
//
// A peer that has gone altogether shows no more than the end of its half, and one that answers no pings never finds out.
// So a half-closed tunnel is over after a short silence, and after a while whatever still moves: RFC 6455 section 7.1.1 has
// both sides close at once.

import { NEVER } from './deadlines.ts';
import type { ClientPart, RelayedExchange } from './parts.ts';
import type { ResponseOutput } from './response-output.ts';

const HALF_CLOSED_SILENCE_MS = 5000;
const HALF_CLOSED_MS = 30_000;

export class Tunnel {
  isOpen = false;
  readonly #exchange: RelayedExchange;
  readonly #output: ResponseOutput;
  #silenceMs = 0;
  #isClientEnded = false;
  #isServerEnded = false;
  /** NEVER while both halves are open. */
  #overByMs = NEVER;

  constructor(exchange: RelayedExchange, output: ResponseOutput) {
    this.#exchange = exchange;
    this.#output = output;
  }

  reset(): void {
    this.isOpen = false;
    this.#isClientEnded = false;
    this.#isServerEnded = false;
    this.#overByMs = NEVER;
  }

  /** The 101 is on its way. `rest`: what the server has sent after it. */
  open(rest: Buffer, client: ClientPart): void {
    this.isOpen = true;
    this.#silenceMs = client.listener.config.timeouts.tunnelMs;
    if (rest.length > 0) this.#output.write(rest);
    const early = client.takePending();
    if (early !== null) this.fromClient(early);
    client.resume();
    this.awaitProgress();
  }

  fromServer(chunk: Buffer): void {
    this.#output.write(chunk);
    this.awaitProgress();
  }

  fromClient(chunk: Buffer): void {
    const { upstream, client, requestBody } = this.#exchange;
    if (upstream === null || client === null) return;
    requestBody.bytes += chunk.length;
    if (!client.passOn(chunk, upstream.socket)) client.pause();
    this.awaitProgress();
  }

  /** Sets the deadline for the next sign of life. */
  awaitProgress(): void {
    const { client, thread } = this.#exchange;
    const nowMs = thread.clock.nowMs();
    const silenceMs =
      this.#overByMs === NEVER ? this.#silenceMs : Math.min(this.#silenceMs, HALF_CLOSED_SILENCE_MS);
    client?.setDeadline('progress', Math.min(nowMs + silenceMs, this.#overByMs));
  }

  onClientEnd(): void {
    this.#isClientEnded = true;
    this.#exchange.upstream?.socket.end();
    this.#afterHalfClose();
  }

  onServerEnd(): void {
    this.#isServerEnded = true;
    this.#exchange.client?.socket.end();
    this.#afterHalfClose();
  }

  #afterHalfClose(): void {
    if (this.#isClientEnded && this.#isServerEnded) {
      this.end();
      return;
    }
    this.#overByMs = this.#exchange.thread.clock.nowMs() + HALF_CLOSED_MS;
    this.awaitProgress();
  }

  /** Both sides are closed in order: what was written is still sent. */
  end(): void {
    this.#exchange.complete(false, 0);
  }
}

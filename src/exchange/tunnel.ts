// An exchange after a successful upgrade: bytes both ways until one side closes, and the end of it in bounded time.
//
//   open ── one side closes ──> half closed ── the other too, or too long ──> over
//    \────────────── silence for timeouts.tunnel, or a stop ─────────────────> over
//
// A peer that has gone altogether shows no more than the end of its half, and one that answers no pings never finds out.
// So a half-closed tunnel is over after a short silence, and after a while whatever still moves: RFC 6455 section 7.1.1 has
// both sides close at once.

import { NEVER } from './deadlines.ts';
import type { ExchangeDeadline } from './exchange-deadline.ts';
import type { ExchangeServices } from './services.ts';
import {
  type Answer,
  type ClientStream,
  NO_TRAILERS,
  type PartOwner,
  type ServerStream,
  type Trailers,
} from './streams.ts';

const HALF_CLOSED_SILENCE_MS = 5000;
const HALF_CLOSED_MS = 30_000;

/** An exchange as its tunnel sees it. */
export interface TunneledExchange {
  readonly services: ExchangeServices;
  readonly client: ClientStream | null;
  readonly server: ServerStream | null;
  readonly deadline: ExchangeDeadline;
  complete(trailers: Trailers): void;
}

export class Tunnel {
  isOpen = false;
  readonly #exchange: TunneledExchange;
  #silenceMs = 0;
  #isClientEnded = false;
  #isServerEnded = false;
  /** NEVER while both halves are open. */
  #overByMs = NEVER;

  constructor(exchange: TunneledExchange) {
    this.#exchange = exchange;
  }

  reset(): void {
    this.isOpen = false;
    this.#isClientEnded = false;
    this.#isServerEnded = false;
    this.#overByMs = NEVER;
  }

  /** Passes the 101 on, and what either side has sent after its head. */
  open(answer: Answer, setCookie: string, client: ClientStream): void {
    const { server } = this.#exchange;
    if (server === null) return;
    this.isOpen = true;
    this.#silenceMs = client.config.timeouts.tunnelMs;
    const early = client.openTunnel(answer, setCookie);
    if (answer.bodyEnd > answer.bodyBegin)
      this.fromServer(answer.buffer.subarray(answer.bodyBegin, answer.bodyEnd));
    if (early !== null) this.fromClient(early, server);
    client.resumeRequest();
    this.awaitProgress();
  }

  fromServer(part: Buffer): void {
    const { client, server } = this.#exchange;
    if (client === null || server === null) return;
    if (!client.writeTunnel(part, server)) server.pause();
    this.awaitProgress();
  }

  fromClient(part: Buffer, from: PartOwner): void {
    const { server, client } = this.#exchange;
    if (server === null || client === null) return;
    if (!server.writeBody(part, from)) client.pauseRequest();
    this.awaitProgress();
  }

  /** Sets the deadline for the next sign of life. */
  awaitProgress(): void {
    const nowMs = this.#exchange.services.clock.nowMs();
    const silenceMs =
      this.#overByMs === NEVER ? this.#silenceMs : Math.min(this.#silenceMs, HALF_CLOSED_SILENCE_MS);
    this.#exchange.deadline.await('progress', Math.min(nowMs + silenceMs, this.#overByMs));
  }

  onClientEnd(): void {
    this.#isClientEnded = true;
    this.#exchange.server?.endTunnelHalf();
    this.#afterHalfClose();
  }

  onServerEnd(): void {
    this.#isServerEnded = true;
    this.#exchange.client?.endTunnelHalf();
    this.#afterHalfClose();
  }

  #afterHalfClose(): void {
    if (this.#isClientEnded && this.#isServerEnded) {
      this.end();
      return;
    }
    this.#overByMs = this.#exchange.services.clock.nowMs() + HALF_CLOSED_MS;
    this.awaitProgress();
  }

  /** Both sides are closed in order: what was written is still sent. */
  end(): void {
    this.#exchange.complete(NO_TRAILERS);
  }
}

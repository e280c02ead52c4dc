// The way back: what the server answers is judged, remembered and passed on.
//
//   waiting -> (1xx passed on)* -> started -> over
//                    \-> 101 -> tunnel

import { FAILURES, type FailureKind } from '../base/failure.ts';
import { latin1 } from '../base/latin1.ts';
import type { Affinity } from '../choose/affinity.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { Field, type ResponseHead } from '../http1/message.ts';
import type { AccessRecord } from './access-log.ts';
import { countAnswer, countFailure } from './accounts.ts';
import { grpcTrailers, isCallType } from './grpc.ts';
import { shouldHold } from './response-buffer.ts';
import { type Answer, type ClientStream, NO_TRAILERS, type Trailers } from './streams.ts';
import { Tunnel, type TunneledExchange } from './tunnel.ts';

const SWITCHING_PROTOCOLS = 101;

/** An exchange as its response sees it. */
interface AnsweredExchange extends TunneledExchange {
  readonly plan: PoolPlan | null;
  readonly affinity: Affinity;
  readonly record: AccessRecord | null;
  readonly slot: number;
  readonly isSecure: boolean;
  readonly attempts: { tookMs(nowMs: number): number };
  retryStatus(status: number): boolean;
  refuseAnswer(detail: string): void;
  fail(kind: FailureKind, detail: string): void;
}

export class Response {
  /** The final response head has arrived. */
  isStarted = false;
  status = 0;
  /** The server has ended its stream with this code of HTTP/2; undefined: it has not. */
  resetCode: number | undefined;
  /** How the server has broken it off. */
  #cause: FailureKind = 'response-truncated';
  #isCall = false;
  readonly tunnel: Tunnel;
  readonly #exchange: AnsweredExchange;
  #silenceMs = 0;
  #interimsLeft = 0;

  constructor(exchange: AnsweredExchange) {
    this.#exchange = exchange;
    this.tunnel = new Tunnel(exchange);
  }

  /** A new exchange: its server may send so many interim responses, all attempts together. */
  begin(interimsMax: number): void {
    this.reset();
    this.resetCode = undefined;
    this.#interimsLeft = interimsMax;
  }

  reset(): void {
    this.tunnel.reset();
    this.isStarted = false;
    this.status = 0;
    this.#isCall = false;
  }

  /** Bytes of the final response head are on their way to the client: no other reply is possible. */
  get isHeadSent(): boolean {
    return this.isStarted && this.#exchange.client?.isHolding !== true;
  }

  onInterim(answer: Answer): void {
    const { client } = this.#exchange;
    if (client === null) return;
    if (this.#interimsLeft === 0)
      this.#exchange.refuseAnswer('too many interim responses (limits.interimResponses)');
    else {
      this.#interimsLeft -= 1;
      this.#flow(client.writeInterim(answer));
    }
  }

  onAnswer(answer: Answer): void {
    const exchange = this.#exchange;
    const { services, plan, affinity, slot, client } = exchange;
    const { head, buffer } = answer;
    const nowMs = services.clock.nowMs();
    exchange.record?.answered(nowMs);
    if (plan === null || client === null) return;
    const { status } = head;
    const tookMs = exchange.attempts.tookMs(nowMs);
    countAnswer(services.shared, plan, slot, status, affinity.clientAddress, tookMs, nowMs);
    if (exchange.retryStatus(status)) return;
    this.status = status;
    const type = typeOfMessages(buffer, head);
    this.#isCall = type !== '' && isCallType(type);
    this.#silenceMs = type === '' ? plan.config.timeouts.idleMs : client.config.timeouts.tunnelMs;
    services.barrier?.note(affinity);
    const wallMs = services.clock.wallMs();
    const setCookie = services.chooser.answered(
      plan,
      affinity,
      slot,
      buffer,
      head,
      nowMs,
      wallMs,
      exchange.isSecure,
    );
    services.barrier?.hold(client, affinity);
    this.isStarted = true;
    if (head.status === SWITCHING_PROTOCOLS) this.tunnel.open(answer, setCookie, client);
    else {
      if (shouldHold(plan.config.holdUntilComplete, head)) client.holdResponse();
      this.#writeHead(answer, setCookie, client);
    }
  }

  #writeHead(answer: Answer, setCookie: string, client: ClientStream): void {
    const { server } = this.#exchange;
    if (server === null) return;
    this.#flow(client.writeHead(answer, setCookie, server));
    if (answer.isLast) this.#exchange.complete(NO_TRAILERS);
    else this.awaitProgress();
  }

  onPart(part: Buffer): void {
    const { client, server } = this.#exchange;
    if (client === null || server === null) return;
    if (this.tunnel.isOpen) this.tunnel.fromServer(part);
    else {
      this.#flow(client.writeBody(part, server));
      this.awaitProgress();
    }
  }

  /** The server is not read while the client does not take what it is sent. */
  #flow(isFlowing: boolean): void {
    if (!isFlowing) this.#exchange.server?.pause();
  }

  /** The server has broken its response off. */
  onBroken(cause: FailureKind, detail: string): void {
    if (this.tunnel.isOpen) this.tunnel.end();
    // it has answered to the end, and every other server of the application would say the same: no sign that it is unwell
    else if (cause === 'trailers-too-large') this.#exchange.fail(cause, detail);
    else this.#breakOff('bad-response', cause);
  }

  /** Neither side has moved a byte for too long. */
  onSilence(): void {
    if (this.tunnel.isOpen) this.tunnel.end();
    else if (this.#exchange.client?.isFull === true) this.#exchange.fail('client-too-slow', '');
    else this.#breakOff('response-timeout', 'response-timeout');
  }

  /** The response cannot be completed: a client that has seen none of it is told `kind`, others must see that it is truncated. */
  #breakOff(kind: FailureKind, cause: FailureKind): void {
    const { services, slot, affinity } = this.#exchange;
    const nowMs = services.clock.nowMs();
    countFailure(services.shared, slot, 'response-truncated', affinity.clientAddress, nowMs);
    this.#cause = cause;
    this.#exchange.fail(this.isHeadSent ? 'response-truncated' : kind, '');
  }

  /** What a call of gRPC that has begun to be answered is told when it ends for this reason. Who takes nothing is told nothing. */
  lastWords(kind: FailureKind): Trailers {
    if (!this.#isCall) return NO_TRAILERS;
    const { status, text } = FAILURES[kind];
    if (kind === 'response-truncated') return grpcTrailers(this.#cause, text, this.resetCode);
    return status > 0 ? grpcTrailers(kind, text) : NO_TRAILERS;
  }

  /** Sets the deadline for the next sign of life of the response. */
  awaitProgress(): void {
    if (this.tunnel.isOpen) this.tunnel.awaitProgress();
    else this.#exchange.deadline.await('progress', this.#exchange.services.clock.nowMs() + this.#silenceMs);
  }
}

/**
 * The media type of an event stream, or a stream of messages (gRPC): it may be silent for long, and lives by the tunnel timeout.
 * '' : it is neither.
 */
function typeOfMessages(buffer: Buffer, head: ResponseHead): string {
  const index = head.lines.indexOf(Field.contentType);
  if (index < 0) return '';
  const begin = head.lines.valueBegin[index] as number;
  // Of the types in common use few have "e" as sixth letter, or "g" as thirteenth; compare the rest only then.
  if (((buffer[begin + 5] ?? 0) | 0x20) !== 0x65 && ((buffer[begin + 12] ?? 0) | 0x20) !== 0x67) return '';
  const type = latin1(buffer, begin, head.lines.valueEnd[index] as number).toLowerCase();
  return type.startsWith('text/event-stream') || type.startsWith('application/grpc') ? type : '';
}

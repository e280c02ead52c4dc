// What an exchange waits for and until when. One deadline at a time: what comes first is what it waits for now.
//
//   nothing          a connection is being opened, which has its own limit
//   queue            a server that is free, or up again
//   request-body     more of the request
//   response         the server's answer
//   progress         the next sign of life of a response or tunnel that has begun

import type { FailureKind } from '../base/failure.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { type DeadlineOwner, NEVER } from './deadlines.ts';
import type { ClientStream } from './streams.ts';

export type Waiting = 'nothing' | 'request-body' | 'queue' | 'response' | 'progress';

/** An exchange as its deadline sees it. */
interface TimedExchange {
  readonly client: ClientStream | null;
  readonly plan: PoolPlan | null;
  readonly response: { readonly isStarted: boolean; awaitProgress(): void; onSilence(): void };
  /** `waitFailure`: what the wait for a server comes to when nothing changes. */
  readonly attempts: { readonly isSent: boolean; readonly waitFailure: FailureKind };
  fail(kind: FailureKind, detail: string): void;
  abandonAttempt(kind: FailureKind, detail: string): void;
}

export class ExchangeDeadline implements DeadlineOwner {
  deadlineMs = NEVER;
  deadlineIndex = -1;
  readonly #exchange: TimedExchange;
  #waiting: Waiting = 'nothing';
  /** When the client gives up, as long as nothing of a response has come. */
  #clientMs = NEVER;

  constructor(exchange: TimedExchange) {
    this.#exchange = exchange;
  }

  /** `clientMs`: until then the client waits for the response; NEVER: it does not say. */
  begin(clientMs: number): void {
    this.#clientMs = clientMs;
  }

  /** Waits for that until then, or until the client gives up. */
  await(waiting: Waiting, deadlineMs: number): void {
    this.#waiting = waiting;
    this.deadlineMs = waiting === 'progress' ? deadlineMs : Math.min(deadlineMs, this.#clientMs);
  }

  /** Waits for what is next: more body, or the response. */
  awaitNext(nowMs: number): void {
    const { client, plan, response, attempts } = this.#exchange;
    if (client === null || plan === null || !attempts.isSent) return;
    if (response.isStarted) response.awaitProgress();
    else if (!client.requestBody.isDone && !client.isPaused)
      this.await('request-body', nowMs + client.config.timeouts.bodyMs);
    else this.await('response', nowMs + plan.config.timeouts.responseMs);
  }

  onDeadline(nowMs: number): void {
    const exchange = this.#exchange;
    const waiting = this.#waiting;
    const isClients = nowMs >= this.#clientMs && waiting !== 'progress';
    this.#clientMs = NEVER;
    this.await('nothing', NEVER);
    if (isClients) exchange.fail('deadline-exceeded', '');
    else if (waiting === 'request-body')
      exchange.fail('request-timeout', 'the request body did not arrive in time');
    else if (waiting === 'queue') exchange.fail(exchange.attempts.waitFailure, '');
    else if (waiting === 'response') this.#onNoResponse();
    else if (waiting === 'progress') exchange.response.onSilence();
  }

  #onNoResponse(): void {
    // where interim responses wait for the client, the server's answer waits behind them
    if (this.#exchange.client?.isFull === true) this.#exchange.fail('client-too-slow', '');
    else this.#exchange.abandonAttempt('response-timeout', '');
  }
}

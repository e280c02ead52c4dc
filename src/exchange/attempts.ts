// The attempts of one exchange: which server is tried, how it ends there, and whether another is tried after it.
//
//   next ── chosen ──> connecting ──> sent ──> answered: the exchange goes on with it
//     ^ └── nobody ──> waits ─┐  └────────┴──> failed ── may be repeated ──> next, else the client is told
//     └───────────────────────┘

import { type FailureKind, RETRY_REASONS, type RetryReason } from '../base/failure.ts';
import type { Affinity } from '../choose/affinity.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { mayRetry } from '../choose/retry.ts';
import { Counter, PoolCounter } from '../shared/stripe.ts';
import type { AccessRecord } from './access-log.ts';
import { countFailure } from './accounts.ts';
import { releaseCapacity, reserveCapacity } from './capacity.ts';
import { NEVER } from './deadlines.ts';
import type { ExchangeDeadline } from './exchange-deadline.ts';
import type { ReplayableRequest } from './replayable-request.ts';
import { ServerWait } from './server-wait.ts';
import type { ExchangeServices } from './services.ts';
import type { ClientStream, ServerStream, ServerStreamUser } from './streams.ts';
import type { Waiter } from './wait-queue.ts';

export const NO_SLOT = -1;
/** Connections of a server that may end in order before it comes to a request: some end each of them after a few. */
const ENDED_MAX = 10;

/** An exchange as its attempts see it. */
interface AttemptedExchange extends ServerStreamUser, Waiter {
  readonly services: ExchangeServices;
  readonly client: ClientStream | null;
  readonly plan: PoolPlan | null;
  readonly affinity: Affinity;
  readonly tried: number[];
  readonly request: ReplayableRequest;
  readonly record: AccessRecord | null;
  readonly deadline: ExchangeDeadline;
  /** What an attempt has brought is forgotten by `reset`. */
  readonly response: { reset(): void };
  fail(kind: FailureKind, detail: string, failedSlot?: number): void;
}

export class Attempts {
  server: ServerStream | null = null;
  slot = NO_SLOT;
  /** When the head of this attempt was written, and how long the thread had stood still by then. */
  #sentMs = 0;
  #stoodStillMs = 0;
  /** The head of this attempt was written to the server. */
  isSent = false;
  readonly #exchange: AttemptedExchange;
  readonly #wait = new ServerWait();
  #attemptsLeft = 0;
  /** Times that it went to the same server once more. */
  #askedAgain = 0;

  constructor(exchange: AttemptedExchange) {
    this.#exchange = exchange;
  }

  begin(plan: PoolPlan): void {
    this.#attemptsLeft = plan.config.retry.attempts;
  }

  /** What the wait for a server comes to when nothing changes. */
  get waitFailure(): FailureKind {
    return this.#wait.failure;
  }

  onConnected(stream: ServerStream, nowMs: number): void {
    if (this.isSent) return;
    this.server = stream;
    this.#send(nowMs);
  }

  /** Chooses a server and goes there, or waits for one. */
  next(nowMs: number): void {
    const { services, plan, affinity, tried } = this.#exchange;
    if (plan === null) return;
    const slot = reserveCapacity(services, plan, affinity, tried, nowMs);
    if (slot < 0) {
      this.#waitForServer(plan, nowMs);
      return;
    }
    if (!services.chooser.commit(plan, affinity, slot, nowMs, services.clock.wallMs())) {
      releaseCapacity(services, slot);
      this.next(nowMs);
      services.slotFreed(plan, slot);
      return;
    }
    this.slot = slot;
    tried.push(slot);
    this.#exchange.record?.attempt(slot, nowMs);
    this.server = services.servers(slot).takeIdle(this.#exchange);
    if (this.server === null) this.#connect(nowMs);
    else this.#send(nowMs);
  }

  #connect(nowMs: number): void {
    this.server = this.#exchange.services.servers(this.slot).open(this.#exchange, nowMs);
    this.#exchange.deadline.await('nothing', NEVER);
  }

  /** A server is free again, or may be: called by the thread's queue. */
  retryFromQueue(nowMs: number): void {
    this.#wait.isQueued = false;
    this.next(nowMs);
  }

  #waitForServer(plan: PoolPlan, nowMs: number): void {
    const { services, affinity } = this.#exchange;
    const wait = this.#wait;
    const failure = wait.begin(
      services.queue(plan),
      this.#exchange,
      plan,
      affinity,
      services.shared.control,
      nowMs,
    );
    if (failure !== null) {
      this.#exchange.fail(failure, '');
      return;
    }
    this.#exchange.record?.queued(nowMs);
    if (wait.isFirst) services.own.countPool(plan.id, PoolCounter.queued);
    wait.isFirst = false;
    this.#exchange.deadline.await('queue', wait.untilMs);
  }

  /** Since the head was written; -1 when this thread stood still meanwhile, and the time is not the server's. */
  tookMs(nowMs: number): number {
    return this.#exchange.services.clock.stoodStillMs === this.#stoodStillMs ? nowMs - this.#sentMs : -1;
  }

  #send(nowMs: number): void {
    const { server } = this;
    const { client, request } = this.#exchange;
    if (server === null || client === null) return;
    this.isSent = true;
    this.#sentMs = nowMs;
    this.#stoodStillMs = this.#exchange.services.clock.stoodStillMs;
    this.#exchange.record?.sent(nowMs);
    if (request.sendTo(server, client)) client.resumeRequest();
    else if (!client.requestBody.isDone) client.pauseRequest();
    if (client.requestBody.isDone) server.endRequest(client.requestBody);
    this.#exchange.deadline.awaitNext(nowMs);
  }

  /** The attempt is over without a response head, and its stream with it: try another server, or tell the client. */
  failed(kind: FailureKind, detail: string): void {
    const { services, plan, affinity, client } = this.#exchange;
    const { slot } = this;
    if (plan === null || client === null) return;
    const nowMs = services.clock.nowMs();
    const isOnceMore = this.#mayAskAgain(kind);
    this.server = null;
    const wasSent = this.isSent;
    this.isSent = false;
    this.#exchange.response.reset();
    if (isOnceMore) {
      this.#askedAgain += 1;
      this.#connect(nowMs);
      return;
    }
    this.#leaveSlot();
    this.#exchange.record?.failed(kind === 'tls-failed' ? `${kind}: ${detail}` : kind);
    this.#wait.lastFailure = kind;
    countFailure(services.shared, slot, kind, affinity.clientAddress, nowMs);
    const request = {
      failureKind: kind,
      attemptsLeft: this.#attemptsLeft,
      sentBytes: wasSent,
      isIdempotent: this.#exchange.request.isIdempotent,
      bodyReplayable: this.#exchange.request.isReplayable,
      responseStarted: false,
    };
    // A refused connection costs the server nothing: it needs no budget and is no attempt. The wait for it is bounded.
    const isFree = kind === 'connect-failed';
    if (mayRetry(request) && (isFree || services.takeRetry(plan, nowMs)))
      this.#again(plan, kind as RetryReason, nowMs);
    else this.#exchange.fail(kind, detail, slot);
    services.slotFreed(plan, slot);
  }

  /**
   * The same server on another connection: it has not looked at the request, or had closed this one before it came. Once, but
   * where connections end in order that have carried others.
   */
  #mayAskAgain(kind: FailureKind): boolean {
    const { request } = this.#exchange;
    const isReused = this.server?.isReused === true;
    if (kind === 'stream-refused')
      return request.isReplayable && this.#askedAgain < (isReused ? ENDED_MAX : 1);
    return kind === 'server-closed' && isReused && request.mayRepeat && this.#askedAgain === 0;
  }

  #again(plan: PoolPlan, reason: RetryReason, nowMs: number): void {
    if (reason !== 'connect-failed') this.#attemptsLeft -= 1;
    this.#exchange.services.own.countPool(plan.id, PoolCounter.retries + RETRY_REASONS.indexOf(reason));
    this.next(nowMs);
  }

  /** A status the pool wants retried: true when another attempt has been made instead of relaying it. */
  retryStatus(status: number): boolean {
    const { plan, services } = this.#exchange;
    const { server, slot } = this;
    if (plan === null || !plan.config.retry.status.includes(status)) return false;
    const isAllowed = this.#attemptsLeft > 0 && this.#exchange.request.mayRepeat;
    const nowMs = services.clock.nowMs();
    if (!isAllowed || !services.takeRetry(plan, nowMs)) return false;
    this.server = null;
    server?.destroy();
    this.isSent = false;
    this.#leaveSlot();
    this.#exchange.record?.failed(`status ${status}`);
    services.own.count(slot, Counter.failures);
    this.#exchange.response.reset();
    this.#again(plan, 'status', nowMs);
    services.slotFreed(plan, slot);
    return true;
  }

  #leaveSlot(): void {
    if (this.slot === NO_SLOT) return;
    releaseCapacity(this.#exchange.services, this.slot);
    this.slot = NO_SLOT;
  }

  /** Gives everything back. */
  close(plan: PoolPlan): void {
    const { services } = this.#exchange;
    const { server } = this;
    this.server = null;
    server?.destroy();
    if (this.#wait.isQueued) services.queue(plan).remove(this.#exchange);
    this.#wait.reset();
    this.#leaveSlot();
    this.isSent = false;
    this.#askedAgain = 0;
    const { tried } = this.#exchange;
    if (tried.length > 0) tried.length = 0;
  }
}

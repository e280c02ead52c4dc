// One request through http-proxy: attempts on servers until one answers. The choosing, counting and retrying that
// requests and upgrades have in common; how the bytes flow is theirs.
//
//   begin -> attempt (choose, commit, send) -> answered -> ... -> end
//              ^-------- attempt failed, may retry ----'

import type { ClientRequest, IncomingMessage } from 'node:http';
import { systemClock } from '../base/clock.ts';
import { FAILURES, type FailureKind, RETRY_REASONS, type RetryReason } from '../base/failure.ts';
import type { Scheduled } from '../base/scheduler.ts';
import { Affinity } from '../choose/affinity.ts';
import { indexOfSlot, type PoolPlan } from '../choose/plan.ts';
import { mayRetry } from '../choose/retry.ts';
import { AccessRecord } from '../exchange/access-log.ts';
import { countAnswer, countFailure, countRejection, countRequest } from '../exchange/accounts.ts';
import { ServerWait } from '../exchange/server-wait.ts';
import type { Waiter } from '../exchange/wait-queue.ts';
import { Body } from '../http1/message.ts';
import { Reframe, responseLines } from '../proxy/response-lines.ts';
import { Counter, Gauge, PoolCounter } from '../shared/stripe.ts';
import { AnswerWatch } from './answer-watch.ts';
import type { Client, PacedExchange } from './clients.ts';
import type { DataPath, ProxiedExchange } from './data-path.ts';
import { clientFacts, type OutgoingHead, outgoingHead } from './forwarding.ts';
import { errorOf, Guard } from './guard.ts';
import type { Answer, ParsedRequest } from './parsed.ts';
import { failureOf, type ServerAgent, type Target, targetOf } from './server-agent.ts';

const NO_SLOT = -1;

export abstract class Exchange implements ProxiedExchange, Waiter, PacedExchange {
  readonly request: IncomingMessage;
  readonly affinity: Affinity = new Affinity();
  protected readonly path: DataPath;
  plan: PoolPlan;
  /** What the request goes to the server with. */
  protected readonly head: OutgoingHead;
  /** Everything that calls this exchange back does it through here. */
  readonly guard: Guard = new Guard((error) => this.#onThrown(error));
  protected slot: number = NO_SLOT;
  /** The connection of the attempt stands, so that the request may have reached the server. */
  protected isSent = false;
  #sentMs = 0;
  #stoodStillMs = 0;
  readonly #watch: AnswerWatch;
  /** Counts attempts: what http-proxy still says about an earlier one is ignored. */
  protected attempt = 0;
  protected isOver = false;
  protected status = 0;
  readonly #tried: number[] = [];
  readonly #startedMs: number;
  readonly #client: Client;
  readonly #headBytes: number;
  #responseHeadBytes = 0;
  readonly #isIdempotent: boolean;
  readonly #isSecure: boolean;
  #attemptsLeft: number;
  #hasRetriedStale = false;
  readonly #wait = new ServerWait();
  #queueTimer: Scheduled | null = null;
  /** Of the last attempt, as http-proxy has reported it. */
  #lastError: Error | null = null;
  /** null: not logged. */
  readonly #record: AccessRecord | null;

  constructor({ path, plan, request, client, headBytes }: ParsedRequest, wantsUpgrade: boolean) {
    const { heads } = path;
    this.path = path;
    this.plan = plan;
    this.request = request;
    this.#client = client;
    this.#watch = new AnswerWatch(this.guard, plan.config.limits.interimResponses);
    this.#startedMs = systemClock.nowMs();
    this.#headBytes = headBytes;
    this.#isIdempotent = heads.request.isIdempotent;
    this.#attemptsLeft = plan.config.retry.attempts;
    const { address, isSecure } = clientFacts(path, client);
    this.#isSecure = isSecure;
    this.head = outgoingHead(path, client, wantsUpgrade);
    const wallMs = systemClock.wallMs();
    path.chooser.identify(plan, heads.buffer, heads.request, address, this.#startedMs, wallMs, this.affinity);
    path.own.countPool(plan.id, PoolCounter.requests);
    path.retryBudget(plan).request(this.#startedMs);
    this.#record = path.accessLog.draws()
      ? new AccessRecord(heads.buffer, heads.request, address, this.head.text, this.#startedMs)
      : null;
  }

  /** Sends the request to the server of `slot`. */
  protected abstract send(server: Target, agent: ServerAgent): void;
  /** Ends the attempt that is under way without further events. */
  protected abstract abandon(): void;
  /** Tells the client. `isBroken`: a response has begun, it can only be cut. */
  protected abstract tell(kind: FailureKind, isBroken: boolean, error: Error | null): void;
  /** The client has got all, or has left. */
  protected abstract onClientClose(): void;
  /** Nothing more can be said to the client. */
  protected abstract cutClient(): void;
  /** The whole request could be sent again. */
  protected abstract get isReplayable(): boolean;
  /** Something of the response is on its way to the client. */
  protected abstract get isAnswering(): boolean;
  /** The attempt runs on a connection that has been idle before. */
  protected abstract get isReused(): boolean;
  /** Body bytes of the request are expected now. */
  abstract get isReceiving(): boolean;
  abstract get isTunnel(): boolean;
  /** Body bytes both ways. */
  protected abstract get bytes(): { readonly request: number; readonly response: number };

  onStart(): void {}
  onProxyReq(_outgoing: ClientRequest): void {}
  onProxyRes(_incoming: IncomingMessage): void {}
  onProxyReqWs(_outgoing: ClientRequest): void {}

  begin(): void {
    this.path.began(this);
    this.#client.exchanges.add(this);
    const { bodyBytes } = this.path.listen.limits;
    const { request } = this.path.heads;
    const isTooLarge = request.body === Body.length && bodyBytes > 0 && request.contentLength > bodyBytes;
    // a connection that has closed already says so no more
    if (this.request.socket.destroyed) this.abort();
    else if (isTooLarge) this.fail('body-too-large', null);
    else this.#attempt(this.#startedMs);
  }

  clientGone(): void {
    this.guard.run(() => this.onClientClose());
  }

  abortSlow(isReceiving: boolean): void {
    this.fail(isReceiving ? 'request-timeout' : 'client-too-slow', null);
  }

  /** Ends it now: the balancer closes. */
  cut(): void {
    if (!this.isOver) this.fail('no-server', null);
  }

  #attempt(nowMs: number): void {
    if (this.isOver || this.slot !== NO_SLOT) return;
    const { path, plan, affinity } = this;
    const slot = path.chooser.choose(plan, affinity, this.#tried, nowMs);
    if (slot < 0) {
      this.#waitForServer(nowMs);
      return;
    }
    this.#queueTimer?.cancel();
    this.#queueTimer = null;
    path.chooser.commit(plan, affinity, slot, nowMs, systemClock.wallMs());
    this.slot = slot;
    this.#tried.push(slot);
    this.#record?.attempt(slot, nowMs);
    path.own.addGauge(slot, Gauge.inFlight, 1);
    this.#send();
  }

  /** A server is free again, or may be. */
  retryFromQueue(nowMs: number): void {
    this.#wait.isQueued = false;
    this.#attempt(nowMs);
  }

  #waitForServer(nowMs: number): void {
    const { path, plan, affinity } = this;
    const wait = this.#wait;
    const failure = wait.begin(path.queue(plan), this, plan, affinity, path.shared.control, nowMs);
    if (failure !== null) {
      this.fail(failure, this.#lastError);
      return;
    }
    this.#record?.queued(nowMs);
    if (wait.isFirst) path.own.countPool(plan.id, PoolCounter.queued);
    wait.isFirst = false;
    this.#queueTimer?.cancel();
    const waitMs = Math.max(0, wait.untilMs - nowMs);
    this.#queueTimer = this.guard.after(waitMs, () => this.fail(wait.failure, this.#lastError));
    path.wake();
  }

  #send(): void {
    const server = this.plan.config.servers[indexOfSlot(this.plan, this.slot)];
    this.attempt += 1;
    this.isSent = false;
    if (server === undefined || !this.path.hasAgent(this.slot)) {
      this.attemptFailed('connect-failed', null);
      return;
    }
    try {
      this.send(targetOf(server), this.path.agent(this.slot));
    } catch (error) {
      // node:http refuses what the application has put into url or header fields
      this.fail('bad-request', errorOf(error));
    }
  }

  /** The connection stands: from now on the server may act on the request. */
  protected connected(): void {
    this.isSent = true;
    this.#sentMs = systemClock.nowMs();
    this.#stoodStillMs = systemClock.stoodStillMs;
    this.path.chooser.refusals.reached(this.slot);
    this.#record?.sent(this.#sentMs);
  }

  /** The whole request has gone out. */
  protected awaitAnswer(): void {
    const { responseMs } = this.plan.config.timeouts;
    this.#watch.begin(responseMs, () => this.attemptFailed('response-timeout', null));
  }

  /** The server has sent an interim response, which is not passed on. */
  protected onInterim(): void {
    if (!this.#watch.mayInterim()) this.attemptFailed('bad-response', null);
  }

  protected kindOf(error: Error): FailureKind {
    return failureOf(error, this.isSent);
  }

  /** The attempt is over without a response head: try another server, or tell the client. */
  protected attemptFailed(kind: FailureKind, error: Error | null): void {
    const { path, plan, slot } = this;
    if (this.isOver || slot === NO_SLOT) return;
    this.#watch.stop();
    const isStale = kind === 'server-closed' && this.isReused && !this.#hasRetriedStale;
    this.abandon();
    if (isStale && this.#isIdempotent && this.isReplayable && path.hasAgent(slot)) {
      // the server closed a connection that we thought idle: its other idle ones are suspect too
      this.#hasRetriedStale = true;
      path.agent(slot).closeIdle();
      this.#send();
      return;
    }
    const nowMs = systemClock.nowMs();
    if (!this.isSent && FAILURES[kind].side === 'server') {
      path.chooser.refusals.refused(slot, nowMs);
      path.shared.control.reportConnectFailure(slot);
    }
    this.#record?.failed(kind);
    this.#wait.lastFailure = kind;
    this.#lastError = error;
    countFailure(path.shared, slot, kind, this.affinity.clientAddress, nowMs);
    const failed = {
      failureKind: kind,
      attemptsLeft: this.#attemptsLeft,
      sentBytes: this.isSent,
      isIdempotent: this.#isIdempotent,
      bodyReplayable: this.isReplayable,
      responseStarted: false,
    };
    // as in exchange/exchange.ts: trying another server after a refused connection is no amplification
    const isFree = kind === 'connect-failed';
    if (mayRetry(failed) && (isFree || path.takeRetry(plan, nowMs))) this.#retry(kind as RetryReason, nowMs);
    else this.fail(kind, error);
  }

  /** A status the pool wants retried: true when another attempt has been made instead of relaying it. */
  protected retryStatus(status: number): boolean {
    const { path, plan } = this;
    if (!plan.config.retry.status.includes(status)) return false;
    const isAllowed = this.#attemptsLeft > 0 && this.#isIdempotent && this.isReplayable;
    const nowMs = systemClock.nowMs();
    if (!isAllowed || !path.takeRetry(plan, nowMs)) return false;
    this.#watch.stop();
    this.abandon();
    this.#record?.failed(`status ${status}`);
    path.own.count(this.slot, Counter.failures);
    this.#countAnswer(status, nowMs);
    this.#retry('status', nowMs);
    return true;
  }

  #countAnswer(status: number, nowMs: number): void {
    const { path, plan, slot, affinity } = this;
    // -1: the application stood still meanwhile, and the time is not the server's
    const tookMs = systemClock.stoodStillMs === this.#stoodStillMs ? nowMs - this.#sentMs : -1;
    countAnswer(path.shared, plan, slot, status, affinity.clientAddress, tookMs, nowMs);
  }

  #retry(reason: RetryReason, nowMs: number): void {
    this.#leaveSlot();
    if (reason !== 'connect-failed') this.#attemptsLeft -= 1;
    const index = RETRY_REASONS.indexOf(reason);
    if (index >= 0) this.path.own.countPool(this.plan.id, PoolCounter.retries + index);
    this.#attempt(nowMs);
  }

  /**
   * The server's response head: what of it goes to the client, null when it is no valid response. `connection`: value of
   * the Connection line, '' for none. `keepsChunks`: the body goes to the client in chunks if it came so.
   */
  protected answer(
    response: IncomingMessage,
    isHead: boolean,
    keepsChunks: boolean,
    connection: string,
  ): Answer | null {
    const { path, plan, affinity, slot } = this;
    const { heads } = path;
    const headBytes = heads.parseResponse(response, isHead);
    if (headBytes < 0) return null;
    this.#watch.stop();
    this.#responseHeadBytes = headBytes;
    const nowMs = systemClock.nowMs();
    this.#record?.answered(nowMs);
    const { buffer, response: head } = heads;
    this.status = head.status;
    this.#countAnswer(head.status, nowMs);
    const wallMs = systemClock.wallMs();
    const cookie = path.chooser.answered(plan, affinity, slot, buffer, head, nowMs, wallMs, this.#isSecure);
    // without chunks there are no trailers, and node:http refuses a Trailer field then
    const reframe = keepsChunks && head.body === Body.chunked ? Reframe.none : Reframe.toClose;
    return { text: responseLines(buffer, head, reframe, cookie, connection), cookie };
  }

  /** The response cannot be completed. Where nothing of it has reached the client, the client can be told. */
  protected truncated(error: Error | null): void {
    if (this.isOver) return;
    const { clientAddress } = this.affinity;
    countFailure(this.path.shared, this.slot, 'response-truncated', clientAddress, systemClock.nowMs());
    this.fail(this.isAnswering ? 'response-truncated' : 'bad-response', error);
  }

  /** Ends the exchange without a good end. `error`: as http-proxy reported it. */
  protected fail(kind: FailureKind, error: Error | null): void {
    if (this.isOver) return;
    const { status } = FAILURES[kind];
    const isBroken = this.isAnswering || status === 0;
    this.abandon();
    this.#record?.end(kind);
    this.end(isBroken ? 0 : Math.floor(status / 100));
    countRejection(this.path.own, kind);
    this.tell(kind, isBroken, error);
  }

  /** Something that called this exchange back has thrown: it ends, and nothing else does. */
  #onThrown(error: Error): void {
    const wasOver = this.isOver;
    this.path.onThrown(error);
    try {
      this.fail(this.isSent ? 'bad-response' : 'bad-request', error);
      if (wasOver) this.cutClient();
    } catch {
      this.cutClient();
      this.end(0);
    }
  }

  /** The client is gone: everything stops at once. */
  protected abort(): void {
    if (this.isOver) return;
    this.abandon();
    this.#record?.end('client-aborted');
    this.end(this.isAnswering ? Math.floor(this.status / 100) : 0);
    countRejection(this.path.own, 'client-aborted');
  }

  /** Gives everything back. A second call does nothing. */
  protected end(codeClass: number): void {
    if (this.isOver) return;
    this.isOver = true;
    const { path, plan } = this;
    // before anything that could throw
    const slot = this.#leaveSlot();
    this.#client.exchanges.delete(this);
    this.#watch.stop();
    const nowMs = systemClock.nowMs();
    const requestBytes = this.bytes.request;
    const responseBytes = this.bytes.response + (this.isAnswering ? this.#responseHeadBytes : 0);
    if (slot !== NO_SLOT) {
      const seconds = (nowMs - this.#startedMs) / 1000;
      countRequest(path.own, slot, codeClass, this.#headBytes + requestBytes, responseBytes, seconds);
    }
    this.#log(requestBytes, responseBytes, nowMs);
    this.#queueTimer?.cancel();
    this.#queueTimer = null;
    if (this.#wait.isQueued) path.queue(plan).remove(this);
    path.chooser.finish(plan, this.affinity, nowMs);
    path.ended(this, plan, slot);
  }

  #log(requestBytes: number, responseBytes: number, nowMs: number): void {
    const { path, plan, affinity, status } = this;
    if (this.#record === null) return;
    const relay = { isHeadSent: this.isAnswering, status, bytes: responseBytes };
    const logged = { requestBody: { bytes: requestBytes }, relay, affinity };
    path.accessLog.finish(this.#record, logged, plan, nowMs, systemClock.wallMs());
    path.wake();
  }

  /** The one place that gives back what `#attempt` has taken. The slot that was left. */
  #leaveSlot(): number {
    const { slot } = this;
    this.slot = NO_SLOT;
    if (slot !== NO_SLOT) this.path.own.addGauge(slot, Gauge.inFlight, -1);
    return slot;
  }
}

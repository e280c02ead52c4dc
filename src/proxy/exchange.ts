// One request and its response: attempts on servers until one answers, then the relay of the answer.
//
//   begin -> attempt (choose, commit, connect or reuse) -> send -> answered -> relay -> finish
//              ^------------- attempt failed, may retry ----'
//
// Objects are reused: one exchange at a time belongs to one client connection. Every way out leads through `#close`,
// which gives back the in-flight count, the session's busy count and the upstream connection exactly once.

import { FAILURES, type FailureKind, RETRY_REASONS, type RetryReason } from '../base/failure.ts';
import { Affinity } from '../choose/affinity.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { mayRetry } from '../choose/retry.ts';
import { Counter, PoolCounter } from '../shared/stripe.ts';
import { AccessRecord } from './access-log.ts';
import { countFailure, countRequest } from './accounts.ts';
import { clientAddressOf, isSecureClient } from './believed.ts';
import { BodyReader } from './body-reader.ts';
import { NEVER } from './deadlines.ts';
import { HeldRequest } from './held-request.ts';
import type { ClientPart, ExchangePart, RelayedExchange, ThreadPart } from './parts.ts';
import { choosePlace, leavePlace } from './place.ts';
import type { Reader } from './read-buffers.ts';
import { asksForWebSocket, requestLines } from './request-lines.ts';
import { ResponseRelay } from './response-relay.ts';
import { withTraceparent } from './traceparent.ts';
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts';

const NO_SLOT = -1;

/** The thread as its exchanges see it. */
export interface ExchangeHome extends ThreadPart {
  returnExchange(exchange: Exchange): void;
}

export class Exchange implements UpstreamUser, ExchangePart, RelayedExchange {
  readonly thread: ExchangeHome;
  readonly affinity: Affinity = new Affinity();
  readonly requestBody: BodyReader = new BodyReader();
  readonly relay: ResponseRelay;
  plan: PoolPlan | null = null;
  client: ClientPart | null = null;
  upstream: UpstreamConnection | null = null;
  slot = NO_SLOT;
  isHead = false;
  isSecure = false;
  clientVersionMinor = 1;
  /** The client offered an upgrade that we pass on. */
  wantsUpgrade = false;
  /** The client's connection may carry another request after this one. */
  keepAlive = true;
  /** When the current attempt's head was written. */
  sentMs = 0;
  #startedMs = 0;
  #attemptsLeft = 0;
  readonly #tried: number[] = [];
  readonly #held = new HeldRequest();
  /** The head of this attempt was written to the server. */
  #isSent = false;
  #hasRetriedStale = false;
  /** 0 while the exchange was never queued. */
  #queuedUntilMs = 0;
  isQueued = false;
  record: AccessRecord | null = null; // null: not logged

  constructor(thread: ExchangeHome) {
    this.thread = thread;
    this.relay = new ResponseRelay(this);
  }

  /** Takes the request whose head was just parsed. Returns the offset up to which it consumed the buffer. */
  begin(client: ClientPart, plan: PoolPlan, buffer: Buffer, headEnd: number, nowMs: number): number {
    const head = this.thread.requestHead;
    this.client = client;
    this.plan = plan;
    this.#startedMs = nowMs;
    this.isHead = head.method === 'HEAD';
    this.#held.isIdempotent = head.isIdempotent;
    this.clientVersionMinor = head.versionMinor;
    this.keepAlive = head.keepAlive;
    this.wantsUpgrade = asksForWebSocket(buffer, head);
    this.#attemptsLeft = plan.config.retry.attempts;
    this.requestBody.begin(head.body, head.contentLength, null);
    this.relay.begin(plan.config.limits.interimResponses);
    const { thread, affinity } = this;
    affinity.reset();
    const address = clientAddressOf(buffer, head, client, thread.isTrustedAddress);
    this.isSecure = isSecureClient(buffer, head, client, thread.isTrustedAddress);
    thread.chooser.identify(plan, buffer, head, address, nowMs, thread.clock.wallMs(), affinity);
    thread.own.countPool(plan.id, PoolCounter.requests);
    thread.retryBudget(plan).request(nowMs);
    const headText = requestLines(buffer, head, client, this.wantsUpgrade, thread);
    this.#held.headText = thread.startsTraces ? withTraceparent(headText, head) : headText;
    if (thread.accessLog.draws())
      this.record = new AccessRecord(buffer, head, address, this.#held.headText, nowMs);
    const bodyEnd = this.#takeBody(buffer, headEnd, client);
    if (this.client !== null) this.#attempt(nowMs);
    return bodyEnd;
  }

  /** Body bytes that arrived with the head. */
  #takeBody(buffer: Buffer, begin: number, client: ClientPart): number {
    const bodyEnd = this.requestBody.consume(buffer, begin, buffer.length);
    if (this.#isBodyRefused(client)) return bodyEnd;
    if (bodyEnd > begin) this.#held.hold(buffer.subarray(begin, bodyEnd), this.requestBody.isDone);
    else this.#held.isReplayable = this.requestBody.isDone;
    return bodyEnd;
  }

  #isBodyRefused(client: ClientPart): boolean {
    const { refusal, expectedBytes } = this.requestBody;
    const bytesMax = client.listener.config.limits.bodyBytes;
    if (refusal !== 0) {
      const { kind, detail } = this.thread.refusalFacts(refusal);
      this.fail(kind, detail);
    } else if (bytesMax > 0 && expectedBytes > bytesMax) this.fail('body-too-large', '');
    else return false;
    return true;
  }

  /** More of the request body. Returns the offset up to which the bytes belong to this request. */
  onRequestData(chunk: Buffer): number {
    const { client, upstream } = this;
    const bodyEnd = this.requestBody.consume(chunk, 0, chunk.length);
    if (client === null || this.#isBodyRefused(client)) return bodyEnd;
    const part = bodyEnd === chunk.length ? chunk : chunk.subarray(0, bodyEnd);
    if (upstream === null || !this.#isSent) {
      // one chunk is held and no more; until one comes, reading on notices that the client goes
      this.#held.hold(part, this.requestBody.isDone);
      if (!this.requestBody.isDone) client.pause();
    } else if (part.length > 0) {
      this.#held.passed();
      if (!client.passOn(part, upstream.socket)) client.pause();
    }
    this.#awaitNext(this.thread.clock.nowMs());
    return bodyEnd;
  }

  keepHeld(reader: Reader): void {
    this.#held.keep(reader);
  }

  #attempt(nowMs: number): void {
    const { thread, plan, affinity } = this;
    if (plan === null) return;
    const slot = choosePlace(thread, plan, affinity, this.#tried, nowMs);
    if (slot < 0) {
      if (affinity.failure === 'busy') this.#queue(plan, nowMs);
      else this.fail(affinity.failure === 'home-down' ? 'home-down' : 'no-server', '');
      return;
    }
    thread.chooser.commit(plan, affinity, slot, nowMs, thread.clock.wallMs());
    this.slot = slot;
    this.#tried.push(slot);
    this.record?.attempt(slot, nowMs);
    const pool = thread.upstreamPool(slot);
    const idle = pool.takeIdle(this);
    if (idle === null) this.#connect(nowMs);
    else {
      this.upstream = idle;
      this.#send(nowMs);
    }
  }

  #connect(nowMs: number): void {
    this.upstream = this.thread.upstreamPool(this.slot).open(this, nowMs);
    this.client?.setDeadline('none', NEVER);
  }

  /** A server is free again, or may be: called by the thread's queue. */
  retryFromQueue(nowMs: number): void {
    this.isQueued = false;
    this.#attempt(nowMs);
  }

  #queue(plan: PoolPlan, nowMs: number): void {
    const { thread } = this;
    if (!thread.queue(plan).add(this)) {
      this.fail('queue-full', '');
      return;
    }
    this.isQueued = true;
    this.record?.queued(nowMs);
    if (this.#queuedUntilMs === 0) {
      this.#queuedUntilMs = nowMs + plan.config.queue.timeoutMs;
      thread.own.countPool(plan.id, PoolCounter.queued);
    }
    this.client?.setDeadline('queue', this.#queuedUntilMs);
  }

  #send(nowMs: number): void {
    const { upstream, client } = this;
    if (upstream === null || client === null) return;
    this.#isSent = true;
    this.sentMs = nowMs;
    this.record?.sent(nowMs);
    const isFlowing = this.#held.writeTo(upstream.socket, client);
    if (isFlowing) client.resume();
    else if (!this.requestBody.isDone) client.pause();
    this.#awaitNext(nowMs);
  }

  /** Sets the deadline for what is waited for now: more body, or the response. */
  #awaitNext(nowMs: number): void {
    const { client, plan } = this;
    if (client === null || plan === null || !this.#isSent) return;
    if (this.relay.isStarted) this.relay.awaitProgress(nowMs);
    else if (!this.requestBody.isDone && !client.isPaused)
      client.setDeadline('body', nowMs + client.listener.config.timeouts.bodyMs);
    else client.setDeadline('response', nowMs + plan.config.timeouts.responseMs);
  }

  onConnected(): void {
    if (!this.#isSent) this.#send(this.thread.clock.nowMs());
  }

  onResponseData(_upstream: UpstreamConnection, chunk: Buffer): void {
    this.relay.onData(chunk);
  }

  onResponseEnd(upstream: UpstreamConnection): void {
    if (this.relay.isStarted) this.relay.onEnd();
    else {
      upstream.destroy();
      this.attemptFailed('server-closed');
    }
  }

  onUpstreamGone(upstream: UpstreamConnection, wasConnected: boolean, isTimeout: boolean): void {
    if (!wasConnected) {
      if (!upstream.isOwnTrouble) this.thread.shared.control.reportConnectFailure(upstream.pool.slot);
      this.attemptFailed(upstream.connectFailure(isTimeout));
    } else if (this.relay.isStarted) this.relay.onBroken();
    else this.attemptFailed('server-closed');
  }

  onUpstreamDrain(): void {
    this.client?.resume();
    this.#awaitNext(this.thread.clock.nowMs());
  }

  onClientDrain(): void {
    this.upstream?.socket.resume();
    if (this.relay.isStarted) this.relay.awaitProgress(this.thread.clock.nowMs());
  }

  /** The response did not begin in time. */
  onResponseTimeout(): void {
    // where interim responses wait for the client, the server's answer waits behind them
    if (this.relay.output.isFull) this.fail('client-too-slow', '');
    else {
      this.upstream?.destroy();
      this.attemptFailed('response-timeout');
    }
  }

  /** The attempt is over without a response head: try another server, or tell the client. */
  attemptFailed(kind: FailureKind, detail = ''): void {
    const { thread, plan, slot, upstream } = this;
    if (plan === null || this.client === null) return;
    const nowMs = thread.clock.nowMs();
    const isStale =
      kind === 'server-closed' && upstream !== null && upstream.isReused && !this.#hasRetriedStale;
    this.upstream = null;
    const wasSent = this.#isSent;
    this.#isSent = false;
    this.relay.reset();
    if (isStale && this.#held.isIdempotent && this.#held.isReplayable) {
      this.#hasRetriedStale = true;
      this.#connect(nowMs);
      return;
    }
    this.#leaveSlot();
    this.record?.failed(kind);
    countFailure(thread.own, slot, kind);
    const request = {
      failureKind: kind,
      attemptsLeft: this.#attemptsLeft,
      sentBytes: wasSent,
      isIdempotent: this.#held.isIdempotent,
      bodyReplayable: this.#held.isReplayable,
      responseStarted: false,
    };
    // A refused connection costs the server nothing: trying another is no amplification and needs no budget.
    const isFree = kind === 'connect-failed';
    if (mayRetry(request) && (isFree || thread.takeRetry(plan, nowMs)))
      this.#again(plan, kind as RetryReason, nowMs);
    else this.fail(kind, detail, slot);
  }

  #again(plan: PoolPlan, reason: RetryReason, nowMs: number): void {
    this.#attemptsLeft -= 1;
    this.thread.own.countPool(plan.id, PoolCounter.retries + RETRY_REASONS.indexOf(reason));
    this.#attempt(nowMs);
  }

  /** A status the pool wants retried: true when another attempt has been made instead of relaying it. */
  retryStatus(status: number): boolean {
    const { plan, thread, upstream, slot } = this;
    if (plan === null || !plan.config.retry.status.includes(status)) return false;
    const isAllowed = this.#attemptsLeft > 0 && this.#held.isIdempotent && this.#held.isReplayable;
    const nowMs = thread.clock.nowMs();
    if (!isAllowed || !thread.takeRetry(plan, nowMs)) return false;
    this.upstream = null;
    upstream?.destroy();
    this.#isSent = false;
    this.#leaveSlot();
    this.record?.failed(`status ${status}`);
    thread.own.count(slot, Counter.failures);
    this.relay.reset();
    this.#again(plan, 'status', nowMs);
    return true;
  }

  /** Ends the exchange with our own reply, or by breaking the connection when the response has begun. */
  fail(kind: FailureKind, detail: string, failedSlot: number = this.slot): void {
    const { client, relay } = this;
    if (client === null) return;
    const facts = FAILURES[kind];
    const isBroken = relay.isHeadSent || facts.status === 0;
    this.record?.end(kind, detail);
    const mayKeep =
      !isBroken && facts.side !== 'client' && this.clientVersionMinor === 1 && !client.listener.isStopping;
    const isKept = mayKeep && this.keepAlive && this.requestBody.isDone && client.mayServeMore();
    if (failedSlot !== NO_SLOT) this.#count(failedSlot, isBroken ? 0 : Math.floor(facts.status / 100));
    this.#close();
    if (isBroken) client.breakOff();
    else client.reply(kind, this.thread.tells(facts) ? detail : '', this.isHead, isKept);
  }

  /** The response went out whole. `hintMs`: the server's keep-alive timeout; `isReusable`: it may carry another. */
  complete(isReusable: boolean, hintMs: number): void {
    const { client, upstream, relay } = this;
    if (client === null) return;
    this.#count(this.slot, Math.floor(relay.status / 100));
    this.upstream = null;
    const requestDone = this.requestBody.isDone;
    if (relay.tunnel.isOpen) upstream?.finish();
    else if (requestDone) upstream?.leave(isReusable, hintMs);
    else upstream?.destroy();
    const isKept = requestDone && relay.isClientKept;
    this.#close();
    client.exchangeDone(isKept);
  }

  /** The client is gone: everything stops at once. */
  abort(): void {
    this.record?.end('client-aborted');
    if (this.slot !== NO_SLOT)
      this.#count(this.slot, this.relay.isHeadSent ? Math.floor(this.relay.status / 100) : 0);
    this.thread.own.countRejected(this.thread.kindIndex('client-aborted'));
    this.#close();
  }

  #count(slot: number, codeClass: number): void {
    const { own, clock } = this.thread;
    const seconds = (clock.nowMs() - this.#startedMs) / 1000;
    countRequest(
      own,
      slot,
      codeClass,
      this.#held.headText.length + this.requestBody.bytes,
      this.relay.bytes,
      seconds,
    );
  }

  #leaveSlot(): void {
    if (this.slot === NO_SLOT) return;
    leavePlace(this.thread, this.slot);
    this.slot = NO_SLOT;
  }

  /** Gives everything back and returns the object to the thread. Safe to call twice. */
  #close(): void {
    const { client, plan, thread, upstream, slot } = this;
    if (client === null || plan === null) return;
    if (this.record !== null)
      thread.accessLog.finish(this.record, this, plan, thread.clock.nowMs(), thread.clock.wallMs());
    this.record = null;
    this.client = null;
    this.upstream = null;
    upstream?.destroy();
    if (this.isQueued) thread.queue(plan).remove(this);
    this.isQueued = false;
    this.#leaveSlot();
    thread.chooser.finish(plan, this.affinity, thread.clock.nowMs());
    thread.slotFreed(plan, slot);
    client.exchange = null;
    this.plan = null;
    this.#held.clear();
    this.#isSent = false;
    this.#hasRetriedStale = false;
    this.#queuedUntilMs = 0;
    this.#tried.length = 0;
    this.requestBody.clear();
    this.relay.reset();
    thread.returnExchange(this);
  }
}

// One request and its response: attempts on servers until one answers, then the relay of the answer.
//
//   begin -> attempt (choose, commit, connect or reuse) -> send -> answered -> relay -> over
//              ^------------- attempt failed, may retry ----'
//
// Objects are reused: one exchange at a time belongs to one client stream. Every way out leads through `#close`,
// which gives back the in-flight count, the session's busy count and the server's stream exactly once.

import { FAILURES, type FailureKind } from '../base/failure.ts';
import { Affinity } from '../choose/affinity.ts';
import type { PoolPlan } from '../choose/plan.ts';
import type { HeadLimits } from '../http1/message.ts';
import { PoolCounter } from '../shared/stripe.ts';
import { AccessRecord } from './access-log.ts';
import { countRejection, countRequest, SERVER_ERROR } from './accounts.ts';
import { Attempts, NO_SLOT } from './attempts.ts';
import { clientAddressOf, isSecureClient } from './believed.ts';
import { NEVER } from './deadlines.ts';
import { ExchangeDeadline } from './exchange-deadline.ts';
import { grpcDeadlineMs, isGrpc } from './grpc.ts';
import { bodyRefusal } from './refusals.ts';
import { ReplayableRequest } from './replayable-request.ts';
import { asksForWebSocket, requestIdIn, requestLines } from './request-lines.ts';
import { Response } from './response.ts';
import type { ExchangeServices } from './services.ts';
import type {
  Answer,
  BadResponse,
  ClientStream,
  PartOwner,
  ServerStream,
  ServerStreamUser,
  Trailers,
  Unreachable,
} from './streams.ts';
import { withTraceparent } from './traceparent.ts';

export class Exchange implements ServerStreamUser {
  readonly services: ExchangeServices;
  readonly affinity: Affinity = new Affinity();
  readonly response: Response = new Response(this);
  plan: PoolPlan | null = null;
  client: ClientStream | null = null;
  isHead = false;
  isSecure = false;
  wantsUpgrade = false; // the client offered one, and we pass it on
  takesFramed = true;
  record: AccessRecord | null = null; // null: not logged
  readonly deadline: ExchangeDeadline = new ExchangeDeadline(this);
  readonly #onOver: (exchange: Exchange) => void;
  readonly request: ReplayableRequest = new ReplayableRequest();
  readonly tried: number[] = []; // slots of the servers that it has been to, kept by its attempts
  readonly attempts: Attempts = new Attempts(this);
  #startedMs = 0;

  /** `onOver` may use the object for another exchange. */
  constructor(services: ExchangeServices, onOver: (exchange: Exchange) => void) {
    this.services = services;
    this.#onOver = onOver;
  }

  get server(): ServerStream | null {
    return this.attempts.server;
  }

  /** -1: none is chosen. */
  get slot(): number {
    return this.attempts.slot;
  }

  /** Takes the request whose head was just parsed, with what came of its body: buffer[bodyBegin..bodyEnd]. */
  begin(client: ClientStream, plan: PoolPlan, buffer: Buffer, bodyBegin: number, bodyEnd: number): void {
    const { services, affinity } = this;
    const head = services.requestHead;
    const nowMs = services.clock.nowMs();
    this.client = client;
    this.plan = plan;
    this.#startedMs = nowMs;
    this.isHead = head.method === 'HEAD';
    this.takesFramed = client.takesFramed;
    this.request.isIdempotent = head.isIdempotent;
    this.wantsUpgrade = asksForWebSocket(buffer, head);
    this.attempts.begin(plan);
    this.response.begin(plan.config.limits.interimResponses);
    services.deadlines.add(this.deadline);
    affinity.reset();
    const address = clientAddressOf(buffer, head, client, services.isTrustedAddress);
    this.isSecure = isSecureClient(buffer, head, client, services.isTrustedAddress);
    services.chooser.identify(plan, buffer, head, address, nowMs, services.clock.wallMs(), affinity);
    services.own.countPool(plan.id, PoolCounter.requests);
    services.retryBudget(plan).request(nowMs);
    const headText = requestLines(buffer, head, client, this.wantsUpgrade, this.isSecure, services.via);
    this.request.headText = services.startsTraces ? withTraceparent(headText, head) : headText;
    this.deadline.begin(isGrpc(buffer, head) ? grpcDeadlineMs(headText, nowMs) : NEVER);
    if (services.accessLog.draws())
      this.record = new AccessRecord(buffer, head, address, this.request.headText, nowMs, client);
    if (this.#isBodyRefused(client)) return;
    if (bodyEnd > bodyBegin) this.request.keep(buffer.subarray(bodyBegin, bodyEnd));
    this.attempts.next(nowMs);
  }

  #isBodyRefused(client: ClientStream): boolean {
    const refusal = bodyRefusal(client.requestBody, client.config.limits.bodyBytes);
    if (refusal !== null) this.fail(refusal.kind, refusal.detail);
    return refusal !== null;
  }

  /** More of the request's body; client.requestBody has counted it. */
  onRequestPart(part: Buffer, from: PartOwner): void {
    const { client, server } = this;
    if (client === null || this.#isBodyRefused(client)) return;
    if (server === null || !this.attempts.isSent) {
      // one part is kept and no more; until one comes, reading on notices that the client goes
      this.request.keep(part);
      if (!client.requestBody.isDone) client.pauseRequest();
    } else {
      if (part.length > 0) {
        this.request.passed(part, from);
        if (!server.writeBody(part, from)) client.pauseRequest();
      }
      if (client.requestBody.isDone) server.endRequest(client.requestBody);
    }
    this.deadline.awaitNext(this.services.clock.nowMs());
  }

  /** The event in which parts came is over. */
  ownParts(from: PartOwner): void {
    this.request.own(from);
  }

  onConnected(stream: ServerStream): void {
    this.services.chooser.refusals.reached(this.slot);
    this.attempts.onConnected(stream, this.services.clock.nowMs());
  }

  get responseLimits(): HeadLimits {
    if (this.plan === null) throw new Error('no exchange is under way');
    return this.plan.responseLimits;
  }

  onUnreachable(kind: Unreachable, detail = '', isReset = false): void {
    if (kind !== 'out-of-resources' && kind !== 'stream-refused')
      this.services.notReached(this.slot, isReset || kind === 'tls-failed');
    if (detail !== '') this.#noteBad(detail);
    this.attempts.failed(kind, detail);
  }

  onInterim(answer: Answer): void {
    this.response.onInterim(answer);
  }

  onAnswer(answer: Answer): void {
    this.response.onAnswer(answer);
  }

  onResponsePart(part: Buffer): void {
    this.response.onPart(part);
  }

  onResponseEnd(trailers: Trailers): void {
    this.complete(trailers);
  }

  onBadResponse(detail: string, kind: BadResponse = 'bad-response'): void {
    this.#noteBad(detail);
    this.#onBroken(kind, detail);
  }

  onServerClosed(code?: number): void {
    this.response.resetCode = code;
    this.#onBroken('server-closed', '');
  }

  #onBroken(kind: FailureKind, detail: string): void {
    if (this.response.isStarted) this.response.onBroken(kind, detail);
    else this.attempts.failed(kind, detail);
  }

  onTunnelHalfClosed(): void {
    this.response.tunnel.onServerEnd();
  }

  onServerDrain(): void {
    this.client?.resumeRequest();
    this.deadline.awaitNext(this.services.clock.nowMs());
  }

  onClientDrain(): void {
    this.server?.resume();
    if (this.response.isStarted) this.response.awaitProgress();
  }

  #noteBad(detail: string): void {
    const { services, plan, slot } = this;
    if (plan !== null) services.badResponses.note(plan, slot, detail, services.clock.nowMs());
  }

  /** Ends the attempt ourselves, for this reason. */
  abandonAttempt(kind: FailureKind, detail: string): void {
    this.server?.destroy();
    this.attempts.failed(kind, detail);
  }

  /** The server's answer is none that we may pass on. */
  refuseAnswer(detail: string): void {
    this.#noteBad(detail);
    this.abandonAttempt('bad-response', detail);
  }

  /** A server is free again, or may be: called by the thread's queue. */
  retryFromQueue(nowMs: number): void {
    this.attempts.retryFromQueue(nowMs);
  }

  /** A status the pool wants retried: true when another attempt has been made instead of relaying it. */
  retryStatus(status: number): boolean {
    return this.attempts.retryStatus(status);
  }

  /** Ends the exchange with our own reply, or by breaking the response off when it has begun. */
  fail(kind: FailureKind, detail: string, failedSlot: number = this.slot): void {
    const { client, plan, response, services } = this;
    if (client === null || plan === null) return;
    const { headText } = this.request;
    const facts = FAILURES[kind];
    const isBroken = response.isHeadSent || facts.status === 0;
    this.record?.end(kind, detail);
    if (failedSlot !== NO_SLOT) this.#count(failedSlot, isBroken ? 0 : Math.floor(facts.status / 100));
    countRejection(services.own, kind, plan.id);
    // how much is answered is known last
    const record = isBroken ? null : this.#finishRecord(client);
    const lastWords = response.lastWords(kind);
    this.#close();
    if (isBroken) {
      client.reset(lastWords);
      return;
    }
    const id = requestIdIn(headText);
    const said = services.tells(facts) ? detail : '';
    const content = services.ownReply(kind, said, headText, id, plan, response.resetCode);
    services.accessLog.write(record, client.reply(kind, content, id), plan, services.clock);
  }

  /** The response went out whole. */
  complete(trailers: Trailers): void {
    const { client, plan, server, response } = this;
    if (client === null || plan === null) return;
    client.endResponse(trailers);
    if (response.status >= SERVER_ERROR) this.services.own.countPool(plan.id, PoolCounter.serverErrors);
    this.#count(this.slot, Math.floor(response.status / 100));
    this.attempts.server = null;
    if (response.tunnel.isOpen) server?.finish();
    else server?.release(client.requestBody.isDone);
    this.#close();
    client.leave();
  }

  /** The client is gone: everything stops at once. */
  abort(): void {
    const { client, plan, response, slot } = this;
    if (client === null || plan === null) return;
    this.record?.end('client-aborted');
    if (slot !== NO_SLOT) this.#count(slot, response.isHeadSent ? Math.floor(response.status / 100) : 0);
    countRejection(this.services.own, 'client-aborted', plan.id);
    this.#close();
  }

  #count(slot: number, codeClass: number): void {
    const { client } = this;
    if (client === null) return;
    const { own, clock } = this.services;
    const requestBytes = this.request.headText.length + client.requestBody.bytes;
    countRequest(own, slot, codeClass, requestBytes, client.bytes, (clock.nowMs() - this.#startedMs) / 1000);
  }

  /** Gives everything back. Safe to call twice. */
  #close(): void {
    const { client, plan, services, slot } = this;
    if (client === null || plan === null) return;
    services.accessLog.write(this.#finishRecord(client), client.bytes, plan, services.clock);
    this.client = null;
    services.deadlines.remove(this.deadline);
    this.deadline.await('nothing', NEVER);
    this.attempts.close(plan);
    services.chooser.finish(plan, this.affinity, services.clock.nowMs());
    services.slotFreed(plan, slot);
    this.plan = null;
    this.request.clear();
    this.response.reset();
    this.#onOver(this);
  }

  /** Takes the record away, to be written. */
  #finishRecord(client: ClientStream): AccessRecord | null {
    const { record } = this;
    record?.take(client.requestBody, this.response, this.affinity.outcome);
    this.record = null;
    return record;
  }
}

// One request through http-proxy: attempts on servers until one answers. The choosing, counting and retrying that
// requests and upgrades have in common; how the bytes flow is theirs.
//
//   begin -> attempt (choose, commit, send) -> answered -> ... -> end
//              ^-------- attempt failed, may retry ----'

import type { ClientRequest, IncomingMessage } from 'node:http';
import { systemClock } from '../base/clock.ts';
import {
  FAILURE_KINDS,
  FAILURES,
  type FailureKind,
  RETRY_REASONS,
  type RetryReason,
} from '../base/failure.ts';
import { Affinity } from '../choose/affinity.ts';
import { indexOfSlot, type PoolPlan } from '../choose/plan.ts';
import { mayRetry } from '../choose/retry.ts';
import type { ServerConfig } from '../config/model.ts';
import { Body } from '../http1/message.ts';
import { Counter, Gauge, PASSIVE_KINDS, PoolCounter } from '../shared/stripe.ts';
import type { DataPath, ProxiedExchange } from './data-path.ts';
import { clientFacts, type OutgoingFields, outgoingFields } from './forwarding.ts';
import { linesWithout, type RawLine } from './heads.ts';
import { ConnectTimeoutError, type ServerAgent } from './server-agent.ts';

const NO_SLOT = -1;
const GATEWAY_ERRORS: readonly number[] = [502, 503, 504];
const CONNECT_FAILURES: readonly FailureKind[] = ['connect-failed', 'connect-timeout'];

/** What http-proxy is told of the server. */
export interface Target {
  readonly host: string;
  readonly hostname: string;
  readonly port: number;
  readonly protocol: string;
}

/** A request whose head path.heads has just parsed, and the pool it goes to. */
export interface ParsedRequest {
  readonly path: DataPath;
  readonly plan: PoolPlan;
  readonly request: IncomingMessage;
  readonly headBytes: number;
}

/** What the server's response head says to the client. */
export interface Answer {
  readonly lines: readonly RawLine[];
  /** Value of our Set-Cookie line, '' for none. */
  readonly cookie: string;
}

export abstract class Exchange implements ProxiedExchange {
  readonly request: IncomingMessage;
  readonly affinity: Affinity = new Affinity();
  protected readonly path: DataPath;
  protected readonly plan: PoolPlan;
  /** Header fields that the request goes to the server with. */
  protected readonly fields: OutgoingFields;
  protected slot: number = NO_SLOT;
  /** The connection of the attempt stands, so that the request may have reached the server. */
  protected isSent = false;
  protected sentMs = 0;
  /** Counts attempts: what http-proxy still says about an earlier one is ignored. */
  protected attempt = 0;
  protected isOver = false;
  protected status = 0;
  readonly #tried: number[] = [];
  readonly #startedMs: number;
  readonly #headBytes: number;
  readonly #isIdempotent: boolean;
  readonly #isSecure: boolean;
  #attemptsLeft: number;
  #hasRetriedStale = false;
  #leaveQueue: (() => void) | null = null;

  constructor({ path, plan, request, headBytes }: ParsedRequest) {
    const { heads } = path;
    this.path = path;
    this.plan = plan;
    this.request = request;
    this.#startedMs = systemClock.nowMs();
    this.#headBytes = headBytes;
    this.#isIdempotent = heads.request.isIdempotent;
    this.#attemptsLeft = plan.config.retry.attempts;
    const { address, isSecure } = clientFacts(request, path.isTrusted);
    this.#isSecure = isSecure;
    this.fields = outgoingFields(request, heads, path.isTrusted);
    const wallMs = systemClock.wallMs();
    path.chooser.identify(plan, heads.buffer, heads.request, address, this.#startedMs, wallMs, this.affinity);
    path.own.countPool(plan.id, PoolCounter.requests);
    path.retryBudget(plan).request(this.#startedMs);
  }

  /** Sends the request to the server of `slot`. */
  protected abstract send(server: Target, agent: ServerAgent): void;
  /** Ends the attempt that is under way without further events. */
  protected abstract abandon(): void;
  /** Tells the client. `isBroken`: a response has begun, it can only be cut. */
  protected abstract tell(kind: FailureKind, isBroken: boolean, error: Error | null): void;
  /** The whole request could be sent again. */
  protected abstract get isReplayable(): boolean;
  /** Something of the response is on its way to the client. */
  protected abstract get isAnswering(): boolean;
  /** The attempt runs on a connection that has been idle before. */
  protected abstract get isReused(): boolean;
  /** Body bytes both ways. */
  protected abstract get bytes(): { readonly request: number; readonly response: number };

  onStart(): void {}
  onProxyReq(_outgoing: ClientRequest): void {}
  onProxyRes(_incoming: IncomingMessage): void {}
  onProxyReqWs(_outgoing: ClientRequest): void {}

  begin(): void {
    this.path.began(this);
    this.#attempt();
  }

  /** Ends it now: the balancer closes. */
  cut(): void {
    if (!this.isOver) this.fail('no-server', null);
  }

  /** True unless all eligible servers are busy still. */
  #attempt(isQueued = false): boolean {
    const { path, plan, affinity } = this;
    const nowMs = systemClock.nowMs();
    const slot = path.chooser.choose(plan, affinity, this.#tried, nowMs);
    if (slot < 0) {
      if (affinity.failure === 'busy') return isQueued ? false : this.#queue();
      this.fail(affinity.failure === 'home-down' ? 'home-down' : 'no-server', null);
      return true;
    }
    this.#leaveQueue = null;
    path.chooser.commit(plan, affinity, slot, nowMs, systemClock.wallMs());
    this.slot = slot;
    this.#tried.push(slot);
    path.own.addGauge(slot, Gauge.inFlight, 1);
    this.#send();
    return true;
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
      this.fail('bad-request', error instanceof Error ? error : new Error(String(error)));
    }
  }

  #queue(): boolean {
    const { path, plan } = this;
    const { timeoutMs } = plan.config.queue;
    const expire = (): void => this.fail('queue-timeout', null);
    const leave = path.waiting(plan).add(timeoutMs, () => this.#attempt(true), expire);
    if (leave === false) {
      this.fail('queue-full', null);
      return true;
    }
    this.#leaveQueue = leave;
    path.own.countPool(plan.id, PoolCounter.queued);
    return true;
  }

  /** The connection stands: from now on the server may act on the request. */
  protected connected(): void {
    this.isSent = true;
    this.sentMs = systemClock.nowMs();
  }

  /** What an error of the attempt means. */
  protected kindOf(error: Error): FailureKind {
    const code = 'code' in error ? String(error.code) : '';
    if (code.startsWith('HPE_')) return 'bad-response';
    if (this.isSent) return 'server-closed';
    return error instanceof ConnectTimeoutError ? 'connect-timeout' : 'connect-failed';
  }

  /** The attempt is over without a response head: try another server, or tell the client. */
  protected attemptFailed(kind: FailureKind, error: Error | null): void {
    if (this.isOver) return;
    const { path, plan, slot } = this;
    this.abandon();
    const isStale = kind === 'server-closed' && this.isReused && !this.#hasRetriedStale;
    if (isStale && this.#isIdempotent && this.isReplayable && path.hasAgent(slot)) {
      // the server closed a connection that we thought idle: its other idle ones are suspect too
      this.#hasRetriedStale = true;
      path.agent(slot).closeIdle();
      this.#send();
      return;
    }
    if (!this.isSent) path.shared.control.reportConnectFailure(slot);
    path.own.count(slot, Counter.failures);
    this.#countPassive(CONNECT_FAILURES.includes(kind) ? 'connect' : 'response');
    const failed = {
      failureKind: kind,
      attemptsLeft: this.#attemptsLeft,
      sentBytes: this.isSent,
      isIdempotent: this.#isIdempotent,
      bodyReplayable: this.isReplayable,
      responseStarted: false,
    };
    if (mayRetry(failed) && path.retryBudget(plan).take(systemClock.nowMs()))
      this.#retry(kind as RetryReason);
    else this.fail(kind, error);
  }

  /** A status the pool wants retried: true when another attempt has been made instead of relaying it. */
  protected retryStatus(status: number): boolean {
    const { path, plan } = this;
    if (!plan.config.retry.status.includes(status)) return false;
    const isAllowed = this.#attemptsLeft > 0 && this.#isIdempotent && this.isReplayable;
    if (!isAllowed || !path.retryBudget(plan).take(systemClock.nowMs())) return false;
    this.abandon();
    path.own.count(this.slot, Counter.failures);
    if (GATEWAY_ERRORS.includes(status)) this.#countPassive('gateway');
    this.#retry('status');
    return true;
  }

  #retry(reason: RetryReason): void {
    this.#leaveSlot();
    this.#attemptsLeft -= 1;
    const index = RETRY_REASONS.indexOf(reason);
    if (index >= 0) this.path.own.countPool(this.plan.id, PoolCounter.retries + index);
    this.#attempt();
  }

  /** The server's response head: what of it goes to the client, null when it is no valid response. */
  protected answer(response: IncomingMessage, isHead: boolean): Answer | null {
    const { path, plan, affinity, slot } = this;
    const { heads } = path;
    if (heads.parseResponse(response, isHead) < 0) return null;
    const nowMs = systemClock.nowMs();
    const { buffer, response: head } = heads;
    this.status = head.status;
    if (GATEWAY_ERRORS.includes(head.status)) this.#countPassive('gateway');
    path.own.smoothFirstByte(slot, nowMs - this.sentMs);
    const wallMs = systemClock.wallMs();
    const cookie = path.chooser.answered(plan, affinity, slot, buffer, head, nowMs, wallMs, this.#isSecure);
    const isChunked = head.body === Body.chunked;
    const lines = linesWithout(response.rawHeaders, heads.responseCuts());
    const kept = isChunked ? lines.filter(([name]) => name.toLowerCase() !== 'transfer-encoding') : lines;
    return { lines: cookie === '' ? kept : [...kept, ...cookieLines(kept, cookie)], cookie };
  }

  /** Ends the exchange without a good end. `error`: as http-proxy reported it. */
  protected fail(kind: FailureKind, error: Error | null): void {
    if (this.isOver) return;
    const { status, side } = FAILURES[kind];
    const isBroken = this.isAnswering || status === 0;
    if (isBroken && side === 'server') this.#countPassive('response');
    this.abandon();
    this.end(isBroken ? 0 : Math.floor(status / 100));
    this.path.own.countRejected(FAILURE_KINDS.indexOf(kind));
    this.tell(kind, isBroken, error);
  }

  /** The client is gone: everything stops at once. */
  protected abort(): void {
    if (this.isOver) return;
    this.abandon();
    this.end(this.isAnswering ? Math.floor(this.status / 100) : 0);
    this.path.own.countRejected(FAILURE_KINDS.indexOf('client-aborted'));
  }

  /** Gives everything back. A second call does nothing. */
  protected end(codeClass: number): void {
    if (this.isOver) return;
    this.isOver = true;
    const { path, plan, slot } = this;
    const nowMs = systemClock.nowMs();
    if (slot !== NO_SLOT) {
      const { request, response } = this.bytes;
      path.own.count(slot, Counter.code + codeClass);
      path.own.count(slot, Counter.requestBytes, this.#headBytes + request);
      path.own.count(slot, Counter.responseBytes, response);
      path.own.observe(slot, Counter.durationSum, (nowMs - this.#startedMs) / 1000);
    }
    this.#leaveQueue?.();
    this.#leaveQueue = null;
    this.#leaveSlot();
    path.chooser.finish(plan, this.affinity, nowMs);
    path.ended(this, plan);
  }

  #leaveSlot(): void {
    if (this.slot === NO_SLOT) return;
    this.path.own.addGauge(this.slot, Gauge.inFlight, -1);
    this.slot = NO_SLOT;
  }

  #countPassive(kind: (typeof PASSIVE_KINDS)[number]): void {
    if (this.slot !== NO_SLOT) this.path.own.count(this.slot, Counter.passive + PASSIVE_KINDS.indexOf(kind));
  }
}

/** Our cookie is one client's: a shared cache must not keep it (as in proxy/response-lines.ts). */
function cookieLines(lines: readonly RawLine[], cookie: string): readonly RawLine[] {
  const control = lines.find(([name]) => name.toLowerCase() === 'cache-control')?.[1];
  const mayBeShared = control !== undefined && !/private|no-store/i.test(control);
  const own: RawLine = ['Set-Cookie', cookie];
  return mayBeShared ? [own, ['Cache-Control', 'private']] : [own];
}

function targetOf({ url, host, port }: ServerConfig): Target {
  const hostname = host.replace(/^\[|\]$/g, '');
  return { host: hostname, hostname, port, protocol: new URL(url).protocol };
}

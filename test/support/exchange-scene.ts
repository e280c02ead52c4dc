// A thread without sockets: exchanges between streams that the test plays, on a clock that it moves.

import { ManualClock, TurnClock } from '../../src/base/clock.ts';
import type { FailureKind } from '../../src/base/failure.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { Chooser } from '../../src/choose/chooser.ts';
import { compilePool, type PoolPlan } from '../../src/choose/plan.ts';
import { RetryBudget } from '../../src/choose/retry.ts';
import { AccessLog } from '../../src/exchange/access-log.ts';
import { BadResponses } from '../../src/exchange/bad-responses.ts';
import { Deadlines } from '../../src/exchange/deadlines.ts';
import { Exchange } from '../../src/exchange/exchange.ts';
import { plainContent, type ReplyContent } from '../../src/exchange/reply-content.ts';
import type { ExchangeServices } from '../../src/exchange/services.ts';
import { Answer, type ServerStreams, type ServerStreamUser } from '../../src/exchange/streams.ts';
import { TakeoverBarrier } from '../../src/exchange/takeover-barrier.ts';
import { WaitQueue } from '../../src/exchange/wait-queue.ts';
import { type HeadLimits, RequestHead, ResponseHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { parseResponseHead } from '../../src/http1/response.ts';
import { Verdict } from '../../src/shared/control.ts';
import { SLOTS_MAX } from '../../src/shared/limits.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Gauge } from '../../src/shared/stripe.ts';
import { FakeClient, FakeServer } from './fake-streams.ts';
import { type PoolText, Revisions } from './revision.ts';

const LIMITS: HeadLimits = { headBytesMax: 65_536, headerCountMax: 100, watched: [] };

export class ExchangeScene implements ExchangeServices {
  readonly random: SeededRandom;
  readonly manual = new ManualClock();
  readonly clock = new TurnClock(this.manual);
  readonly deadlines = new Deadlines(this.clock, () => undefined);
  readonly main: SharedState;
  readonly shared: SharedState;
  readonly own: SharedState['own'];
  readonly chooser: Chooser;
  readonly accessLog: AccessLog;
  readonly requestHead = new RequestHead();
  readonly answer = new Answer(new ResponseHead());
  readonly startsTraces = false;
  readonly via = null;
  readonly badResponses = new BadResponses((_level, message) => this.warnings.push(message));
  readonly warnings: string[] = [];
  readonly isTrustedAddress = (): boolean => false;
  readonly logged: string[] = [];
  /** Keys that a successor is asked about. */
  readonly asked: (readonly number[])[] = [];
  readonly streams: FakeServer[] = [];
  /** The next streams are of connections that were idle. */
  hasIdle = false;
  barrier: TakeoverBarrier | null = null;
  revision: Revision;
  plan: PoolPlan;
  readonly #revisions: Revisions;
  readonly #queue: WaitQueue;
  readonly #spare: Exchange[] = [];
  #budget = new RetryBudget(1);

  constructor(seed: number, pool: PoolText) {
    this.random = new SeededRandom(seed);
    this.main = SharedState.create(1, 1000, this.manual.nowMs());
    this.shared = SharedState.attach(this.main.handles(), 0);
    this.own = this.shared.own;
    this.chooser = new Chooser(this.shared, this.random);
    this.accessLog = new AccessLog(this.random, (lines) => this.logged.push(lines));
    this.accessLog.sample = 1;
    this.#revisions = new Revisions(this.main);
    this.revision = this.#revisions.next(pool);
    this.plan = this.#compiled();
    this.#queue = new WaitQueue(this.plan.config.queue.size);
  }

  #compiled(): PoolPlan {
    const [pool] = this.revision.pools;
    if (pool === undefined) throw new Error('no pool');
    for (const slot of pool.slots) this.main.control.setVerdict(slot, Verdict.up);
    return compilePool(pool, this.random);
  }

  /** New exchanges follow this configuration, and those that wait. */
  reload(pool: PoolText): void {
    this.revision = this.#revisions.next(pool);
    this.plan = this.#compiled();
    this.#queue.adopt(this.plan, this.chooser);
  }

  /** Another process takes over. */
  retire(): void {
    this.barrier = new TakeoverBarrier((keys) => this.asked.push([...keys]));
  }

  /** Deadlines up to `ms` from now fire. */
  pass(ms: number): void {
    this.manual.advance(ms);
    this.deadlines.walk();
    if (this.#queue.length > 0) this.#queue.serve(-1, this.clock.nowMs());
  }

  client(address = '192.0.2.1'): FakeClient {
    const [config] = this.revision.config.listen;
    if (config === undefined) throw new Error('no listener');
    return new FakeClient(config, address);
  }

  /** Begins an exchange with this head; `body` comes with it. */
  begin(client: FakeClient, headText: string, body = ''): Exchange {
    const buffer = client.memory.hold(headText + body);
    const headEnd = parseRequestHead(buffer, 0, buffer.length, LIMITS, this.requestHead);
    if (headEnd < 0) throw new Error(`the test's own request is wrong: ${headEnd}`);
    const exchange = this.#spare.pop() ?? new Exchange(this, (over) => this.#spare.push(over));
    client.requestBody.bytes = buffer.length - headEnd;
    exchange.begin(client, this.plan, buffer, headEnd, buffer.length);
    exchange.ownParts(client.memory);
    client.memory.spoil();
    return exchange;
  }

  /** More of the request's body arrives. */
  sendPart(client: FakeClient, exchange: Exchange, text: string, isLast: boolean): void {
    client.requestBody.bytes += text.length;
    client.requestBody.isDone = isLast;
    exchange.onRequestPart(client.memory.hold(text), client.memory);
    exchange.ownParts(client.memory);
    client.memory.spoil();
  }

  /** The server's head arrives, with some of the body. */
  sendHead(server: FakeServer, headText: string, body = '', isLast = true): void {
    const { answer } = this;
    const buffer = server.memory.hold(headText + body);
    const end = parseResponseHead(buffer, 0, buffer.length, LIMITS, server.user.isHead, answer.head);
    if (end < 0) throw new Error(`the test's own response is wrong: ${end}`);
    answer.buffer = buffer;
    answer.bodyBegin = end;
    answer.bodyEnd = buffer.length;
    answer.isLast = isLast;
    const isInterim = answer.head.status < 200 && answer.head.status !== 101;
    if (isInterim) server.user.onInterim(answer);
    else server.user.onAnswer(answer);
    server.memory.spoil();
  }

  sendBody(server: FakeServer, text: string): void {
    server.user.onResponsePart(server.memory.hold(text));
    server.memory.spoil();
  }

  servers(slot: number): ServerStreams {
    const add = (user: ServerStreamUser, isReused: boolean): FakeServer => {
      const stream = new FakeServer(slot, user, isReused);
      this.streams.push(stream);
      return stream;
    };
    return {
      takeIdle: (user) => (this.hasIdle ? add(user, true) : null),
      open: (user) => add(user, false),
    };
  }

  get last(): FakeServer {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error('no stream was opened');
    return stream;
  }

  notReached(slot: number, hasAccepted: boolean): void {
    if (hasAccepted) this.chooser.refusals.failed(slot, this.clock.nowMs());
    else this.chooser.refusals.refused(slot, this.clock.nowMs());
  }
  ownReply(kind: FailureKind, detail: string): ReplyContent {
    return plainContent(kind, detail);
  }
  tells(): boolean {
    return true;
  }
  takeRetry(_plan: PoolPlan, nowMs: number): boolean {
    return this.#budget.take(nowMs);
  }
  retryBudget(): RetryBudget {
    return this.#budget;
  }
  queue(): WaitQueue {
    return this.#queue;
  }
  slotFreed(_plan: PoolPlan, slot: number): void {
    if (slot >= 0 && this.#queue.length > 0) this.#queue.serve(slot, this.clock.nowMs());
  }

  /** What is still held of anything: all zero when everything has been given back. */
  left(): Readonly<Record<string, number>> {
    let inFlight = 0;
    for (let slot = 0; slot < SLOTS_MAX; slot += 1)
      inFlight += Math.abs(this.own.gauge(slot, Gauge.inFlight));
    const { table } = this.main;
    let busy = 0;
    for (let entry = 0; entry < table.capacity; entry += 1) busy += Math.abs(table.busy(entry));
    return {
      inFlight,
      busy,
      deadlines: this.deadlines.count,
      queued: this.#queue.length,
      open: this.streams.filter(({ isOpen }) => isOpen).length,
      endedTwice: this.streams.filter(({ ends }) => ends.length > 1).length,
    };
  }
}

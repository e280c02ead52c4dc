// One exchange as a simulation plays it: what its client and its servers may do next, and what must hold after each step.

import { strict as assert } from 'node:assert';
import type { SeededRandom } from '../../src/base/random.ts';
import type { PoolPlan } from '../../src/choose/plan.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { NO_TRAILERS, type Unreachable } from '../../src/exchange/streams.ts';
import { Refusal } from '../../src/http1/message.ts';
import type { ExchangeScene } from './exchange-scene.ts';
import type { FakeClient, FakeServer } from './fake-streams.ts';

const UNREACHABLE: readonly Unreachable[] = ['connect-failed', 'connect-timeout', 'out-of-resources'];
const METHODS = ['GET', 'GET', 'HEAD', 'POST', 'PUT'] as const;
const STATUSES = [200, 200, 200, 302, 404, 503] as const;

/** A client that keeps its cookie from one exchange to the next. */
export interface Browser {
  cookie: string;
  /** Slot where its session is known to live; -1: not known. */
  home: number;
  isBusy: boolean;
}

export interface Step {
  readonly what: string;
  readonly act: () => void;
}

export class Play {
  readonly id: number;
  readonly world: ExchangeScene;
  readonly random: SeededRandom;
  readonly browser: Browser;
  readonly client: FakeClient;
  readonly method: string;
  readonly headText: string;
  readonly plan: PoolPlan;
  readonly exchange: Exchange;
  readonly streams: FakeServer[] = [];
  isAborted = false;
  isLogged = true;
  /** Slot and response class as they were when the client went. */
  abortedClass = -1;
  /** What its client has sent of the body, or through the tunnel. */
  delivered = '';
  /** What its client must have been sent. */
  expected = '';
  /** Retries that count against retry.attempts; NaN: not known any more. */
  retries = 0;
  #interims = 0;
  #parts = 0;
  #hasRetriedStale = false;
  #answeredBy: FakeServer | null = null;
  #isClientEnded = false;
  #isServerEnded = false;

  constructor(
    id: number,
    world: ExchangeScene,
    random: SeededRandom,
    browser: Browser,
    onBegun: (play: Play) => void,
  ) {
    this.id = id;
    this.world = world;
    this.random = random;
    this.browser = browser;
    this.plan = world.plan;
    this.client = world.client(`192.0.2.${1 + random.below(3)}`);
    this.client.takesFramed = random.below(4) > 0;
    const isUpgrade = random.below(6) === 0;
    this.method = isUpgrade ? 'GET' : (METHODS[random.below(METHODS.length)] as string);
    const hasBody = this.method === 'POST' || this.method === 'PUT';
    const upgrade = isUpgrade ? 'connection: upgrade\r\nupgrade: websocket\r\n' : '';
    const cookie = browser.cookie === '' ? '' : `cookie: ${browser.cookie}\r\n`;
    const framing = hasBody ? 'content-length: 99\r\n' : '';
    this.headText = `${this.method} /${id} HTTP/1.1\r\nhost: shop\r\n${upgrade}${cookie}${framing}\r\n`;
    this.client.requestBody.isDone = !hasBody;
    if (isUpgrade && random.below(2) === 0) this.client.early = Buffer.from(`early of ${id};`);
    if (hasBody && random.below(2) === 0) {
      this.delivered = this.#token();
      this.client.requestBody.isDone = random.below(2) === 0;
    }
    onBegun(this);
    this.exchange = world.begin(this.client, this.headText, this.delivered);
  }

  #token(): string {
    this.#parts += 1;
    return `<${this.id}:${this.#parts}>`;
  }

  get isOver(): boolean {
    return this.exchange.client !== this.client;
  }

  get stream(): FakeServer | null {
    return this.isOver ? null : (this.exchange.server as FakeServer | null);
  }

  get isSent(): boolean {
    const { stream } = this;
    return stream !== null && stream.received.text !== '';
  }

  get #isTunnel(): boolean {
    return !this.isOver && this.exchange.response.tunnel.isOpen;
  }

  /** Sending the request once more does no harm; what came of its short body is kept. */
  get #mayRepeat(): boolean {
    return this.method !== 'POST';
  }

  /** It waits for a place at any server, or at this one; it has tried none. */
  waitsFor(slot: number): boolean {
    const { affinity, attempts, plan } = this.exchange;
    const isWaiting = !this.isOver && this.streams.length === 0 && attempts.waitFailure === 'queue-timeout';
    const isHere = affinity.homeSlot === -1 || affinity.homeSlot === slot;
    return isWaiting && isHere && plan === this.world.plan;
  }

  /** All that may happen to it now. */
  steps(): readonly Step[] {
    if (this.isOver) return [];
    const { client, exchange } = this;
    const steps: Step[] = [{ what: 'abort', act: () => this.#abort() }];
    const may = (condition: boolean, what: string, act: () => void): void => {
      if (condition) steps.push({ what, act });
    };
    const hasMore = !client.requestBody.isDone && !client.isPaused;
    may(hasMore, 'part', () => this.#sendPart());
    may(hasMore, 'part', () => this.#sendPart());
    may(hasMore && this.random.below(8) === 0, 'bad part', () => this.#sendBadPart());
    may(client.isFull, 'client drain', () => {
      client.isFull = false;
      exchange.onClientDrain();
    });
    may(!client.isFull, 'client full', () => (client.isFull = true));
    may(this.#isTunnel && !client.isPaused && !this.#isClientEnded, 'tunnel', () => this.#sendTunnel());
    may(this.#isTunnel && !this.#isClientEnded, 'client half', () => {
      this.#isClientEnded = true;
      exchange.response.tunnel.onClientEnd();
    });
    const { stream } = this;
    if (stream !== null) this.#serverSteps(stream, may);
    return steps;
  }

  #serverSteps(stream: FakeServer, may: (condition: boolean, what: string, act: () => void) => void): void {
    const { isConnected, isPaused } = stream;
    const isAnswered = this.#answeredBy === stream;
    const isReading = isConnected && !isPaused;
    const hasEnded = this.#isServerEnded;
    may(!isConnected, 'unreachable', () => this.#lose(stream, UNREACHABLE[this.random.below(3)]!));
    for (let weight = 0; weight < 3; weight += 1) {
      may(!isConnected, 'connect', () => this.#connect(stream));
      may(isReading && !isAnswered, 'answer', () => this.#answer(stream));
      may(isReading && isAnswered && !hasEnded, 'body', () => this.#sendBody(stream));
    }
    may(isReading && !isAnswered, 'interim', () => this.#interim(stream));
    may(isConnected && !isAnswered, 'bad response', () => this.#lose(stream, 'bad-response'));
    may(isConnected, 'closed', () => this.#lose(stream, 'server-closed'));
    may(isReading && isAnswered && !this.#isTunnel, 'end', () => this.#end(stream));
    may(this.#isTunnel && isReading && !hasEnded, 'server half', () => {
      this.#isServerEnded = true;
      stream.user.onTunnelHalfClosed();
    });
    // one that is not connected yet takes no more than the first write
    may(!stream.isFull, 'server full', () => (stream.isFull = true));
    may(isConnected && stream.isFull, 'server drain', () => {
      stream.isFull = false;
      stream.user.onServerDrain();
    });
  }

  #connect(stream: FakeServer): void {
    stream.isConnected = true;
    stream.user.onConnected(stream);
    const isMoreToCome = stream.isFull && !this.client.requestBody.isDone;
    if (isMoreToCome) assert.ok(this.client.isPaused, 'the client is read although the server is full');
  }

  #abort(): void {
    const { slot, response } = this.exchange;
    this.abortedClass = slot === -1 ? -1 : response.isHeadSent ? Math.floor(response.status / 100) : 0;
    this.isAborted = true;
    this.exchange.abort();
    if (this.random.below(4) === 0 && this.isOver && this.exchange.client === null) this.exchange.abort();
  }

  #sendPart(): void {
    const text = this.#token();
    this.delivered += text;
    const { client, stream } = this;
    const isFull = this.isSent && stream?.isFull === true;
    this.world.sendPart(client, this.exchange, text, this.random.below(3) === 0);
    if (isFull) assert.ok(client.isPaused, 'the client is read although the server is full');
  }

  #sendBadPart(): void {
    const wasHeadSent = this.exchange.response.isHeadSent;
    this.client.requestBody.refusal = Refusal.badChunk;
    this.world.sendPart(this.client, this.exchange, 'garbage', false);
    assert.deepEqual(this.client.outcomes, [wasHeadSent ? 'broken' : 'bad-request']);
  }

  #sendTunnel(): void {
    const { client, exchange } = this;
    const text = this.#token();
    this.delivered += text;
    client.requestBody.bytes += text.length;
    exchange.response.tunnel.fromClient(client.memory.hold(text), client.memory);
    exchange.ownParts(client.memory);
    client.memory.spoil();
    if (this.stream?.isFull === true)
      assert.ok(client.isPaused, 'the client is read although the server is full');
    this.#checkTunnelTime();
  }

  /** As long as neither half is closed the tunnel may be silent for long. */
  #checkTunnelTime(): void {
    const { client, exchange, world } = this;
    if (!this.#isTunnel || this.#isClientEnded || this.#isServerEnded) return;
    assert.equal(exchange.deadline.deadlineMs, world.clock.nowMs() + client.config.timeouts.tunnelMs);
  }

  #checkPaused(stream: FakeServer): void {
    const { isFull, isHolding } = this.client;
    if (isFull && !isHolding && stream.isOpen)
      assert.ok(stream.isPaused, 'the server is read although the client is full');
  }

  #interim(stream: FakeServer): void {
    const isAllowed = this.#interims < this.plan.config.limits.interimResponses;
    this.#interims += 1;
    this.world.sendHead(stream, 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n');
    if (isAllowed) assert.equal(this.client.interims, this.#interims, 'the interim response has not passed');
    else assert.ok(!stream.isOpen && this.isOver, 'one interim response too many');
    this.#checkPaused(stream);
  }

  #answer(stream: FakeServer): void {
    const { client, plan, world } = this;
    const isSwitch = this.headText.includes('upgrade: websocket') && this.random.below(2) === 0;
    const status = isSwitch ? 101 : (STATUSES[this.random.below(STATUSES.length)] as number);
    const isHead = this.method === 'HEAD';
    const body = isHead || this.random.below(3) === 0 ? '' : this.#token();
    const isLast = !isSwitch && (isHead || this.random.below(3) === 0);
    const lines = isSwitch ? 'connection: upgrade\r\nupgrade: websocket\r\n' : 'content-length: 99\r\n';
    // who waited through a reload goes by what it says of answers, with the attempts it began with
    const isRetried = (this.exchange.plan ?? plan).config.retry.status.includes(status);
    const mayRetry = isRetried && this.#mayRepeat && this.retries < plan.config.retry.attempts;
    const isSure = !isRetried || !Number.isNaN(this.retries);
    const { slot } = stream;
    this.#answeredBy = stream;
    if (isSwitch && client.early !== null) this.delivered += client.early.toString();
    world.sendHead(stream, `HTTP/1.1 ${status} X\r\n${lines}\r\n`, body, isLast);
    const isRelayed = client.statuses.length === 1;
    if (isSure) assert.equal(isRelayed, !mayRetry, `status ${status} retried, or not`);
    if (!isRelayed) {
      this.retries += 1;
      this.#answeredBy = null;
      assert.deepEqual(stream.ends, ['destroyed']);
      return;
    }
    this.expected += body;
    if (isLast) assert.deepEqual(client.outcomes, ['whole']);
    if (world.barrier !== null && client.setCookie !== '') assert.ok(client.isWithheld, 'not withheld');
    if (client.setCookie !== '') this.browser.cookie = client.setCookie.split(';')[0] ?? '';
    this.browser.home = plan === world.plan ? slot : -1;
  }

  #sendBody(stream: FakeServer): void {
    const text = this.#token();
    this.expected += text;
    this.world.sendBody(stream, text);
    this.#checkPaused(stream);
    this.#checkTunnelTime();
  }

  #end(stream: FakeServer): void {
    stream.user.onResponseEnd(NO_TRAILERS);
    assert.deepEqual(this.client.outcomes, ['whole']);
    assert.equal(this.client.body.text, this.expected, 'the response');
  }

  /** The stream is gone by itself. */
  #lose(stream: FakeServer, kind: Unreachable | 'bad-response' | 'server-closed'): void {
    const { client, exchange } = this;
    const { tunnel } = exchange.response;
    const isAnswered = this.#answeredBy === stream;
    const answered = tunnel.isOpen ? 'whole' : client.isHolding ? 'bad-response' : 'broken';
    const isStale = kind === 'server-closed' && stream.isReused && this.#mayRepeat && !this.#hasRetriedStale;
    const { length } = this.streams;
    if (!isAnswered) this.browser.home = -1;
    stream.destroy();
    if (kind === 'bad-response') stream.user.onBadResponse('garbage');
    else if (kind === 'server-closed') stream.user.onServerClosed();
    else stream.user.onUnreachable(kind);
    if (isAnswered) assert.deepEqual(client.outcomes, [answered]);
    else if (isStale) {
      this.#hasRetriedStale = true;
      const next = this.streams[length];
      assert.deepEqual([next?.slot, next?.isReused], [stream.slot, false], 'a stale connection');
    } else if (kind === 'bad-response' || kind === 'out-of-resources')
      assert.deepEqual(client.outcomes, [kind]);
    else if (kind !== 'connect-failed') this.retries += 1;
    const isTooMany = this.retries > this.plan.config.retry.attempts;
    assert.ok(this.isOver || !isTooMany, 'too many attempts');
  }

  /** What must hold between two steps. */
  check(): void {
    const { client, stream, exchange } = this;
    const sent = this.streams.filter(({ received }) => received.text !== '');
    if (this.method === 'POST') assert.ok(sent.length <= 1, 'sent twice');
    for (const { received } of sent) this.#checkRequest(received.text, received === stream?.received);
    if (client.isHolding) assert.equal(client.body.text, '', 'held');
    else assert.ok(this.expected.startsWith(client.body.text), `mixed: ${client.body.text}`);
    if (this.isOver) {
      assert.equal(client.outcomes.length, this.isAborted ? 0 : 1, `outcomes ${client.outcomes.join()}`);
      assert.ok(!this.streams.some(({ isOpen }) => isOpen), 'a stream left open');
      if (client.outcomes[0] === 'whole') assert.equal(client.body.text, this.expected, 'the response');
      return;
    }
    if (!client.isHolding) assert.equal(client.body.text, this.expected, 'the response so far');
    assert.equal(this.streams.filter(({ isOpen }) => isOpen).length, stream === null ? 0 : 1);
    if (stream?.isPaused === true) assert.ok(client.isFull, 'the server is paused for nothing');
    if (client.isPaused && this.isSent) assert.ok(stream?.isFull, 'the client is paused for nothing');
    const isConnecting = stream !== null && !stream.isConnected;
    assert.equal(
      Number.isFinite(exchange.deadline.deadlineMs),
      !isConnecting,
      'no deadline, or one too many',
    );
  }

  #checkRequest(received: string, isCurrent: boolean): void {
    const end = received.indexOf('\r\n\r\n') + 4;
    assert.ok(received.startsWith(`${this.method} /${this.id} HTTP/1.1\r\nhost: shop\r\n`), received);
    const body = received.slice(end);
    if (isCurrent) assert.equal(body, this.delivered, 'the request');
    else assert.ok(this.delivered.startsWith(body), `mixed: ${body}`);
  }
}

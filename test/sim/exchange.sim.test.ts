// Exchanges between played streams, several at once on one thread, with everything that may happen to them at every step:
// aborts, resets, pauses, retries, reloads, takeovers, time. After each step no byte is lost or mixed and the gauges are
// right; in the end everything has been given back exactly once and counted once.

import { strict as assert } from 'node:assert';
import { expect, test } from 'vitest';
import { FAILURE_KINDS, type FailureKind } from '../../src/base/failure.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { ServerStreams, ServerStreamUser } from '../../src/exchange/streams.ts';
import { Verdict } from '../../src/shared/control.ts';
import { Counter, Gauge, PoolCounter } from '../../src/shared/stripe.ts';
import { type Browser, Play, type Step } from '../support/exchange-play.ts';
import { ExchangeScene } from '../support/exchange-scene.ts';
import { type FakeServer, REPLY_BYTES } from '../support/fake-streams.ts';
import type { PoolText } from '../support/revision.ts';
import { seeds } from '../support/seeds.ts';

const STEPS = 120;
const AT_ONCE_MAX = 6;
const BROWSERS = 4;
/** Longer than any timeout. */
const LONG_MS = 4_000_000;
const NOTHING_LEFT = { inFlight: 0, busy: 0, deadlines: 0, queued: 0, open: 0, endedTwice: 0 };

function randomPool(random: SeededRandom): PoolText {
  const pick = <Value>(...values: readonly Value[]): Value => values[random.below(values.length)] as Value;
  const limit = pick('', '', ' maxConnections:1', ' maxConnections:2');
  const servers = ['a', 'b', 'c'].slice(0, 1 + random.below(3));
  return {
    more: [
      `sticky: { mode: ${pick('none', 'cookie-pin', 'cookie-pin', 'cookie-hash')} }`,
      `queue: { size: ${pick(0, 2, 10)}, timeout: 2s, whenDown: ${pick('0s', '1s')} }`,
      `retry: { attempts: ${pick(0, 1, 2)}, budget: 100%, status: ${pick('[]', '[503]')} }`,
      `limits: { interimResponses: ${pick(0, 1, 3)} }`,
      `holdUntilComplete: ${pick('off', 'redirects', 'small')}`,
    ].join('\n'),
    servers: servers.map((name, index) => `${name}=http://127.0.0.1:${index + 1}${limit}`),
  };
}

class Simulation extends ExchangeScene {
  readonly dice: SeededRandom;
  readonly plays: Play[] = [];
  readonly trace: string[] = [];
  readonly #browsers: Browser[];
  readonly #slots = new Set<number>();
  #running: Play[] = [];
  #beginning: Play | null = null;

  constructor(seed: number) {
    const dice = new SeededRandom(seed);
    super(seed, randomPool(dice));
    this.dice = dice;
    this.#browsers = Array.from({ length: BROWSERS }, () => ({ cookie: '', home: -1, isBusy: false }));
    this.#know();
    const choose = this.chooser.choose.bind(this.chooser);
    this.chooser.choose = (plan, affinity, tried, nowMs) => {
      if (this.#beginning?.streams.length === 0) assert.deepEqual(tried, [], 'servers tried before');
      return choose(plan, affinity, tried, nowMs);
    };
  }

  #know(): void {
    for (const slot of this.plan.slots) this.#slots.add(slot);
  }

  get live(): readonly Play[] {
    return this.#running.filter((play) => !play.isOver);
  }

  override takeRetry(): boolean {
    return true;
  }

  override servers(slot: number): ServerStreams {
    const streams = super.servers(slot);
    const owned = (stream: FakeServer | null, user: ServerStreamUser): FakeServer | null => {
      const { client } = user as Exchange;
      const owner =
        this.#beginning?.client === client
          ? this.#beginning
          : this.#running.find((play) => play.client === client);
      if (stream !== null) owner?.streams.push(stream);
      return stream;
    };
    return {
      takeIdle: (user) => owned(streams.takeIdle(user) as FakeServer | null, user),
      open: (user, nowMs) => owned(streams.open(user, nowMs) as FakeServer, user) as FakeServer,
    };
  }

  #begin(browser: Browser): void {
    const { home } = browser;
    const isHomeFree = home >= 0 && this.#isFree(home);
    browser.isBusy = true;
    this.accessLog.sample = this.dice.below(4) === 0 ? 0 : 1;
    const play = new Play(this.plays.length, this, this.dice, browser, (begun) => (this.#beginning = begun));
    this.#beginning = null;
    this.plays.push(play);
    this.#running.push(play);
    play.isLogged = this.accessLog.sample === 1;
    const { timeoutMs, whenDownMs } = this.plan.config.queue;
    const waitsMs = play.exchange.deadline.deadlineMs - this.clock.nowMs();
    const isQueued = !play.isOver && play.streams.length === 0;
    if (isQueued) assert.ok([timeoutMs, whenDownMs].includes(waitsMs), `waits for ${waitsMs} ms`);
    if (isHomeFree) assert.equal(play.streams[0]?.slot, home, 'not at home');
  }

  #isFree(slot: number): boolean {
    return this.#hasPlace(slot) && this.plan.config.sticky.mode === 'cookie-pin';
  }

  #hasPlace(slot: number): boolean {
    const index = this.plan.slots.indexOf(slot);
    const max = this.plan.connectionsMax[index] ?? 0;
    const isHeld = this.chooser.refusals.isHeld(slot, this.clock.nowMs());
    const isUp = index >= 0 && this.main.control.verdict(slot) === Verdict.up && !isHeld;
    return isUp && (max === 0 || this.shared.inFlight(slot) < max);
  }

  #forgetHomes(): void {
    for (const browser of this.#browsers) browser.home = -1;
  }

  #worldSteps(): readonly Step[] {
    const { dice } = this;
    const browser = this.#browsers.find(({ isBusy }) => !isBusy);
    const steps: Step[] = [
      { what: 'pass', act: () => this.elapse([1, 99, 150, 1_500, 5_500][dice.below(5)] as number) },
      { what: 'idle connections', act: () => (this.hasIdle = !this.hasIdle) },
    ];
    if (browser !== undefined && this.live.length < AT_ONCE_MAX)
      for (let weight = 0; weight < 3; weight += 1)
        steps.push({ what: 'begin', act: () => this.#begin(browser) });
    if (this.barrier !== null)
      steps.push({ what: 'successor knows', act: () => this.barrier?.successorKnows() });
    const rare: readonly Step[] = [
      { what: 'reload', act: () => this.#reload() },
      { what: 'verdict', act: () => this.#judge() },
      { what: 'retire', act: () => this.barrier ?? this.retire() },
      { what: 'long pass', act: () => this.elapse(61_000) },
    ];
    if (dice.below(10) === 0) steps.push(rare[dice.below(rare.length)] as Step);
    return steps;
  }

  #reload(): void {
    this.reload(randomPool(this.dice));
    this.#know();
    this.#forgetHomes();
  }

  #judge(): void {
    const slot = this.plan.slots[this.dice.below(this.plan.slots.length)] as number;
    this.main.control.setVerdict(slot, this.dice.below(2) === 0 ? Verdict.down : Verdict.up);
    this.#forgetHomes();
  }

  /** Time passes: attempts may end by it, which counts as a retry or not. */
  elapse(ms: number): void {
    const before = this.live.map((play) => [play, play.streams.length, play.stream] as const);
    this.pass(ms);
    for (const [play, opened, stream] of before)
      if (stream !== null && play.stream !== stream) {
        if (play.streams.length > opened || !play.isOver) play.retries = Number.NaN;
        play.browser.home = -1;
      }
  }

  step(): void {
    const { dice } = this;
    const steps = this.#worldSteps().map((step) => ({ ...step, id: -1 }));
    const live = this.live;
    const [play] = live.length === 0 ? [] : [live[dice.below(live.length)]];
    const own = play?.steps().map((step) => ({ ...step, id: play.id })) ?? [];
    const choices = dice.below(3) > 0 && own.length > 0 ? own : steps;
    const chosen = choices[dice.below(choices.length)];
    if (chosen === undefined) return;
    this.trace.push(`${chosen.id < 0 ? '' : `${chosen.id} `}${chosen.what}`);
    const before = live.map((one) => ({ one, slot: one.exchange.slot }));
    chosen.act();
    for (const { one, slot } of before) if (one.isOver || one.exchange.slot !== slot) this.#checkTold(slot);
    this.check();
  }

  /** A place has been left: nobody who may have it still waits. */
  #checkTold(slot: number): void {
    if (slot === -1 || !this.#hasPlace(slot)) return;
    assert.ok(!this.live.some((play) => play.waitsFor(slot)), `waits for the free place at ${slot}`);
  }

  check(): void {
    const { live } = this;
    for (const play of this.#running) {
      play.check();
      if (play.isOver) play.browser.isBusy = false;
    }
    this.#running = this.#running.filter((play) => !play.isOver);
    assert.equal(this.deadlines.count, live.length, 'deadlines');
    assert.equal(this.queue().length, live.filter(({ exchange }) => exchange.slot === -1).length, 'queued');
    for (const slot of this.#slots) {
      const there = live.filter(({ exchange }) => exchange.slot === slot).length;
      assert.equal(this.own.gauge(slot, Gauge.inFlight), there, `in flight at ${slot}`);
    }
  }

  /** Both sides are silent from now on: everything is over in bounded time. */
  end(): void {
    for (let turn = 0; turn < 12 && this.live.length > 0; turn += 1) {
      for (const { stream } of this.live)
        if (stream !== null && !stream.isConnected) {
          stream.destroy();
          stream.user.onUnreachable('connect-timeout');
        }
      this.elapse(LONG_MS);
      this.trace.push('end');
      this.check();
    }
    while (this.plays.some(({ client }) => client.isWithheld)) {
      const { length } = this.asked;
      this.barrier?.successorKnows();
      if (this.asked.length === length) break;
    }
    for (const play of this.plays) play.check();
    for (const { client } of this.plays) assert.ok(!client.isWithheld, 'withheld for ever');
    assert.deepEqual([this.live.length, this.left()], [0, NOTHING_LEFT]);
    this.#checkCounts();
    this.#checkLog();
  }

  #checkCounts(): void {
    const sum = (offset: number): number =>
      [...this.#slots].reduce((total, slot) => total + this.own.counter(slot, offset), 0);
    const { plays } = this;
    const classOf = (play: Play): number =>
      play.isAborted
        ? play.abortedClass
        : play.client.outcomes[0] === 'whole'
          ? Math.floor((play.client.statuses[0] ?? 0) / 100)
          : -1;
    for (const codeClass of [1, 2, 3])
      assert.equal(
        sum(Counter.code + codeClass),
        plays.filter((play) => classOf(play) === codeClass).length,
        `${codeClass}xx`,
      );
    let requests = 0;
    for (let codeClass = 0; codeClass <= 5; codeClass += 1) requests += sum(Counter.code + codeClass);
    assert.ok(requests <= plays.length, 'counted twice');
    const isBroken = ({ client }: Play): boolean => client.outcomes[0] === 'broken';
    assert.ok(requests >= plays.filter((play) => isBroken(play) || classOf(play) >= 0).length, 'not counted');
    assert.equal(
      sum(Counter.responseBytes),
      plays.reduce((total, { client }) => total + client.bytes, 0),
    );
    assert.equal(this.own.poolCounter(this.plan.id, PoolCounter.requests), plays.length);
    const ended = plays.map((play) => (play.isAborted ? 'client-aborted' : play.client.outcomes[0]));
    // of what is broken off the client cannot say why
    let broken = ended.filter((end) => end === 'broken').length;
    for (const [index, kind] of FAILURE_KINDS.entries()) {
      const surplus = this.own.rejected(index, this.plan.id) - ended.filter((end) => end === kind).length;
      assert.ok(surplus >= 0, `rejected: ${kind}`);
      broken -= surplus;
    }
    assert.equal(broken, 0, 'rejected: broken off');
  }

  #checkLog(): void {
    this.accessLog.flush();
    const lines = this.logged.join('').split('\n').filter(Boolean);
    const logged = new Map(lines.map((text) => [(JSON.parse(text) as { target: string }).target, text]));
    const plays = this.plays.filter(({ isLogged }) => isLogged);
    assert.deepEqual([lines.length, logged.size], [plays.length, plays.length], 'lines of the log');
    for (const play of plays) {
      const line = JSON.parse(logged.get(`/${play.id}`) ?? '{}') as Record<string, unknown>;
      const [outcome] = play.client.outcomes;
      const error = play.isAborted ? 'client-aborted' : outcome === 'whole' ? null : line['error'];
      const isKnown = error === null || FAILURE_KINDS.includes(error as FailureKind);
      assert.ok(isKnown, `ended by ${String(error)}`);
      const isReplied = outcome !== undefined && outcome !== 'whole' && outcome !== 'broken';
      if (isReplied) assert.equal(error, outcome);
      assert.deepEqual(
        [line['error'], line['bytesOut']],
        [error, isReplied ? REPLY_BYTES : play.client.bytes],
        logged.get(`/${play.id}`) ?? '',
      );
      if (outcome === 'whole') assert.equal(line['status'], play.client.statuses[0]);
    }
  }
}

function simulate(seed: number): void {
  const simulation = new Simulation(seed);
  try {
    for (let step = 0; step < STEPS; step += 1) simulation.step();
    simulation.end();
  } catch (error) {
    const steps = simulation.trace.slice(-40).join(', ');
    throw new Error(`seed ${seed} after ${steps}`, { cause: error });
  }
}

test('whatever happens at whatever step, nothing is lost, mixed, left or counted twice', {
  timeout: 600_000,
}, () => {
  const failed: string[] = [];
  for (const seed of seeds(250)) {
    try {
      simulate(seed);
    } catch (error) {
      failed.push(`${(error as Error).message}: ${String((error as Error).cause)}`);
      if (failed.length >= 3) break;
    }
  }
  expect(failed).toEqual([]);
});

// A seeded simulation of the choose room: two threads, interleaved exchanges, servers that fail and come back, reloads,
// log-ins and log-outs, a table too small. Whatever happens, at rest the books balance, and what is in use is in use by
// exactly those that run. SEED= replays one, SEEDS= widens.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import type { StickyConfig } from '../../src/config/model.ts';
import type { Mode, Verdict } from '../../src/shared/control.ts';
import { AFFINITY_OUTCOMES, END_REASONS, LOST_REASONS, MOVE_REASONS } from '../../src/shared/stripe.ts';
import { seeds } from '../support/seeds.ts';
import { type Exchange, type ExchangeOptions, World } from './fixture.ts';
import { cookiePair } from './messages.ts';

const STEPS = 1500;
const USERS = 60;
const NAMES = ['a', 'b', 'c', 'd', 'e'];

const MODES: readonly { readonly title: string; readonly sticky: Partial<StickyConfig> }[] = [
  { title: 'cookie-hash', sticky: { mode: 'cookie-hash' } },
  { title: 'cookie-pin', sticky: { mode: 'cookie-pin' } },
  {
    title: 'application cookie',
    sticky: {
      mode: 'cookie-hash',
      cookie: 'sid',
      cookieOwner: 'application',
      bound: { by: 'sessions', factor: 1.25 },
    },
  },
  { title: 'learn', sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application' } },
  { title: 'learn by header', sticky: { mode: 'learn', header: 'x-session-id', cookieOwner: 'application' } },
  {
    title: 'header-hash',
    sticky: { mode: 'header-hash', header: 'x-session-id', bound: { by: 'sessions', factor: 1.25 } },
  },
  { title: 'address-hash', sticky: { mode: 'address-hash' } },
  { title: 'paced', sticky: { mode: 'cookie-hash', movesPerSecond: 20, failBack: 'home' } },
];

interface Running {
  readonly user: number;
  readonly exchange: Exchange;
  readonly response: readonly string[];
}

class Simulation {
  readonly world: World;
  readonly #random: SeededRandom;
  readonly #sticky: Partial<StickyConfig>;
  /** Value of each user's key, null without one. */
  readonly #jar: (string | null)[] = new Array<string | null>(USERS).fill(null);
  readonly #running: Running[] = [];
  #ids = 0;
  exchanges = 0;

  constructor(sticky: Partial<StickyConfig>, seed: number) {
    this.#random = new SeededRandom(seed);
    this.#sticky = { ...sticky, whenDown: seed % 3 === 0 ? 'refuse' : 'move' };
    this.world = new World({
      sticky: this.#sticky,
      workers: 2,
      seed,
      sessionsMax: seed % 4 === 0 ? 24 : 5000,
      servers: [{ maxConnections: 6 }, { weight: 2 }, {}, { maxConnections: 3 }, { backup: true }],
      pool: {
        state: seed % 2 === 0 ? 'local' : 'shared',
        policy: (['round-robin', 'least-connections', 'random-two', 'least-sessions', 'least-time'] as const)[
          seed % 5
        ]!,
      },
    });
  }

  step(): void {
    const kind = this.#random.below(100);
    if (kind < 40) this.#begin();
    else if (kind < 85) this.#advance();
    else if (kind < 90) this.world.setVerdict(this.#server(), this.#random.below(4) as Verdict);
    else if (kind < 93) this.world.setMode(this.#server(), this.#random.below(3) as Mode);
    else if (kind < 95) this.world.reload(NAMES.filter(() => this.#random.below(6) > 0));
    else if (kind < 96) this.world.clock.advance(10 * 60_000);
    else this.world.clock.advance(100);
  }

  finishAll(): void {
    while (this.#running.length > 0) this.#advance();
  }

  #server(): string {
    return NAMES[this.#random.below(NAMES.length)]!;
  }

  #begin(): void {
    const user = this.#random.below(USERS);
    const response: string[] = [];
    if (this.#sticky.cookieOwner === 'application') this.#scriptApplication(user, response);
    if (this.#random.below(15) === 0) response.push('x-holdfast-session: end');
    const exchange = this.world.begin(this.#requestOf(user), this.#random.below(2));
    this.exchanges += 1;
    this.#running.push({ user, exchange, response });
    this.#attempt(exchange);
  }

  #scriptApplication(user: number, response: string[]): void {
    const does = this.#random.below(10);
    this.#ids += 1;
    const line = (value: string): string =>
      this.#sticky.header === undefined ? `Set-Cookie: sid=${value}; Path=/` : `x-session-id: ${value}`;
    if (does < 3) response.push(line(`user-${user}-${this.#ids}`));
    else if (does === 3 && this.#sticky.header === undefined) response.push(line(''));
    else if (does === 4) this.#jar[user] = `unknown-${this.#ids}`;
  }

  #requestOf(user: number): ExchangeOptions {
    const value = this.#jar[user] ?? null;
    if (this.#sticky.mode === 'address-hash') return { address: `10.0.0.${user}` };
    if (this.#sticky.mode === 'header-hash')
      return user % 7 === 0 ? {} : { headers: [`x-session-id: ${user}`] };
    if (value === null) return {};
    if (this.#sticky.header !== undefined) return { headers: [`x-session-id: ${value}`] };
    const isForged = this.#random.below(40) === 0;
    return { cookie: `${this.#sticky.cookie ?? 'holdfast'}=${isForged ? `${value.slice(0, -1)}!` : value}` };
  }

  #attempt(exchange: Exchange): void {
    if (exchange.attempt() === null) return;
    this.world.shared.stripes[0]!.addGauge(exchange.slot, 0, 1);
  }

  #leave(exchange: Exchange): void {
    if (exchange.slot !== -1) this.world.shared.stripes[0]!.addGauge(exchange.slot, 0, -1);
  }

  /** One running exchange goes on: it fails and is tried again, is given up, or is answered and done. */
  #advance(): void {
    if (this.#running.length === 0) return;
    const at = this.#random.below(this.#running.length);
    const { user, exchange, response } = this.#running[at]!;
    const does = this.#random.below(10);
    const isTriable = exchange.tried.length < 3;
    if (does < 2 && isTriable) {
      this.#leave(exchange);
      if (exchange.slot !== -1) exchange.tried.push(exchange.slot);
      else exchange.tried.push(0);
      this.#attempt(exchange);
      return;
    }
    this.#running.splice(at, 1);
    if (exchange.slot !== -1 && does < 9) {
      const own = exchange.answer(response, false, does === 8 ? 503 : 200);
      if (own !== '') this.#jar[user] = cookiePair(own).slice('holdfast='.length) || null;
      const set = response[0]?.match(/(?:sid=|x-session-id: )([^;]*)/)?.[1];
      if (set !== undefined) this.#jar[user] = set === '' ? null : set;
    }
    this.#leave(exchange);
    exchange.finish();
  }

  /** What holds at any moment: an entry is in use by those that have it open, whatever has begun and ended there. */
  auditHolds(): void {
    const { table } = this.world.shared;
    const held = new Map<number, number>();
    for (const { exchange } of this.#running) {
      const { entry } = exchange.affinity;
      if (entry !== -1) held.set(entry, (held.get(entry) ?? 0) + 1);
    }
    for (let entry = 0; entry < table.capacity; entry += 1)
      if (table.busy(entry) !== (held.get(entry) ?? 0))
        expect([entry, table.busy(entry)], 'in use').toEqual([entry, held.get(entry) ?? 0]);
  }

  /** Everything that must hold when no exchange is running. */
  audit(): void {
    const { world } = this;
    const present = [0, 1, 2, 3, 4].map((index) => world.slot(index));
    const entries = world.entries();
    expect(entries.busy, 'busy entries').toBe(0);
    const homes = new Map<number, number>();
    const { table } = world.shared;
    for (let entry = 0; entry < table.capacity; entry += 1) {
      if (table.isUsed(entry) && !table.marks.isAlias(entry))
        homes.set(table.home(entry) & 0xfff, (homes.get(table.home(entry) & 0xfff) ?? 0) + 1);
    }
    for (const slot of present)
      expect(world.shared.placedSessions(slot), `placed in ${slot}`).toBe(homes.get(slot) ?? 0);
    const total = (read: (name: string) => number): number =>
      NAMES.reduce((sum, name) => sum + read(name), 0);
    const created = total((name) => world.created(name));
    const ended = total((name) => END_REASONS.reduce((sum, reason) => sum + world.ended(name, reason), 0));
    const lost = total((name) => LOST_REASONS.reduce((sum, reason) => sum + world.lost(name, reason), 0));
    // a lost session of an application is over; one of our own goes on as a route
    const over = world.plans[0]?.learns === true ? ended + lost : ended;
    expect(created - over, 'created - ended').toBe(entries.used - entries.tentative);
    const outcomes = AFFINITY_OUTCOMES.reduce((sum, outcome) => sum + world.outcomes(outcome), 0);
    expect(outcomes, 'outcomes').toBe(this.exchanges);
    const moves = MOVE_REASONS.reduce((sum, reason) => sum + world.moves(reason), 0);
    const lostInPool = LOST_REASONS.reduce((sum, reason) => sum + world.lostInPool(reason), 0);
    expect(lostInPool).toBeLessThanOrEqual(moves);
    // a cookie of ours that outlived its entry names a removed home that nobody can tell any more
    const unnamed = lostInPool - lost;
    expect(unnamed, 'lost by pool').toBeGreaterThanOrEqual(0);
    expect(unnamed).toBeLessThanOrEqual(world.plans[0]?.learns === true ? 0 : world.moves('removed'));
    if (world.config.state === 'shared') expect(lostInPool).toBe(0);
  }
}

describe.each(MODES)('$title', ({ sticky }) => {
  test.each(seeds(12))('the books balance, seed %d', (seed) => {
    const simulation = new Simulation(sticky, seed);
    for (let step = 0; step < STEPS; step += 1) {
      simulation.step();
      if (step % 50 === 0) simulation.auditHolds();
      if (step % 500 !== 499) continue;
      simulation.finishAll();
      simulation.auditHolds();
      simulation.audit();
    }
  });
});

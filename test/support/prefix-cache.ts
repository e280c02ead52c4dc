// A simulation of replicas of a language model, each with a cache of the prefixes of the conversations it has served of
// late, behind the real chooser: how often the prefix is there, and how long requests take.
//
//   request ── chooser ──> replica: waits for one of its places ──> short when the conversation is cached, else long

import { SeededRandom } from '../../src/base/random.ts';
import { type Exchange, World, type WorldOptions } from '../choose/fixture.ts';

export interface Load {
  readonly seed: number;
  readonly requests: number;
}

export interface Figures {
  /** Share of requests that found their conversation's prefix. */
  readonly hitRate: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  /** Share of requests that were served by another replica than their own. */
  readonly overflow: number;
}

const REPLICAS = 4;
/** Requests that a replica works on at once, and conversations that its memory holds. */
const PLACES = 4;
const CACHED = 60;
const HIT_MS = 100;
const MISS_MS = 500;
const CONVERSATIONS = 400;
/** How much more popular the first conversations are than the others. */
const ZIPF = 1.25;
const PER_SECOND = 75;

interface Arrival {
  readonly conversation: number;
  readonly atMs: number;
  readonly exchange: Exchange;
  readonly name: string;
}

class Replica {
  readonly waiting: Arrival[] = [];
  /** The least recently used first. */
  readonly #cached = new Set<number>();
  busy = 0;

  /** True when the prefix was there; it is from now on. */
  serve(conversation: number): boolean {
    const isHit = this.#cached.delete(conversation);
    this.#cached.add(conversation);
    const [oldest] = this.#cached;
    if (this.#cached.size > CACHED && oldest !== undefined) this.#cached.delete(oldest);
    return isHit;
  }
}

export function simulate(options: Pick<WorldOptions, 'sticky' | 'pool'>, load: Load): Figures {
  return new Simulation(options, load).run();
}

class Simulation {
  readonly #world: World;
  readonly #replicas: ReadonlyMap<string, Replica>;
  readonly #random: SeededRandom;
  readonly #load: Load;
  readonly #popularity: readonly number[];
  /** What ends when, soonest first. */
  readonly #ends: { readonly atMs: number; readonly arrival: Arrival }[] = [];
  readonly #tookMs: number[] = [];
  #hits = 0;

  constructor(options: Pick<WorldOptions, 'sticky' | 'pool'>, load: Load) {
    this.#world = new World({ ...options, servers: Array.from({ length: REPLICAS }, () => ({})) });
    this.#replicas = new Map(this.#world.config.servers.map(({ name }) => [name, new Replica()]));
    this.#random = new SeededRandom(load.seed);
    this.#load = load;
    let sum = 0;
    this.#popularity = Array.from({ length: CONVERSATIONS }, (_, index) => (sum += 1 / (index + 1) ** ZIPF));
  }

  run(): Figures {
    let nextMs = 0;
    for (let request = 0; request < this.#load.requests; request += 1) {
      nextMs += (-Math.log(1 - this.#random.next()) * 1000) / PER_SECOND;
      this.#endUntil(nextMs);
      this.#arrive(nextMs);
    }
    this.#endUntil(Number.POSITIVE_INFINITY);
    const sorted = this.#tookMs.toSorted((a, b) => a - b);
    const at = (share: number): number => Math.round(sorted[Math.floor(share * sorted.length)] ?? 0);
    const part = (count: number): number => Math.round((1000 * count) / this.#load.requests) / 1000;
    return {
      hitRate: part(this.#hits),
      medianMs: at(0.5),
      p99Ms: at(0.99),
      overflow: part(this.#world.outcomes('overflow')),
    };
  }

  #arrive(atMs: number): void {
    const wanted = this.#random.next() * (this.#popularity.at(-1) ?? 1);
    const conversation = this.#popularity.findIndex((upTo) => upTo > wanted);
    const exchange = this.#world.begin({ headers: [`X-Session-Id: conversation-${conversation}`] });
    const name = exchange.attempt() ?? '';
    const replica = this.#replicas.get(name);
    if (replica === undefined) throw new Error('every replica is up');
    this.#world.addInFlight(name, 1);
    replica.waiting.push({ conversation, atMs, exchange, name });
    this.#begin(replica, atMs);
  }

  #begin(replica: Replica, nowMs: number): void {
    while (replica.busy < PLACES) {
      const arrival = replica.waiting.shift();
      if (arrival === undefined) return;
      replica.busy += 1;
      const isHit = replica.serve(arrival.conversation);
      this.#hits += Number(isHit);
      const atMs = nowMs + (isHit ? HIT_MS : MISS_MS);
      const after = this.#ends.findIndex((end) => end.atMs > atMs);
      this.#ends.splice(after === -1 ? this.#ends.length : after, 0, { atMs, arrival });
    }
  }

  #endUntil(limitMs: number): void {
    for (;;) {
      const [end] = this.#ends;
      if (end === undefined || end.atMs > limitMs) return;
      this.#ends.shift();
      const { atMs, name, exchange } = end.arrival;
      exchange.answer();
      exchange.finish();
      this.#world.addInFlight(name, -1);
      this.#tookMs.push(end.atMs - atMs);
      const replica = this.#replicas.get(name);
      if (replica === undefined) continue;
      replica.busy -= 1;
      this.#begin(replica, end.atMs);
    }
  }
}

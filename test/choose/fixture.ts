// A small world for the choose room: one SharedState seen by any number of workers, a pool, a clock that is moved by
// hand, requests and responses made from text by the real codec's offsets.

import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { Affinity } from '../../src/choose/affinity.ts';
import { Chooser } from '../../src/choose/chooser.ts';
import { compilePool, type PoolPlan } from '../../src/choose/plan.ts';
import { serverAt } from '../../src/config/address.ts';
import type { PoolConfig, ServerConfig, StickyConfig } from '../../src/config/model.ts';
import { Mode, Verdict, WEIGHT_SCALE } from '../../src/shared/control.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import {
  AFFINITY_OUTCOMES,
  type AffinityOutcome,
  Counter,
  END_REASONS,
  type EndReason,
  Gauge,
  LOST_REASONS,
  type LostReason,
  MOVE_REASONS,
  type MoveReason,
  PoolCounter,
} from '../../src/shared/stripe.ts';
import { requestHead, requestOf, responseHead, responseOf } from './messages.ts';

export const SECRET: Uint8Array = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 1);
export const POOL_ID = 3;
/** The first server's slot: not 0, so that an index taken for a slot shows. */
export const FIRST_SLOT = 5;
const GENERATION = 2;

export interface WorldOptions {
  readonly servers?: readonly Partial<ServerConfig>[];
  readonly sticky?: Partial<StickyConfig>;
  readonly pool?: Partial<Omit<PoolConfig, 'servers' | 'sticky'>>;
  readonly workers?: number;
  readonly seed?: number;
  readonly secret?: Uint8Array;
  readonly secrets?: readonly Uint8Array[];
  readonly sessionsMax?: number;
  readonly firstSlot?: number;
}

export function stickyOf(options: Partial<StickyConfig> = {}): StickyConfig {
  return {
    mode: 'none',
    cookie: 'holdfast',
    cookieOwner: 'balancer',
    header: null,
    from: null,
    adopt: null,
    secrets: [],
    cookieAliases: [],
    mask: { ipv4: 32, ipv6: 64 },
    attributes: {
      httpOnly: true,
      secure: 'auto',
      sameSite: 'Lax',
      path: '/',
      domain: null,
      maxAgeMs: null,
      partitioned: false,
    },
    idleMs: 30 * 60_000,
    lifeMs: 24 * 3_600_000,
    bound: { by: 'sessions', factor: 0 },
    whenDown: 'move',
    whenLost: 'move',
    movesPerSecond: null,
    failBack: 'stay',
    ...options,
  };
}

export function serverOf(index: number, options: Partial<ServerConfig> = {}): ServerConfig {
  return {
    name: String.fromCharCode(97 + index),
    ...serverAt('127.0.0.1', 3001 + index),
    ...{ weight: 1, maxConnections: 0, maxSessions: 0 },
    backup: false,
    mode: 'ready',
    ...options,
  };
}

export function poolOf(options: WorldOptions): PoolConfig {
  const servers = options.servers ?? [{}, {}, {}, {}];
  return {
    name: 'shop',
    policy: 'round-robin',
    state: 'local',
    health: null,
    passive: null,
    retry: { attempts: 2, budget: 0.2, status: [] },
    queue: { size: 10, timeoutMs: 1000, whenDownMs: 1000 },
    timeouts: { connectMs: 1000, responseMs: 1000, idleMs: 1000 },
    keepAlive: { max: 10, idleMs: 1000 },
    host: 'keep',
    ...({ protocol: 'h1', sendProxyProtocol: 'off' } as const),
    tls: { verify: 'on', ca: null, serverName: null, groups: null, cert: null, key: null, passphrase: null },
    secure: { isVerified: true, serverName: null, groups: null, ca: null, cert: null, key: null },
    limits: { responseHeadBytes: 65_536, interimResponses: 16 },
    holdUntilComplete: 'off',
    ...{ errorPages: {}, pages: {}, slowStartMs: 0 },
    rebalance: { mode: 'off', start: 1.25, stop: 1.08, budget: 0.02, everyMs: 1000 },
    ...options.pool,
    sticky: stickyOf(options.sticky),
    discovery: [],
    servers: servers.map((server, index) => serverOf(index, server)),
  };
}

/** What one whole exchange came to. */
export interface Outcome {
  /** Name of the server, null when there was none. */
  readonly server: string | null;
  readonly failure: string | null;
  readonly outcome: AffinityOutcome;
  readonly moveReason: MoveReason | null;
  /** Set-Cookie value added by the balancer, '' for none. */
  readonly setCookie: string;
}

export interface ExchangeOptions {
  readonly method?: string;
  readonly target?: string;
  readonly status?: number;
  readonly headers?: readonly string[];
  readonly cookie?: string;
  readonly address?: string;
  readonly responseHeaders?: readonly string[];
  readonly isSecure?: boolean;
  /** Names of servers that fail before they answer. */
  readonly failing?: readonly string[];
  /** The client gives up before the response head. */
  readonly unanswered?: boolean;
}

export class World {
  readonly clock: ManualClock = new ManualClock();
  readonly shared: SharedState;
  readonly workers: readonly SharedState[];
  readonly choosers: readonly Chooser[];
  plans: readonly PoolPlan[];
  readonly config: PoolConfig;
  readonly #options: WorldOptions;
  /** Slots that each server has had, by its place in the configuration: the present or latest one last. */
  readonly #slots: number[][];

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    const workers = options.workers ?? 1;
    const seed = options.seed ?? 1;
    this.shared = SharedState.create(workers, options.sessionsMax ?? 20_000, this.clock.nowMs());
    this.config = poolOf(options);
    const first = options.firstSlot ?? FIRST_SLOT;
    this.#slots = this.config.servers.map((_, index) => [first + index]);
    for (const index of this.#slots.keys()) this.#occupy(index);
    this.workers = Array.from({ length: workers }, (_, worker) =>
      SharedState.attach(this.shared.handles(), worker),
    );
    this.choosers = this.workers.map(
      (state, worker) => new Chooser(state, new SeededRandom(seed * 1000 + worker)),
    );
    this.plans = this.workers.map((_, worker) => this.compile(this.config, seed * 2000 + worker));
  }

  compile(
    config: PoolConfig,
    seed = 1,
    slots = config.servers.map((_, index) => this.slot(index)),
  ): PoolPlan {
    return compilePool(
      {
        id: POOL_ID,
        config,
        slots,
        generations: slots.map(() => GENERATION),
        keys: this.#options.secrets ?? [this.#options.secret ?? SECRET],
      },
      new SeededRandom(seed),
    );
  }

  #occupy(index: number): void {
    const slot = this.slot(index);
    const server = this.config.servers[index]!;
    this.shared.control.setGeneration(slot, GENERATION);
    this.shared.control.setVerdict(slot, Verdict.up);
    this.shared.control.setMode(slot, Mode[server.mode]);
    this.shared.control.setWeight(slot, server.weight * WEIGHT_SCALE);
  }

  /**
   * A reload: all workers go over to the servers of these names. As in main, a removed server's slot is of another
   * generation, and a server that comes back gets a slot of its own.
   */
  reload(names: readonly string[]): void {
    const { control } = this.shared;
    this.config.servers.forEach(({ name }, index) => {
      const isThere = control.generation(this.slot(index)) === GENERATION;
      if (isThere === names.includes(name)) return;
      if (isThere) {
        control.setGeneration(this.slot(index), GENERATION + 1);
        return;
      }
      this.#slots[index]!.push(Math.max(...this.#slots.flat()) + 1);
      this.#occupy(index);
    });
    const servers = this.config.servers.filter((server) => names.includes(server.name));
    const slots = servers.map((server) => this.slot(this.config.servers.indexOf(server)));
    this.plans = this.workers.map((_, worker) => this.compile({ ...this.config, servers }, worker, slots));
  }

  slot(index: number): number {
    return this.#slots[index]!.at(-1)!;
  }

  slotOf(name: string): number {
    return this.slot(this.config.servers.findIndex((server) => server.name === name));
  }

  nameOf(slot: number): string {
    const index = this.#slots.findIndex((slots) => slots.includes(slot));
    return this.config.servers[index]?.name ?? `slot ${slot}`;
  }

  setVerdict(name: string, verdict: Verdict): void {
    this.shared.control.setVerdict(this.slotOf(name), verdict);
  }

  setMode(name: string, mode: Mode): void {
    this.shared.control.setMode(this.slotOf(name), mode);
  }

  addInFlight(name: string, amount: number, worker = 0): void {
    this.workers[worker]?.own.addGauge(this.slotOf(name), Gauge.inFlight, amount);
  }

  begin(options: ExchangeOptions = {}, worker = 0): Exchange {
    return new Exchange(this, worker, options);
  }

  /** One exchange from beginning to end. */
  exchange(options: ExchangeOptions = {}, worker = 0): Outcome {
    const exchange = this.begin(options, worker);
    const failing = options.failing ?? [];
    let server = exchange.attempt();
    while (server !== null && failing.includes(server) && exchange.tried.length < 10) {
      exchange.tried.push(this.slotOf(server));
      server = exchange.attempt();
    }
    if (server !== null && options.unanswered !== true)
      exchange.answer(options.responseHeaders, options.isSecure, options.status);
    return exchange.finish();
  }

  created(name: string): number {
    return this.#count(name, Counter.created);
  }

  ended(name: string, reason: EndReason): number {
    return this.#count(name, Counter.ended + END_REASONS.indexOf(reason));
  }

  lost(name: string, reason: LostReason): number {
    return this.#count(name, Counter.lost + LOST_REASONS.indexOf(reason));
  }

  /** In all the slots that the server has had. */
  #count(name: string, counter: number): number {
    const slots = this.#slots[this.config.servers.findIndex((server) => server.name === name)] ?? [];
    return slots.reduce((sum, slot) => sum + this.shared.sumCounter(slot, counter), 0);
  }

  lostInPool(reason: LostReason): number {
    return this.shared.sumPoolCounter(POOL_ID, PoolCounter.lost + LOST_REASONS.indexOf(reason));
  }

  placed(name: string): number {
    return this.shared.placedSessions(this.slotOf(name));
  }

  moves(reason: MoveReason): number {
    return this.shared.sumPoolCounter(POOL_ID, PoolCounter.moves + MOVE_REASONS.indexOf(reason));
  }

  outcomes(outcome: AffinityOutcome): number {
    return this.shared.sumPoolCounter(POOL_ID, PoolCounter.affinity + AFFINITY_OUTCOMES.indexOf(outcome));
  }

  /** Of a counter over all servers. */
  total(read: (name: string) => number): number {
    return this.config.servers.reduce((sum, server) => sum + read(server.name), 0);
  }

  /** Sessions in the table, those of them that a request holds, and other keys of theirs. */
  entries(): Record<'used' | 'busy' | 'tentative' | 'aliases', number> & { homes: Map<string, number> } {
    const { table } = this.shared;
    const homes = new Map<string, number>();
    let used = 0;
    let busy = 0;
    let tentative = 0;
    let aliases = 0;
    for (let entry = 0; entry < table.capacity; entry += 1) {
      if (!table.isUsed(entry) || table.marks.isOver(entry)) continue;
      if (table.marks.isAlias(entry)) {
        aliases += 1;
        continue;
      }
      used += 1;
      if (table.busy(entry) > 0) busy += 1;
      if (table.isTentative(entry)) tentative += 1;
      const name = this.nameOf(table.home(entry) & 0xfff);
      homes.set(name, (homes.get(name) ?? 0) + 1);
    }
    return { used, busy, tentative, aliases, homes };
  }
}

/** One exchange, step by step. */
export class Exchange {
  readonly affinity: Affinity = new Affinity();
  readonly tried: number[] = [];
  slot = -1;
  setCookie = '';
  readonly #world: World;
  readonly #chooser: Chooser;
  /** The one it began with, whatever is reloaded meanwhile. */
  readonly plan: PoolPlan;

  constructor(world: World, worker: number, options: ExchangeOptions) {
    this.#world = world;
    this.plan = world.plans[worker] as PoolPlan;
    this.#chooser = world.choosers[worker] as Chooser;
    const lines = [...(options.headers ?? [])];
    if (options.cookie !== undefined) lines.push(`Cookie: ${options.cookie}`);
    const { buffer, head } = requestOf(lines, options.target, undefined, options.method, requestHead);
    const { clock } = world;
    const address = options.address ?? '192.0.2.1';
    this.#chooser.identify(this.plan, buffer, head, address, clock.nowMs(), clock.wallMs(), this.affinity);
    buffer.fill(0); // whoever needs a value after the event must have copied it
  }

  /** choose and commit; the server's name, null when there is none. */
  attempt(): string | null {
    const { clock } = this.#world;
    this.slot = this.#chooser.choose(this.plan, this.affinity, this.tried, clock.nowMs());
    if (this.slot === -1) return null;
    return this.commit() ? this.#world.nameOf(this.slot) : this.attempt();
  }

  choose(): number {
    this.slot = this.#chooser.choose(this.plan, this.affinity, this.tried, this.#world.clock.nowMs());
    return this.slot;
  }

  /** False: another request has been quicker, choose again. */
  commit(): boolean {
    const { clock } = this.#world;
    return this.#chooser.commit(this.plan, this.affinity, this.slot, clock.nowMs(), clock.wallMs());
  }

  answer(headers: readonly string[] = [], isSecure = false, status = 200): string {
    const { buffer, head } = responseOf(headers, status, responseHead);
    const { clock } = this.#world;
    this.setCookie = this.#chooser.answered(
      this.plan,
      this.affinity,
      this.slot,
      buffer,
      head,
      clock.nowMs(),
      clock.wallMs(),
      isSecure,
    );
    return this.setCookie;
  }

  finish(): Outcome {
    const { affinity } = this;
    this.#chooser.finish(this.plan, affinity, this.#world.clock.nowMs());
    this.#chooser.finish(this.plan, affinity, this.#world.clock.nowMs());
    return {
      server: this.slot === -1 ? null : this.#world.nameOf(this.slot),
      failure: affinity.failure,
      outcome: AFFINITY_OUTCOMES[affinity.outcome] as AffinityOutcome,
      moveReason: affinity.moveReason === -1 ? null : (MOVE_REASONS[affinity.moveReason] as MoveReason),
      setCookie: this.setCookie,
    };
  }
}

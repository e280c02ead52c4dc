// A few servers, a store and users who count up in their sessions, with everything that may go wrong at every step, and
// the invariants of the session store. One seed is one history.

import { strict as assert } from 'node:assert';
import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { REFILL_MS } from '../../src/session-store/backing.ts';
import type { Changed, Found } from '../../src/session-store/copy.ts';
import { STALL_MS } from '../../src/session-store/upkeep.ts';
import { HomeProcess, type ProcessFaults, type StoreProcess } from './home-process.ts';
import { isTold, newUserSession, numberOf, type UserSession } from './home-user.ts';
import { ModelStore, type PlantedFaults } from './model-store.ts';

const SERVERS = 3;
const SESSIONS = 4;
const TTL_MS = 3_600_000;
const STEPS = 140;

export interface WorldFaults {
  readonly store?: PlantedFaults;
  readonly process?: ProcessFaults;
}

export class World {
  readonly dice: SeededRandom;
  readonly scheduler = new ManualScheduler(new ManualClock(0));
  readonly store: StoreProcess;
  readonly servers: HomeProcess[] = [];
  readonly trace: string[] = [];
  /** Some histories send requests of one session to two servers at once. */
  readonly isAffinityKept: boolean;
  readonly #faults: WorldFaults;
  #sessions: UserSession[] = [];
  /** The latest value of each session that the store has ever had. */
  readonly #stored = new Map<string, number>();
  /** Servers that the store has told, since they asked last, that it does not know a session. */
  readonly #answered = new Set<string>();
  #made = 0;
  #lossAtMs = Number.NEGATIVE_INFINITY;

  constructor(seed: number, faults: WorldFaults = {}) {
    this.dice = new SeededRandom(seed);
    this.isAffinityKept = this.dice.below(4) > 0;
    this.#faults = faults;
    const model = new ModelStore(() => this.scheduler.clock.nowMs(), REFILL_MS, faults.store);
    model.onNotice = (owner, kind, key, tenure) =>
      this.servers.find(({ me }) => me === owner)?.notice(kind, key, tenure);
    model.onWrite = (key, before, after) => this.#written(key, before, after);
    model.onUnknown = (key, claimer) => this.#answered.add(`${claimer} ${key}`);
    this.store = { model, isRunning: true, isHung: false, held: [] };
    for (let index = 0; index < SERVERS; index += 1) this.servers.push(this.#start());
    this.scheduler.advance(REFILL_MS + 500);
  }

  /** One history from begin to end. Throws when an invariant is broken. */
  play(): void {
    for (let step = 0; step < STEPS; step += 1) {
      this.#step();
      this.scheduler.advance(this.dice.below(this.dice.below(6) === 0 ? 2500 : 150));
    }
    this.#settle();
  }

  #note(text: string): void {
    this.trace.push(`${this.scheduler.clock.nowMs()} ${text}`);
  }

  #fail(text: string): never {
    assert.fail(`${text}\n${this.trace.join('\n')}`);
  }

  #start(): HomeProcess {
    this.#made += 1;
    const server = new HomeProcess(this.scheduler, this.dice, this.store, {
      me: `s${this.#made}`,
      sessionsMax: 2,
      faults: this.#faults.process ?? {},
    });
    server.connect();
    return server;
  }

  #step(): void {
    const kind = this.dice.below(100);
    const server = this.servers[this.dice.below(SERVERS)] as HomeProcess;
    if (kind < 62) this.#request();
    else if (kind < 66) this.#move();
    else if (kind < 70) this.#crash(server);
    else if (kind < 75) this.#hang(server);
    else if (kind < 80) this.#cut(server);
    else if (kind < 84) this.#killStore();
    else if (kind < 88) this.#hangStore();
    else if (kind < 91) this.#emptyStore();
    else if (kind < 94) this.#destroy();
    else this.#heal();
  }

  #session(): UserSession {
    const index = this.dice.below(SESSIONS);
    const found = this.#sessions[index];
    if (found !== undefined && !found.isGone && (found.destroy === 'no' || this.dice.below(4) > 0))
      return found;
    this.#made += 1;
    const session = newUserSession(`k${this.#made}`, this.dice.below(SERVERS));
    this.#sessions[index] = session;
    return session;
  }

  /** The server of the next request: home, unless it is not well, or affinity is not kept. */
  #route(session: UserSession): HomeProcess {
    const home = this.servers[session.home] as HomeProcess;
    if (!this.isAffinityKept && this.dice.below(2) === 0)
      return this.servers[this.dice.below(SERVERS)] as HomeProcess;
    // A balancer needs a while to see that a server hangs.
    if (home.isAlive && (!home.isHung || this.scheduler.clock.nowMs() - home.hungAtMs < STALL_MS))
      return home;
    session.home = this.dice.below(SERVERS);
    session.isMoved = true;
    // Whatever only a stopped server has counts as lost once its users have gone elsewhere.
    this.#countLosses([session]);
    return this.servers[session.home] as HomeProcess;
  }

  #request(): void {
    const session = this.#session();
    if (session.isBusy && this.isAffinityKept) return;
    const server = this.#route(session);
    if (!server.isAlive || server.isHung || session.at.has(server) || session.isGone) return;
    this.#begin(session, server);
    if (session.floor === -1 && session.destroy === 'no') {
      // A log-in that failed is tried again under another id.
      if (session.parents.length > 0) {
        session.isGone = true;
        this.#end(session, server);
      } else this.#change(session, server, -1);
      return;
    }
    const { isMoved } = session;
    const done = (found: Found): void => {
      this.#read(session, server, found);
      if (found.kind === 'found') session.isMoved = false;
      if (found.kind !== 'found' || session.destroy !== 'no' || this.dice.below(3) === 0)
        this.#end(session, server);
      else server.after(this.dice.below(20), () => this.#change(session, server, numberOf(found.data)));
    };
    this.#answered.delete(`${server.me} ${session.key}`);
    server.home.get(session.key, done, isMoved);
  }

  #begin(session: UserSession, server: HomeProcess): void {
    session.isBusy = true;
    session.at.add(server);
  }

  #end(session: UserSession, server: HomeProcess): void {
    session.at.delete(server);
    session.isBusy = session.at.size > 0;
  }

  #change(session: UserSession, server: HomeProcess, parent: number): void {
    const value = session.parents.push(parent) - 1;
    this.#note(`${server.me} sets ${session.key} to ${value}, made of ${parent}`);
    server.home.set(session.key, `${session.key}:${value}`, TTL_MS, (changed) => {
      this.#note(`${server.me}: ${session.key} = ${value} is ${changed}`);
      this.#changed(session, server, value, changed);
    });
  }

  #changed(session: UserSession, server: HomeProcess, value: number, changed: Changed): void {
    this.#end(session, server);
    if (changed === 'backed' && (this.#stored.get(session.key) ?? -1) < value)
      this.#fail(`${session.key} = ${value} counts as backed, but the store never had it`);
    if (changed === 'backed' || changed === 'unbacked') {
      if (this.isAffinityKept) session.floor = Math.max(session.floor, value);
      else if (session.floor === -1) session.floor = 0;
    }
  }

  #read(session: UserSession, server: HomeProcess, found: Found): void {
    this.#note(`${server.me} reads ${session.key}: ${found.kind === 'found' ? found.data : found.kind}`);
    if (!this.isAffinityKept || session.isGone) return;
    if (found.kind === 'found') {
      if (session.destroy === 'confirmed') this.#fail(`${session.key} is back after its destroy`);
      if (session.destroy === 'no' && numberOf(found.data) < session.floor)
        this.#fail(`${session.key} is older than ${session.floor}`);
    }
    if (found.kind !== 'unknown' || session.destroy !== 'no') return;
    // What has been written back after the answer was made could not be told.
    const isThere =
      this.store.model.live(session.key) !== undefined && !this.#answered.has(`${server.me} ${session.key}`);
    if (this.#holders(session).length > 0 || isThere)
      this.#fail(`${session.key} is unknown although there is a copy`);
    session.isGone = true;
  }

  #destroy(): void {
    const session = this.#session();
    if (session.isBusy || session.floor === -1 || session.destroy !== 'no') return;
    const server = this.#route(session);
    if (!server.isAlive || server.isHung || session.isGone) return;
    session.destroy = 'tried';
    this.#begin(session, server);
    server.home.destroy(session.key, (changed) => {
      this.#note(`${server.me}: destroy of ${session.key} is ${changed}`);
      this.#end(session, server);
      if (changed === 'backed' || changed === 'unbacked') session.destroy = 'confirmed';
    });
  }

  /** The balancer moves a session at rest, if its server has nothing that only it has. */
  #move(): void {
    const session = this.#session();
    const home = this.servers[session.home] as HomeProcess;
    if (session.isBusy || !home.isAlive || home.isHung || home.home.counts().unbacked > 0) return;
    session.home = this.dice.below(SERVERS);
    session.isMoved = true;
    this.#note(`${session.key} moves to ${this.servers[session.home]?.me}`);
  }

  #crash(server: HomeProcess): void {
    if (!server.isAlive) return;
    this.#note(`${server.me} crashes`);
    server.crash();
    for (const session of this.#sessions) if (session?.at.has(server)) this.#end(session, server);
    this.#countLosses(this.#sessions);
    this.scheduler.after(this.dice.below(2000), () => {
      const fresh = this.#start();
      this.#note(`${server.me} is back as ${fresh.me}`);
      this.servers[this.servers.indexOf(server)] = fresh;
    });
  }

  #hang(server: HomeProcess): void {
    if (server.isHung || !server.isAlive) return;
    this.#note(`${server.me} stops`);
    server.stop();
    // An end that only a stopped server knows of is unknown: its user has left, and others serve who shows the id.
    this.#countLosses(this.#sessions.filter((session) => session !== undefined && session.destroy !== 'no'));
    this.scheduler.after(this.dice.below(7000), () => {
      this.#note(`${server.me} goes on`);
      server.continue();
    });
  }

  #cut(server: HomeProcess): void {
    this.#note(`${server.me} is cut off`);
    server.disconnect();
    this.scheduler.after(this.dice.below(1500), () => server.connect());
  }

  #killStore(): void {
    if (!this.store.isRunning) return;
    this.#note('the store is killed');
    this.#loseConnections();
    const isEmpty = this.dice.below(2) === 0;
    this.store.model.restart(isEmpty);
    if (isEmpty) this.#dataLost();
    this.scheduler.after(this.dice.below(4000), () => this.#startStore());
  }

  #loseConnections(): void {
    this.store.isRunning = false;
    this.store.isHung = false;
    this.store.held.length = 0;
    for (const server of this.servers) server.disconnect();
  }

  #startStore(): void {
    if (this.store.isRunning) return;
    this.#note('the store starts');
    this.store.isRunning = true;
    for (const server of this.servers) this.scheduler.after(this.dice.below(700), () => server.connect());
  }

  #hangStore(): void {
    if (!this.store.isRunning || this.store.isHung) return;
    this.#note('the store stops');
    this.store.isHung = true;
    this.scheduler.after(this.dice.below(3000), () => this.#continueStore());
  }

  #continueStore(): void {
    if (!this.store.isHung) return;
    this.#note('the store goes on');
    this.store.isHung = false;
    for (const task of this.store.held.splice(0)) task();
  }

  #emptyStore(): void {
    if (!this.store.isRunning || this.store.isHung) return;
    this.#note('the store is emptied');
    this.store.model.empty();
    this.#dataLost();
  }

  #dataLost(): void {
    this.#lossAtMs = this.scheduler.clock.nowMs();
    this.#countLosses(this.#sessions);
  }

  #heal(): void {
    this.#startStore();
    this.#continueStore();
    for (const server of this.servers) {
      server.continue();
      this.scheduler.after(this.dice.below(500), () => server.connect());
    }
  }

  /** Live servers that have the session and can be expected to bring it back to an emptied store. */
  #holders(session: UserSession): readonly HomeProcess[] {
    const sinceMs = this.scheduler.clock.nowMs() - this.#lossAtMs;
    return this.#having(session).filter((server) => server.isUp && sinceMs < REFILL_MS - 1000);
  }

  #having(session: UserSession): readonly HomeProcess[] {
    return this.servers.filter(
      (server) =>
        server.isAlive &&
        !server.isHung &&
        [...server.home.here()].some(({ key, isLeaving }) => key === session.key && !isLeaving),
    );
  }

  /** After a fault: what nobody has any more cannot be asked for. */
  #countLosses(sessions: readonly UserSession[]): void {
    for (const session of sessions) {
      if (session === undefined || session.isGone) continue;
      const record = this.store.model.live(session.key);
      if (session.destroy !== 'no') {
        const isKnown = record?.isTombstone === true || this.servers.some((one) => isTold(one, session.key));
        if (!isKnown) session.isGone = true;
        if (!isKnown) session.destroy = 'tried';
        continue;
      }
      const here = this.#having(session).flatMap(({ home }) =>
        [...home.here()].filter(({ key }) => key === session.key).map(({ data }) => numberOf(data)),
      );
      const best = Math.max(-1, ...here, ...(record === undefined ? [] : [numberOf(record.data)]));
      if (best === -1 && session.floor >= 0) session.isGone = true;
      if (best < session.floor) this.#note(`${session.key} falls back from ${session.floor} to ${best}`);
      session.floor = Math.min(session.floor, best);
    }
  }

  /** What the store once had and confirmed is never overwritten by something that does not come of it. */
  #written(key: string, before: string | null, after: string): void {
    this.#stored.set(key, Math.max(this.#stored.get(key) ?? -1, numberOf(after)));
    if (before === null) return;
    this.#note(`store: ${before} -> ${after}`);
    const session = this.#sessions.find((one) => one?.key === key);
    if (before === '' && after !== '') this.#fail(`${key} is written after its destroy`);
    if (session === undefined || this.scheduler.clock.nowMs() - this.#lossAtMs < 20_000) return;
    let value = numberOf(after);
    while (value > numberOf(before)) value = session.parents[value] ?? -1;
    if (value !== numberOf(before)) this.#fail(`${after} overwrites ${before}`);
  }

  /** All faults over: everything that was confirmed is there, and the store has it. */
  #settle(): void {
    for (let round = 0; round < 8; round += 1) {
      this.#heal();
      this.scheduler.advance(5000);
    }
    for (const server of this.servers) {
      const { unbacked } = server.home.counts();
      if (unbacked > 0) this.#fail(`${server.me} still has ${unbacked} unbacked`);
    }
    for (const session of this.#sessions) if (session !== undefined) this.#settleSession(session);
  }

  #settleSession(session: UserSession): void {
    const home = this.#route(session);
    let answer: Found | null = null;
    const done = (found: Found): void => {
      answer = found;
    };
    this.#answered.delete(`${home.me} ${session.key}`);
    home.home.get(session.key, done, session.isMoved);
    this.scheduler.advance(3000);
    if (answer === null || (answer as Found).kind === 'away') this.#fail(`${session.key} cannot be read`);
    this.#read(session, home, answer);
    const record = this.store.model.live(session.key);
    if (session.isGone || session.destroy === 'tried' || session.floor < 0) return;
    if (session.destroy === 'confirmed') {
      if (record !== undefined && !record.isTombstone) this.#fail(`${session.key} lives after its destroy`);
      return;
    }
    // With two homes at once the one copy left may be one that is about to be given up.
    if (!this.isAffinityKept) return;
    if (record === undefined || record.isTombstone) this.#fail(`the store does not have ${session.key}`);
    if (numberOf(record.data) < session.floor)
      this.#fail(`the store has ${record.data}, confirmed was ${session.floor}`);
  }
}

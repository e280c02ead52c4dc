// A simulated server process: Home with a scripted link to a model store, which may be slow, hang, break and let things
// come late, and a process that may be stopped and continued.

import type { SeededRandom } from '../../src/base/random.ts';
import type { ManualScheduler, Scheduled, Scheduler } from '../../src/base/scheduler.ts';
import type { DropRules } from '../../src/session-store/copy.ts';
import { Home } from '../../src/session-store/home.ts';
import type { Operation, Outcome, StoreLink } from '../../src/session-store/operations.ts';
import type { ModelStore } from './model-store.ts';

/** The store's process as all links see it. */
export interface StoreProcess {
  readonly model: ModelStore;
  isRunning: boolean;
  isHung: boolean;
  /** Carried out when it goes on. */
  readonly held: (() => void)[];
}

export interface ProcessFaults {
  /** What the server is told is not what the store said. */
  readonly distort?: (operation: Operation, outcome: Outcome) => Outcome;
  readonly dropRules?: DropRules;
}

const AWAY: Outcome = { kind: 'failed', why: 'away' };

interface Pending {
  readonly operation: Operation;
  readonly reply: (outcome: Outcome) => void;
  isCarriedOut: boolean;
}

export interface ProcessOptions {
  readonly me: string;
  readonly sessionsMax: number;
  readonly faults: ProcessFaults;
}

export class HomeProcess implements StoreLink {
  readonly me: string;
  readonly home: Home;
  isUp = false;
  isAlive = true;
  isHung = false;
  hungAtMs = 0;
  /** It was cut off while the store went on, so that notices may have passed it by. */
  #mayHaveMissed = false;
  readonly #scheduler: ManualScheduler;
  readonly #dice: SeededRandom;
  readonly #store: StoreProcess;
  readonly #faults: ProcessFaults;
  readonly #deferred: (() => void)[] = [];
  #pending: Pending[] = [];
  /** Notices that the store has sent and that are not here yet. */
  readonly #notices = new Set<() => void>();
  #connection = 0;
  #carriedOutAtMs = 0;
  #saidAtMs = 0;

  constructor(scheduler: ManualScheduler, dice: SeededRandom, store: StoreProcess, options: ProcessOptions) {
    this.me = options.me;
    this.#scheduler = scheduler;
    this.#dice = dice;
    this.#store = store;
    this.#faults = options.faults;
    const mine: Scheduler = { after: (delayMs, task) => this.after(delayMs, task) };
    const { dropRules } = options.faults;
    this.home = new Home({
      link: this,
      clock: scheduler.clock,
      scheduler: mine,
      options: {
        ackTimeoutMs: 100,
        loadTimeoutMs: 1000,
        whenStoreIsAway: 'serve',
        limits: { sessions: options.sessionsMax, bytes: 0 },
      },
      ...(dropRules === undefined ? {} : { dropRules }),
    });
  }

  /** A timer, or something that comes in, of a process that may be stopped or dead by then. */
  after(delayMs: number, task: () => void): Scheduled {
    let isCancelled = false;
    const scheduled = this.#scheduler.after(delayMs, () =>
      this.#inProcess(() => {
        if (!isCancelled) task();
      }),
    );
    const cancel = (): void => {
      isCancelled = true;
      scheduled.cancel();
    };
    return { cancel };
  }

  send(operation: Operation, reply: (outcome: Outcome) => void): void {
    if (!this.isUp) {
      this.after(0, () => reply(this.#told(operation, AWAY)));
      return;
    }
    const pending: Pending = { operation, reply, isCarriedOut: false };
    this.#pending.push(pending);
    const connection = this.#connection;
    this.#carriedOutAtMs = Math.max(this.#carriedOutAtMs, this.#scheduler.clock.nowMs() + this.#delayMs());
    this.#scheduler.after(this.#carriedOutAtMs - this.#scheduler.clock.nowMs(), () =>
      this.#arrive(pending, connection),
    );
  }

  connect(): void {
    if (this.isUp || !this.isAlive || !this.#store.isRunning) return;
    this.#connection += 1;
    this.isUp = true;
    // a process that was stopped has not seen what became of the store
    const mayHaveMissed = this.#mayHaveMissed || this.isHung;
    this.#mayHaveMissed = false;
    this.#inProcess(() => this.home.connected(mayHaveMissed));
  }

  /** What was sent and not carried out yet may be carried out later all the same, or never; answers are lost. */
  disconnect(): void {
    if (!this.isUp) return;
    // what a store has sent before it dies comes before the end of its connection, and not over one that is cut
    for (const hear of this.#notices) if (!this.#store.isRunning) hear();
    this.#notices.clear();
    this.isUp = false;
    this.#mayHaveMissed = this.#store.isRunning;
    const pending = this.#pending;
    this.#pending = [];
    const { run } = this.#store.model;
    for (const { operation, isCarriedOut } of pending) {
      if (isCarriedOut || this.#dice.below(3) > 0) continue;
      this.#scheduler.after(this.#dice.below(3000), () => {
        const late = (): void => {
          if (this.#store.model.run === run) this.#store.model.apply(operation, this.me);
        };
        if (this.#store.isHung) this.#store.held.push(late);
        else if (this.#store.isRunning) late();
      });
    }
    this.#inProcess(() => {
      this.home.disconnected();
      for (const { operation, reply } of pending) reply(this.#told(operation, AWAY));
    });
  }

  notice(kind: 'taken' | 'ended', key: string, tenure: number): void {
    if (!this.isUp) return;
    const hear = (): void => {
      if (!this.#notices.delete(hear)) return;
      this.#inProcess(() => {
        if (kind === 'taken') this.home.taken(key, tenure);
        else this.home.ended(key);
      });
    };
    this.#notices.add(hear);
    this.#scheduler.after(this.#waitMs(), hear);
  }

  stop(): void {
    this.isHung = true;
    this.hungAtMs = this.#scheduler.clock.nowMs();
  }

  continue(): void {
    this.isHung = false;
    while (this.#deferred.length > 0 && this.isAlive && !this.isHung) this.#deferred.shift()?.();
  }

  crash(): void {
    this.isAlive = false;
    this.disconnect();
    this.home.crash();
  }

  #inProcess(task: () => void): void {
    if (!this.isAlive) return;
    if (this.isHung) this.#deferred.push(task);
    else task();
  }

  #arrive(pending: Pending, connection: number): void {
    if (connection !== this.#connection || !this.isUp) return;
    if (this.#store.isHung) {
      this.#store.held.push(() => this.#arrive(pending, connection));
      return;
    }
    const said = this.#store.model.apply(pending.operation, this.me);
    pending.isCarriedOut = true;
    const outcome = this.#told(pending.operation, said);
    this.#scheduler.after(this.#waitMs(), () => {
      if (connection !== this.#connection || !this.isUp) return;
      this.#pending.splice(this.#pending.indexOf(pending), 1);
      this.#inProcess(() => pending.reply(outcome));
    });
  }

  /** Replies and notices of a connection come in the order in which the store made them. */
  #waitMs(): number {
    const nowMs = this.#scheduler.clock.nowMs();
    this.#saidAtMs = Math.max(this.#saidAtMs, nowMs + this.#delayMs());
    return this.#saidAtMs - nowMs;
  }

  #told(operation: Operation, outcome: Outcome): Outcome {
    return this.#faults.distort?.(operation, outcome) ?? outcome;
  }

  #delayMs(): number {
    const kind = this.#dice.below(20);
    return kind === 0 ? this.#dice.below(400) : kind < 4 ? this.#dice.below(30) : this.#dice.below(3);
  }
}

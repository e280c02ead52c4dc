// The only place that sets timers in main. Tests pass a ManualScheduler, which moves a ManualClock.

import { type ManualClock, systemClock } from './clock.ts';

export interface Scheduled {
  /** The task will not run any more. Harmless after it ran. */
  cancel(): void;
}

export interface Scheduler {
  /** Runs `task` once, not before `delayMs` milliseconds have passed and never within this call. */
  after(delayMs: number, task: () => void): Scheduled;
}

/** Real timers. They keep the process alive, so whoever schedules also cancels. */
export const systemScheduler: Scheduler = {
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/**
 * For waiting for somebody else. Has this thread stood still meanwhile, the task waits for as much longer, at most as long
 * again: what was waited for may be there, and nobody has read it.
 */
export const runningScheduler: Scheduler = {
  after(delayMs, task) {
    let knownMs = stoodStillMs();
    const look = (): void => {
      const missingMs = Math.min(delayMs, stoodStillMs() - knownMs);
      knownMs = stoodStillMs();
      if (missingMs > 0) timer = setTimeout(look, missingMs);
      else task();
    };
    let timer = setTimeout(look, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

function stoodStillMs(): number {
  systemClock.nowMs();
  return systemClock.stoodStillMs;
}

interface Task {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Timers that fire when `advance` says so, in the order of their time and, at the same time, of their making. */
export class ManualScheduler implements Scheduler {
  readonly clock: ManualClock;
  readonly #tasks = new Set<Task>();
  #made = 0;

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  /** Tasks not yet run or cancelled. */
  get pending(): number {
    return this.#tasks.size;
  }

  after(delayMs: number, run: () => void): Scheduled {
    this.#made += 1;
    const task = { dueMs: this.clock.nowMs() + Math.max(0, delayMs), order: this.#made, run };
    this.#tasks.add(task);
    return { cancel: () => this.#tasks.delete(task) };
  }

  /** Moves the clock by `ms`, stopping at each task on the way to run it. */
  advance(ms: number): void {
    const endMs = this.clock.nowMs() + ms;
    for (let task = this.#nextUntil(endMs); task !== null; task = this.#nextUntil(endMs)) {
      this.#tasks.delete(task);
      this.clock.advance(Math.max(0, task.dueMs - this.clock.nowMs()));
      task.run();
    }
    this.clock.advance(Math.max(0, endMs - this.clock.nowMs()));
  }

  #nextUntil(endMs: number): Task | null {
    let next: Task | null = null;
    for (const task of this.#tasks) {
      if (task.dueMs > endMs) continue;
      if (next === null || task.dueMs < next.dueMs || (task.dueMs === next.dueMs && task.order < next.order))
        next = task;
    }
    return next;
  }
}

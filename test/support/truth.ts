// Compares the balancer's session counts with what the applications hold, while both change.

import type { Demo } from '../../src/demo/launch.ts';
import { heldSessions } from './crowd.ts';
import { sampleOf } from './holdfast.ts';

const POLL_MS = 200;

interface Poll {
  readonly atMs: number;
  readonly held: Readonly<Record<string, number>>;
}

export interface TruthSample {
  readonly atMs: number;
  readonly held: Readonly<Record<string, number>>;
  readonly counted: Readonly<Record<string, number>>;
  /** By how much a count lies outside of what its application held within the lag, over all servers. */
  readonly error: number;
}

/**
 * Every so often reads holdfast_sessions and compares each server's with the least and the most that its application
 * held in the `lagMs` before: a count that is only late lies between them.
 */
export class TruthWatch {
  readonly samples: TruthSample[] = [];
  readonly #demo: Demo;
  readonly #metrics: () => Promise<string>;
  readonly #lagMs: number;
  readonly #polls: Poll[] = [];
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(demo: Demo, metrics: () => Promise<string>, lagMs: number) {
    this.#demo = demo;
    this.#metrics = metrics;
    this.#lagMs = lagMs;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  get worst(): number {
    return Math.max(0, ...this.samples.map(({ error }) => error));
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#poll();
      const counted = countedSessions(this.#demo, await this.#metrics());
      const held = await this.#poll();
      const error = this.#errorOf(counted);
      this.samples.push({ atMs: performance.now(), held, counted, error });
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #poll(): Promise<Readonly<Record<string, number>>> {
    const held = await heldSessions(this.#demo);
    const atMs = performance.now();
    this.#polls.push({ atMs, held });
    while ((this.#polls[0]?.atMs ?? atMs) < atMs - 2 * this.#lagMs) this.#polls.shift();
    return held;
  }

  #errorOf(counted: Readonly<Record<string, number>>): number {
    const fromMs = performance.now() - this.#lagMs;
    const recent = this.#polls.filter(
      ({ atMs }, index) => atMs >= fromMs || index === this.#polls.length - 1,
    );
    let error = 0;
    for (const [name, count] of Object.entries(counted)) {
      const held = recent.map((poll) => poll.held[name] ?? 0);
      error += Math.max(0, Math.min(...held) - count, count - Math.max(...held));
    }
    return error;
  }
}

/** holdfast_sessions by server. */
export function countedSessions(demo: Demo, metrics: string): Record<string, number> {
  return Object.fromEntries(
    demo.backends.map(({ name }) => [name, sampleOf(metrics, 'holdfast_sessions', { server: name })]),
  );
}

// Compares the balancer's session counts with what the applications hold, while both change.

import type { Demo } from '../../demo/launch.ts';
import { Visitor } from '../demo/visitor.ts';
import { sampleOf } from './holdfast.ts';

const POLL_MS = 50;
const SAMPLE_MS = 200;
/** The session table keeps times in tenths of a second, and rounds twice. */
const ROUNDED_MS = 200;

/** What one application says of its sessions. */
export interface Holding {
  readonly sessions: number;
  readonly started: number;
  readonly ended: number;
}

interface Poll {
  readonly beganMs: number;
  readonly endedMs: number;
  readonly held: Readonly<Record<string, Holding>>;
}

interface Sample {
  readonly beganMs: number;
  readonly endedMs: number;
  readonly counted: Readonly<Record<string, number>>;
}

/** A count of one server that no lateness up to the allowed one explains. */
export interface WrongCount {
  readonly atMs: number;
  readonly server: string;
  readonly counted: number;
  readonly least: number;
  readonly most: number;
}

/**
 * Reads holdfast_sessions and the applications' own counts all the time. The balancer counts once per sweep, so a count
 * is right when it was what the application held at some moment of the last `lateMs`, to the `ROUNDED_MS` in which idle
 * times are rounded. The application's totals of sessions begun and ended make bounds that hold between polls as well.
 */
export class TruthWatch {
  readonly #demo: Demo;
  readonly #metrics: () => Promise<string>;
  readonly #polls: Poll[] = [];
  readonly #samples: Sample[] = [];
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(demo: Demo, metrics: () => Promise<string>) {
    this.#demo = demo;
    this.#metrics = metrics;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  get samples(): number {
    return this.#samples.length;
  }

  /** Most sessions that the applications held at once. */
  get peak(): number {
    return Math.max(0, ...this.#polls.map(({ held }) => totalHeld(held)));
  }

  /** Counts that were not true at any allowed moment. */
  wrong(lateMs: number): readonly WrongCount[] {
    const wrong: WrongCount[] = [];
    for (const { beganMs, endedMs, counted: counts } of this.#samples) {
      const moments = this.#moments(beganMs - lateMs, endedMs);
      for (const [server, counted] of Object.entries(counts)) {
        const bounds = moments.map(([from, to]) => ({
          least: leastBetween(from.held[server], to.held[server]),
          most: mostBetween(from.held[server], to.held[server]),
        }));
        if (bounds.some(({ least, most }) => least <= counted && counted <= most)) continue;
        const least = Math.min(...bounds.map((bound) => bound.least));
        const most = Math.max(...bounds.map((bound) => bound.most));
        wrong.push({ atMs: beganMs, server, counted, least, most });
      }
    }
    return wrong;
  }

  /** Every two polls between the times that are as far apart as the balancer rounds. */
  #moments(fromMs: number, untilMs: number): (readonly [Poll, Poll])[] {
    const first = this.#polls.findLastIndex(({ endedMs }) => endedMs <= fromMs);
    const last = this.#polls.findIndex(({ beganMs }) => beganMs >= untilMs);
    const polls = this.#polls.slice(Math.max(0, first), last < 0 ? undefined : last + 1);
    return polls.flatMap((from) => {
      const to = polls.find(({ beganMs }) => beganMs >= from.endedMs + ROUNDED_MS);
      return to === undefined ? [] : [[from, to] as const];
    });
  }

  async #run(): Promise<void> {
    await this.#poll();
    await new Promise((resolve) => setTimeout(resolve, ROUNDED_MS));
    await this.#poll();
    await Promise.all([
      this.#repeat(POLL_MS, () => this.#poll()),
      this.#repeat(SAMPLE_MS, () => this.#sample()),
    ]);
    await this.#poll();
  }

  async #repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.#isStopped) {
      await work();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  async #poll(): Promise<void> {
    const beganMs = performance.now();
    const held = await holdings(this.#demo);
    this.#polls.push({ beganMs, endedMs: performance.now(), held });
  }

  async #sample(): Promise<void> {
    const beganMs = performance.now();
    const counted = countedSessions(this.#demo, await this.#metrics());
    this.#samples.push({ beganMs, endedMs: performance.now(), counted });
  }
}

/** Sessions that live all the time from one poll to a later one. */
function leastBetween(from: Holding | undefined, to: Holding | undefined): number {
  return (from?.sessions ?? 0) - ((to?.ended ?? 0) - (from?.ended ?? 0));
}

/** Sessions that live at any time from one poll to a later one. */
function mostBetween(from: Holding | undefined, to: Holding | undefined): number {
  return (from?.sessions ?? 0) + ((to?.started ?? 0) - (from?.started ?? 0));
}

/** What each application says it holds, by name. */
async function holdings(demo: Demo): Promise<Record<string, Holding>> {
  const visitor = new Visitor();
  const entries = demo.backends.map(async ({ name, statsUrl }) => {
    const { body } = await visitor.get(`${statsUrl}/lab/stats`);
    const { sessions, started, ended } = body;
    return [name, { sessions: Number(sessions), started: Number(started), ended: Number(ended) }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

function totalHeld(held: Readonly<Record<string, Holding>>): number {
  return Object.values(held).reduce((total, { sessions }) => total + sessions, 0);
}

/** Sessions that each application says it holds, by name. */
export async function heldSessions(demo: Demo): Promise<Record<string, number>> {
  const held = Object.entries(await holdings(demo));
  return Object.fromEntries(held.map(([name, { sessions }]) => [name, sessions]));
}

/** holdfast_sessions by server. */
export function countedSessions(demo: Demo, metrics: string): Record<string, number> {
  return Object.fromEntries(
    demo.backends.map(({ name }) => [name, sampleOf(metrics, 'holdfast_sessions', { server: name })]),
  );
}

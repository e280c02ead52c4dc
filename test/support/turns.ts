// Two servers and the session store are killed in turn, at random, while users raise counters in their sessions. Both
// copies of a session are never killed at once: before each kill everybody has been served since the one before, and
// the store has what it had lost.

import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from 'redis';
import { REDIS_PASSWORD_VARIABLE } from '../../demo/flags.ts';
import { type Demo, startDemo } from '../../demo/launch.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { type Answer, Visitor } from '../demo/visitor.ts';
import { eventually } from './eventually.ts';

export interface TurnsOptions {
  readonly architecture: 'home' | 'redis';
  readonly users: number;
  readonly seed: number;
  readonly kills: number;
  /** From one kill to the next at least. */
  readonly everyMs: number;
  /** How long the store is away each time. */
  readonly awayMs: number;
}

export interface TurnsReport {
  readonly kills: Record<'a' | 'b' | 'store', number>;
  requests: number;
  /** Users who had to log in again. */
  loggedOut: number;
  /** Answers whose counter was not above the last one confirmed. */
  lostWrites: number;
  /** Refused, or not answered by a server that lives; while the store was away and otherwise. */
  errorsWhileAway: number;
  errors: number;
  /** Log-ins while the store was away that succeeded. */
  newWhileAway: number;
  /** What went wrong, the first of it. */
  readonly examples: string[];
}

const THINK_MS = 40;
const READY_MS = 60_000;

class Trial {
  readonly demo: Demo;
  readonly report: TurnsReport;
  readonly #options: TurnsOptions;
  readonly #users: User[] = [];
  isOver = false;
  isStoreAway = false;
  /** The latest kill, for what went wrong after it. */
  #latest = { what: 'no kill', atMs: 0 };
  /** Processes that have been killed. */
  readonly killed = new Set<number>();

  constructor(demo: Demo, options: TurnsOptions) {
    this.demo = demo;
    this.#options = options;
    this.report = {
      kills: { a: 0, b: 0, store: 0 },
      ...{ requests: 0, loggedOut: 0, lostWrites: 0, errorsWhileAway: 0, errors: 0, newWhileAway: 0 },
      examples: [],
    };
  }

  async play(): Promise<void> {
    const dice = new SeededRandom(this.#options.seed);
    for (let index = 0; index < this.#options.users; index += 1) this.#users.push(new User(this, index));
    const running = this.#users.map((user) => user.run());
    for (let kill = 0; kill < this.#options.kills; kill += 1) {
      await this.#settle();
      await [() => this.#killServer(0), () => this.#killServer(1), () => this.#killStore()][
        dice.below(3)
      ]?.();
    }
    await this.#settle();
    this.isOver = true;
    await Promise.all(running);
  }

  /** How long after which kill it is now. */
  since(): string {
    const { what, atMs } = this.#latest;
    return `${Math.round(performance.now() - atMs)} ms after ${what}`;
  }

  async #killServer(index: number): Promise<void> {
    const backend = this.demo.backends[index];
    this.#latest = { what: `the kill of ${backend?.name}`, atMs: performance.now() };
    this.report.kills[index === 0 ? 'a' : 'b'] += 1;
    if (backend === undefined) return;
    this.killed.add(backend.pid);
    await backend.kill('SIGKILL');
    await backend.restart();
  }

  async #killStore(): Promise<void> {
    this.report.kills.store += 1;
    this.isStoreAway = true;
    this.#latest = { what: 'the kill of the store', atMs: performance.now() };
    await this.demo.store.kill();
    const visitor = new Visitor();
    const { url } = this.demo.backends[0] ?? { url: '' };
    const login = await visitor.login(url, 'alice').catch(() => null);
    const raised = await visitor.post(`${url}/inc`).catch(() => null);
    if (login?.status === 200 && raised?.status === 200) this.report.newWhileAway += 1;
    await wait(this.#options.awayMs);
    await this.demo.store.restart();
    this.isStoreAway = false;
  }

  /** Every user is served where the session is now, and both copies of each are there. */
  async #settle(): Promise<void> {
    for (const user of this.#users) user.servedSince = 0;
    await wait(this.#options.everyMs);
    const isServed = (): boolean => this.#users.every(({ servedSince }) => servedSince > 1);
    await eventually(isServed, { deadlineMs: READY_MS, what: () => 'everybody to be served' });
    if (this.#options.architecture === 'redis') return;
    await eventually(async () => (await this.#unbacked()) === 0 && (await this.#hasAll()), {
      deadlineMs: READY_MS,
      what: () => 'all sessions to have a backup',
    });
  }

  async #unbacked(): Promise<number> {
    const counts = this.demo.backends.map(async ({ url }) => {
      const reply = await fetch(`${url}/healthz`);
      return Number(reply.headers.get('x-holdfast-unbacked'));
    });
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  /** The store has a session of each user. */
  async #hasAll(): Promise<boolean> {
    const { backendFlags, backendEnvironment } = this.demo.store;
    const client = createClient({
      url: backendFlags[1] ?? '',
      password: backendEnvironment[REDIS_PASSWORD_VARIABLE] ?? '',
    });
    client.on('error', () => {});
    await client.connect();
    const keys = await client.keys('holdfast:s:*');
    const sessions = await Promise.all(keys.map((key) => client.hGet(key, 'd')));
    client.destroy();
    return this.#users.every(({ name }) => sessions.some((text) => text?.includes(`"user":"${name}"`)));
  }
}

class User {
  servedSince = 0;
  readonly name: string;
  readonly #trial: Trial;
  #visitor = new Visitor();
  #home: number;
  #confirmed = 0;
  #isLoggedIn = false;

  constructor(trial: Trial, index: number) {
    this.#trial = trial;
    this.#home = index % 2;
    this.name = `user${index + 1}`;
  }

  async run(): Promise<void> {
    while (!this.#trial.isOver) {
      await this.#request();
      await wait(THINK_MS);
    }
  }

  async #request(): Promise<void> {
    const { demo, report } = this.#trial;
    const wasAway = this.#trial.isStoreAway;
    const backend = demo.backends[this.#home];
    if (backend === undefined) return;
    const { pid, url } = backend;
    report.requests += 1;
    const beganMs = performance.now();
    try {
      if (!this.#isLoggedIn) this.#loggedIn(await this.#visitor.login(url, this.name));
      else this.#raised(await this.#visitor.post(`${url}/inc`));
    } catch (error) {
      // A killed server has no answer, a balancer would go to the other; one that lives has no excuse.
      if (this.#trial.killed.has(pid)) this.#home = 1 - this.#home;
      else {
        const tookMs = Math.round(performance.now() - beganMs);
        this.#failed(
          wasAway,
          `${this.name} at ${backend.name}: ${error}, took ${tookMs} ms, ${this.#trial.since()}`,
        );
      }
    }
  }

  #loggedIn({ status, body }: Answer): void {
    if (status !== 200) throw new Error(`log-in: ${status} ${JSON.stringify(body)}`);
    this.#isLoggedIn = true;
    this.#confirmed = 0;
    this.servedSince += 1;
  }

  #raised({ status, body }: Answer): void {
    if (status === 401) {
      this.#trial.report.loggedOut += 1;
      this.#isLoggedIn = false;
      this.#visitor = new Visitor();
      return;
    }
    if (status !== 200) throw new Error(`a counter: ${status} ${JSON.stringify(body)}`);
    if (Number(body.counter) <= this.#confirmed) this.#trial.report.lostWrites += 1;
    this.#confirmed = Number(body.counter);
    this.servedSince += 1;
  }

  #failed(wasAway: boolean, what: string): void {
    const { report, isStoreAway } = this.#trial;
    if (report.examples.length < 10) report.examples.push(what);
    if (wasAway || isStoreAway) report.errorsWhileAway += 1;
    else report.errors += 1;
  }
}

export async function playTurns(options: TurnsOptions): Promise<TurnsReport> {
  const demo = await startDemo({ architecture: options.architecture, servers: 2, scryptCost: 2 });
  try {
    const trial = new Trial(demo, options);
    await trial.play();
    return trial.report;
  } finally {
    await demo.stop();
  }
}

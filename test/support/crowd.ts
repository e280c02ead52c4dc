// A crowd of users of the demo's application: they log in, work, log out, or walk away and come back as somebody new.

import { SeededRandom } from '../../src/base/random.ts';
import { Visitor } from '../demo/visitor.ts';

export interface CrowdOptions {
  /** The balancer. */
  readonly url: () => string;
  readonly users: number;
  readonly seed?: number;
  /** Longest pause between two requests of one user. */
  readonly thinkMs: number;
  /** Chances per step of a user who is logged in. */
  readonly logoutChance?: number;
  readonly leaveChance?: number;
}

/** Runs until stopped. A user who walks away never shows that session's cookie again. */
export class Crowd {
  readonly #options: CrowdOptions;
  readonly #random: SeededRandom;
  readonly #running: Promise<void>[] = [];
  #isStopped = false;
  /** Answers other than what the user had a right to expect, as text. */
  readonly surprises: string[] = [];
  requests = 0;
  logins = 0;
  logouts = 0;
  walkedAway = 0;

  constructor(options: CrowdOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed ?? 1);
    for (let user = 0; user < options.users; user += 1) this.#running.push(this.#live(user));
  }

  /** No further request; resolves when the last answer is here. Sessions stay as they are. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #live(user: number): Promise<void> {
    const { logoutChance = 0.05, leaveChance = 0.05 } = this.#options;
    let visitor = new Visitor();
    let isLoggedIn = false;
    await this.#think();
    while (!this.#isStopped) {
      const chance = this.#random.next();
      try {
        if (!isLoggedIn) {
          isLoggedIn = await this.#login(visitor, user);
        } else if (chance < logoutChance) {
          await this.#step(visitor, '/logout');
          this.logouts += 1;
          isLoggedIn = false;
        } else if (chance < logoutChance + leaveChance) {
          this.walkedAway += 1;
          visitor = new Visitor();
          isLoggedIn = false;
        } else {
          await this.#step(visitor, '/inc');
        }
      } catch (error) {
        this.surprises.push(String(error));
      }
      await this.#think();
    }
  }

  async #login(visitor: Visitor, user: number): Promise<boolean> {
    this.requests += 1;
    const { status } = await visitor.login(this.#options.url(), `user${user + 1}`);
    if (status === 200) this.logins += 1;
    else this.surprises.push(`/login ${status}`);
    return status === 200;
  }

  async #step(visitor: Visitor, path: string): Promise<void> {
    this.requests += 1;
    const { status } = await visitor.post(this.#options.url() + path);
    if (status !== 200) this.surprises.push(`${path} ${status}`);
  }

  #think(): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => setTimeout(resolve, this.#random.next() * this.#options.thinkMs));
  }
}

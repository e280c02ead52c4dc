// All certificates that come from authorities by themselves: which are wanted, which there are, and when something is to be
// done for them. A name without a certificate has one that signs itself until the first arrives.

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { messageOf } from '../base/message-of.ts';
import type { Random } from '../base/random.ts';
import type { Scheduler } from '../base/scheduler.ts';
import type { Certificate } from '../tls/certificate.ts';
import type { AcmeConfig } from '../tls/options.ts';
import { Challenges } from './challenges.ts';
import { Halt } from './halt.ts';
import { keyOf, Managed } from './managed.ts';
import { type OrderResult, Round, type Spreader } from './round.ts';
import { AcmeStorage } from './storage.ts';

export interface AutomaticOptions {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly log: Log;
  /** For one request to an authority; absent: half a minute. */
  readonly requestMs?: number;
}

export class AutomaticCertificates {
  /** Orders that came to their end. */
  readonly results: Record<OrderResult, number> = { issued: 0, refused: 0, unreachable: 0, failed: 0 };
  readonly challenges: Challenges = new Challenges();
  readonly #options: AutomaticOptions;
  readonly #halt: Halt;
  #managed: ReadonlyMap<string, Managed> = new Map();
  #spreader: Spreader | null = null;
  #working: Promise<void> | null = null;

  constructor(options: AutomaticOptions) {
    this.#options = options;
    this.#halt = new Halt(options.scheduler);
  }

  /** From now on these are wanted. */
  configure(wanted: readonly AcmeConfig[]): void {
    const { clock, log } = this.#options;
    const next = new Map<string, Managed>();
    for (const acme of wanted) {
      const storage = new AcmeStorage(acme, log);
      for (const name of acme.names) {
        const key = keyOf(acme, name);
        const known = this.#managed.get(key) ?? next.get(key);
        if (known === undefined) next.set(key, this.#takeUp(new Managed(name, acme, storage, clock)));
        else next.set(key, known.as(acme));
      }
    }
    this.#managed = next;
    this.challenges.forgetAllBut(new Set(next.keys()));
  }

  /** Where another process has left an order, whoever asks is answered from the beginning. */
  #takeUp(managed: Managed): Managed {
    const challenge = managed.isDue ? managed.storage.order(managed.name)?.challenge : null;
    if (challenge != null) this.challenges.know(managed.key, challenge, this.#options.clock.wallMs());
    return managed;
  }

  /** Those of names that `taken` are not for, real ones first. */
  certificatesOf(acme: AcmeConfig, taken: readonly Certificate[]): readonly Certificate[] {
    const names = new Set(taken.flatMap((certificate) => certificate.names));
    const own = acme.names.flatMap((name) => {
      const managed = names.has(name) ? undefined : this.#managed.get(keyOf(acme, name));
      return managed === undefined ? [] : [managed];
    });
    return own
      .toSorted((a, b) => Number(a.certificate === null) - Number(b.certificate === null))
      .map(({ served }) => served);
  }

  /** Certificates are ordered from now on, when `poll` is called. */
  begin(spreader: Spreader): void {
    this.#spreader = spreader;
  }

  /** Whoever runs this has changed something: nothing that failed is waited for. */
  retry(): void {
    for (const managed of this.#managed.values()) managed.retry();
  }

  /** To be called about once a second. */
  poll(): void {
    const spreader = this.#spreader;
    if (this.#working !== null || this.#halt.isHeld || spreader === null) return;
    const all = [...this.#managed.values()];
    const changed = all.filter((managed) => managed.reload()).map(({ name }) => name);
    const first = all.find(({ isWaiting }) => isWaiting);
    if (first === undefined && changed.length === 0) return;
    this.#working = this.#work(changed, first ?? null, spreader)
      .catch((error: unknown) => this.#options.log.error({}, `certificates: ${messageOf(error)}`))
      .finally(() => {
        this.#working = null;
      });
  }

  async #work(changed: readonly string[], first: Managed | null, spreader: Spreader): Promise<void> {
    if (changed.length > 0) await spreader.spread(`certificate of ${changed.join(', ')}`);
    if (first === null) return;
    const { folder } = first.storage;
    const mine = [...this.#managed.values()].filter(({ storage }) => storage.folder === folder);
    const counted = (result: OrderResult): void => {
      this.results[result] += 1;
    };
    const isWanted = (managed: Managed): boolean => this.#managed.get(managed.key) === managed;
    const { challenges } = this;
    const world = { ...this.#options, spreader, challenges, halt: this.#halt, isWanted, counted };
    await new Round(world, mine, first).run();
  }

  /** Nothing more is asked of an authority; what is under way is stored, and the lock free, when this resolves. */
  hold(): Promise<void> {
    return this.#halt.hold(this.#working);
  }

  /** After `hold`: goes on where it was. */
  proceed(): void {
    this.#halt.proceed();
  }
}

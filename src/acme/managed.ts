// One name at one authority: the certificate that it has, until when that is good enough, and when the next try is due.

import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Certificate } from '../tls/certificate.ts';
import type { AcmeConfig } from '../tls/options.ts';
import { placeholder } from '../tls/self-signed.ts';
import type { OrderFault } from './problem.ts';
import { askAgainMs, backoffMs, newForMs, type RenewalWindow, renewalMs } from './renewal.ts';
import type { AcmeStorage, StoredCertificate } from './storage.ts';

export class Managed {
  readonly name: string;
  readonly storage: AcmeStorage;
  acme: AcmeConfig;
  certificate: StoredCertificate | null = null;
  readonly #clock: Clock;
  #stamp = '';
  #placeholder: Certificate | null = null;
  /** Wall time when it is to be renewed; 0: at once. */
  renewalMs = 0;
  /** As Clock.nowMs: asked for again then. */
  #askAtMs = 0;
  #failures = 0;
  /** As Clock.nowMs: nothing is done before. */
  #notBeforeMs = 0;
  /** As Clock.nowMs: it has come just now, and clocks may be set, here and on the machine that has the files. */
  #newUntilMs = 0;
  /** As Clock.nowMs: an authority that limits its rate wishes it so, whoever else wishes otherwise. */
  #limitedUntilMs = 0;

  constructor(name: string, acme: AcmeConfig, storage: AcmeStorage, clock: Clock) {
    this.name = name;
    this.acme = acme;
    this.storage = storage;
    this.#clock = clock;
    this.reload();
  }

  get key(): string {
    return keyOf(this.acme, this.name);
  }

  /** With what a configuration now says of it. */
  as(acme: AcmeConfig): this {
    this.acme = acme;
    return this;
  }

  /** True when another has been stored since, by whomever. */
  reload(): boolean {
    const stamp = this.storage.stamp(this.name);
    if (stamp === this.#stamp) return false;
    this.#stamp = stamp;
    const stored = this.storage.certificate(this.name);
    // one that is gone or damaged is still good here
    if (stored === null || stored.cert === this.certificate?.cert) return false;
    this.certificate = stored;
    this.renewalMs = renewalMs(stored, null, this.#clock.wallMs());
    this.#askAtMs = 0;
    return true;
  }

  /** What clients get. */
  get served(): Certificate {
    if (this.certificate !== null) return this.certificate;
    this.#placeholder ??= placeholder(this.name, this.#clock.wallMs());
    return this.#placeholder;
  }

  /** It is to be ordered. */
  get isDue(): boolean {
    return this.#clock.nowMs() >= this.#newUntilMs && this.#clock.wallMs() >= this.renewalMs;
  }

  /** Renewal information is to be asked for. */
  get isToAsk(): boolean {
    return this.certificate !== null && this.#clock.nowMs() >= this.#askAtMs;
  }

  /** Something is to be done now. */
  get isWaiting(): boolean {
    return this.#clock.nowMs() >= this.#notBeforeMs && (this.isDue || this.isToAsk);
  }

  /** `window` null: there is none. */
  told(window: RenewalWindow | null, retryAfterMs: number | null): void {
    if (this.certificate !== null) this.renewalMs = renewalMs(this.certificate, window, this.#clock.wallMs());
    this.#askAtMs = this.#clock.nowMs() + askAgainMs(retryAfterMs);
  }

  /** Renewal information cannot be had: what was told before stands. */
  untold(): void {
    this.#askAtMs = this.#clock.nowMs() + askAgainMs(null);
  }

  /** Returns after how many milliseconds it is tried again. */
  failed(fault: OrderFault, retryAfterMs: number | null, random: Random): number {
    this.#failures += 1;
    const waitMs = backoffMs(fault, this.#failures, retryAfterMs, random);
    this.#limitedUntilMs = this.#clock.nowMs() + (retryAfterMs ?? 0);
    this.pauseFor(waitMs);
    return waitMs;
  }

  pauseFor(ms: number): void {
    this.#notBeforeMs = this.#clock.nowMs() + ms;
  }

  /** Its next try is that of the other. */
  waitAs(other: Managed): void {
    this.#failures = other.#failures;
    this.#limitedUntilMs = other.#limitedUntilMs;
    this.#notBeforeMs = other.#notBeforeMs;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#notBeforeMs = 0;
    if (this.certificate !== null) this.#newUntilMs = this.#clock.nowMs() + newForMs(this.certificate, true);
  }

  /** Whoever runs this has changed something: nothing is waited for but what the authority wishes. */
  retry(): void {
    this.#failures = 0;
    this.#notBeforeMs = this.#limitedUntilMs;
  }
}

/** The same for the same name at the same authority with the same storage. */
export function keyOf({ storage, directory }: AcmeConfig, name: string): string {
  return `${storage} ${directory} ${name}`;
}

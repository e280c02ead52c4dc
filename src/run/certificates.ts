// The certificates of all listeners: read and checked by main, handed to the threads with a revision, and watched. Files that
// have changed are taken when they are whole and right; until then, and for ever if they are not, the former ones stay.
//
//   file changes ── the same for another look ──> read, checked ──┬── right: the next revision has them
//                                                                 └── wrong: said once, nothing changes

import { hostname } from 'node:os';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { HoldfastConfig, ListenConfig } from '../config/model.ts';
import type { Revising } from '../control/revising.ts';
import { StartError } from '../control/start-error.ts';
import { type Certificate, Faults, type TlsMaterial } from '../tls/certificate.ts';
import type { ListenerSecrets } from '../tls/contexts.ts';
import { realFiles } from '../tls/files.ts';
import { filesOf, readMaterial } from '../tls/material.ts';
import { selfSigned } from '../tls/self-signed.ts';
import { type TicketKey, TicketKeys } from './ticket-keys.ts';

const POLL_EVERY_MS = 1000;
const DEVELOPMENT_NAMES = ['localhost', '127.0.0.1', '::1'];

interface Loaded {
  readonly listener: string;
  readonly material: TlsMaterial;
}

export class Certificates {
  readonly #clock: Clock;
  readonly #tickets: TicketKeys;
  /** Those in use, and those that were read for a change that is under way. */
  readonly #loaded = new Map<string, Loaded>();
  #own: Certificate | null = null;
  #timer: NodeJS.Timeout | null = null;
  #config: HoldfastConfig | null = null;
  /** Of all files, when they were read last; and when they were looked at last. */
  #readStamp = '';
  #lookedStamp = '';

  constructor(tickets: TicketKeys, clock: Clock) {
    this.#tickets = tickets;
    this.#clock = clock;
  }

  /** Throws StartError when they are wrong. */
  static open(config: HoldfastConfig, inherited: TicketKey | null, log: Log): Certificates {
    const tickets = new TicketKeys(config.sessions.file, inherited, systemClock, log);
    const certificates = new Certificates(tickets, systemClock);
    certificates.assertRight(config);
    return certificates;
  }

  /** For the process that takes over. */
  get ticketKey(): TicketKey {
    return this.#tickets.current;
  }

  /** Reads all again; they are used from the next revision on. Throws StartError when they are wrong, and nothing has changed. */
  assertRight(config: HoldfastConfig): void {
    const refused = this.#read(config);
    if (refused !== null) throw new StartError(refused);
  }

  #read(config: HoldfastConfig): string | null {
    const stamp = this.#stampOf(config);
    const found = new Map<string, Loaded>();
    const wrong: string[] = [];
    for (const listen of config.listen) {
      if (listen.tls === null) continue;
      const faults = new Faults();
      const files = realFiles(this.#clock.wallMs());
      const material = readMaterial(listen.tls, files, faults, () => this.#selfSigned());
      const errors = faults.list.filter(({ severity }) => severity === 'error');
      wrong.push(...errors.map(({ message }) => `listener ${listen.address}: ${message}`));
      if (material !== null) found.set(keyOf(listen), { listener: listen.address, material });
    }
    this.#readStamp = stamp;
    this.#lookedStamp = stamp;
    if (wrong.length > 0) return wrong.join('\n');
    for (const [key, loaded] of found) this.#loaded.set(key, loaded);
    return null;
  }

  /** For a revision of a configuration whose certificates are right. From now on they are watched. */
  secretsOf(config: HoldfastConfig): readonly (ListenerSecrets | null)[] {
    const inUse = new Set(config.listen.map(keyOf));
    const secrets = config.listen.map((listen) => {
      if (listen.tls === null) return null;
      const material = this.#loaded.get(keyOf(listen))?.material;
      if (material === undefined)
        throw new StartError(`listener ${listen.address}: its certificates have not been read`);
      return { ...material, ...this.#tickets.of(listen, material) };
    });
    for (const key of [...this.#loaded.keys()]) if (!inUse.has(key)) this.#loaded.delete(key);
    this.#config = config;
    return secrets;
  }

  /** Brings other certificates or another ticket key to the threads when it is time. */
  watch(revising: Pick<Revising, 'refresh'>): void {
    this.#timer = setInterval(() => this.#poll(revising), POLL_EVERY_MS);
    this.#timer.unref();
  }

  #poll(revising: Pick<Revising, 'refresh'>): void {
    const config = this.#config;
    if (config === null || config.listen.every(({ tls }) => tls === null)) return;
    if (this.#tickets.rotate()) void revising.refresh('another key for TLS session tickets', null);
    const stamp = this.#stampOf(config);
    const isSettled = stamp === this.#lookedStamp;
    this.#lookedStamp = stamp;
    // who writes certificate and key writes one after the other
    if (stamp === this.#readStamp || !isSettled) return;
    void revising.refresh('certificates have changed', this.#read(config));
  }

  #stampOf({ listen }: HoldfastConfig): string {
    const files = realFiles(0);
    const paths = listen.flatMap(({ tls }) => (tls === null ? [] : filesOf(tls, files)));
    return paths.map((path) => `${path} ${files.stamp(path)}`).join('\n');
  }

  /** One for all listeners that sign for themselves, for as long as the process lives. */
  #selfSigned(): Certificate {
    this.#own ??= selfSigned([...DEVELOPMENT_NAMES, hostname()], this.#clock.wallMs());
    return this.#own;
  }

  /** Ends of all certificates in use, wall time. */
  expiries(): readonly { readonly listener: string; readonly name: string; readonly notAfterMs: number }[] {
    return [...this.#loaded.values()].flatMap(({ listener, material }) =>
      material.certificates.map(({ label, keyType, notAfterMs }) => {
        const isOnly = material.certificates.filter((other) => other.label === label).length === 1;
        return { listener, name: isOnly ? label : `${label} ${keyType}`, notAfterMs };
      }),
    );
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** The same as long as the listener asks for the same. */
function keyOf({ address, tls }: ListenConfig): string {
  return `${address} ${JSON.stringify(tls)}`;
}

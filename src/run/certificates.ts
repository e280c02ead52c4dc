// The certificates of all listeners: read and checked by main, or had from an authority, handed to the threads with a revision,
// and watched. Files that have changed are taken when they are whole and right; until then, and for ever if they are not, the
// former ones stay.
//
//   file changes ── the same for another look ──> read, checked ──┬── right: the next revision has them
//                                                                 └── wrong: said once, nothing changes; read again
//                                                                     later, for it may begin, or be this user's, by then
//   authority (acme/) ── another certificate, or a challenge that is to be answered ──> the next revision has it
//   reload ── read, checked, prepared ──┬── its revision is made: in use
//                                       └── it is refused: let go

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { AutomaticCertificates } from '../acme/automatic.ts';
import type { OrderResult } from '../acme/round.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { systemScheduler } from '../base/scheduler.ts';
import type { HoldfastConfig, ListenConfig } from '../config/model.ts';
import type { ChangeEvent } from '../control/results.ts';
import type { Revising } from '../control/revising.ts';
import { StartError } from '../control/start-error.ts';
import type { Revision } from '../shared/revision.ts';
import { type Certificate, Faults, type TlsMaterial } from '../tls/certificate.ts';
import { realFiles } from '../tls/files.ts';
import { filesOf, readMaterial } from '../tls/material.ts';
import { selfSigned } from '../tls/self-signed.ts';
import { type TicketKey, TicketKeys } from './ticket-keys.ts';

const POLL_EVERY_MS = 1000;
/** What was refused is read again after so long, whether or not the files have changed: a thousand take half a second. */
const REFUSED_AGAIN_MS = 60_000;
const DEVELOPMENT_NAMES = ['localhost', '127.0.0.1', '::1'];

interface Loaded {
  readonly listen: ListenConfig;
  /** What is in files. */
  readonly material: TlsMaterial;
}

/** What one look at the files has found. */
interface Reading {
  /** Of the files, before they were read. */
  readonly stamp: string;
  readonly loaded: ReadonlyMap<string, Loaded>;
  /** What is wrong with them; null: nothing. */
  readonly refused: string | null;
  /** What time alone has made wrong of some that are used all the same. */
  readonly untimely: readonly string[];
}

/** The balancer as its certificates see it. */
interface Publisher {
  readonly revising: Pick<Revising, 'refresh'>;
  publish(event: ChangeEvent): void;
}

export class Certificates {
  readonly #clock: Clock;
  readonly #tickets: TicketKeys;
  readonly #automatic: AutomaticCertificates;
  /** Those in use, or to be used from the next revision on. */
  readonly #loaded = new Map<string, Loaded>();
  /** Those that were read for a reload that is under way. */
  #prepared: Reading | null = null;
  #own: Certificate | null = null;
  #timer: NodeJS.Timeout | null = null;
  #config: HoldfastConfig | null = null;
  /** Of all files of those in use, when they were read last; and when they were looked at last. */
  #readStamp = '';
  #lookedStamp = '';
  /** Why what was read last is not in use; null: it is. It is read again then, as Clock.nowMs. */
  #refused: string | null = null;
  #againMs = 0;
  /** As said last. */
  #untimely: readonly string[] = [];
  readonly #log: Log;

  constructor(tickets: TicketKeys, clock: Clock, log: Log) {
    this.#log = log;
    this.#tickets = tickets;
    this.#clock = clock;
    const random = new SeededRandom(unpredictableSeed());
    this.#automatic = new AutomaticCertificates({ clock, scheduler: systemScheduler, random, log });
  }

  /** Throws StartError when they are wrong. */
  static open(config: HoldfastConfig, inherited: TicketKey | null, log: Log): Certificates {
    const tickets = new TicketKeys(config.sessions.file, inherited, systemClock, log);
    const certificates = new Certificates(tickets, systemClock, log);
    certificates.assertRight(config);
    return certificates;
  }

  /** For the process that takes over. */
  get ticketKey(): TicketKey {
    return this.#tickets.current;
  }

  /** Reads all again; the next revision has them, unless `letGo` is called first. Throws StartError when they are wrong. */
  assertRight(config: HoldfastConfig): void {
    const reading = this.#read(config);
    if (reading.refused !== null) throw new StartError(reading.refused);
    this.#prepared = reading;
    this.#automatic.retry();
  }

  /** The revision that `assertRight` was asked for is not made: files that it has found changed are still to be taken. */
  letGo(): void {
    this.#prepared = null;
  }

  #read(config: HoldfastConfig): Reading {
    const stamp = this.#stampOf(config);
    const loaded = new Map<string, Loaded>();
    const wrong: string[] = [];
    const untimely: string[] = [];
    const inUse = [...this.#loaded.values()].flatMap(({ material }) => material.certificates);
    for (const listen of config.listen) {
      if (listen.tls === null) continue;
      const faults = new Faults();
      const files = realFiles(this.#clock.wallMs());
      const material = readMaterial(listen.tls, files, faults, () => this.#selfSigned(), inUse);
      for (const { severity, isUntimely, message } of faults.list)
        if (severity === 'error') wrong.push(`listener ${listen.address}: ${message}`);
        else if (isUntimely) untimely.push(`listener ${listen.address}: ${message}`);
      if (material !== null) loaded.set(keyOf(listen), { listen, material });
    }
    return { stamp, loaded, refused: wrong.length > 0 ? wrong.join('\n') : null, untimely };
  }

  #take({ stamp, loaded, untimely }: Reading): void {
    for (const message of untimely) if (!this.#untimely.includes(message)) this.#log.warn({}, message);
    this.#untimely = untimely;
    this.#readStamp = stamp;
    this.#lookedStamp = stamp;
    this.#refused = null;
    for (const [key, one] of loaded) this.#loaded.set(key, one);
  }

  /** For a revision of a configuration whose certificates are right. From now on they are watched. */
  besides(config: HoldfastConfig): Pick<Revision, 'secrets' | 'tokens'> {
    const inUse = new Set(config.listen.map(keyOf));
    if (this.#prepared !== null) this.#take(this.#prepared);
    this.#prepared = null;
    this.#automatic.configure(config.listen.flatMap(({ tls }) => tls?.acme ?? []));
    const { proofs, tokens } = this.#automatic.challenges;
    const secrets = config.listen.map((listen) => {
      if (listen.tls === null) return null;
      const loaded = this.#loaded.get(keyOf(listen));
      if (loaded === undefined)
        throw new StartError(`listener ${listen.address}: its certificates have not been read`);
      const { material } = loaded;
      const certificates = this.#all(loaded);
      const content = [material.version, ...certificates.map(({ cert }) => cert), proofs];
      const version = createHash('sha256').update(JSON.stringify(content)).digest('hex');
      return { ...material, ...this.#tickets.of(listen, material), certificates, proofs, version };
    });
    for (const key of [...this.#loaded.keys()]) if (!inUse.has(key)) this.#loaded.delete(key);
    this.#config = config;
    return { secrets, ...(Object.keys(tokens).length === 0 ? {} : { tokens }) };
  }

  /** Those of files first. */
  #all({ listen, material: { certificates } }: Loaded): readonly Certificate[] {
    const acme = listen.tls?.acme ?? null;
    return acme === null
      ? certificates
      : [...certificates, ...this.#automatic.certificatesOf(acme, certificates)];
  }

  /** Brings other certificates or another ticket key to the threads when it is time, and orders certificates. */
  watch(balancer: Publisher): void {
    this.#automatic.begin({
      spread: async (what) => {
        if (!(await balancer.revising.refresh(what, null))) throw new Error('the threads have not got it');
      },
      publish: (event) => balancer.publish(event),
    });
    const poll = (): void => this.#poll(balancer.revising);
    this.#timer = setInterval(poll, POLL_EVERY_MS);
    this.#timer.unref();
    poll();
  }

  #poll(revising: Pick<Revising, 'refresh'>): void {
    const config = this.#config;
    if (config === null || config.listen.every(({ tls }) => tls === null)) return;
    if (this.#tickets.rotate()) void revising.refresh('another key for TLS session tickets', null);
    this.#automatic.poll();
    const stamp = this.#stampOf(config);
    const isSettled = stamp === this.#lookedStamp;
    this.#lookedStamp = stamp;
    // who writes certificate and key writes one after the other
    const isSame = stamp === this.#readStamp;
    const isAgain = this.#refused !== null && this.#clock.nowMs() >= this.#againMs;
    if (!isSettled || (isSame && !isAgain)) return;
    const former = this.#refused;
    const reading = this.#read(config);
    if (reading.refused === null) this.#take(reading);
    else this.#refuse(reading);
    if (isSame && reading.refused === former) return;
    void revising.refresh('certificates have changed', reading.refused);
  }

  #refuse({ stamp, refused }: Reading): void {
    this.#readStamp = stamp;
    this.#refused = refused;
    this.#againMs = this.#clock.nowMs() + REFUSED_AGAIN_MS;
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
    return [...this.#loaded.values()].flatMap((loaded) => {
      const certificates = this.#all(loaded);
      return certificates.map(({ label, keyType, notAfterMs }) => {
        const isOnly = certificates.filter((other) => other.label === label).length === 1;
        const { address: listener } = loaded.listen;
        return { listener, name: isOnly ? label : `${label} ${keyType}`, notAfterMs };
      });
    });
  }

  /** Orders of certificates that came to their end, by what came of them. */
  get orders(): Readonly<Record<OrderResult, number>> {
    return this.#automatic.results;
  }

  /** Another process is about to take over and goes on with what is ordered, when this resolves. */
  hold(): Promise<void> {
    return this.#automatic.hold();
  }

  /** It does not. */
  proceed(): void {
    this.#automatic.proceed();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#automatic.hold();
  }
}

/** The same as long as the listener asks for the same. */
function keyOf({ address, tls }: ListenConfig): string {
  return `${address} ${JSON.stringify(tls)}`;
}

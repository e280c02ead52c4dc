// One round at one authority: all that is due there, one name after the other, while no other process does the same.
//
//   lock ──┬── taken: somebody else does it, and we read what is stored
//          └── ours: renewal information ── order ── stored ── spread to all threads ── next name ── unlock

import { readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { type FileLock, takeLock } from '../base/file-lock.ts';
import type { Log } from '../base/log.ts';
import { messageOf } from '../base/message-of.ts';
import type { Random } from '../base/random.ts';
import { isAccountGone, signerOf } from './account.ts';
import { Answer } from './answers.ts';
import { Authority } from './authority.ts';
import type { Challenges } from './challenges.ts';
import type { Halt } from './halt.ts';
import type { Managed } from './managed.ts';
import { Order, type OrderWorld } from './order.ts';
import { AcmeProblem, type OrderFault } from './problem.ts';
import { certificateId, windowOf } from './renewal.ts';
import type { Obtained } from './storage.ts';

/** How long somebody else's work is waited for until it is looked at again. */
const TAKEN_MS = 5000;

export type OrderResult = 'issued' | OrderFault;

/** Whoever brings certificates to clients. */
export interface Spreader {
  /** All threads have the certificates and challenges of now when this resolves; rejects when they have not. `what` has changed; null: nothing to be said. */
  spread(what: string | null): Promise<void>;
  publish(event: { readonly type: string; readonly [detail: string]: unknown }): void;
}

export interface RoundWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** For one request; absent: as long as Authority has it. */
  readonly requestMs?: number;
  readonly spreader: Spreader;
  readonly challenges: Challenges;
  readonly halt: Halt;
  /** A configuration may have come meanwhile that does without it. */
  isWanted(managed: Managed): boolean;
  counted(result: OrderResult): void;
}

export class Round {
  readonly #world: RoundWorld;
  readonly #mine: readonly Managed[];
  readonly #first: Managed;

  /** `mine`: all names at one authority, `first` among them. */
  constructor(world: RoundWorld, mine: readonly Managed[], first: Managed) {
    this.#world = world;
    this.#mine = mine;
    this.#first = first;
  }

  /** Never rejects: what fails is said and tried again later. */
  async run(): Promise<void> {
    let lock: FileLock | null = null;
    try {
      lock = await this.#lock();
      if (lock === null) for (const managed of this.#mine) managed.pauseFor(TAKEN_MS);
      else await this.#withLock();
    } catch (error) {
      this.#failedForAll(error);
    } finally {
      lock?.release();
    }
  }

  async #lock(): Promise<FileLock | null> {
    const { storage } = this.#first;
    storage.makeFolder();
    try {
      return await takeLock(storage.lockFile);
    } catch (error) {
      throw new AcmeProblem('failed', messageOf(error));
    }
  }

  async #withLock(): Promise<void> {
    const { halt, challenges, isWanted } = this.#world;
    const authority = this.#authority();
    try {
      // who had the lock before may have done it all
      for (const managed of this.#mine)
        if (managed.reload()) await this.#spread(`certificate of ${managed.name}`);
      // where it does not even say where to ask, no name is to blame
      if (this.#mine.some(({ isWaiting }) => isWaiting)) await authority.directory();
      for (const managed of this.#mine) {
        if (managed.isWaiting && !halt.isHeld && isWanted(managed)) await this.#one(managed, authority);
      }
      if (challenges.hasLeft && !halt.isHeld)
        await this.#spread(null).catch((error: unknown) => this.#unspread(error));
    } finally {
      await authority.end();
    }
  }

  #authority(): Authority {
    const { directory, ca } = this.#first.acme;
    const { clock, requestMs, halt } = this.#world;
    return new Authority({
      directory,
      ca: ca === null ? null : textOf(ca),
      clock,
      signal: halt.signal,
      isStopping: () => halt.isHeld,
      ...(requestMs === undefined ? {} : { requestMs }),
    });
  }

  async #one(managed: Managed, authority: Authority): Promise<void> {
    const { name, storage, certificate } = managed;
    authority.beginAnother();
    try {
      if (managed.isToAsk) await this.#askWhen(managed, authority);
      if (!managed.isDue) return;
      const obtained = await this.#obtain(managed, authority);
      storage.keepCertificate(name, obtained, certificate, this.#world.clock.wallMs());
      storage.dropOrder(name);
      managed.reload();
      managed.succeeded();
      await this.#issued(managed, authority);
    } catch (error) {
      this.#failed(managed, error);
    }
  }

  /** Renewal information; a certificate is not worse for having none. */
  async #askWhen(managed: Managed, authority: Authority): Promise<void> {
    const { name, certificate } = managed;
    const what = `when ${name} is to be renewed`;
    try {
      const id = certificate === null ? null : certificateId(certificate.cert);
      const directory = await authority.directory();
      if (id === null || directory.text('renewalInfo') === '') {
        managed.told(null, null);
        return;
      }
      const { body, retryAfterMs } = await authority.get(`${directory.url('renewalInfo')}/${id}`, what);
      managed.told(windowOf(Answer.parse(body, what)), retryAfterMs);
    } catch (error) {
      managed.untold();
      if (!isStopped(error)) this.#world.log.warn({ name }, messageOf(error));
    }
  }

  /** With another account where the authority does not take the one that was stored. */
  async #obtain(managed: Managed, authority: Authority): Promise<Obtained> {
    const { name, storage, acme, certificate } = managed;
    const replaces = certificate === null ? null : certificateId(certificate.cert);
    const order = async (): Promise<Obtained> => {
      const signer = await signerOf(authority, storage, acme.email);
      return Order.obtain(this.#worldOf(managed, authority, signer), name, replaces);
    };
    return order().catch(async (error: unknown) => {
      if (!(error instanceof AcmeProblem) || !(await isAccountGone(authority, storage, error))) throw error;
      storage.dropAccount();
      storage.dropOrder(name);
      return order();
    });
  }

  #worldOf(managed: Managed, authority: Authority, signer: OrderWorld['signer']): OrderWorld {
    const { key, name, storage, acme } = managed;
    const { clock, challenges, halt, isWanted } = this.#world;
    const assertWanted = (): void => {
      if (!isWanted(managed)) throw new AcmeProblem('stopped', `${name} is not wanted any more`);
    };
    return {
      authority,
      signer,
      storage,
      clock,
      challenge: acme.challenge,
      wait: async (ms) => {
        assertWanted();
        await halt.wait(ms);
        assertWanted();
      },
      publish: async (challenge) => {
        if (challenge === null) {
          challenges.forget(key);
          return;
        }
        assertWanted();
        challenges.know(key, challenge, clock.wallMs());
        await this.#spread(null);
      },
    };
  }

  async #spread(what: string | null): Promise<void> {
    const { challenges, spreader } = this.#world;
    challenges.hasLeft = false;
    await spreader.spread(what);
  }

  /** It is with the next revision, whatever that is made for. */
  #unspread(error: unknown): void {
    this.#world.log.warn({}, `certificates are not used yet: ${messageOf(error)}`);
  }

  async #issued(managed: Managed, authority: Authority): Promise<void> {
    const { name, certificate } = managed;
    const { log, spreader, counted } = this.#world;
    counted('issued');
    await this.#spread(`certificate of ${name}`).catch((error: unknown) => this.#unspread(error));
    await this.#askWhen(managed, authority);
    const notAfter = minute(certificate?.notAfterMs ?? 0);
    const renewal = minute(managed.renewalMs);
    log.info({ name, notAfter, renewal }, `${name} has a certificate until ${notAfter}, renewed ${renewal}`);
    spreader.publish({ type: 'certificate', name, result: 'issued', notAfter, renewal });
  }

  #failed(managed: Managed, error: unknown): void {
    const { log, spreader, clock, random, counted, halt } = this.#world;
    if (isStopped(error) || halt.isHeld) return;
    const { name, storage, certificate } = managed;
    const problem = error instanceof AcmeProblem ? error : null;
    const result: OrderFault = problem === null || problem.fault === 'stopped' ? 'failed' : problem.fault;
    // one that was refused does not become better
    if (result === 'refused') storage.dropOrder(name);
    counted(result);
    const waitMs = managed.failed(result, problem?.retryAfterMs ?? null, random);
    const next = minute(clock.wallMs() + waitMs);
    const why = messageOf(error);
    const meanwhile =
      certificate === null
        ? 'clients get one that signs itself'
        : `the one in use is good until ${minute(certificate.notAfterMs)}`;
    log.error(
      { name, result, next },
      `no certificate for ${name}: ${why}; next try in ${spoken(waitMs)}, ${meanwhile}`,
    );
    spreader.publish({ type: 'certificate', name, result, why, next });
  }

  /** Before any name had its turn: said once. */
  #failedForAll(error: unknown): void {
    const due = this.#mine.filter(({ isDue }) => isDue);
    const [first] = due;
    for (const managed of this.#mine) managed.untold();
    if (first === undefined) {
      if (!isStopped(error)) this.#world.log.warn({}, `when to renew is not known: ${messageOf(error)}`);
      return;
    }
    this.#failed(first, error);
    for (const managed of due) managed.waitAs(first);
  }
}

function isStopped(error: unknown): boolean {
  return error instanceof AcmeProblem && error.fault === 'stopped';
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new AcmeProblem('failed', `"${path}" cannot be read: ${messageOf(error)}`);
  }
}

function minute(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16)}Z`;
}

function spoken(ms: number): string {
  if (ms < 90_000) return `${Math.ceil(ms / 1000)} s`;
  return ms < 90 * 60_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

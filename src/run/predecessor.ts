// The old process's side of a takeover: tells the next one what it needs, steps back when that one listens.

import type { TakeoverResult } from '../admin/source.ts';
import type { Balancer } from './balancer.ts';
import { isTicket, removeHandover, sessionsIn, writeHandover } from './handover.ts';

/** A successor that has not come for so long does not come any more: its files are removed. */
const WAIT_MS = 60_000;
/** While requests are still in flight their sessions are saved so often, for the successor to take in. */
const SAVE_EVERY_MS = 200;
/** Time for the answer to the successor to leave before the admin server closes. */
const ANSWER_MS = 50;

export class Predecessor {
  readonly #balancer: Balancer;
  #directory = '';
  #ticket = '';
  #timer: NodeJS.Timeout | null = null;
  #isReplaced = false;
  #onReplaced: (() => void) | null = null;
  /** Resolves when a successor listens and this process should finish and leave. */
  readonly replaced: Promise<void>;

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
    this.replaced = new Promise((resolve) => {
      this.#onReplaced = resolve;
    });
  }

  /** An empty ticket begins a takeover, the right one completes it. */
  async answer(ticket: string, adminUrl: string): Promise<TakeoverResult> {
    if (this.#isReplaced || this.#balancer.isStopping) return refuse('this process is ending already');
    if (ticket === '') return this.#begin(adminUrl);
    if (this.#directory === '' || !isTicket(ticket, this.#ticket)) return refuse('this is not the ticket');
    this.#isReplaced = true;
    this.#stopWaiting();
    await this.#balancer.retire();
    this.#balancer.saveTo(sessionsIn(this.#directory));
    setTimeout(() => this.#onReplaced?.(), ANSWER_MS);
    return { ok: true, directory: this.#directory };
  }

  #begin(adminUrl: string): TakeoverResult {
    this.forget();
    const { revision, ports, secret, options } = this.#balancer;
    const listeners = revision.config.listen.map(({ address }, index) => ({
      address,
      port: ports[index] ?? 0,
    }));
    const { directory, ticket } = writeHandover({ secret, listeners, adminUrl });
    this.#directory = directory;
    this.#ticket = ticket;
    this.#balancer.saveTo(sessionsIn(directory));
    this.#timer = setTimeout(() => this.forget(), WAIT_MS);
    options.log.info({ directory }, 'another process has asked to take over');
    return { ok: true, directory };
  }

  /** Finishes what is in flight, saving sessions as they end. True when nothing had to be cut. */
  async finish(): Promise<boolean> {
    const save = (): void => this.#balancer.saveTo(sessionsIn(this.#directory));
    const saving = setInterval(save, SAVE_EVERY_MS);
    const isClean = await this.#balancer.finish(save);
    clearInterval(saving);
    return isClean;
  }

  #stopWaiting(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** No successor is expected (any more): what was written for it goes. */
  forget(): void {
    this.#stopWaiting();
    if (this.#directory !== '') removeHandover(this.#directory);
    this.#directory = '';
  }
}

function refuse(message: string): TakeoverResult {
  return { ok: false, code: 'conflict', message };
}

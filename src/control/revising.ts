// From one revision to the next while running: the file read again, or other servers found. One change at a time; whatever
// goes wrong in one is a refusal, and what runs stays as it is.

import type { Log } from '../base/log.ts';
import { messageOf } from '../base/message-of.ts';
import type { HoldfastConfig } from '../config/model.ts';
import type { Revision } from '../shared/revision.ts';
import { describeChanges } from './config-changes.ts';
import type { Discovery } from './discovery.ts';
import type { ChangeEvent, ReloadResult } from './results.ts';
import type { SlotRegistry } from './slots.ts';

const STOPPING = 'this balancer is stopping';

/** The balancer as far as its revisions go. */
export interface Revisable {
  readonly log: Log;
  readonly isStopping: boolean;
  readonly revision: Revision;
  readonly slots: SlotRegistry;
  readonly discovery: Discovery;
  publish(event: ChangeEvent): void;
  /**
   * Prepares what the next configuration listens with, for `swap`. Rejects with StartError when it cannot; resolves with how
   * to let go of it where the change is not made after all.
   */
  prepareListeners(old: HoldfastConfig, next: HoldfastConfig): Promise<() => void> | (() => void);
  /**
   * Makes the next revision of it, for which there is room, and swaps all threads to it. Says what that has ended. Where the
   * revision cannot be made it rejects, and nothing has changed.
   */
  swap(config: HoldfastConfig): Promise<readonly string[]>;
}

/** Reads the next configuration, when its turn has come: checked, or why it is refused. `onAccepted` is called before the next is read. */
export type ReadConfig = () => Promise<
  string | { readonly config: HoldfastConfig; readonly onAccepted?: () => void }
>;

export class Revising {
  readonly results = { success: 0, failure: 0 };
  readonly #balancer: Revisable;
  /** The configuration as written, without what discovery has found. */
  #written: HoldfastConfig;
  /** Resolves when the last change that was asked for is over. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(balancer: Revisable, written: HoldfastConfig) {
    this.#balancer = balancer;
    this.#written = written;
  }

  /** The configuration in force, as written: another object after each reload. */
  get written(): HoldfastConfig {
    return this.#written;
  }

  /** Swaps to what is read. A second call while one is under way waits its turn, and reads after it. `by`: who wants it. */
  async reload(read: ReadConfig, by: string): Promise<ReloadResult> {
    const { log } = this.#balancer;
    const result = await this.#inTurn(() => this.#reload(read));
    this.results[result.ok ? 'success' : 'failure'] += 1;
    if (result.ok) log.info({ revision: result.revision, changes: result.changes, by }, 'reloaded');
    // a line of the log, however many problems there are
    else log.error({ by }, `reload refused, nothing has changed: ${result.message.replaceAll('\n', '; ')}`);
    this.#balancer.publish({ type: 'reload', ...result, by });
    return result;
  }

  /** Discovery has found something else: a swap like that of a reload. */
  async rediscover(): Promise<void> {
    const { log } = this.#balancer;
    const result = await this.#inTurn(() => this.#rediscover());
    if (this.#balancer.isStopping) return;
    if (result.ok)
      log.info({ revision: result.revision, changes: result.changes }, 'servers found have changed');
    else log.error({}, `servers that were found are not used: ${result.message}`);
    if (result.ok) this.#balancer.publish({ type: 'discovery', ...result });
  }

  /**
   * What stands beside the configuration has changed, such as certificates: the same once more, on all threads. `refused`:
   * why what was found is not used; null: it is. `what` null: nobody need hear of it. False: the threads have not got it.
   */
  async refresh(what: string | null, refused: string | null): Promise<boolean> {
    const { log } = this.#balancer;
    const result = refused === null ? await this.#inTurn(() => this.#again()) : refuse(refused);
    if (this.#balancer.isStopping) return false;
    if (what === null) return result.ok;
    if (result.ok) log.info({ revision: result.revision }, `${what}: used from now on`);
    else {
      // nobody has asked for it, so nobody has an answer: it is found by the alert for reloads
      this.results.failure += 1;
      log.error({}, `${what}, but the former stay in use: ${result.message}`);
    }
    this.#balancer.publish({ type: 'certificates', ...result, changes: [what] });
    return result.ok;
  }

  async #again(): Promise<ReloadResult> {
    const { config } = this.#balancer.revision;
    await this.#balancer.swap(config);
    return this.#swapped(config, config);
  }

  /** Waits its turn. What a change throws is its refusal. */
  #inTurn(change: () => Promise<ReloadResult>): Promise<ReloadResult> {
    return this.alone(() => (this.#balancer.isStopping ? Promise.resolve(refuse(STOPPING)) : change())).catch(
      (error: unknown) => refuse(messageOf(error)),
    );
  }

  /** Runs when all changes that were asked for before are over; none begins until it has settled. */
  alone<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #reload(read: ReadConfig): Promise<ReloadResult> {
    const found = await read();
    if (typeof found === 'string') return refuse(found);
    const { config, onAccepted } = found;
    const { discovery, slots } = this.#balancer;
    const old = this.#written;
    const letGo = await this.#balancer.prepareListeners(old, config);
    try {
      return await this.#prepareAndSwap(old, config, onAccepted);
    } finally {
      if (this.#written === old) {
        letGo();
        discovery.apply(old);
        discovery.expand(old, slots); // newcomers that had no room go on waiting for it
      }
    }
  }

  async #prepareAndSwap(
    old: HoldfastConfig,
    config: HoldfastConfig,
    onAccepted: (() => void) | undefined,
  ): Promise<ReloadResult> {
    const { discovery, slots, log } = this.#balancer;
    await discovery.prepare(config);
    // meanwhile it may have been stopped: nothing is opened or begun any more
    if (this.#balancer.isStopping) return refuse(STOPPING);
    const next = discovery.expand(config, slots);
    const noRoom = discovery.refusal(config, slots) ?? slots.refusal(next);
    if (noRoom !== null) return refuse(noRoom);
    const ended = await this.#balancer.swap(next);
    discovery.apply(config);
    this.#written = config;
    onAccepted?.();
    for (const sentence of ended) log.warn({}, sentence);
    return this.#swapped(old, config, ended);
  }

  async #rediscover(): Promise<ReloadResult> {
    const { discovery, slots, revision } = this.#balancer;
    const old = revision.config;
    const next = discovery.expand(this.#written, slots);
    const noRoom = slots.refusal(next);
    if (noRoom !== null) return refuse(noRoom);
    await this.#balancer.swap(next);
    return this.#swapped(old, next);
  }

  #swapped(old: HoldfastConfig, config: HoldfastConfig, ended: readonly string[] = []): ReloadResult {
    const { revision, slots } = this.#balancer;
    const changes = [...describeChanges(old, config, slots.changes), ...ended];
    return { ok: true, revision: revision.number, changes };
  }
}

function refuse(message: string): ReloadResult {
  return { ok: false, code: 'conflict', message };
}

// From one revision to the next while running: the file read again, or other servers found. One change at a time; whatever
// goes wrong in one is a refusal, and what runs stays as it is.

import type { Log } from '../base/log.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { formatProblem } from '../config/problem.ts';
import { readConfigFile } from '../config/read-config-file.ts';
import type { Revision } from '../shared/revision.ts';
import { describeChanges } from './config-changes.ts';
import type { Discovery } from './discovery.ts';
import type { ReloadResult } from './results.ts';
import type { SlotRegistry } from './slots.ts';
import { StartError } from './start-error.ts';

/** The balancer as far as its revisions go. */
export interface Revisable {
  readonly options: { readonly log: Log; readonly configFile?: string | null };
  readonly isStopping: boolean;
  readonly revision: Revision;
  readonly slots: SlotRegistry;
  readonly discovery: Discovery;
  publish(event: { readonly type: string; readonly [detail: string]: unknown }): void;
  /** Rejects with StartError when a listener that is new cannot be opened. */
  assertListenable(old: HoldfastConfig, next: HoldfastConfig): Promise<void>;
  /** Makes the next revision of it, for which there is room, and swaps all threads to it. Says what that has ended. */
  swap(config: HoldfastConfig): Promise<readonly string[]>;
}

export class Revising {
  readonly results = { success: 0, failure: 0 };
  readonly #balancer: Revisable;
  /** The configuration as written, without what discovery has found. */
  #written: HoldfastConfig;
  #underWay: Promise<ReloadResult> | null = null;

  constructor(balancer: Revisable, written: HoldfastConfig) {
    this.#balancer = balancer;
    this.#written = written;
  }

  /** Reads the configuration file again and swaps to it. */
  async reload(): Promise<ReloadResult> {
    const { options } = this.#balancer;
    const result = await this.#inTurn(() => this.#reload());
    this.results[result.ok ? 'success' : 'failure'] += 1;
    if (result.ok) options.log.info({ revision: result.revision, changes: result.changes }, 'reloaded');
    else options.log.error({}, `reload refused, nothing has changed: ${result.message}`);
    this.#balancer.publish({ type: 'reload', ...result });
    return result;
  }

  /** Discovery has found something else: a swap like that of a reload. */
  async rediscover(): Promise<void> {
    const { options } = this.#balancer;
    const result = await this.#inTurn(() => this.#rediscover());
    if (this.#balancer.isStopping) return;
    if (result.ok)
      options.log.info({ revision: result.revision, changes: result.changes }, 'servers found have changed');
    else options.log.error({}, `servers that were found are not used: ${result.message}`);
    if (result.ok) this.#balancer.publish({ type: 'discovery', ...result });
  }

  /** What stands beside the configuration has changed, such as certificates: the same once more, on all threads. */
  async refresh(what: string): Promise<void> {
    const { options } = this.#balancer;
    const result = await this.#inTurn(async () => {
      const { config } = this.#balancer.revision;
      await this.#balancer.swap(config);
      return this.#swapped(config, config);
    });
    if (this.#balancer.isStopping) return;
    if (result.ok) options.log.info({ revision: result.revision }, `${what}: used from now on`);
    else options.log.error({}, `${what}, but it is not used: ${result.message}`);
    if (result.ok) this.#balancer.publish({ type: 'certificates', ...result, changes: [what] });
  }

  /** Waits for the change under way. What a change throws is its refusal. */
  async #inTurn(change: () => Promise<ReloadResult>): Promise<ReloadResult> {
    while (this.#underWay !== null) await this.#underWay;
    if (this.#balancer.isStopping) return refuse('this process is ending');
    const underWay = change()
      .catch((error: unknown) => refuse(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        this.#underWay = null;
      });
    this.#underWay = underWay;
    return underWay;
  }

  async #reload(): Promise<ReloadResult> {
    const { options, discovery, slots } = this.#balancer;
    const { configFile } = options;
    if (configFile == null) return refuse('there is no configuration file to read again');
    const { config, problems } = await readConfigFile(configFile);
    if (config === null) return refuse(problems.map(formatProblem).join('\n'));
    const old = this.#written;
    try {
      await this.#balancer.assertListenable(old, config);
    } catch (error) {
      if (error instanceof StartError) return refuse(error.message);
      throw error;
    }
    await discovery.prepare(config);
    const next = discovery.expand(config, slots);
    const noRoom = slots.refusal(next);
    if (noRoom !== null) {
      discovery.apply(old);
      return refuse(noRoom);
    }
    discovery.apply(config);
    this.#written = config;
    const ended = await this.#balancer.swap(next);
    for (const sentence of ended) options.log.warn({}, sentence);
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

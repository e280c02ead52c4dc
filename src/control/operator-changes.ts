// What the operator has set on servers at run time. Also on servers that are no more, in case they come back; what was set
// longest ago goes where that is too much: servers that are found have other names each time, and a deploy may drain each.

import type { ServerMode } from '../config/model.ts';
import { SLOTS_MAX } from '../shared/limits.ts';

/** Wins over the configuration, also when the server goes and comes back. */
export interface OperatorChange {
  mode?: ServerMode;
  weight?: number;
}

/** More than there can be servers. */
export const CHANGES_MAX = 2 * SLOTS_MAX;

export class OperatorChanges {
  /** By `POOL/SERVER`, what was set last at the end. */
  readonly #changes = new Map<string, OperatorChange>();
  readonly #isInUse: (key: string) => boolean;

  constructor(isInUse: (key: string) => boolean) {
    this.#isInUse = isInUse;
  }

  get all(): ReadonlyMap<string, OperatorChange> {
    return this.#changes;
  }

  get(key: string): OperatorChange | undefined {
    return this.#changes.get(key);
  }

  /** Beside what was set before. */
  add(key: string, change: OperatorChange): void {
    const changed = { ...this.#changes.get(key), ...change };
    this.#changes.delete(key);
    this.#changes.set(key, changed);
    if (this.#changes.size <= CHANGES_MAX) return;
    const oldest = [...this.#changes.keys()].find((other) => other !== key && !this.#isInUse(other));
    if (oldest !== undefined) this.#changes.delete(oldest);
  }

  delete(key: string): void {
    this.#changes.delete(key);
  }
}

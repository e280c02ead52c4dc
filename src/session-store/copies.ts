// The local copies in the order of their last use, within limits of number and bytes.
import type { Copy } from './copy.ts';
import { setNewest } from './set-newest.ts';

/** Limits of local copies; 0: none. */
export interface CopyLimits {
  readonly sessions: number;
  readonly bytes: number;
}

/** What a dropped copy had of the store's word. */
type Dropped = Pick<Copy, 'tenure' | 'sureIn'>;

/** So many of those dropped last are known. */
const DROPPED_MAX = 10_000;

/** Copies by key, the least recently used first. */
export class Copies {
  readonly #byKey = new Map<string, Copy>();
  readonly #limits: CopyLimits;
  readonly #mayDrop: (copy: Copy) => boolean;
  /** A request that has read one of these may be about to change it. */
  readonly #dropped = new Map<string, Dropped>();
  #bytes = 0;
  #owned = 0;

  constructor(limits: CopyLimits, mayDrop: (copy: Copy) => boolean) {
    this.#limits = limits;
    this.#mayDrop = mayDrop;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Sessions this server has. */
  get owned(): number {
    return this.#owned;
  }

  get(key: string): Copy | undefined {
    return this.#byKey.get(key);
  }

  /** The copy, which is now the last to be dropped. */
  use(key: string): Copy | undefined {
    const copy = this.#byKey.get(key);
    if (copy !== undefined) {
      this.#makeLast(copy);
      copy.isLeaving = false;
    }
    return copy;
  }

  add(copy: Copy): void {
    this.#byKey.set(copy.key, copy);
    this.#dropped.delete(copy.key);
    this.recount(copy);
  }

  /** Removes a copy to save memory. */
  drop(copy: Copy): void {
    this.remove(copy);
    const { key, tenure, sureIn } = copy;
    setNewest(this.#dropped, key, { tenure, sureIn }, DROPPED_MAX);
  }

  /** What was known of a copy of this key that was dropped. */
  dropped(key: string): Dropped | undefined {
    return this.#dropped.get(key);
  }

  /** Must follow each change of a copy's state or data. */
  recount(copy: Copy): void {
    this.#count(copy, copy.bytes);
  }

  remove(copy: Copy): void {
    if (this.#byKey.get(copy.key) === copy) this.#byKey.delete(copy.key);
    this.#count(copy, 0);
  }

  /**
   * Copies to drop, so that the limits are kept; looks at no more than `looks` of them. What must stay, as tombstones do, goes
   * to the end: many of them would otherwise hide what may go.
   */
  excess(looks: number): readonly Copy[] {
    const found: Copy[] = [];
    let sessions = this.#limits.sessions === 0 ? 0 : this.#owned - this.#limits.sessions;
    let bytes = this.#limits.bytes === 0 ? 0 : this.#bytes - this.#limits.bytes;
    if (sessions <= 0 && bytes <= 0) return found;
    let left = looks;
    for (const copy of this.#byKey.values()) {
      if (left === 0 || (sessions <= 0 && bytes <= 0)) break;
      left -= 1;
      if (!copy.isLeaving) {
        if (copy.isSending || copy.readers.length > 0 || !this.#mayDrop(copy)) {
          this.#makeLast(copy);
          continue;
        }
        found.push(copy);
      }
      sessions -= 1;
      bytes -= copy.bytes;
    }
    return found;
  }

  /** All of them, least recently used first; those used meanwhile come again at the end. */
  values(): MapIterator<Copy> {
    return this.#byKey.values();
  }

  get size(): number {
    return this.#byKey.size;
  }

  #makeLast(copy: Copy): void {
    this.#byKey.delete(copy.key);
    this.#byKey.set(copy.key, copy);
  }

  #count(copy: Copy, bytes: number): void {
    this.#bytes += bytes - copy.counted;
    this.#owned += Number(bytes > 0) - Number(copy.counted > 0);
    copy.counted = bytes;
  }
}

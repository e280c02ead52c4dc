// Numbers for names in shared memory: a name keeps its number while it is in use, and afterwards until every number has
// been used and another name needs it. What still counts under an old number (connections, requests in flight) is asked
// for first, so that it does not meet another name there.

export class Numbers {
  readonly #max: number;
  readonly #isQuiet: (number: number, name: string) => boolean;
  readonly #byName = new Map<string, number>();
  /** Names not in use, the one released longest ago first. */
  readonly #released = new Set<string>();

  constructor(max: number, isQuiet: (number: number, name: string) => boolean) {
    this.#max = max;
    this.#isQuiet = isQuiet;
  }

  /** Whether each of these has a number or can get one. Numbers that the same change releases are not counted. */
  hasRoomFor(names: readonly string[]): boolean {
    const wanted = new Set(names);
    let missing = [...wanted].filter((name) => !this.#byName.has(name)).length;
    missing -= this.#max - this.#byName.size;
    for (const name of this.#released) {
      if (missing <= 0) break;
      if (!wanted.has(name) && this.#isFree(name)) missing -= 1;
    }
    return missing <= 0;
  }

  /** The numbers of these names, which are all that are in use now. `hasRoomFor` them. */
  use(names: readonly string[], onReuse: (number: number) => void): readonly number[] {
    for (const name of names) this.#released.delete(name);
    const numbers = names.map((name) => this.#byName.get(name) ?? this.#give(name, onReuse));
    const inUse = new Set(names);
    for (const name of this.#byName.keys()) if (!inUse.has(name)) this.#released.add(name);
    return numbers;
  }

  #give(name: string, onReuse: (number: number) => void): number {
    const known = this.#byName.size;
    const number = known < this.#max ? known : this.#takeReleased();
    if (known === this.#max) onReuse(number);
    this.#byName.set(name, number);
    return number;
  }

  #takeReleased(): number {
    for (const name of this.#released) {
      if (!this.#isFree(name)) continue;
      const number = this.#byName.get(name) ?? 0;
      this.#released.delete(name);
      this.#byName.delete(name);
      return number;
    }
    throw new Error(`more than ${this.#max} names`);
  }

  #isFree(name: string): boolean {
    return this.#isQuiet(this.#byName.get(name) ?? 0, name);
  }
}

// Another thread's step, played at a certain moment of this one's: every step on shared memory is a call of Atomics.

type Name = 'add' | 'and' | 'compareExchange' | 'exchange' | 'load' | 'or' | 'store' | 'sub';

/** While `run` runs, calls `meanwhile` once, right after the first call of `Atomics[name]` for which `isIt` says yes. */
export function interleave(
  name: Name,
  isIt: (array: Int32Array, index: number, value: number) => boolean,
  meanwhile: () => void,
  run: () => void,
): void {
  const atomics = Atomics as unknown as Record<string, (...values: unknown[]) => unknown>;
  const original = atomics[name]!;
  let isDone = false;
  const restore = (): void => {
    atomics[name] = original;
  };
  atomics[name] = (...values) => {
    const result = original.apply(Atomics, values);
    if (!isDone && isIt(values[0] as Int32Array, values[1] as number, values[2] as number)) {
      isDone = true;
      restore();
      meanwhile();
    }
    return result;
  };
  try {
    run();
  } finally {
    restore();
  }
  if (!isDone) throw new Error(`the moment for the other thread's step has not come: Atomics.${name}`);
}

// Seeds of randomised tests: others in each run, so that many runs try more than one can. The run says which first
// (vitest.config.ts), the names of tests or their errors which one failed. SEED=N replays it, SEEDS=N takes so many.

const { SEED, SEEDS, FIRST_SEED } = process.env;

/** `count` of them, or what the environment says. */
export function seeds(count: number): readonly number[] {
  if (SEED !== undefined) return [Number(SEED)];
  const first = Number(FIRST_SEED ?? 1);
  return Array.from({ length: Number(SEEDS ?? count) }, (_, index) => first + index);
}

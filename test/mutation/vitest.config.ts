// The tests of one room, for `npm run mutate`. Modules are rewritten by Vite here, unlike in vitest.config.ts: that is how the
// faults that Stryker plants get in (`--sample` changes the files themselves, and has them run as they are).
// One fixed seed, as a fault must be found in each run or in none.

import { defineConfig } from 'vitest/config';

const { MUTATION_TESTS = '' } = process.env;
// why: see vitest.config.ts at the top
process.env['MALLOC_MMAP_THRESHOLD_'] = String(128 * 1024);

export default defineConfig({
  test: {
    include: MUTATION_TESTS.split(',').map((path) => (path.endsWith('.ts') ? path : `${path}/**/*.test.ts`)),
    env: { FIRST_SEED: '1', SEEDS: '20' },
    // what measures time would measure the planted faults' code, which takes several times as long
    testNamePattern: /^(?!.* take main under )/,
    testTimeout: 60_000,
  },
});

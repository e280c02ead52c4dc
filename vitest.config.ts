import { defineConfig } from 'vitest/config';

/**
 * A run of their own, `npm run test:long`, part of every CI run: what starts whole demos, crowds or one process after the
 * other, follows documents command by command, or measures time or memory, for which there must not be too many others at
 * once; and fuzzing. The others are what one waits for after each change: together they may take three minutes.
 */
const LONG = 'test/**/*.{long,fuzz}.test.ts';
/** Kills and stops processes at each message of a takeover: minutes, a run of its own (`npm run test:takeover`). */
const STEPS = 'test/e2e/takeover-steps.test.ts';
const isSteps = process.env['STEPS'] !== undefined;
const isLong = process.env['LONG'] !== undefined;

/** Randomised tests take other seeds in each run (test/support/seeds.ts). FIRST_SEED= repeats a run, SEED= one test. */
const firstSeed = process.env['FIRST_SEED'] ?? String(Math.floor(Date.now() / 1000) % 1_000_000);
// biome-ignore lint/suspicious/noConsole: what a run prints is how it is repeated
console.log(
  `seeds from ${process.env['SEED'] ?? firstSeed} (FIRST_SEED=${firstSeed} repeats them, SEED= replays one)`,
);

// Tests make hundreds of shared states of some 30 MB that hardly touch them. From this size on memory comes straight from
// the kernel, zero until it is touched; otherwise the allocator uses it again and clears it whole, 30 ms each time.
process.env['MALLOC_MMAP_THRESHOLD_'] = String(128 * 1024);

export default defineConfig({
  test: {
    include: [isSteps ? STEPS : isLong ? LONG : 'test/**/*.test.ts'],
    exclude: isSteps || isLong ? [] : [LONG, STEPS],
    globalSetup: ['test/support/launcher.ts'],
    pool: 'forks',
    // A worker runs one file after the other: a process and all modules for each of them would cost more than most tests.
    isolate: false,
    // Many tests wait: for intervals, checks and processes. As few workers as cores would leave them idle.
    // The long ones measure time, so there are fewer at once.
    maxWorkers: isLong ? 2 : 5,
    // A test that passes at the second try has a fault, or found one: neither goes away by not looking.
    retry: 0,
    env: { FIRST_SEED: firstSeed },
    // As Node runs the program: a rewritten module reads each imported constant through an object, which is slower and
    // is not what is measured.
    experimental: { viteModuleRunner: false },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

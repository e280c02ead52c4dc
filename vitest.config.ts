import { defineConfig } from 'vitest/config';

/** A third of the suite's time: a run of their own, `npm run test:long`, part of every CI run. */
const LONG = [
  'test/demo/faults.test.ts',
  'test/e2e/affinity-every-mode.test.ts',
  'test/e2e/dashboard-changes.test.ts',
  'test/e2e/dashboard-figures.test.ts',
  'test/e2e/dashboard-places.test.ts',
  'test/e2e/limits-clients.test.ts',
  'test/e2e/operate.test.ts',
  'test/e2e/overload.test.ts',
  'test/e2e/owner.test.ts',
  'test/e2e/rebalance-drain.test.ts',
  'test/e2e/rebalance-fail-over.test.ts',
  'test/e2e/rebalance-scale-out.test.ts',
  'test/e2e/session-truth-applications.test.ts',
  'test/e2e/session-truth-removed-server.test.ts',
  'test/e2e/takeover-listeners.test.ts',
  'test/e2e/takeover-log-in.test.ts',
  'test/e2e/takeover.test.ts',
  'test/packaging/package.test.ts',
];
const isLong = process.env['LONG'] !== undefined;

export default defineConfig({
  test: {
    include: isLong ? LONG : ['test/**/*.test.ts'],
    exclude: isLong ? [] : LONG,
    pool: 'forks',
    // Many tests wait for processes they have started; one worker less than there are cores would leave them idle.
    // The long ones measure time, so there are fewer at once.
    maxWorkers: isLong ? 2 : 5,
    // Real processes and deadlines on machines that others use too. What is wrong fails every time.
    retry: 1,
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});

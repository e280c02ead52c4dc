import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Packs and installs the package: a minute of its own, `npm run test:package`.
    exclude: process.env['PACKAGE'] === undefined ? ['test/packaging/package.test.ts'] : [],
    pool: 'forks',
    // Most of the tests wait for processes they have started; one worker less than there are cores would leave them idle.
    maxWorkers: 5,
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});

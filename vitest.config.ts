import { defineConfig } from 'vitest/config';

/**
 * A run of their own, `npm run test:long`, part of every CI run: what starts whole demos, crowds or one process after the
 * other, fuzzes, follows documents command by command, or measures time or memory, for which there must not be too many
 * others at once. The others are what one waits for after each change: together they may take three minutes.
 */
const LONG = [
  'test/acme/hostile.test.ts',
  'test/acme/orders.test.ts',
  'test/cli/drain-wait.test.ts',
  'test/cli/follow.test.ts',
  'test/cli/json.test.ts',
  'test/demo/faults.test.ts',
  'test/demo/keys.test.ts',
  'test/demo/launch.test.ts',
  'test/demo/timeouts.test.ts',
  'test/docs-commands.test.ts',
  'test/e2e/acme.test.ts',
  'test/e2e/affinity-every-mode.test.ts',
  'test/e2e/affinity-log-in.test.ts',
  'test/e2e/affinity-odd-cookies.test.ts',
  'test/e2e/affinity-placement.test.ts',
  'test/e2e/affinity-two-balancers.test.ts',
  'test/e2e/client-errors.test.ts',
  'test/e2e/dashboard-changes.test.ts',
  'test/e2e/dashboard-figures.test.ts',
  'test/e2e/dashboard-layout.test.ts',
  'test/e2e/dashboard-places.test.ts',
  'test/e2e/demo-start.test.ts',
  'test/e2e/discovery-kept.test.ts',
  'test/e2e/discovery.test.ts',
  'test/e2e/failover-every-mode.test.ts',
  'test/e2e/failover-kill.test.ts',
  'test/e2e/full-thread.test.ts',
  'test/e2e/home-rolling.test.ts',
  'test/e2e/home-stalled.test.ts',
  'test/e2e/homes-same-server.test.ts',
  'test/e2e/http-client-aborts.test.ts',
  'test/e2e/http-held-clients.test.ts',
  'test/e2e/http-memory.test.ts',
  'test/e2e/limits-clients.test.ts',
  'test/e2e/moving-in.test.ts',
  'test/e2e/operate.test.ts',
  'test/e2e/outage-drill.test.ts',
  'test/e2e/overload.test.ts',
  'test/e2e/owner.test.ts',
  'test/e2e/passive-ejection.test.ts',
  'test/e2e/passive-stopped-server.test.ts',
  'test/e2e/proxy-protocol-haproxy.test.ts',
  'test/e2e/rebalance-drain.test.ts',
  'test/e2e/rebalance-fail-over.test.ts',
  'test/e2e/rebalance-move-rate.test.ts',
  'test/e2e/rebalance-scale-out.test.ts',
  'test/e2e/reload-http2-servers.test.ts',
  'test/e2e/reload-sessions-file.test.ts',
  'test/e2e/rolling-http2-servers.test.ts',
  'test/e2e/session-truth-applications.test.ts',
  'test/e2e/session-truth-expiry.test.ts',
  'test/e2e/session-truth-kinds.test.ts',
  'test/e2e/session-truth-removed-server.test.ts',
  'test/e2e/session-truth-worker-death.test.ts',
  'test/e2e/sessions-file-owner.test.ts',
  'test/e2e/standstill.test.ts',
  'test/e2e/streams-server-killed.test.ts',
  'test/e2e/takeover-http2.test.ts',
  'test/e2e/takeover-listeners.test.ts',
  'test/e2e/takeover-log-in.test.ts',
  'test/e2e/takeover-other-values.test.ts',
  'test/e2e/takeover.test.ts',
  'test/e2e/tls-clients.test.ts',
  'test/e2e/tls-load.test.ts',
  'test/e2e/tls.test.ts',
  'test/e2e/unix-sockets.test.ts',
  'test/e2e/worker-hang.test.ts',
  'test/embed/integrity.test.ts',
  'test/fuzz/embedded.fuzz.test.ts',
  'test/fuzz/http1.fuzz.test.ts',
  'test/fuzz/http2-differential.fuzz.test.ts',
  'test/fuzz/http2-server.fuzz.test.ts',
  'test/fuzz/http2.fuzz.test.ts',
  'test/getting-started.test.ts',
  'test/grafana/prometheus.test.ts',
  'test/lab/cell.test.ts',
  'test/packaging/package.test.ts',
  'test/proxy/cost.test.ts',
  'test/proxy/http2-clients/chromium.test.ts',
  'test/proxy/http2-clients/clients.test.ts',
  'test/proxy/http2-integrity.test.ts',
  'test/proxy/http2-servers-shared.test.ts',
  'test/proxy/integrity.test.ts',
  'test/recipes/express.test.ts',
  'test/recipes/flask.test.ts',
  'test/recipes/llm-replicas.test.ts',
  'test/recipes/mcp.test.ts',
  'test/recipes/rolling-deploy.test.ts',
  'test/recipes/socket-io.test.ts',
  'test/recipes/tomcat.test.ts',
  'test/recipes/vite.test.ts',
  'test/run/takeover/predecessor.test.ts',
  'test/run/takeover/threads.test.ts',
  'test/session-store/attacks.test.ts',
  'test/session-store/standstill.test.ts',
  'test/session-store/store-away.test.ts',
  'test/session-store/turns.test.ts',
];
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
    include: isSteps ? [STEPS] : isLong ? LONG : ['test/**/*.test.ts'],
    exclude: isSteps || isLong ? [] : [...LONG, STEPS],
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

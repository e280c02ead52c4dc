// `npm run mutate -- ROOM [FILE…]`: how many small faults planted in a room (or in some of its files) the room's own tests find.
// What has been found out is kept in .mutation/ROOM.json, so that a second run tries only what has changed. With `--sample N`
// only so many of them, drawn by chance (sample.mjs): a whole room takes hours.

import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { parseArgs } from 'node:util';
import { sample } from './sample.mjs';

/** The tests of each room, as files and folders. Only such as need no processes: each fault runs those that reach it. */
const TESTS = {
  shared: ['test/shared'],
  choose: ['test/choose'],
  sessions: ['test/sessions', 'test/sim/rebalance.sim.test.ts', 'test/sim/fill-newcomer.sim.test.ts'],
  http1: ['test/http1', 'test/proxy/head-lines.test.ts'],
  exchange: ['test/exchange', 'test/proxy/head-lines.test.ts', 'test/sim/exchange.sim.test.ts'],
  config: ['test/config'],
};
/** Per cent of the faults that must be found. */
const SCORE_MIN = 85;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { sample: { type: 'string' }, seed: { type: 'string' } },
});
const [room = '', ...files] = positionals;
const tests = TESTS[room];
if (tests === undefined) {
  process.stderr.write(
    `usage: npm run mutate -- ROOM [FILE…] [--sample N [--seed N]], ROOM one of ${Object.keys(TESTS).join(', ')}\n`,
  );
  process.exit(2);
}
const folder = '.mutation';
const tree = `${folder}/tree`;
rmSync(tree, { recursive: true, force: true });
mkdirSync(tree, { recursive: true });
for (const part of ['src', 'test', 'config', 'docs', 'package.json', 'tsconfig.json'])
  cpSync(part, `${tree}/${part}`, { recursive: true });
symlinkSync('../../node_modules', `${tree}/node_modules`);
// The types go first, every line where it was: Stryker prints `(a as T) & b` as `a as T & b`, which is another program.
for (const file of globSync(`${tree}/src/${room}/**/*.ts`))
  writeFileSync(file, stripTypeScriptTypes(readFileSync(file, 'utf8')));
const mutate = files.length > 0 ? files : [`src/${room}/**/*.ts`];
const environment = { ...process.env, MUTATION_TESTS: tests.join(',') };

if (values.sample !== undefined) {
  const score = await sample({
    tree,
    files: globSync(mutate, { cwd: tree }).sort(),
    tests,
    environment,
    count: Number(values.sample),
    seed: Number(values.seed ?? Date.now() % 1_000_000),
    resultsFile: `${folder}/${room}.sample.json`,
  });
  process.exit(score >= SCORE_MIN ? 0 : 1);
}
writeFileSync(
  `${tree}/stryker.json`,
  JSON.stringify({
    testRunner: 'vitest',
    plugins: ['@stryker-mutator/vitest-runner'],
    // what reaches a file is told by what its tests hit, not by imports
    vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
    mutate,
    coverageAnalysis: 'perTest',
    // nothing is compiled
    tsconfigFile: 'none',
    // faults in what is made once, when a module is loaded, need a new process and all tests each
    ignoreStatic: true,
    concurrency: Number(process.env.CONCURRENCY ?? 2),
    incremental: true,
    incrementalFile: `../${room}.json`,
    reporters: ['clear-text', 'progress-append-only', 'json'],
    jsonReporter: { fileName: `../${room}.report.json` },
    clearTextReporter: { logTests: false, allowColor: false },
    thresholds: { high: 95, low: SCORE_MIN, break: SCORE_MIN },
  }),
);
const { status } = spawnSync('stryker', ['run', 'stryker.json'], {
  cwd: tree,
  stdio: 'inherit',
  env: environment,
});
process.exit(status ?? 1);

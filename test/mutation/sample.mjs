// A sample of the faults that Stryker can plant in a room, each tried with all tests of the room in a process of its own:
//
//   all faults --shuffled by the seed--> the first N --> written into the tree, one at a time --> vitest, until a test fails
//
// The first 60 of a seed are the first 60 of its 120 too. What was found out is kept: a fault that was found stays found as
// long as its file is the same, one that was not is tried again once the tests are others. A run that is ended says what it has
// come to, and the next goes on there.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import { SeededRandom } from '../../src/base/random.ts';

const VITEST = [
  'node_modules/vitest/vitest.mjs',
  ...'run --config test/mutation/vitest.config.ts --reporter dot --bail 1'.split(' '),
  ...'--pool forks --no-isolate --maxWorkers 1'.split(' '),
  // as Node runs the program: here it is the files that are changed, nothing need be rewritten
  ...'--experimental.viteModuleRunner false'.split(' '),
];
/** A fault that makes the tests take so much longer than without any goes on for ever. */
const SLOWER = 2;
const SLOWER_BY_MS = 15_000;
/** Standard deviations on each side of an interval that holds 95 % of a normal distribution. */
const Z = 1.96;
const SHOWN_CHARS_MAX = 100;
const SIGNALS = ['SIGINT', 'SIGTERM'];
const SILENT = { isDebugEnabled: () => false, debug() {}, info() {}, warn() {} };

const hash = (...texts) => createHash('sha256').update(texts.join('\0')).digest('base64url').slice(0, 16);
const oneLine = (text) => {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > SHOWN_CHARS_MAX ? `${line.slice(0, SHOWN_CHARS_MAX)}…` : line;
};

/** All that Stryker can do to these files: `{ file, line, begin, end, replacement, text }`, `text` the whole file without the fault. */
async function faults(tree, files) {
  const sources = files.map((name) => ({
    name,
    mutate: true,
    content: readFileSync(`${tree}/${name}`, 'utf8'),
  }));
  const { mutants } = await new Instrumenter(SILENT).instrument(sources, {
    plugins: null,
    ignorers: [],
    excludedMutations: [],
  });
  const texts = new Map(sources.map(({ name, content }) => [name, content]));
  return mutants.map(({ fileName: file, location: { start, end }, replacement, mutatorName }) => {
    const text = texts.get(file);
    const lines = text.split('\n');
    const offset = ({ line, column }) =>
      lines.slice(0, line).reduce((sum, { length }) => sum + length + 1, column);
    return {
      ...{ file, text, line: start.line + 1, begin: offset(start), end: offset(end) },
      // `a && b` that becomes `a || b` would bind otherwise than what it replaces
      replacement: mutatorName === 'LogicalOperator' ? `(${replacement})` : replacement,
    };
  });
}

/** The first `count` of the faults in the order that the seed gives. */
function drawn(all, count, seed) {
  const random = new SeededRandom(seed);
  const left = [...all];
  return Array.from({ length: Math.min(count, left.length) }, (_, index) => {
    const picked = index + random.below(left.length - index);
    [left[index], left[picked]] = [left[picked], left[index]];
    return left[index];
  });
}

/** Bounds of the share of which `found` of `count` are a sample, per cent, 95 % (Wilson 1927). */
function interval(found, count) {
  const share = found / count;
  const middle = (share + Z ** 2 / (2 * count)) / (1 + Z ** 2 / count);
  const half =
    (Z / (1 + Z ** 2 / count)) * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2));
  return [middle - half, middle + half].map((bound) => Math.round(100 * bound));
}

/**
 * Runs the tests; says whether all passed (`survived`), one failed (`killed`), they went on too long (`timed out`), or somebody
 * ends us (`ended`).
 */
async function run(tree, environment, timeoutMs) {
  // a group of its own, as the tests run in a process that vitest starts
  const child = spawn(process.execPath, VITEST, {
    ...{ cwd: tree, env: environment, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => output.push(part));
  let ended = null;
  const end = (why) => {
    ended ??= why;
    process.kill(-child.pid, 'SIGKILL');
  };
  const stop = () => end('ended');
  for (const signal of SIGNALS) process.on(signal, stop);
  const timer = setTimeout(() => end('timed out'), timeoutMs);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  for (const signal of SIGNALS) process.off(signal, stop);
  return {
    result: ended ?? (code === 0 ? 'survived' : 'killed'),
    output: Buffer.concat(output).toString(),
  };
}

function report(tried, count, seed, available) {
  const having = (wanted) => tried.filter(({ result }) => result === wanted);
  const survivors = having('survived');
  const found = tried.length - survivors.length;
  const score = (100 * found) / tried.length;
  const [low, high] = interval(found, tried.length);
  for (const { shown, result } of tried)
    if (result !== 'killed') process.stdout.write(`${result}: ${shown}\n`);
  process.stdout.write(
    `${tried.length} of ${available} faults (--sample ${count} --seed ${seed}): killed ${having('killed').length}, ` +
      `survived ${survivors.length}, timed out ${having('timed out').length}; ` +
      `score ${score.toFixed(1)} % (95 %: ${low} to ${high})\n`,
  );
  return score;
}

/**
 * Tries `count` faults of those that can be planted in `files` of `tree` and prints what came of them. Gives back the score:
 * per cent that a test found, or that made the tests run for ever.
 */
export async function sample({ tree, files, tests, environment, count, seed, resultsFile }) {
  const all = await faults(tree, files);
  const known = existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, 'utf8')) : {};
  const testFiles = globSync(
    [...tests, 'test/support'].map((path) => (path.endsWith('.ts') ? path : `${path}/**/*.*`)),
    { cwd: tree },
  ).sort();
  const testsHash = hash(...testFiles.map((name) => readFileSync(`${tree}/${name}`, 'utf8')));
  process.stdout.write(`${all.length} faults in ${files.length} files, seed ${seed}\n`);
  const begunMs = performance.now();
  const whole = await run(tree, environment, 600_000);
  if (whole.result !== 'survived')
    throw new Error(`the tests fail without a fault, too:\n${whole.output.slice(-4000)}`);
  const timeoutMs = SLOWER * (performance.now() - begunMs) + SLOWER_BY_MS;
  const tried = [];
  for (const { file, line, begin, end, replacement, text } of drawn(all, count, seed)) {
    const changed = text.slice(0, begin) + replacement + text.slice(end);
    const key = hash(file, text, changed);
    const shown = `${file}:${line}  ${oneLine(text.slice(begin, end))} -> ${oneLine(replacement)}`;
    let { result, by } = known[key] ?? {};
    if (result === undefined || (result !== 'killed' && by !== testsHash)) {
      stripTypeScriptTypes(changed); // throws where it is no program
      writeFileSync(`${tree}/${file}`, changed);
      ({ result } = await run(tree, environment, timeoutMs));
      writeFileSync(`${tree}/${file}`, text);
      if (result === 'ended') break;
      known[key] = { result, by: testsHash };
      writeFileSync(resultsFile, JSON.stringify(known));
      process.stdout.write(`  ${tried.length + 1} of ${count}: ${result}  ${shown}\n`);
    }
    tried.push({ result, shown });
  }
  return report(tried, count, seed, all.length);
}

// Every golden: wrong configurations with the exact list of their problems, good ones with what they come to.
// UPDATE_GOLDENS=1 rewrites the outcomes; read the difference before committing it.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { printConfig } from '../../src/config/print.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { type MarkdownCase, parseCases, replaceOutcomes } from './markdown-cases.ts';

const BAD = new URL('./goldens/bad/', import.meta.url);
const GOOD = new URL('./goldens/good/', import.meta.url);
const FILE = 'f.yaml';
const { UPDATE_GOLDENS } = process.env;
const isUpdate = UPDATE_GOLDENS === '1';

function outcomeOf(one: Pick<MarkdownCase, 'yaml' | 'env'>) {
  const { config, problems, warnings } = loadConfig(one.yaml, { file: FILE, env: one.env });
  return { config, problems: problems.map(formatProblem), warnings: warnings.map(formatProblem) };
}

for (const name of readdirSync(BAD)) {
  const url = new URL(name, BAD);
  if (isUpdate) writeFileSync(url, replaceOutcomes(readFileSync(url, 'utf8'), outcomeOf));
  describe(`bad/${name}`, () => {
    for (const one of parseCases(readFileSync(url, 'utf8'))) {
      test(one.title, () => {
        const { config, problems, warnings } = outcomeOf(one);
        expect({ problems, warnings }).toEqual({ problems: one.problems, warnings: one.warnings });
        expect(problems.length + warnings.length).toBeGreaterThan(0);
        expect(config === null).toBe(problems.length > 0);
      });
    }
  });
}

test('at least sixty wrong configurations are pinned down', () => {
  const cases = readdirSync(BAD).flatMap((name) => parseCases(readFileSync(new URL(name, BAD), 'utf8')));
  expect(cases.filter(({ problems }) => problems.length > 0).length).toBeGreaterThanOrEqual(60);
});

describe('good', () => {
  for (const name of readdirSync(GOOD).filter((file) => !file.endsWith('.effective.yaml'))) {
    test(name, () => {
      const text = readFileSync(new URL(name, GOOD), 'utf8');
      const { config, problems, warnings } = outcomeOf({
        yaml: text,
        env: { PORT: '9000', WEIGHT: '3', EMPTY: '' },
      });
      expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
      if (config === null) throw new Error('no problems, yet no configuration');
      const url = new URL(name.replace('.yaml', '.effective.yaml'), GOOD);
      if (isUpdate) writeFileSync(url, printConfig(config));
      expect(printConfig(config)).toBe(readFileSync(url, 'utf8'));
    });
  }
});

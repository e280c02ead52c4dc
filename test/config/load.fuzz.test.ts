// Whatever stands in a configuration, loading it says what is wrong and where.

import { readdirSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';

const FOLDERS = ['../../config/', './goldens/good/'].map((path) => new URL(path, import.meta.url));
const ENV = { PORT: '9000', WEIGHT: '3', EMPTY: '' };
const texts = FOLDERS.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8')),
);

describe('any text', () => {
  const check = (text: string): void => {
    const { config, problems } = loadConfig(text, { file: 'f.yaml', env: ENV });
    expect(config === null).toBe(problems.length > 0);
    const lineCount = text.split('\n').length;
    for (const { line, column, message } of problems) {
      expect(
        line >= 1 && line <= lineCount && column >= 1,
        `${line}:${column} of ${lineCount} lines: ${message}`,
      ).toBe(true);
      expect(message).not.toMatch(/\n|undefined|\[object/);
    }
  };

  test('gives a configuration or problems inside the file', async () => {
    await fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), check), { numRuns: 500 });
  });

  test('so do examples with a line taken out, doubled, moved or spoilt', async () => {
    const damage = fc.tuple(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.constantFrom('out', 'double', 'indent', 'spoil', 'empty'),
    );
    await fc.assert(
      fc.property(damage, ([text, at, kind]) => {
        const lines = text.split('\n');
        const index = at % lines.length;
        const line = lines[index] ?? '';
        const replaced = {
          out: [],
          double: [line, line],
          indent: [`  ${line}`],
          spoil: [line.replace(/[a-z]/, 'Q').replace(/\d/, '-')],
          empty: [line.replace(/:.*/, ':')],
        }[kind];
        check(lines.toSpliced(index, 1, ...replaced).join('\n'));
      }),
      { numRuns: 300 },
    );
  });
});

// Comments and documents name files that exist.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['src', 'demo', 'lab', 'test', 'docs', 'grafana'];
const AT_THE_TOP = ['README.md', 'CONTRIBUTING.md', 'bundle.ts', 'vitest.config.ts'];
/** What a run writes, or what is an example of text. */
const NOT_NAMES = ['report.md', 'server.mjs'];
/** Codec and configuration cases: their names of files are part of the case. */
const EXAMPLES = /\/goldens\//;

const NAME = /(?<![\w.*/-])(?:\.{0,2}\/)?(?:[\w-]+\/)*[\w.-]*[\w-]\.(?:ts|mjs|md)\b(?![\w*])/g;
const COMMENT = /^\s*(?:\/\/|\/?\*).*|\s\/\/ .*$|\/\*\*? .*\*\//;

const PATHS = [
  ...AT_THE_TOP,
  ...FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
  ),
  'CHANGELOG.md',
  'SECURITY.md',
];
const KNOWN = new Set(PATHS.flatMap(endsOf));

/** A name may leave out the folders before it. */
function endsOf(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.map((_part, at) => parts.slice(at).join('/'));
}

test('every file that a comment or a document names is there', () => {
  const wrong = PATHS.filter((path) => /\.(?:ts|md|mjs)$/.test(path) && !EXAMPLES.test(path)).flatMap(
    (path) =>
      readFileSync(join(ROOT, path), 'utf8')
        .split('\n')
        .flatMap((line, index) => {
          const text = path.endsWith('.md') ? line : (COMMENT.exec(line)?.[0] ?? '');
          const names = (text.match(NAME) ?? []).map((name) => name.replace(/^(?:\.{0,2}\/)+/, ''));
          const missing = names.filter((name) => !KNOWN.has(name) && !NOT_NAMES.includes(name));
          return missing.map((name) => `${path}:${index + 1} ${name}`);
        }),
  );
  expect(wrong).toEqual([]);
});

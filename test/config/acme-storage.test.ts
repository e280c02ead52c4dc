// A place for certificates that cannot be used: what is wrong with path and rights refuses the start, a disk that is full or has
// become read-only does not, for what is stored there can be shown all the same.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { type Files, realFiles } from '../../src/tls/files.ts';

function checked(storage: string, more: Partial<Files> = {}) {
  const yaml = `listen:
  - address: 127.0.0.1:443
    tls: { acme: { email: a@a.test, names: a.test, challenge: tls-alpn-01, storage: ${storage} } }
pools: { web: { servers: [http://127.0.0.1:1] } }
`;
  const files = { ...realFiles(Date.now()), ...more };
  const { config, problems, warnings } = loadConfig(yaml, { file: 'f.yaml', env: {}, files });
  const shown = (all: typeof problems): readonly string[] =>
    all.map((one) => formatProblem(one).replaceAll(storage, 'DIR'));
  return { isValid: config !== null, problems: shown(problems), warnings: shown(warnings) };
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-acme-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test('a disk that cannot be written is a warning', () => {
  const message = 'DIR/acme cannot be written: EROFS: read-only file system';
  const keepingProblem = () => ({ message, isOfTheDisk: true });
  expect(checked(folder(), { keepingProblem })).toEqual({
    isValid: true,
    problems: [],
    warnings: [
      'f.yaml:3:85: "storage": DIR/acme cannot be written: EROFS: read-only file system; no certificate is ordered or renewed until it can, clients get what is stored, or one that signs itself',
    ],
  });
});

test('a path that leads nowhere, and a folder that everybody may write, are errors', () => {
  const place = folder();
  expect(checked(place)).toEqual({ isValid: true, problems: [], warnings: [] });
  const file = join(place, 'file');
  writeFileSync(file, '');
  expect(checked(file).problems).toEqual([
    expect.stringMatching(/^f\.yaml:3:85: "storage": DIR\/acme cannot be written: ENOTDIR/),
  ]);
  chmodSync(place, 0o777);
  expect(checked(place).problems).toEqual([
    'f.yaml:3:85: "storage": "DIR" can be written by everybody on this machine, a place for keys must not: chmod o= DIR',
  ]);
});

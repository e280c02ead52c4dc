// docs/getting-started.md, followed word for word: what it says comes true. In the packed package: test/packaging/package.long.test.ts.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { expectGettingStarted } from './support/getting-started.ts';
import { LAUNCHER } from './support/launcher.ts';
import { needs } from './support/needs.ts';

test('a person who does what docs/getting-started.md says gets what it says', {
  timeout: 120_000,
}, async ({ skip }) => {
  needs('curl', skip);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-guide-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const markdown = readFileSync(new URL('../docs/getting-started.md', import.meta.url), 'utf8');
  await expectGettingStarted(markdown, folder, `"${process.execPath}" "${LAUNCHER}"`);
});

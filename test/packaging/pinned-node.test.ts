// The Node that a checkout runs on: it comes with `npm ci` on every platform, and with no published package.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Lock {
  readonly packages: Readonly<Record<string, { readonly bin?: object; readonly [key: string]: unknown }>>;
}

test('one package for each platform has `node` among its programs; none is for users, none has a script', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const pinned = JSON.parse(readFileSync(join(ROOT, 'test/pinned-node/package.json'), 'utf8'));
  const found = Object.entries(packages)
    .filter(([, { bin }]) => bin !== undefined && 'node' in bin)
    .map(([path, { version, dev, optional, hasInstallScript = false }]) => [
      path,
      { version, dev, optional, hasInstallScript },
    ]);
  const wanted = Object.entries(pinned.optionalDependencies).map(([name, version]) => [
    `node_modules/${name}`,
    { version, dev: true, optional: true, hasInstallScript: false },
  ]);
  expect(found).toEqual(wanted);
});

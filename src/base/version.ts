// The version of this package.

import { readFileSync } from 'node:fs';

/** From package.json, which is two folders above this file, and above the bundle in dist/bundle/. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version }: { version?: unknown } = JSON.parse(text);
  return typeof version === 'string' ? version : 'unknown';
}

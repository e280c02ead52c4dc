// One at a time: whatever the file is before, and never two who may only read it.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { takeLock } from '../../src/base/file-lock.ts';

const NOBODY = 65_534;
const ROOM = join(import.meta.dirname, '../../src/base');

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-lock-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test.each([
  ['empty', Buffer.alloc(0)],
  ['the number of a process', Buffer.from('4711\n')],
  ['a page of zeros', Buffer.alloc(4096)],
  ['nearly a database', Buffer.from(`SQLite format 3\0${'x'.repeat(5000)}`)],
])('a file that is %s is locked by one at a time, and what was in it is kept', async (_, content) => {
  const path = join(folder(), 'lock');
  writeFileSync(path, content);
  const both = await Promise.all([takeLock(path), takeLock(path)]);
  expect(both.filter((lock) => lock !== null)).toHaveLength(1);
  expect(byAnother(path)).toBe('taken');
  for (const lock of both) lock?.release();
  expect(byAnother(path)).toBe('had');
  expect(readFileSync(path)).toHaveLength(0);
  if (content.length > 0) expect(readFileSync(`${path}.aside`)).toEqual(content);
});

test('a folder in its place is said', async () => {
  const path = join(folder(), 'lock');
  mkdirSync(path);
  await expect(takeLock(path)).rejects.toThrow(`${path} cannot be locked: it is a folder, remove it`);
});

test('who may only read the file has no lock, whose others would be given too', () => {
  const directory = folder();
  chmodSync(directory, 0o777);
  const path = join(directory, 'lock');
  writeFileSync(path, '');
  chmodSync(path, 0o444);
  // what is forbidden to others root may do
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  expect(byAnother(path, user)).toContain('lock cannot be locked: EACCES');
});

/** What becomes of the lock in another process. */
function byAnother(path: string, user: { readonly uid?: number; readonly gid?: number } = {}): string {
  const place = folder();
  chmodSync(place, 0o755);
  for (const file of ['file-lock.ts', 'message-of.ts']) copyFileSync(join(ROOM, file), join(place, file));
  const program = `import { takeLock } from './file-lock.ts';
    console.log(await takeLock(process.argv[2]).then((lock) => (lock === null ? 'taken' : 'had'), String));`;
  writeFileSync(join(place, 'other.ts'), program);
  const args = [join(place, 'other.ts'), path];
  return execFileSync(process.execPath, args, { ...user, cwd: place, encoding: 'utf8' }).trim();
}

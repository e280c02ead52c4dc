import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { FileOwner } from '../../src/control/file-owner.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-owner-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** How many of so many that want the file at once have it. They go on having it. */
async function wanted(file: string, count: number): Promise<number> {
  const all = await Promise.all(Array.from({ length: count }, () => FileOwner.own(file, false)));
  const owners = all.flatMap((one) => (one.kind === 'owned' ? [one.owner] : []));
  onTestFinished(() => {
    for (const owner of owners) owner.release();
  });
  expect(all.filter(({ kind }) => kind === 'unmarked')).toEqual([]);
  return owners.length;
}

test('of several who want one file at once one has it, until it lets go', async () => {
  const directory = folder();
  const file = join(directory, 's');
  expect(await wanted(file, 12)).toBe(1);
  expect(await wanted(file, 3)).toBe(0);
  expect(readdirSync(directory)).toEqual(['s.owner']);
});

test('the sign of one who has died is taken away once, whoever looks at the same time', async () => {
  for (let round = 0; round < 20; round += 1) {
    const directory = folder();
    const file = join(directory, 's');
    // nobody listens there
    writeFileSync(`${file}.owner`, '');
    expect(await wanted(file, 5)).toBe(1);
    expect(readdirSync(directory)).toEqual(['s.owner', 's.owner.lock']);
  }
});

test('a file is the same file by whatever links it is named', async () => {
  const directory = folder();
  mkdirSync(join(directory, 'real'));
  symlinkSync('real', join(directory, 'link'));
  const file = join(directory, 'real', 's');
  expect(await wanted(join(directory, 'link', 's'), 1)).toBe(1);
  expect(await wanted(file, 1)).toBe(0);
  writeFileSync(file, '');
  symlinkSync('real/s', join(directory, 'other-name'));
  expect(await wanted(join(directory, 'other-name'), 1)).toBe(0);
});

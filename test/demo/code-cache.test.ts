// Programs started again and again keep what was compiled, for as long as asked.
import { existsSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withCodeCache } from '../../demo/child.ts';
import { startDemo } from '../../demo/launch.ts';

const CACHE = 'NODE_COMPILE_CACHE';

test('servers started meanwhile share compiled code; afterwards nothing is left', async () => {
  const before = process.env[CACHE];
  let folder = '';
  await withCodeCache(async () => {
    folder = process.env[CACHE] ?? '';
    const demo = await startDemo({ servers: 1 });
    await demo.stop();
    expect(readdirSync(folder, { recursive: true }).length).toBeGreaterThan(1);
  });
  expect(existsSync(folder)).toBe(false);
  expect(process.env[CACHE]).toBe(before);
});

test('a failure passes, and nothing is left either', async () => {
  let folder = '';
  const failing = withCodeCache(() => {
    folder = process.env[CACHE] ?? '';
    return Promise.reject(new Error('no'));
  });
  await expect(failing).rejects.toThrow('no');
  expect(existsSync(folder)).toBe(false);
});

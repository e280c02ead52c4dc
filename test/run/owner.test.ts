import { expect, test } from 'vitest';
import { onceMore } from '../../src/run/owner.ts';

test('a storm of hang-ups is one reload under way and one after it', async () => {
  const begun: (() => void)[] = [];
  const reload = onceMore(() => new Promise<void>((resolve) => begun.push(resolve)));
  for (let count = 0; count < 1000; count += 1) reload();
  expect(begun.length).toBe(1);
  begun[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun.length).toBe(2);
  begun[1]?.();
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun.length).toBe(2);
  // and the next is one of its own
  reload();
  expect(begun.length).toBe(3);
});

import { expect, onTestFinished, test } from 'vitest';
import { Owner, onceMore } from '../../src/run/owner.ts';

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

test('somebody listens for SIGHUP at any moment while the owner takes over from the launcher', () => {
  const before = process.listeners('SIGHUP');
  const launchers = (): void => undefined;
  process.on('SIGHUP', launchers);
  const left: number[] = [];
  const onRemoved = (name: string | symbol): unknown =>
    name === 'SIGHUP' && left.push(process.listenerCount('SIGHUP'));
  process.on('removeListener', onRemoved);
  onTestFinished(() => {
    process.off('removeListener', onRemoved);
    process.removeAllListeners('SIGHUP');
    for (const listener of before) process.on('SIGHUP', listener);
  });
  new Owner();
  expect(left).toHaveLength(before.length + 1);
  expect(Math.min(...left)).toBe(1);
  expect(process.listeners('SIGHUP')).not.toContain(launchers);
});

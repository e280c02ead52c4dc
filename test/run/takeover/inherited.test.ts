// A process that was replaced and says nothing any more is not waited for.

import { afterEach, expect, test, vi } from 'vitest';
import { ManualClock } from '../../../src/base/clock.ts';
import { Inherited, SEND_AGAIN_MS } from '../../../src/run/takeover/inherited.ts';
import { SharedState } from '../../../src/shared/shared-state.ts';

afterEach(() => void vi.useRealTimers());

test('it counts as gone when it has missed to say several times what it has in use, not before', async () => {
  vi.useFakeTimers();
  const inherited = new Inherited(SharedState.create(1, 1000, 0), new ManualClock());
  let isOver = false;
  void inherited.over.then(() => {
    isOver = true;
  });
  for (let count = 0; count < 20; count += 1) {
    inherited.renew();
    await vi.advanceTimersByTimeAsync(2 * SEND_AGAIN_MS);
    expect(isOver).toBe(false);
  }
  await vi.advanceTimersByTimeAsync(20 * SEND_AGAIN_MS);
  expect(isOver).toBe(true);
});

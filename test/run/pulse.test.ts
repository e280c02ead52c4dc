import { expect, test } from 'vitest';
import { BEAT_MS, Pulse } from '../../src/run/pulse.ts';

/** Looks at a thread every `everyMs` that beats `beats` times in all and uses `share` of the processor; ms until it hangs. */
function hangsAfterMs(share: number | null, everyMs: number = BEAT_MS, limitMs = 60_000): number | null {
  const pulse = new Pulse();
  expect(pulse.poll(1, everyMs, () => 0)).toBe('beats');
  for (let ms = everyMs; ms <= limitMs; ms += everyMs) {
    const state = pulse.poll(1, everyMs, () => (share === null ? null : ms * share));
    if (state === 'hangs') return ms;
  }
  return null;
}

test('a thread that spins is known within a second, one that blocks or gets no processor time within a few', () => {
  expect(hangsAfterMs(1)).toBe(600);
  expect(hangsAfterMs(0.5)).toBe(1100);
  expect(hangsAfterMs(0)).toBe(3000);
  expect(hangsAfterMs(null)).toBe(3000);
});

test('time in which main did not run itself does not count', () => {
  // looks come every minute, because the process is stopped in between: 15 of them are 3 s
  expect(hangsAfterMs(0, 60_000, 14 * 60_000)).toBe(null);
});

test('silence is said before it is given up, and a beat ends it', () => {
  const pulse = new Pulse();
  const looks = Array.from({ length: 8 }, () => pulse.poll(7, BEAT_MS, () => 0));
  expect(looks).toEqual(['beats', 'beats', 'beats', 'beats', 'beats', 'silent', 'silent', 'silent']);
  expect(pulse.poll(8, BEAT_MS, () => 0)).toBe('beats');
  expect(pulse.poll(8, BEAT_MS, () => 0)).toBe('beats');
});

test('a thread that works and beats late now and then does not hang, however long it lives', () => {
  const pulse = new Pulse();
  let cpuMs = 0;
  for (let beats = 0; beats < 1000; beats += 1) {
    for (let look = 0; look < 3; look += 1) {
      expect(pulse.poll(beats, BEAT_MS, () => cpuMs)).toBe('beats');
      cpuMs += BEAT_MS;
    }
  }
});

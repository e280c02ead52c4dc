// When a certificate is renewed, whatever its authority wishes.

import { expect, test } from 'vitest';
import { type RenewalWindow, renewalMs } from '../../src/acme/renewal.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const BEGIN_MS = Date.UTC(2026, 0, 1);
const LIFE_DAYS = 90;

/** Days of its life after which one of 90 days is renewed, that came on a day of it. */
function renewalDay(window: RenewalWindow | null, obtainedDay = 0, nowDay = 1): number {
  const certificate = {
    cert: 'a certificate',
    key: '',
    keyType: 'ec',
    names: ['a.test'],
    label: 'a.test',
    notBeforeMs: BEGIN_MS,
    notAfterMs: BEGIN_MS + LIFE_DAYS * DAY_MS,
    obtainedMs: BEGIN_MS + obtainedDay * DAY_MS,
  };
  return (renewalMs(certificate, window, BEGIN_MS + nowDay * DAY_MS) - BEGIN_MS) / DAY_MS;
}

const windowOfDays = (start: number, end: number): RenewalWindow => ({
  startMs: BEGIN_MS + start * DAY_MS,
  endMs: BEGIN_MS + end * DAY_MS,
});

test('it is renewed in the window that the authority suggests', () => {
  expect(renewalDay(windowOfDays(70, 72))).toBeGreaterThanOrEqual(70);
  expect(renewalDay(windowOfDays(70, 72))).toBeLessThanOrEqual(72);
  expect(renewalDay(windowOfDays(84, 84.5))).toBeLessThanOrEqual(84.5);
});

test('it is renewed before it ends where the window is late, or after its end', () => {
  for (const [start, end] of [
    [89, 91],
    [200, 201],
    [0, 100_000],
  ] as const)
    expect(renewalDay(windowOfDays(start, end))).toBeLessThanOrEqual(85.5);
});

test('one that came just now is not renewed at once; one that came in the future, for a clock was ahead, is renewed in time', () => {
  expect(renewalDay(null, 89, 89)).toBe(119);
  expect(renewalDay(null, 4000)).toBeLessThan(64);
});

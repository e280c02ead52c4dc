// Durations, sizes and shares: spellings, refusals, and that what is printed parses back.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BYTES_PATTERN,
  DURATION_PATTERN,
  formatBytes,
  formatDuration,
  formatPercent,
  PERCENT_PATTERN,
  parseBytes,
  parseDuration,
  parsePercent,
} from '../../src/base/units.ts';

describe('durations', () => {
  test.each([
    ['0', 0],
    ['0s', 0],
    ['250ms', 250],
    ['5s', 5_000],
    ['1.5s', 1_500],
    ['30m', 1_800_000],
    ['12h', 43_200_000],
    ['1h30m', 5_400_000],
    ['1d12h30m5s250ms', 131_405_250],
    ['5m250ms', 300_250],
  ])('%s is %d ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
    expect(text).toMatch(new RegExp(DURATION_PATTERN));
  });

  test.each([
    '',
    '5',
    's',
    '5 s',
    '-5s',
    '+5s',
    '5S',
    '1s1m',
    '1m1m',
    '1ms1s',
    '0.5ms',
    '1e3s',
    '5s ',
    '.5s',
    '5.s',
    '٣s',
    `${'9'.repeat(70)}s`,
    '99999999999999999h',
  ])('%j is none', (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  test.each([
    [0, '0s'],
    [250, '250ms'],
    [1_000, '1s'],
    [90_000, '90s'],
    [60_000, '1m'],
    [86_400_000, '24h'],
  ])('%d ms is printed as %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });

  test('what is printed parses back', async () => {
    await fc.assert(
      fc.property(
        fc.nat(2 ** 40),
        (milliseconds) => parseDuration(formatDuration(milliseconds)) === milliseconds,
      ),
    );
  });
});

describe('sizes', () => {
  test.each([
    ['0', 0],
    ['4096', 4_096],
    ['10B', 10],
    ['64KiB', 65_536],
    ['1MiB', 1_048_576],
    ['1.5 MiB', 1_572_864],
    ['10MB', 10_000_000],
    ['10kB', 10_000],
    ['2GiB', 2_147_483_648],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
    expect(text).toMatch(new RegExp(BYTES_PATTERN));
  });

  test.each(['', '-1', '1TB', '1 X', 'KiB', '1.5', '1e3', '64kib', '1.0001B', '0x10', '9'.repeat(17)])(
    '%j is none',
    (text) => {
      expect(parseBytes(text)).toBeNull();
    },
  );

  test('what is printed parses back', async () => {
    await fc.assert(fc.property(fc.nat(2 ** 48), (bytes) => parseBytes(formatBytes(bytes)) === bytes));
  });
});

describe('percentages', () => {
  test.each([
    ['20%', 0.2],
    ['2.5 %', 0.025],
    ['0%', 0],
    ['100%', 1],
    ['7%', 0.07],
  ])('%s is %d', (text, share) => {
    expect(parsePercent(text)).toBe(share);
    expect(text).toMatch(new RegExp(PERCENT_PATTERN));
  });

  test.each(['', '%', '20', '-1%', '1e1%', '20%%'])('%j is none', (text) => {
    expect(parsePercent(text)).toBeNull();
  });

  test('what is printed parses back', async () => {
    await fc.assert(
      fc.property(fc.nat(100_000), (thousandths) => {
        const share = parsePercent(`${thousandths / 1_000}%`);
        return share !== null && parsePercent(formatPercent(share)) === share;
      }),
    );
  });
});

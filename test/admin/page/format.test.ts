import { describe, expect, test } from 'vitest';
import {
  age,
  count,
  counted,
  deviation,
  duration,
  percent,
  rate,
} from '../../../src/admin/page/assets/page/format.js';

/** Thin spaces as plain ones. */
const plain = (text: string): string => text.replaceAll('\u202f', ' ');

describe('figures', () => {
  test.each([
    [0, '0'],
    [999, '999'],
    [12345, '12 345'],
    [1_000_000, '1 000 000'],
  ])('count of %d is %s', (value, text) => expect(plain(count(value))).toBe(text));

  test.each([
    [null, '–'],
    [0, '0'],
    [0.34, '0.3'],
    [9.96, '10.0'],
    [10.4, '10'],
    [1234.5, '1 235'],
  ])('rate of %s is %s', (value, text) => expect(plain(rate(value))).toBe(text));

  test.each([
    [null, '–'],
    [0, '0'],
    [0.00025, '250 µs'],
    [0.0042, '4.20 ms'],
    [0.0421, '42.1 ms'],
    [0.421, '421 ms'],
    [1.25, '1.25 s'],
    [60, '60.0 s'],
  ])('duration of %s s is %s', (value, text) => expect(duration(value)).toBe(text));

  test.each([
    [0, '0 s'],
    [59.9, '59 s'],
    [60, '1 min'],
    [3599, '59 min'],
    [11_100, '3 h 5 min'],
    [90_000, '1 d 1 h'],
  ])('age of %d s is %s', (value, text) => expect(age(value)).toBe(text));

  test.each([
    [1, 'even'],
    [1.004, 'even'],
    [1.12, '+12 %'],
    [0, '−100 %'],
    [0.885, '−11 %'],
  ])('a share of %d is %s', (value, text) => expect(plain(deviation(value))).toBe(text));

  test('shares and numbers of things', () => {
    expect([percent(0.004), percent(0.25), percent(0.0996)].map(plain)).toEqual(['0.4 %', '25 %', '10 %']);
    expect([counted(1, 'session'), counted(2, 'session'), counted(0, 'server')]).toEqual([
      '1 session',
      '2 sessions',
      '0 servers',
    ]);
  });
});

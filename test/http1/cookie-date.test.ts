import { describe, expect, test } from 'vitest';
import { cookieDate } from '../../src/http1/cookie-date.ts';

const NEW_YEAR = Date.UTC(2031, 0, 1, 12, 30, 5);

describe('a date in any of the ways that servers write one', () => {
  test.for([
    'Wed, 01 Jan 2031 12:30:05 GMT',
    'Wed, 01-Jan-2031 12:30:05 GMT',
    'Wednesday, 01-Jan-31 12:30:05 GMT',
    'Wed Jan  1 12:30:05 2031',
    '1 january 2031 12:30:05',
    '12:30:05 Jan 1 2031 UTC',
    'Wed, 01 JAN 2031 12:30:05 +0200',
    'Wed, 01 Jan 2031 12:30:05.123 GMT',
    // what stands behind the digits is none of the number
    'Wed, 01st Jan 2031AD 12:30:05h GMT',
  ])('%s', (text) => {
    expect(cookieDate(text)).toBe(NEW_YEAR);
  });

  test('two digits of a year are of 1970 to 2069', () => {
    expect(cookieDate('01-Jan-70 00:00:00 GMT')).toBe(0);
    expect(cookieDate('01-Jan-69 00:00:00 GMT')).toBe(Date.UTC(2069, 0, 1));
  });
});

describe('what is no date', () => {
  test.for([
    '',
    '0',
    '-1',
    '1700000000',
    'now',
    'Session',
    'Wed, 01 Jan 2031',
    '12:30:05 GMT',
    'Wed, 01 Jan 12:30:05 GMT',
    '2031-01-01T12:30:05Z',
    'Wed, 31 Feb 2031 12:30:05 GMT',
    'Wed, 01 Jan 2031 24:00:00 GMT',
    'Wed, 01 Jan 2031 12:60:05 GMT',
    'Wed, 01 Jan 2031 12:30:60 GMT',
    'Wed, 00 Jan 2031 12:30:05 GMT',
    'Wed, 01 Jan 1600 12:30:05 GMT',
    'Wed, 01 Jan 20310 12:30:05 GMT',
    'Wed, 001 Jan 2031 12:30:05 GMT',
    'Wed, 01 Jan 2031 12:30:005 GMT',
    'Wed, 01 Jan 3 12:30:05 GMT',
  ])('%j', (text) => {
    expect(cookieDate(text)).toBeNaN();
  });
});

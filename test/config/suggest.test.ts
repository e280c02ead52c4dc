// "Did you mean" helps with slips and keeps quiet otherwise.

import { describe, expect, test } from 'vitest';
import { suggest } from '../../src/config/suggest.ts';

const WORDS = ['policy', 'sticky', 'timeouts', 'keepAlive', 'url', 'off'];

describe('suggest', () => {
  test.each([
    ['polcy', 'policy'],
    ['polciy', 'policy'],
    ['plicyy', 'policy'],
    ['POLICY', 'policy'],
    ['timeout', 'timeouts'],
    ['keep_alive', 'keepAlive'],
    ['keep-alive', 'keepAlive'],
    ['ulr', 'url'],
    ['offf', 'off'],
  ])('%s is meant to be %s', (written, meant) => {
    expect(suggest(written, WORDS)).toBe(meant);
  });

  test.each(['', 'x', 'colour', 'health', 'p'.repeat(1_000)])('%s is like nothing', (written) => {
    expect(suggest(written, WORDS)).toBeNull();
  });

  test('nothing is suggested where nothing is allowed', () => {
    expect(suggest('policy', [])).toBeNull();
  });
});

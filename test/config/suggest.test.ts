// "Did you mean" helps with slips and keeps quiet otherwise.

import { describe, expect, test } from 'vitest';
import { didYouMeanOurs, suggest } from '../../src/config/suggest.ts';

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

test.each([
  ['leastconn', ['round-robin', 'least-connections'], ', did you mean "least-connections"?'],
  ['ip_hash', ['round-robin', 'least-connections'], '; in Holdfast that is sticky.mode: address-hash'],
  ['maxconn', ['maxConnections', 'weight'], ', did you mean "maxConnections"?'],
  ['max_fails', ['maxConnections', 'weight'], '; in Holdfast that is passive.failures'],
  ['upstream', ['listen', 'pools'], ', did you mean "pools"?'],
  ['policu', ['policy'], ', did you mean "policy"?'],
  ['nonsense', ['policy'], ''],
])('%s of another balancer or a slip: says what is ours', (word, allowed, said) => {
  expect(didYouMeanOurs(word, allowed)).toBe(said);
});

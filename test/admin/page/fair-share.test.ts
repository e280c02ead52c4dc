import { describe, expect, test } from 'vitest';
import { barScale, fairShares, judgeSkew } from '../../../src/admin/page/assets/page/fair-share.js';
import { pool, server } from './documents.ts';

describe('fair shares', () => {
  test('sessions of the servers that share the load are split by weight; the others have no share', () => {
    const shares = fairShares([
      server('a', { sessions: 50, effectiveWeight: 2 }),
      server('b', { sessions: 40 }),
      server('drains', { sessions: 500, mode: 'drain' }),
      server('down', { sessions: 9, state: 'down' }),
      server('backup', { sessions: 7, backup: true }),
      server('nothing', { sessions: 3, effectiveWeight: 0 }),
    ]);
    expect([...shares]).toEqual([
      ['a', 60],
      ['b', 30],
    ]);
  });

  test('there are none without servers', () => expect(fairShares([]).size).toBe(0));

  test.each([
    [0, 1.25],
    [95, 100],
    [97, 125],
    [136, 150],
    [1_000, 1_250],
    [970_000, 1_250_000],
  ])('bars of up to %d sessions end at %d', (sessions, scale) => {
    expect(barScale([server('a', { sessions })], new Map())).toBe(scale);
  });
});

describe('the verdict on the skew', () => {
  const two = [server('a', { sessions: 10 }), server('b', { sessions: 5 })];
  const skew = pool('shop', two).skew;

  test.each([
    ['beyond', pool('shop', two, { skew: { ...skew, ratio: 2, beyondChance: true } })],
    ['chance', pool('shop', two, { skew: { ...skew, ratio: 1.2 } })],
    ['even', pool('shop', two, { skew: { ...skew, ratio: 1.1 } })],
    ['none', pool('shop', two, { sticky: 'none' })],
    ['none', pool('shop', two.slice(1))],
    ['none', pool('shop', [server('a'), server('b')])],
  ])('%s', (state, shown) => expect(judgeSkew(shown).state).toBe(state));
});

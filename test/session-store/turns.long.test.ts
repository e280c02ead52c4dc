// The short form of test/soak/turns.ts.

import { expect, test } from 'vitest';
import { needs } from '../support/needs.ts';
import { playTurns } from '../support/turns.ts';

test('two servers and the store are killed in turn: nobody is logged out, nothing is lost', async ({
  skip,
}) => {
  needs('redis', skip);
  // The seed gives the store, a, the store again and b.
  const report = await playTurns({
    ...{ architecture: 'home', users: 20, seed: 4, kills: 4 },
    ...{ everyMs: 200, awayMs: 500 },
  } as const);
  const { requests, kills, loggedOut, lostWrites, errorsWhileAway, newWhileAway } = report;
  expect({ loggedOut, lostWrites, errorsWhileAway, newWhileAway }).toEqual({
    ...{ loggedOut: 0, lostWrites: 0, errorsWhileAway: 0 },
    newWhileAway: kills.store,
  });
  expect([kills.store > 0, kills.a + kills.b > 0, requests > 100]).toEqual([true, true, true]);
}, 120_000);

// Why a pool is evened out or not, as it is told, from one cycle to the next.

import { expect, test } from 'vitest';
import { INITIAL_STATE, planCycle, type RebalanceServer } from '../../src/sessions/rebalance.ts';

const RULES = { mode: 'on', start: 1.25, stop: 1.08, budget: 0.02 } as const;

function members(...sessions: readonly number[]): readonly RebalanceServer[] {
  return sessions.map((count) => ({ sessions: count, weight: 1, role: 'member' }));
}

/** Each cycle a second after the one before. */
function told(...cycles: readonly (readonly RebalanceServer[])[]): readonly (readonly [string, string])[] {
  let state = INITIAL_STATE;
  return cycles.map((servers, cycle) => {
    ({ state } = planCycle(state, RULES, { nowMs: cycle * 1000, servers, requests: 0, failures: 0 }));
    return [state.phase, state.why];
  });
}

test('unevenness is believed at the third time', () => {
  const uneven = members(900, 100);
  expect(told(uneven, uneven, uneven)).toEqual([
    ['idle', 'ratio 1.800 seen 1 of 3 times'],
    ['idle', 'ratio 1.800 seen 2 of 3 times'],
    ['running', 'ratio 1.800 is not below start 1.25'],
  ]);
});

test('an even cycle begins the count anew', () => {
  const [uneven, even] = [members(900, 100), members(500, 500)];
  expect(told(uneven, uneven, even, uneven).map(([, why]) => why)).toEqual([
    'ratio 1.800 seen 1 of 3 times',
    'ratio 1.800 seen 2 of 3 times',
    'ratio 1.000 is below start 1.25',
    'ratio 1.800 seen 1 of 3 times',
  ]);
});

test('a few sessions may lie so by chance', () => {
  expect(told(members(3, 1))).toEqual([['idle', 'ratio 1.500 may be chance with so few sessions']]);
});

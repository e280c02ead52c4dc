// The session store's protocol over many seeds: crashes, hangs, cuts, delays, late arrivals and a store that loses its
// data, at every step. SEED= replays one, SEEDS= widens. Each planted fault must be found by it.

import { expect, test, vi } from 'vitest';
import { World, type WorldFaults } from '../support/home-world.ts';
import { seeds } from '../support/seeds.ts';

const ALL = seeds(300);

vi.setConfig({ testTimeout: 20_000 + 50 * ALL.length });

test('no confirmed write is lost while a copy lives, no two owners write, nothing comes back', () => {
  for (const seed of ALL) {
    try {
      new World(seed).play();
    } catch (error) {
      throw new Error(`SEED=${seed} replays it`, { cause: error });
    }
  }
});

const PLANTED: Readonly<Record<string, WorldFaults>> = {
  'the tenure is not checked': { store: { tenureCheckOff: true } },
  'no tombstones': { store: { tombstonesOff: true } },
  'a write counts as backed whatever the store said': {
    process: {
      distort: (operation, outcome) =>
        operation.kind === 'write' && outcome.kind !== 'accepted'
          ? { kind: 'accepted', tenure: operation.tenure, version: operation.version }
          : outcome,
    },
  },
  'nothing is written back to a store that was emptied': {
    process: {
      distort: (operation, outcome) => {
        if (outcome.kind === 'hello') return { ...outcome, dataSet: '1', run: '1' };
        if (operation.kind === 'touch' && outcome.kind === 'behind')
          return { kind: 'accepted', tenure: operation.tenure, version: operation.version };
        return outcome;
      },
    },
  },
  'copies that only this server has are dropped to save memory': {
    process: { dropRules: { mayDrop: ({ state }) => state === 'owned', mustAsk: false } },
  },
};

test.each(Object.entries(PLANTED))('planted: %s', (_what, faults) => {
  const caught = seeds(3000).some((seed) => {
    try {
      new World(seed, faults).play();
      return false;
    } catch {
      return true;
    }
  });
  expect(caught).toBe(true);
});

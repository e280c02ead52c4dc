// Replicas of a language model with a cache of prefixes, by key of the conversation (docs/recipes/llm-replicas.md): a
// simulation over the real chooser. A bound by requests in flight gives away some of the hits of plain hashing and has the
// shortest tail; without affinity prefixes are everywhere and nowhere.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Figures, simulate } from '../support/prefix-cache.ts';

/** The same in every run: one in sixty draws has a tail without a hot conversation in it. */
const SEEDS = [1, 2, 3, 4, 5];
const REQUESTS = 5000;

const hashed = (factor: number) => {
  const bound = { by: 'requests', factor } as const;
  const sticky = { mode: 'header-hash', header: 'x-session-id', bound } as const;
  return { sticky, pool: { state: 'shared' } } as const;
};
const WAYS = {
  'round-robin': { sticky: { mode: 'none' } },
  'least-connections': { sticky: { mode: 'none' }, pool: { policy: 'least-connections' } },
  'hash of the conversation': hashed(0),
  'hash, bound 2': hashed(2),
  'hash, bound 1.25': hashed(1.25),
} as const;

function meanOf(way: keyof typeof WAYS): Figures {
  const all = SEEDS.map((seed) => simulate(WAYS[way], { seed, requests: REQUESTS }));
  const mean = (read: (figures: Figures) => number): number =>
    all.reduce((sum, figures) => sum + read(figures), 0) / all.length;
  return {
    hitRate: mean(({ hitRate }) => hitRate),
    medianMs: mean(({ medianMs }) => medianMs),
    p99Ms: mean(({ p99Ms }) => p99Ms),
    overflow: mean(({ overflow }) => overflow),
  };
}

function rowOf(way: string, { hitRate, medianMs, p99Ms, overflow }: Figures): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  return `| ${way} | ${percent(hitRate)} | ${Math.round(medianMs)} ms | ${Math.round(p99Ms)} ms | ${percent(overflow)} |`;
}

test('hits and tail are as the page says: bounded hashing has nearly the hits of plain hashing, and half its tail', () => {
  const figures = Object.keys(WAYS).map((way) => [way, meanOf(way as keyof typeof WAYS)] as const);
  const page = readFileSync('docs/recipes/llm-replicas.md', 'utf8');
  const shown = page.split('\n').filter((line) => line.endsWith('% |') && line.includes(' ms |'));
  expect(shown).toEqual(figures.map(([way, mean]) => rowOf(way, mean)));
  const of = Object.fromEntries(figures) as Record<keyof typeof WAYS, Figures>;
  const [plain, bounded, inTurn] = [
    of['hash of the conversation'],
    of['hash, bound 1.25'],
    of['round-robin'],
  ];
  expect(plain.hitRate).toBeGreaterThan(bounded.hitRate);
  expect(bounded.hitRate).toBeGreaterThan(inTurn.hitRate);
  expect(bounded.p99Ms).toBeLessThan(Math.min(plain.p99Ms, inTurn.p99Ms));
});

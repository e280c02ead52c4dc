// What a million sessions take of the main thread and of memory. Time is measured: there must not be too many others at once.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { SessionSaver } from '../../src/sessions/saver.ts';
import type { SaveResult } from '../../src/sessions/store.ts';
import { Sweeper } from '../../src/sessions/sweep.ts';
import { packHome, SessionTable } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Revisions } from '../support/revision.ts';
import { touched } from '../support/touched.ts';

const MILLION = 1_000_000;
const POOL = {
  more: 'sticky: { mode: cookie-hash, idle: 30m, life: 24h }',
  servers: ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'],
};

/** What the thread itself used: what other programs take in between is not its own. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function fullTable() {
  const shared = SharedState.create(1, MILLION, systemClock.nowMs());
  const revision = new Revisions(shared).next(POOL);
  const homes = revision.pools[0]!.slots.map((slot) => packHome(slot, shared.control.generation(slot)));
  for (let key = 1, made = 0; made < MILLION; made += 1) {
    key = (Math.imul(key, 1_664_525) + 1_013_904_223) | 0;
    const home = homes[made % homes.length]!;
    shared.table.insert(key, Math.imul(key, 0x9e3779b1), home, systemClock.nowMs(), 0, false);
  }
  return { shared, revision };
}

test('a pass over them takes main under 100 ms, in slices under 10 ms', () => {
  const { shared, revision } = fullTable();
  const sweeper = new Sweeper({ shared, clock: systemClock });
  sweeper.apply(revision);
  const passes: number[] = [];
  const slices: number[] = [];
  for (let pass = 0; pass < 6; pass += 1) {
    const passBeginMs = cpuMs();
    for (let isFinished = false; !isFinished; ) {
      const beginMs = cpuMs();
      isFinished = sweeper.step(5);
      slices.push(cpuMs() - beginMs);
    }
    passes.push(cpuMs() - passBeginMs);
  }
  const median = (list: number[]): number => list.sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
  expect(median(passes)).toBeLessThan(100);
  expect(median(slices)).toBeLessThan(10);
  expect(sweeper.report.entries).toBeGreaterThan(990_000);
});

test('a save of a few changes writes little', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-million-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { shared, revision } = fullTable();
  const results: SaveResult[] = [];
  const saver = new SessionSaver({
    path: join(folder, 'sessions'),
    everyMs: 5000,
    table: shared.table,
    clock: systemClock,
    revision: () => revision,
    operator: () => [],
    found: () => [],
    onSaved: (result) => results.push(result),
  });
  await saver.save();
  for (let entry = 0; entry < 5000; entry += 1)
    if (shared.table.isUsed(entry)) touched(shared.table, entry, systemClock.nowMs() + 1000);
  const before = cpuMs();
  await saver.save();
  expect(cpuMs() - before).toBeLessThan(300);
  expect(results[0]).toMatchObject({ kind: 'saved' });
  expect((results[1] as { bytes: number }).bytes).toBeLessThan(400_000);
  await saver.end(false);
});

test('they fit into 64 MiB and fewer than one in 2000 is pushed out', () => {
  const table = SessionTable.create(MILLION, systemClock.nowMs(), 0);
  expect(table.handle.buffer.byteLength).toBeLessThanOrEqual(64 * 1024 * 1024);
  const random = new SeededRandom(9);
  let evicted = 0;
  for (let key = 0; key < MILLION; key += 1) {
    table.insert(
      random.below(2 ** 32) | 0,
      random.below(2 ** 32) | 0,
      packHome(7, 3),
      systemClock.nowMs(),
      0,
      false,
    );
    if (table.evictedHome !== -1) evicted += 1;
  }
  expect(evicted).toBeLessThan(500);
});

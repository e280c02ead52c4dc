// The session table: bounded, evicting the idlest, and right under many threads.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { BUCKET_ENTRIES, ENTRY_WORDS } from '../../src/shared/entry-words.ts';
import { homeGeneration, homeSlot, packHome, SessionTable } from '../../src/shared/session-table.ts';
import { createTally } from '../../src/shared/sweep-tally.ts';
import { touched } from '../support/touched.ts';

const EPOCH_MS = 1_700_000_000_000;
const HOME = packHome(7, 3);

function keysOf(count: number, seed = 1): [low: number, high: number][] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => [random.below(2 ** 32) | 0, random.below(2 ** 32) | 0]);
}

describe('packHome', () => {
  test.each([
    [0, 1],
    [1023, 1],
    [4095, (1 << 19) - 1],
  ])('slot %d, generation %d', (slot, generation) => {
    const home = packHome(slot, generation);
    expect(home).toBeGreaterThan(0);
    expect([homeSlot(home), homeGeneration(home)]).toEqual([slot, generation]);
  });
});

describe('one thread', () => {
  test('a sweep finds every entry, and looks only where there has ever been one', () => {
    const table = SessionTable.create(10_000, EPOCH_MS, 0);
    const tally = createTally(table.capacity);
    for (const [low, high] of keysOf(500)) table.insert(low, high, HOME, EPOCH_MS, 0, false);
    const words = new Int32Array(table.handle.buffer, 0, table.capacity * ENTRY_WORDS);
    for (let entry = 0; entry < table.capacity; entry += BUCKET_ENTRIES) {
      const keys = Array.from({ length: BUCKET_ENTRIES }, (_, index) => table.keyLow(entry + index));
      if (keys.every((key) => key === 0)) words[entry * ENTRY_WORDS] = 1;
    }
    table.sweepSlice(0, table.capacity, tally);
    expect(tally.entries).toBe(500);
  });

  test('finds what was inserted, and nothing else', () => {
    const table = SessionTable.create(10_000, EPOCH_MS, 0);
    const keys = keysOf(9000);
    keys.forEach(([low, high], index) => {
      table.insert(low, high, packHome(index & 1023, 1), EPOCH_MS, 0, false);
      expect(table.evictedHome).toBe(-1);
    });
    keys.forEach(([low, high], index) => {
      const entry = table.find(low, high);
      expect(homeSlot(table.home(entry))).toBe(index & 1023);
      expect(table.isOf(entry, low, high)).toBe(true);
    });
    for (const [low, high] of keysOf(10_000, 2)) expect(table.find(low, high)).toBe(-1);
  });

  test('keys of zero words are keys too', () => {
    const table = SessionTable.create(100, EPOCH_MS, 0);
    for (const [low, high] of [
      [0, 0],
      [0, 5],
      [5, 0],
    ] as const) {
      expect(table.find(low, high)).toBe(-1);
      const entry = table.insert(low, high, HOME, EPOCH_MS, 0, false);
      expect(table.find(low, high)).toBe(entry);
      expect(table.isOf(entry, low, high)).toBe(true);
      expect(table.remove(entry, low, high)).toBe(true);
      expect(table.find(low, high)).toBe(-1);
      expect(table.remove(entry, low, high)).toBe(false);
    }
  });

  test('times, requests and busy counts', () => {
    const table = SessionTable.create(100, EPOCH_MS, 0);
    const entry = table.insert(1, 2, HOME, EPOCH_MS + 1000, 9, true);
    expect([table.createdMs(entry), table.seenMs(entry)]).toEqual([EPOCH_MS + 1000, EPOCH_MS + 1000]);
    touched(table, entry, EPOCH_MS + 5000);
    touched(table, entry, EPOCH_MS + 6000);
    expect([table.requests(entry), table.busy(entry), table.seenMs(entry)]).toEqual([2, 2, EPOCH_MS + 6000]);
    table.release(entry, 1, 2, EPOCH_MS + 9000);
    expect([table.busy(entry), table.seenMs(entry)]).toEqual([1, EPOCH_MS + 9000]);
    // the key is another's by now: what was held is let go of, and no more is noted
    table.release(entry, 1, 3, EPOCH_MS + 99_000);
    expect([table.busy(entry), table.seenMs(entry)]).toEqual([0, EPOCH_MS + 9000]);
    expect([table.isTentative(entry), table.birthEpoch(entry)]).toEqual([true, 9]);
    expect([table.confirm(entry), table.confirm(entry), table.isTentative(entry)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('a key inserted again says what it replaced and keeps its busy count', () => {
    const table = SessionTable.create(100, EPOCH_MS, 0);
    const entry = table.insert(1, 2, HOME, EPOCH_MS, 0, false);
    expect(table.replacedHome).toBe(-1);
    touched(table, entry, EPOCH_MS);
    expect(table.insert(1, 2, packHome(8, 1), EPOCH_MS, 0, false)).toBe(entry);
    expect([table.replacedHome, table.home(entry), table.busy(entry)]).toEqual([HOME, packHome(8, 1), 1]);
    table.insert(3, 4, HOME, EPOCH_MS, 0, false);
    expect(table.replacedHome).toBe(-1);
  });

  test('moves only from the home that was seen, and remembers it until the client knows', () => {
    const table = SessionTable.create(100, EPOCH_MS, 0);
    const entry = table.insert(1, 2, HOME, EPOCH_MS, 0, false);
    expect(table.move(entry, 1, 2, packHome(1, 1), packHome(2, 1))).toBe(false);
    expect(table.notes.hasMoved(entry)).toBe(false);
    expect(table.move(entry, 1, 2, HOME, packHome(2, 1))).toBe(true);
    expect([table.home(entry), table.notes.hasMoved(entry)]).toEqual([packHome(2, 1), true]);
    table.notes.clearMoved(entry);
    expect(table.notes.hasMoved(entry)).toBe(false);
    expect(table.move(entry, 9, 9, packHome(2, 1), HOME)).toBe(false);
  });

  test('stays bounded: the idlest go, tentative ones before real ones, and every one is told', () => {
    const table = SessionTable.create(800, EPOCH_MS, 0);
    const real = keysOf(300, 5);
    for (const [low, high] of real) table.insert(low, high, HOME, EPOCH_MS, 0, false);
    let evicted = 0;
    let evictedReal = 0;
    for (const [low, high] of keysOf(20_000, 6)) {
      table.insert(low, high, HOME, EPOCH_MS + 60_000, 0, true);
      if (table.evictedHome === -1) continue;
      evicted += 1;
      if (!table.evictedTentative) evictedReal += 1;
    }
    let used = 0;
    for (let entry = 0; entry < table.capacity; entry += 1) if (table.isUsed(entry)) used += 1;
    expect(used).toBeLessThanOrEqual(table.capacity);
    expect(evicted).toBe(20_300 - used);
    expect(evictedReal).toBe(0);
    for (const [low, high] of real) expect(table.find(low, high)).not.toBe(-1);
  });

  test('of real sessions the longest unseen goes first', () => {
    const table = SessionTable.create(8, EPOCH_MS, 0);
    const keys = keysOf(table.capacity * 4, 3);
    keys.forEach(([low, high], index) => {
      table.insert(low, high, HOME, EPOCH_MS + index * 1000, 0, false);
    });
    const found = keys.map(([low, high]) => table.find(low, high) !== -1);
    expect(found.slice(-8).every((isFound) => isFound)).toBe(true);
    expect(found.slice(0, 8).some((isFound) => isFound)).toBe(false);
  });

  test('a saved session comes back with its age', () => {
    const table = SessionTable.create(100, EPOCH_MS, 0);
    const entry = table.restore(1, 2, HOME, EPOCH_MS + 100, EPOCH_MS + 900, 17);
    expect([table.createdMs(entry), table.seenMs(entry), table.requests(entry)]).toEqual([
      EPOCH_MS + 100,
      EPOCH_MS + 900,
      17,
    ]);
    expect(table.isTentative(entry)).toBe(false);
  });

  test('a saved session that is older than the table keeps its age', () => {
    const table = SessionTable.create(100, EPOCH_MS, 0);
    const entry = table.restore(1, 2, HOME, EPOCH_MS - 3_600_000, EPOCH_MS - 60_000, 1);
    expect([table.createdMs(entry), table.seenMs(entry)]).toEqual([EPOCH_MS - 3_600_000, EPOCH_MS - 60_000]);
  });

  test('the lock of a thread that died does not hold up the others', () => {
    const table = SessionTable.create(8, EPOCH_MS, 0);
    const locks = new Int32Array(table.handle.buffer, table.capacity * 32, table.capacity / 8);
    locks.fill(4);
    table.forget(3);
    expect([...locks].every((lock) => lock === 0)).toBe(true);
    locks.fill(4);
    const entry = table.insert(1, 2, HOME, EPOCH_MS, 0, false);
    expect(table.find(1, 2)).toBe(entry);
  });
});

describe('many threads', () => {
  const THREADS = 3;
  const moduleUrl = new URL('../../src/shared/session-table.ts', import.meta.url).href;

  /** Runs the body in real threads, each with the table attached; the results of all. */
  async function run(table: SessionTable, body: string): Promise<number[][]> {
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const code = `
      import { workerData, parentPort } from 'node:worker_threads';
      const { SessionTable, packHome } = await import(${JSON.stringify(moduleUrl)});
      const { handle, thread, gate } = workerData;
      const table = SessionTable.attach(handle, thread);
      Atomics.add(gate, 0, 1);
      while (Atomics.load(gate, 0) < ${THREADS});
      const now = ${EPOCH_MS};
      const spread = (n) => [Math.imul(n + 1, 0x9e3779b1), Math.imul(n + 7, 0x85ebca77)];
      ${body}`;
    const workers = Array.from(
      { length: THREADS },
      (_, thread) =>
        new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
          workerData: { handle: table.handle, thread, gate },
        }),
    );
    return Promise.all(
      workers.map(async (worker) => {
        const [message] = (await once(worker, 'message')) as [number[]];
        await worker.terminate();
        return message;
      }),
    );
  }

  function occupied(table: SessionTable): Map<string, number> {
    const counts = new Map<string, number>();
    for (let entry = 0; entry < table.capacity; entry += 1) {
      if (!table.isUsed(entry)) continue;
      const key = `${table.keyLow(entry)} ${table.keyHigh(entry)}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  }

  test('the same keys inserted by all at once: none twice, none missing', async () => {
    const table = SessionTable.create(30_000, EPOCH_MS, THREADS);
    const results = await run(
      table,
      `let evicted = 0, missing = 0;
       for (let n = 0; n < 20000; n += 1) {
         const [low, high] = spread(n);
         table.insert(low, high, packHome(thread, 1), now, 0, false);
         if (table.evictedHome !== -1) evicted += 1;
         if (table.find(low, high) === -1) missing += 1;
       }
       parentPort.postMessage([evicted, missing]);`,
    );
    expect(results).toEqual(Array.from({ length: THREADS }, () => [0, 0]));
    const counts = occupied(table);
    expect(counts.size).toBe(20_000);
    expect([...counts.values()].every((count) => count === 1)).toBe(true);
  });

  test('insert and remove in turmoil: what stays is found once', async () => {
    const table = SessionTable.create(4000, EPOCH_MS, THREADS);
    await run(
      table,
      `for (let round = 0; round < 40; round += 1) {
         for (let n = 0; n < 2000; n += 1) {
           const [low, high] = spread(n);
           const entry = table.insert(low, high, packHome(thread, 1), now, 0, false);
           if ((n + round + thread) % 3 === 0) table.remove(entry, low, high);
         }
       }
       for (let n = 0; n < 2000; n += 1) table.insert(...spread(n), packHome(thread, 1), now, 0, false);
       parentPort.postMessage([]);`,
    );
    const counts = occupied(table);
    expect([...counts.values()].filter((count) => count !== 1)).toEqual([]);
  });

  test('a move has one winner', async () => {
    const table = SessionTable.create(4000, EPOCH_MS, THREADS);
    const spread = (n: number): [number, number] => [
      Math.imul(n + 1, 0x9e3779b1),
      Math.imul(n + 7, 0x85ebca77),
    ];
    for (let n = 0; n < 3000; n += 1) table.insert(...spread(n), packHome(100, 1), EPOCH_MS, 0, false);
    const results = await run(
      table,
      `let won = 0;
       for (let n = 0; n < 3000; n += 1) {
         const [low, high] = spread(n);
         if (table.move(table.find(low, high), low, high, packHome(100, 1), packHome(thread, 1))) won += 1;
       }
       parentPort.postMessage([won]);`,
    );
    expect(results.flat().reduce((sum, won) => sum + won, 0)).toBe(3000);
    const homes = [0, 0, 0];
    for (let n = 0; n < 3000; n += 1) homes[homeSlot(table.home(table.find(...spread(n))))]! += 1;
    expect(homes).toEqual(results.flat());
  });

  test('busy counts come back to zero', async () => {
    const table = SessionTable.create(100, EPOCH_MS, THREADS);
    const entry = table.insert(1, 2, HOME, EPOCH_MS, 0, true);
    const results = await run(
      table,
      `let confirmed = table.confirm(${entry}) ? 1 : 0;
       for (let n = 0; n < 20000; n += 1) { table.touch(${entry}, 1, 2, now); table.release(${entry}, 1, 2, now); }
       parentPort.postMessage([confirmed]);`,
    );
    expect(results.flat().reduce((sum, confirmed) => sum + confirmed, 0)).toBe(1);
    expect([table.busy(entry), table.requests(entry)]).toEqual([0, 20_000 * THREADS]);
  });

  test('a full table under pressure: every push-out is told exactly once', async () => {
    const table = SessionTable.create(500, EPOCH_MS, THREADS);
    const results = await run(
      table,
      `let evicted = 0;
       for (let n = 0; n < 5000; n += 1) {
         const [low, high] = spread(n * ${THREADS} + thread);
         table.insert(low, high, packHome(thread, 1), now, 0, false);
         if (table.evictedHome !== -1) evicted += 1;
       }
       parentPort.postMessage([evicted]);`,
    );
    const evicted = results.flat().reduce((sum, count) => sum + count, 0);
    expect(occupied(table).size + evicted).toBe(5000 * THREADS);
  });
});

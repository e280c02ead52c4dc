// Sessions outlive a crash: whatever moment it comes at, the file has what was saved last.

import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { placeProblem, setAside } from '../../src/base/private-files.ts';
import type { KeptServer, OperatorSetting } from '../../src/sessions/records.ts';
import { SessionSaver } from '../../src/sessions/saver.ts';
import { readSessions, restoreStored, type SaveResult, saveSessions } from '../../src/sessions/store.ts';
import { packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Revisions } from '../support/revision.ts';
import { touched } from '../support/touched.ts';

const START = 1_700_000_000_000;
const POOL = {
  more: 'sticky: { mode: cookie-hash, idle: 80s, life: 24h }',
  servers: ['a=http://127.0.0.1:1'],
};

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-saver-'));
  path = join(directory, 's');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function scene(max = 1000) {
  const clock = new ManualClock(START);
  const shared = SharedState.create(1, max, START);
  const revision = new Revisions(shared).next(POOL);
  const home = packHome(revision.pools[0]!.slots[0]!, revision.pools[0]!.generations[0]!);
  const results: SaveResult[] = [];
  let operator: readonly OperatorSetting[] = [];
  let servers: readonly KeptServer[] = [];
  const saver = new SessionSaver({
    path,
    everyMs: 5000,
    table: shared.table,
    clock,
    revision: () => revision,
    operator: () => operator,
    found: () => servers,
    onSaved: (result) => results.push(result),
  });
  const begin = (key: number): number => shared.table.insert(key, key, home, clock.nowMs(), 0, false);
  const set = (settings: readonly OperatorSetting[]): void => {
    operator = settings;
  };
  const find = (...next: readonly KeptServer[]): void => {
    servers = next;
  };
  return { clock, shared, table: shared.table, saver, results, begin, set, find, revision };
}

/** Keys that a process which starts now finds, with how long ago each was seen. */
function found(nowMs: number, file = path): Record<number, number> {
  const { table } = restored(POOL, nowMs, file);
  const keys: Record<number, number> = {};
  for (let entry = 0; entry < table.capacity; entry += 1)
    if (table.isUsed(entry) && !table.marks.isOver(entry))
      keys[table.keyLow(entry)] = nowMs - table.seenMs(entry);
  return keys;
}

function restored(pool: typeof POOL, nowMs = START, file = path) {
  const stored = readSessions(file, 1000);
  if (stored.kind !== 'read') throw new Error(JSON.stringify(stored));
  const shared = SharedState.create(1, 1000, nowMs);
  const revision = new Revisions(shared).next(pool);
  const report = restoreStored(stored, shared.table, revision, new ManualClock(nowMs));
  return { table: shared.table, report };
}

describe('what is saved', () => {
  test('first all, then only what has changed; what ended is gone, what was used is fresh', async () => {
    const { clock, table, saver, results, begin } = scene();
    const [one, two] = [begin(1), begin(2), begin(3)];
    table.insert(9, 9, table.home(one!), START, 0, true);
    await saver.save();
    const whole = statSync(path).size;
    expect(found(START)).toEqual({ 1: 0, 2: 0, 3: 0 });
    clock.advance(60_000);
    table.remove(one!, 1, 1);
    touched(table, two!, clock.nowMs());
    table.release(two!, 2, 2, clock.nowMs());
    begin(4);
    await saver.save();
    expect(found(START + 60_000)).toEqual({ 2: 0, 3: 60_000, 4: 0 });
    expect(results.map((result) => result.kind === 'saved' && result.sessions)).toEqual([3, 3]);
    expect(readFileSync(path).length).toBeGreaterThan(whole);
    expect(readdirSync(directory)).toEqual(['s']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    // nothing has changed: nothing is written
    await saver.save();
    expect(results.length).toBe(2);
    await saver.end(false);
  });

  test('a session in use is seen now, and is written again while it is', async () => {
    const { clock, table, saver, begin } = scene();
    touched(table, begin(1), START);
    await saver.save();
    clock.advance(9_000);
    await saver.save();
    clock.advance(2_000);
    await saver.save();
    // an eighth of the idle time, 10 s, is the bound
    expect(found(START + 11_000)[1]).toBeLessThanOrEqual(10_000);
    clock.advance(100_000);
    await saver.save();
    expect(found(START + 111_000)).toEqual({ 1: 0 });
    await saver.end(false);
  });

  test('the operator’s settings, though no session has changed', async () => {
    const { saver, begin, set } = scene();
    begin(1);
    await saver.save();
    set([{ pool: 'shop', server: 'a', mode: 'drain' }]);
    await saver.save();
    expect(readSessions(path, 1000)).toMatchObject({
      operator: [{ pool: 'shop', server: 'a', mode: 'drain' }],
    });
    await saver.end(false);
  });

  test('a last time at the end, and never after that', async () => {
    const { saver, begin } = scene();
    begin(1);
    await saver.end(true);
    begin(2);
    await saver.save();
    expect(found(START)).toEqual({ 1: 0 });
  });
});

describe('what is no session of our own cookie', () => {
  const LEARN = { ...POOL, more: 'sticky: { mode: learn, cookie: sid, idle: 80s, life: 24h }' };

  test('other values and keys that clients have made are kept as what they are; one that is not worth it ends', async () => {
    const { clock, shared, table } = scene();
    const revision = new Revisions(shared).next(LEARN);
    const home = packHome(revision.pools[0]!.slots[0]!, revision.pools[0]!.generations[0]!);
    const results: SaveResult[] = [];
    let current = revision;
    const saver = new SessionSaver({
      path,
      everyMs: 5000,
      table,
      clock,
      revision: () => current,
      operator: () => [],
      found: () => [],
      onSaved: (result) => results.push(result),
    });
    table.marks.setScope(table.insert(1, 1, home, START, 0, false), 9);
    table.insert(2, 2, home, START, 0, true, 1, 1);
    table.insert(3, 3, home, START, 0, true);
    table.insert(4, 4, home, START, 0, true, 77, 77);
    await saver.save();
    await saver.save();
    // nothing has changed: tentative ones and aliases are written once
    expect(results).toMatchObject([{ kind: 'saved', sessions: 2 }]);
    const next = restored(LEARN);
    expect(next.report).toEqual({ restored: 2, expired: 0, homeless: 0, unreadable: 0 });
    expect(next.table.resolve(2, 2)).toBe(next.table.find(1, 1));
    expect(next.table.marks.scope(next.table.find(1, 1))).toBe(9);
    expect(next.table.isTentative(next.table.find(3, 3))).toBe(true);
    expect(next.table.find(4, 4)).toBe(-1);
    // where the key is a cookie of ours a tentative session is not worth keeping
    table.doubt(table.find(1, 1));
    current = new Revisions(SharedState.create(1, 1000, START)).next(POOL);
    await saver.save();
    expect(Object.keys(found(START))).not.toContain('1');
    await saver.end(false);
  });

  test('a session that its user has ended is ended in the file, while its key is still known here', async () => {
    const { saver, begin, table, clock } = scene();
    begin(1);
    begin(2);
    await saver.save();
    expect(table.bury(table.find(1, 1), 1, 1, clock.nowMs())).toBe(true);
    await saver.save();
    expect(Object.keys(found(START))).toEqual(['2']);
    await saver.end(false);
  });

  test('a file of the version before is read', () => {
    const { shared, begin, revision, clock } = scene();
    begin(1);
    expect(saveSessions(path, shared.table, revision, [], clock)).toMatchObject({ sessions: 1 });
    const bytes = readFileSync(path).subarray(0, -32);
    bytes.write('HOLDFAST SESSIONS 1');
    writeFileSync(path, Buffer.concat([bytes, createHash('sha256').update(bytes).digest()]));
    expect(found(START)).toEqual({ 1: 0 });
  });
});

describe('a crash', () => {
  test('in the middle of a part: what was saved before it is there', async () => {
    const { saver, begin } = scene();
    begin(1);
    await saver.save();
    const whole = statSync(path).size;
    begin(2);
    await saver.save();
    const all = statSync(path).size;
    const cut = join(directory, 'cut');
    for (let size = whole; size < all; size += 13) {
      copyFileSync(path, cut);
      truncateSync(cut, size);
      expect(found(START, cut)).toEqual({ 1: 0 });
    }
    await saver.end(false);
  });

  test('and nothing is appended behind what another has written or cut', async () => {
    const { saver, begin } = scene();
    begin(1);
    await saver.save();
    appendFileSync(path, 'half a part');
    begin(2);
    await saver.save();
    expect(found(START)).toEqual({ 1: 0, 2: 0 });
    rmSync(path);
    begin(3);
    await saver.save();
    expect(found(START)).toEqual({ 1: 0, 2: 0, 3: 0 });
    await saver.end(false);
  });

  test('a place that cannot be written any more is told, and found again', async () => {
    const { saver, begin, results } = scene();
    begin(1);
    await saver.save();
    rmSync(directory, { recursive: true });
    begin(2);
    await saver.save();
    expect(results.at(-1)).toMatchObject({ kind: 'failed', message: expect.stringContaining('ENOENT') });
    mkdirSync(directory);
    await saver.save();
    expect(found(START)).toEqual({ 1: 0, 2: 0 });
    await saver.end(false);
  });
});

test('the file is written anew when its changes have outgrown it', async () => {
  const { clock, table, saver, begin } = scene(16_000);
  const entries = Array.from({ length: 12_000 }, (_, key) => begin(key + 1));
  await saver.save();
  const whole = statSync(path).size;
  for (let round = 0; round < 5; round += 1) {
    clock.advance(1000);
    for (const entry of entries) {
      touched(table, entry, clock.nowMs());
      table.release(entry, table.keyLow(entry), table.keyHigh(entry), clock.nowMs());
    }
    await saver.save();
    expect(statSync(path).size).toBeLessThan(whole + 2 * 1024 * 1024);
  }
  await saver.end(false);
});

describe('places', () => {
  test('what is not understood is set aside, under a name that nobody has', () => {
    for (const text of ['one', 'two', 'three']) {
      writeFileSync(path, text);
      setAside(path);
    }
    expect(
      ['s.aside', 's.aside-2', 's.aside-3'].map((name) => readFileSync(join(directory, name), 'utf8')),
    ).toEqual(['one', 'two', 'three']);
  });

  test('a place that cannot be written says why, one that can is left as it was', () => {
    expect(placeProblem(path)).toBeNull();
    expect(placeProblem(join(directory, 'no', 's'))).toMatch(/ENOENT/);
    expect(placeProblem(directory)).toMatch(/is no file/);
    writeFileSync(path, '');
    expect(placeProblem(join(path, 's'))).toMatch(/ENOTDIR/);
    expect(readdirSync(directory)).toEqual(['s']);
  });
});

test('servers that were found are in the file as they were last, written when they have changed', async () => {
  const { saver, results, begin, find } = scene();
  const server: KeptServer = {
    pool: 'shop',
    source: 'file servers',
    url: 'http://127.0.0.1:1',
    weight: 1,
    backup: false,
    target: null,
    isLeaving: false,
  };
  find(server);
  begin(1);
  await saver.save();
  expect(readSessions(path, 1000)).toMatchObject({ found: [server] });
  begin(2);
  await saver.save();
  expect(readSessions(path, 1000)).toMatchObject({ found: [server] });
  find({ ...server, isLeaving: true });
  await saver.save();
  expect(readSessions(path, 1000)).toMatchObject({ found: [{ ...server, isLeaving: true }] });
  begin(3);
  await saver.save();
  expect(readSessions(path, 1000)).toMatchObject({ found: [{ ...server, isLeaving: true }] });
  await saver.save();
  expect(results.length).toBe(4);
  await saver.end(false);
});

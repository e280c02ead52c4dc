import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { loadSecret } from '../../src/sessions/kept-files.ts';
import { SessionRecords } from '../../src/sessions/records.ts';
import { readSessions, restoreSessions, restoreStored, saveSessions } from '../../src/sessions/store.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { homeGeneration, homeSlot, packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { POOL_ID, SECRET, World } from '../choose/fixture.ts';
import { Revisions, slotOf } from '../support/revision.ts';

const STICKY = 'sticky: { mode: cookie-hash, idle: 30m, life: 24h }';
const POOL = { more: STICKY, servers: ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'] };

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-store-'));
  path = join(directory, 'holdfast.sessions');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** One life of the balancer; `monotonic` and wall clock differ, as they do. */
class Life {
  readonly clock: ManualClock;
  readonly shared: SharedState;
  readonly revisions: Revisions;

  constructor(wallMs: number, offsetMs = 0) {
    const clock = new ManualClock(wallMs);
    this.clock = Object.assign(clock, { nowMs: () => clock.wallMs() - offsetMs });
    this.shared = SharedState.create(1, 1_000, this.clock.nowMs());
    this.revisions = new Revisions(this.shared);
  }
}

const START = 1_700_000_000_000;

/** A life with sessions 1..n, alternately on a and b, each with as many requests as its number; saved a minute later. */
function firstLife(sessions: number): void {
  const { clock, shared, revisions } = new Life(START);
  const revision = revisions.next({ servers: ['z=http://127.0.0.1:9'], name: 'other' }, POOL);
  for (let key = 1; key <= sessions; key += 1) {
    const slot = slotOf(revision, key % 2 === 1 ? 'shop/a' : 'shop/b');
    const entry = shared.table.insert(
      key,
      key * 3,
      packHome(slot, shared.control.generation(slot)),
      clock.nowMs(),
      1,
      false,
    );
    for (let request = 0; request < key; request += 1) {
      shared.table.touch(entry, key, key * 3, clock.nowMs() + 1_000);
      shared.table.release(entry, key, key * 3, clock.nowMs() + 1_000);
    }
  }
  clock.advance(60_000);
  const operator = [{ pool: 'shop', server: 'b', mode: 'drain', weight: 5 }] as const;
  expect(saveSessions(path, shared.table, revision, operator, clock)).toMatchObject({
    kind: 'saved',
    sessions,
  });
}

function readGood(): Extract<ReturnType<typeof readSessions>, { kind: 'read' }> {
  const stored = readSessions(path, 1_000);
  if (stored.kind !== 'read') throw new Error(JSON.stringify(stored));
  return stored;
}

/** What a revision's process would have saved. */
function saved(
  shared: SharedState,
  revision: Revision,
  clock: ManualClock,
): Extract<ReturnType<typeof readSessions>, { kind: 'read' }> {
  saveSessions(path, shared.table, revision, [], clock);
  return readGood();
}

test('a file from before servers were found has none', () => {
  const { clock, shared, revisions } = new Life(START);
  const records = new SessionRecords(shared.table, revisions.next(POOL), clock);
  writeFileSync(path, records.encode([]));
  expect(readGood().found).toEqual([]);
});

/** The world's one pool, as main has it. */
function revisionOf(world: World): Revision {
  const { config, shared } = world;
  const slots = config.servers.map(({ name }) => world.slotOf(name));
  const generations = slots.map((slot) => shared.control.generation(slot));
  const pools = [{ id: POOL_ID, config, slots, generations, keys: [SECRET] }];
  return { ...new Revisions(shared).next(POOL), pools };
}

describe('save and restore', () => {
  test('sessions come back under the server of the same name, with age, last sight and requests', () => {
    firstLife(9);
    const { clock, shared, revisions } = new Life(START + 120_000, 5_000_000);
    const revision = revisions.next(POOL);
    const stored = readGood();
    expect(stored.savedWallMs).toBe(START + 60_000);
    expect(stored.operator).toEqual([{ pool: 'shop', server: 'b', mode: 'drain', weight: 5 }]);
    expect(restoreSessions(stored.contents, shared.table, revision, clock)).toEqual({
      restored: 9,
      expired: 0,
      homeless: 0,
      unreadable: 0,
    });
    const { table } = shared;
    for (let key = 1; key <= 9; key += 1) {
      const entry = table.find(key, key * 3);
      const slot = homeSlot(table.home(entry));
      expect(slot).toBe(slotOf(revision, key % 2 === 1 ? 'shop/a' : 'shop/b'));
      expect(homeGeneration(table.home(entry))).toBe(shared.control.generation(slot));
      expect(table.requests(entry)).toBe(key);
      expect(table.busy(entry)).toBe(0);
      expect(clock.nowMs() - table.createdMs(entry)).toBeCloseTo(120_000, -3);
      expect(clock.nowMs() - table.seenMs(entry)).toBeCloseTo(119_000, -3);
      expect([table.isTentative(entry), table.birthEpoch(entry)]).toEqual([false, 0]);
    }
  });

  test('sessions of servers that are gone, and those that ended meanwhile, are left out and counted', () => {
    firstLife(10);
    const late = new Life(START + 31 * 60_000);
    const expired = restoreSessions(
      readGood().contents,
      late.shared.table,
      late.revisions.next(POOL),
      late.clock,
    );
    expect(expired).toEqual({ restored: 0, expired: 10, homeless: 0, unreadable: 0 });
    const smaller = new Life(START + 120_000);
    const revision = smaller.revisions.next({ more: STICKY, servers: ['a=http://127.0.0.1:1'] });
    const report = restoreSessions(readGood().contents, smaller.shared.table, revision, smaller.clock);
    expect(report).toEqual({ restored: 5, expired: 0, homeless: 5, unreadable: 0 });
  });

  test('sessions that no secret finds any more are left out and counted; any one of their secrets is enough', () => {
    firstLife(4);
    const [former, other, third] = [
      new Uint8Array(32).fill(1),
      new Uint8Array(32).fill(2),
      new Uint8Array(32),
    ];
    const { clock, shared, revisions } = new Life(START + 120_000);
    const written = revisions.next(POOL);
    const keyed = (...keys: Uint8Array[]): Revision => ({
      ...written,
      pools: written.pools.map((pool) => ({ ...pool, keys })),
    });
    const stored = readGood();
    expect(restoreStored(stored, shared.table, keyed(other), clock)).toEqual({
      restored: 0,
      expired: 0,
      homeless: 0,
      unreadable: 4,
    });
    expect([1, 2, 3, 4].map((key) => shared.table.find(key, key * 3))).toEqual([-1, -1, -1, -1]);
    const own = written.pools[0]?.keys ?? [];
    expect(restoreStored(stored, shared.table, keyed(other, ...own), clock).restored).toBe(4);
    // what was said later of the same pool counts as well: a session may have been shown under that
    const later = saved(shared, keyed(former, third), clock);
    const changes = [...stored.changes, later.contents];
    expect(restoreStored({ ...stored, changes }, shared.table, keyed(former), clock).unreadable).toBe(0);
    expect(restoreStored({ ...stored, changes }, shared.table, keyed(other), clock).unreadable).toBe(8);
  });

  test('a clock that went back makes no session from the future', () => {
    firstLife(1);
    const { clock, shared, revisions } = new Life(START - 3_600_000);
    restoreSessions(readGood().contents, shared.table, revisions.next(POOL), clock);
    expect(shared.table.seenMs(shared.table.find(1, 3))).toBeLessThanOrEqual(clock.nowMs());
  });

  test('the file is for this user only, replaces the old one, and leaves nothing beside it', () => {
    firstLife(3);
    firstLife(4);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['holdfast.sessions']);
    expect(readGood().contents.header.records).toBe(4);
  });

  test.each([
    ['/mcp', 1, 0],
    ['/documents/7', 1, 1],
  ])(
    'DELETE %s after a restart: the place where a session of a header began is known',
    (target, ended, used) => {
      const sticky = { mode: 'learn', cookieOwner: 'application', header: 'x-session-id' } as const;
      const headers = ['X-Session-Id: mine'];
      const before = new World({ sticky });
      before.exchange({ method: 'POST', target: '/mcp', responseHeaders: headers });
      saveSessions(path, before.shared.table, revisionOf(before), [], before.clock);
      const after = new World({ sticky });
      restoreSessions(readGood().contents, after.shared.table, revisionOf(after), after.clock);
      const { server } = after.exchange({ method: 'DELETE', target, headers });
      expect(after.ended(server!, 'logout')).toBe(ended);
      expect(after.entries()).toMatchObject({ used, busy: 0 });
    },
  );

  test('a directory that is not there is reported, not thrown', () => {
    const { clock, shared, revisions } = new Life(START);
    const result = saveSessions(join(directory, 'no', 'file'), shared.table, revisions.next(POOL), [], clock);
    expect(result).toMatchObject({ kind: 'failed', message: expect.stringContaining('ENOENT') });
  });
});

describe('a file that cannot be trusted', () => {
  test('no file is no problem', () => {
    expect(readSessions(path, 10)).toEqual({ kind: 'none' });
  });

  test('any changed byte and any missing end is found', () => {
    firstLife(4);
    const good = readFileSync(path);
    for (let at = 0; at < good.length; at += 1) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 0x10;
      writeFileSync(path, bad);
      expect(readSessions(path, 10).kind).toBe('damaged');
    }
    for (let length = 0; length < good.length; length += 7) {
      writeFileSync(path, good.subarray(0, length));
      expect(readSessions(path, 10).kind).toBe('damaged');
    }
  });

  test('says what is wrong', () => {
    writeFileSync(path, 'x'.repeat(200));
    expect(readSessions(path, 10)).toEqual({
      kind: 'damaged',
      message: 'it is not a sessions file of version 1 or 2',
    });
    writeFileSync(path, Buffer.alloc(20 * 1024 * 1024));
    expect(readSessions(path, 10)).toMatchObject({ message: expect.stringContaining('for 10 sessions') });
    rmSync(path);
    expect(readSessions(directory, 10)).toMatchObject({
      kind: 'damaged',
      message: expect.stringContaining('EISDIR'),
    });
  });
});

describe('a header of another shape, though its checksum is right', () => {
  const HEADER = { savedWallMs: START, servers: [], operator: [], records: 0 };

  function written(header: unknown, records = Buffer.alloc(0), magic = 'HOLDFAST SESSIONS 2\n') {
    const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(json.length);
    const bytes = Buffer.concat([Buffer.from(magic), length, json, records]);
    writeFileSync(path, Buffer.concat([bytes, createHash('sha256').update(bytes).digest()]));
    return readSessions(path, 1_000);
  }

  test('the right one is read, as well in the version before, and what it does not say is nothing', () => {
    for (const magic of ['HOLDFAST SESSIONS 1\n', 'HOLDFAST SESSIONS 2\n'])
      expect(written(HEADER, Buffer.alloc(0), magic)).toMatchObject({ kind: 'read', found: [], changes: [] });
    expect(written({ ...HEADER, found: [], secrets: [], records: 2 }, Buffer.alloc(64)).kind).toBe('read');
    expect(written(HEADER, Buffer.alloc(0), 'HOLDFAST SESSIONS 3\n').kind).toBe('damaged');
  });

  test.each([
    ...[null, [], 7, '', '{', {}],
    ...['savedWallMs', 'servers', 'operator', 'records'].map((key) => ({ ...HEADER, [key]: undefined })),
    ...['servers', 'operator', 'found', 'secrets'].map((key) => ({ ...HEADER, [key]: {} })),
    { ...HEADER, savedWallMs: 'now' },
    { ...HEADER, records: 0.5 },
  ])('%j is not understood', (header) => {
    expect(written(header)).toEqual({ kind: 'damaged', message: 'its header is not understood' });
  });

  test.each([-1, 1, 3])('%d records where there are two', (records) => {
    const read = written({ ...HEADER, records }, Buffer.alloc(64));
    expect(read.kind).toBe('damaged');
  });
});

describe('the secret beside it', () => {
  test('is made once and found afterwards, for this user only', () => {
    const made = loadSecret(path);
    const found = loadSecret(path);
    expect(made.kind).toBe('made');
    expect(found.kind).toBe('found');
    if (made.kind === 'failed' || found.kind === 'failed') throw new Error('no secret');
    expect(Buffer.from(found.secret).equals(made.secret)).toBe(true);
    expect(made.secret).toHaveLength(32);
    chmodSync(`${path}.secret`, 0o644);
    loadSecret(path);
    expect(statSync(`${path}.secret`).mode & 0o777).toBe(0o600);
  });

  test('a spoilt one is reported and left alone', () => {
    writeFileSync(`${path}.secret`, 'mine\n');
    expect(loadSecret(path)).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('64 hexadecimal digits'),
    });
    expect(readFileSync(`${path}.secret`, 'utf8')).toBe('mine\n');
  });
});

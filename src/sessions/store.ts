// Sessions and operator settings in a file over a restart or crash: versioned, checksummed, bounded.
//
//   sessions and settings (records.ts) | what has changed since | what has changed since | ...
//
// The last word counts, and what a crash has cut short at the end is left out. A process that is being replaced tells the
// next one in the same form what has changed since (changes.ts).

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/message-of.ts';
import { isMissing, replaceFile } from '../base/private-files.ts';
import { ALIAS } from '../shared/entry-marks.ts';
import type { Revision } from '../shared/revision.ts';
import { packHome, type SessionTable } from '../shared/session-table.ts';
import { OVER_MS } from '../shared/sweep-slice.ts';
import {
  ENDED,
  FORMER_MAGIC,
  IN_USE,
  INDEX_MASK,
  type KeptServer,
  MAGIC,
  MARK_MASK,
  MARK_SHIFT,
  type OperatorSetting,
  RECORD_BYTES,
  SEEN_AT,
  SessionRecords,
  type StoredHeader,
  secretsOf,
  TENTATIVE,
} from './records.ts';

const DIGEST_BYTES = 32;
const HEADER_BYTES_MAX = 4 * 1024 * 1024;
/** The whole table may have been written once and its changes as often again before it is rewritten. */
const TIMES_MAX = 4;

export type SaveResult =
  | {
      readonly kind: 'saved';
      /** Tentative and ended ones included, aliases not. */
      readonly sessions: number;
      readonly bytes: number;
    }
  | { readonly kind: 'failed'; readonly message: string };

export type StoredSessions = { readonly kind: 'none' } | DecodedSessions;

export type DecodedSessions =
  | { readonly kind: 'damaged'; readonly message: string }
  | {
      readonly kind: 'read';
      readonly savedWallMs: number;
      readonly operator: readonly OperatorSetting[];
      readonly found: readonly KeptServer[];
      readonly contents: StoredContents;
      /** What has followed, in this order. */
      readonly changes: readonly StoredContents[];
    };

/** Checked, but not yet given homes. */
export interface StoredContents {
  readonly header: StoredHeader;
  readonly records: Buffer;
}

export interface RestoreReport {
  readonly restored: number;
  /** Ended by idle or life time while the balancer was away. */
  readonly expired: number;
  /** Their pool or server is not configured any more. */
  readonly homeless: number;
  /** None of the secrets that they were kept under is configured any more: nobody could show them. */
  readonly unreadable: number;
}

/**
 * Writes all sessions of the revision's servers, the operator's settings and the servers found, for the process that comes
 * next. Synchronous: about 0.2 s for a million sessions.
 */
export function saveSessions(
  path: string,
  table: SessionTable,
  revision: Revision,
  operator: readonly OperatorSetting[],
  clock: Clock,
  found: readonly KeptServer[] = [],
): SaveResult {
  const records = new SessionRecords(table, revision, clock);
  for (let entry = 0; entry < table.capacity; entry += 1) {
    if (table.isUsed(entry)) records.add(entry);
  }
  return writeStore(path, records.encode(operator, found), records.count - records.aliases);
}

/** Reads and checks the file; a damaged one is described, never trusted in part. `sessionsMax` bounds its size. */
export function readSessions(path: string, sessionsMax: number): StoredSessions {
  let bytes: Buffer;
  try {
    const size = fs.statSync(path).size;
    const limit = sessionsMax * 2 * RECORD_BYTES * TIMES_MAX + HEADER_BYTES_MAX * TIMES_MAX;
    if (size > limit) return damaged(`it has ${size} bytes, more than ${limit} for ${sessionsMax} sessions`);
    bytes = fs.readFileSync(path);
  } catch (error) {
    return isMissing(error) ? { kind: 'none' } : damaged(`reading failed: ${messageOf(error)}`);
  }
  return decodeAll(bytes);
}

/** The first must be whole; what follows, as far as it is. */
function decodeAll(bytes: Buffer): DecodedSessions {
  const first = decodeAt(bytes, 0);
  if (first.kind === 'damaged') return first;
  const changes: StoredContents[] = [];
  let { savedWallMs, operator } = first;
  let found = first.contents.header.found ?? [];
  for (let begin = first.end; begin < bytes.length; ) {
    const next = decodeAt(bytes, begin);
    if (next.kind === 'damaged') break;
    changes.push(next.contents);
    ({ savedWallMs, operator, end: begin } = next);
    found = next.contents.header.found ?? found;
  }
  return { kind: 'read', savedWallMs, operator, found, contents: first.contents, changes };
}

/** Low and high word of each session's key by turns. */
export function keysOf({ records }: StoredContents): readonly number[] {
  const keys: number[] = [];
  for (let offset = 0; offset < records.length; offset += RECORD_BYTES)
    keys.push(records.readInt32LE(offset), records.readInt32LE(offset + 4));
  return keys;
}

/** Puts back what the file has, its changes included. */
export function restoreStored(
  stored: Extract<StoredSessions, { readonly kind: 'read' }>,
  table: SessionTable,
  revision: Revision,
  clock: Clock,
): RestoreReport {
  const all = [stored.contents, ...stored.changes];
  const unreadable = unreadablePools(all, revision);
  const report = { restored: 0, expired: 0, homeless: 0, unreadable: 0 };
  for (const contents of all) {
    const more = restoreSessions(contents, table, revision, clock, null, unreadable);
    report.restored += more.restored;
    report.expired += more.expired;
    report.homeless += more.homeless;
    report.unreadable += more.unreadable;
  }
  return report;
}

/**
 * Pools none of whose secrets has been one of theirs. One is enough: what has been shown under it is found by it, though it was
 * kept under another first.
 */
function unreadablePools(all: readonly StoredContents[], revision: Revision): ReadonlySet<string> {
  const said = all.flatMap(({ header }) => header.secrets ?? []);
  const pools = secretsOf(revision).filter(({ pool, marks }) => {
    const before = said.filter((one) => one.pool === pool).flatMap((one) => one.marks);
    return before.length > 0 && !marks.some((mark) => before.includes(mark));
  });
  return new Set(pools.map(({ pool }) => pool));
}

/** What a living process tells: what is in use there is in use here until it is told otherwise. */
export interface Telling {
  /** Sessions that the table has seen at that time or later are left alone: they are this process's own. */
  readonly ownFromMs: number;
  /** A session is at a home that did not count it. */
  readonly onBegun: (home: number) => void;
}

/**
 * Puts the sessions back under the homes that bear the same names now. Wall times become this clock's. `telling` null: from
 * a file.
 */
export function restoreSessions(
  contents: StoredContents,
  table: SessionTable,
  revision: Revision,
  clock: Clock,
  telling: Telling | null = null,
  unreadable: ReadonlySet<string> = unreadablePools([contents], revision),
): RestoreReport {
  const toClockMs = clock.nowMs() - clock.wallMs();
  const nowMs = clock.nowMs();
  const { servers } = contents.header;
  const homes = servers.map(({ pool, server }) =>
    unreadable.has(pool) ? null : findHome(revision, pool, server),
  );
  const report = { restored: 0, expired: 0, homeless: 0, unreadable: 0 };
  const { records } = contents;
  for (let offset = 0; offset < records.length; offset += RECORD_BYTES) {
    const [keyLow, keyHigh] = [records.readInt32LE(offset), records.readInt32LE(offset + 4)];
    const known = table.find(keyLow, keyHigh);
    const isSession = known !== -1 && !table.marks.isAlias(known);
    const server = records.readUInt32LE(offset + 8);
    const isInUse = (server & IN_USE) !== 0;
    if (telling !== null && isSession) table.holds.set(known, isInUse ? 1 : 0);
    // A clock that was set back must not make sessions younger than now.
    const seenWallMs = records.readDoubleLE(offset + SEEN_AT);
    const seenMs = Math.min(nowMs, seenWallMs + toClockMs);
    if (server === ENDED && seenWallMs > 0 && nowMs - seenMs < OVER_MS) {
      if (endByUser(table, keyLow, keyHigh, seenMs) && isSession) report.restored -= 1;
      continue;
    }
    if (known !== -1 && table.seenMs(known) >= (telling?.ownFromMs ?? Number.POSITIVE_INFINITY)) {
      if (server !== ENDED && seenMs > table.seenMs(known)) table.see(known, seenMs);
      continue;
    }
    if (server === ENDED) {
      if (known !== -1 && table.remove(known, keyLow, keyHigh) && isSession) report.restored -= 1;
      continue;
    }
    const mark = (server >>> MARK_SHIFT) & MARK_MASK;
    const home = homes[server & INDEX_MASK] ?? null;
    if (home === null) {
      const why = unreadable.has(servers[server & INDEX_MASK]?.pool ?? '') ? 'unreadable' : 'homeless';
      if (mark !== ALIAS) report[why] += 1;
      continue;
    }
    if (mark === ALIAS) {
      if (isSession && table.remove(known, keyLow, keyHigh)) report.restored -= 1;
      if (nowMs - seenMs > home.idleMs) continue;
      restoreAlias(table, keyLow, keyHigh, home.home, records, offset, seenMs);
      continue;
    }
    const createdMs = Math.min(nowMs, records.readDoubleLE(offset + 16) + toClockMs);
    if (nowMs - seenMs > home.idleMs || nowMs - createdMs > home.lifeMs) {
      report.expired += 1;
      continue;
    }
    const requests = records.readUInt32LE(offset + 12) | 0;
    const isTentative = (server & TENTATIVE) !== 0;
    const isNew = !isSession || table.home(known) !== home.home;
    const entry = table.restore(keyLow, keyHigh, home.home, createdMs, seenMs, requests, isTentative);
    if (entry === -1) continue;
    if (isNew) telling?.onBegun(home.home);
    table.marks.set(entry, mark);
    if (telling !== null) table.holds.set(entry, isInUse ? 1 : 0);
    if (!isSession) report.restored += 1;
  }
  return report;
}

function restoreAlias(
  table: SessionTable,
  keyLow: number,
  keyHigh: number,
  home: number,
  records: Buffer,
  offset: number,
  seenMs: number,
): void {
  const [sessionLow, sessionHigh] = [records.readInt32LE(offset + 16), records.readInt32LE(offset + 20)];
  const alias = table.insert(keyLow, keyHigh, home, seenMs, 0, true, sessionLow, sessionHigh);
  if (alias === -1) return;
  // one that was there has been left as it is
  table.marks.lead(alias, sessionLow, sessionHigh);
  table.see(alias, seenMs);
}

/**
 * Its user has ended the session of the key elsewhere: it begins no other here either, though it may be unknown here, or have
 * been seen here since. False when it has been known here to be over, or the table has no room.
 */
function endByUser(table: SessionTable, keyLow: number, keyHigh: number, endedMs: number): boolean {
  let entry = table.find(keyLow, keyHigh);
  if (entry !== -1 && table.marks.isAlias(entry)) {
    if (table.marks.isOver(entry)) return false;
    table.remove(entry, keyLow, keyHigh);
    entry = -1;
  }
  if (entry !== -1) return table.bury(entry, keyLow, keyHigh, endedMs);
  return table.insert(keyLow, keyHigh, 0, endedMs, 0, false, 0, 0) !== -1;
}

interface FoundHome {
  readonly home: number;
  readonly idleMs: number;
  readonly lifeMs: number;
}

function findHome(revision: Revision, poolName: string, serverName: string): FoundHome | null {
  const pool = revision.pools.find((candidate) => candidate.config.name === poolName);
  const index = pool?.config.servers.findIndex((server) => server.name === serverName) ?? -1;
  const slot = pool?.slots[index];
  const generation = pool?.generations[index];
  if (pool === undefined || slot === undefined || generation === undefined) return null;
  const { idleMs, lifeMs } = pool.config.sticky;
  return { home: packHome(slot, generation), idleMs, lifeMs };
}

/** One whole; checked in the same way wherever the bytes come from. */
export function decodeSessions(bytes: Buffer): DecodedSessions {
  const decoded = decodeAt(bytes, 0);
  if (decoded.kind === 'damaged') return decoded;
  if (decoded.end !== bytes.length) return damaged('the number of records is wrong');
  return { ...decoded, found: decoded.contents.header.found ?? [], changes: [] };
}

type DecodedPart =
  | { readonly kind: 'damaged'; readonly message: string }
  | {
      readonly kind: 'read';
      readonly savedWallMs: number;
      readonly operator: readonly OperatorSetting[];
      readonly contents: StoredContents;
      /** Offset behind it. */
      readonly end: number;
    };

function decodeAt(bytes: Buffer, begin: number): DecodedPart {
  const headerBegin = begin + MAGIC.length + 4;
  if (bytes.length < headerBegin + DIGEST_BYTES) return damaged('it is too short');
  const magic = bytes.toString('latin1', begin, begin + MAGIC.length);
  if (magic !== MAGIC && magic !== FORMER_MAGIC)
    return damaged('it is not a sessions file of version 1 or 2');
  const headerEnd = headerBegin + bytes.readUInt32LE(begin + MAGIC.length);
  if (headerEnd > bytes.length - DIGEST_BYTES) return damaged('its header is longer than the file');
  const header = parseHeader(bytes.toString('utf8', headerBegin, headerEnd));
  if (header === null) return damaged('its header is not understood');
  const bodyEnd = headerEnd + header.records * RECORD_BYTES;
  if (header.records < 0 || bodyEnd + DIGEST_BYTES > bytes.length)
    return damaged('the number of records is wrong');
  const digest = createHash('sha256').update(bytes.subarray(begin, bodyEnd)).digest();
  const end = bodyEnd + DIGEST_BYTES;
  if (!digest.equals(bytes.subarray(bodyEnd, end)))
    return damaged('its checksum does not match its contents');
  const { savedWallMs, operator } = header;
  const records = bytes.subarray(headerEnd, bodyEnd);
  return { kind: 'read', savedWallMs, operator, contents: { header, records }, end };
}

/** Null when the shape is wrong: nothing is believed before the checksum has been looked at. */
function parseHeader(text: string): StoredHeader | null {
  try {
    const value = JSON.parse(text) as Partial<StoredHeader> | null;
    const isWhole =
      Array.isArray(value?.servers) &&
      Array.isArray(value.operator) &&
      Array.isArray(value.found ?? []) &&
      Array.isArray(value.secrets ?? []) &&
      Array.isArray(value.places ?? []) &&
      Number.isInteger(value.records);
    return isWhole && Number.isFinite(value.savedWallMs) ? (value as StoredHeader) : null;
  } catch {
    return null;
  }
}

function writeStore(path: string, bytes: Buffer, sessions: number): SaveResult {
  try {
    replaceFile(path, bytes);
    return { kind: 'saved', sessions, bytes: bytes.length };
  } catch (error) {
    return { kind: 'failed', message: `writing ${path} failed: ${messageOf(error)}` };
  }
}

function damaged(message: string): { readonly kind: 'damaged'; readonly message: string } {
  return { kind: 'damaged', message };
}

// Sessions and operator settings in a file over a restart or crash: versioned, checksummed, bounded.
//
//   "HOLDFAST SESSIONS 1\n" | header length u32 | header, JSON | records, 32 bytes each | SHA-256 of all before
//
//   record   0 keyLow i32    8 server u32 (index in the header's list)   16 created f64, ms since the Unix epoch
//            4 keyHigh i32  12 requests u32                              24 seen f64, the same
//
// More of the same may follow: each is what has changed since, the last word counts, and what a crash has cut short at the
// end is left out. Numbers are little-endian. Homes are stored by pool and server name, because slots are dealt out anew. A process that
// is being replaced tells the next one in the same form what has changed since (changes.ts): then two bits of the server
// word say more.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type { Clock } from '../base/clock.ts';
import type { ServerMode } from '../config/model.ts';
import type { Revision } from '../shared/revision.ts';
import { homeGeneration, homeSlot, packHome, type SessionTable } from '../shared/session-table.ts';
import { isMissing, messageOf, replaceFile } from './kept-files.ts';

const MAGIC = 'HOLDFAST SESSIONS 1\n';
const RECORD_BYTES = 32;
/** In the server word: the session is over; its client has not shown the key yet (only from process to process). */
const ENDED = 0x8000_0000;
const TENTATIVE = 0x4000_0000;
/** A request or tunnel of the session is open. */
const IN_USE = 0x2000_0000;
const INDEX_MASK = 0x1fff_ffff;
/** A part of the records: the first is small, because there are usually few. */
const PART_RECORDS = { first: 32, most: 32_768 } as const;
const DIGEST_BYTES = 32;
const HEADER_BYTES_MAX = 4 * 1024 * 1024;
/** The whole table may have been written once and its changes as often again before the file is written anew. */
const TIMES_MAX = 4;

/** What an operator changed on a server while running; outlives a restart. */
export interface OperatorSetting {
  readonly pool: string;
  readonly server: string;
  readonly mode?: ServerMode;
  readonly weight?: number;
}

interface StoredHeader {
  readonly savedWallMs: number;
  readonly servers: readonly { readonly pool: string; readonly server: string }[];
  readonly operator: readonly OperatorSetting[];
  readonly records: number;
}

export type SaveResult =
  | { readonly kind: 'saved'; readonly sessions: number; readonly bytes: number }
  | { readonly kind: 'failed'; readonly message: string };

export type StoredSessions = { readonly kind: 'none' } | DecodedSessions;

export type DecodedSessions =
  | { readonly kind: 'damaged'; readonly message: string }
  | {
      readonly kind: 'read';
      readonly savedWallMs: number;
      readonly operator: readonly OperatorSetting[];
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
}

/**
 * Writes all sessions of the revision's servers, tentative ones left out, and the operator's settings. Synchronous,
 * because it is the last thing before the process ends: about 0.2 s for a million sessions.
 */
export function saveSessions(
  path: string,
  table: SessionTable,
  revision: Revision,
  operator: readonly OperatorSetting[],
  clock: Clock,
): SaveResult {
  const records = new SessionRecords(table, revision, clock);
  for (let entry = 0; entry < table.capacity; entry += 1) {
    if (table.isUsed(entry) && !table.isTentative(entry)) records.add(entry);
  }
  return writeStore(path, records.encode(operator), records.count);
}

/** Sessions on their way into a file or to another process. */
export class SessionRecords {
  count = 0;
  readonly #parts: Buffer[] = [];
  /** Bytes used of the last part. */
  #used = 0;
  readonly #table: SessionTable;
  readonly #clock: Clock;
  readonly #listed: ListedServers;

  constructor(table: SessionTable, revision: Revision, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
    this.#listed = listServers(revision);
  }

  /** The session at `entry`, unless its home is none of the revision's. */
  add(entry: number): void {
    const table = this.#table;
    const { indexBySlot, generationBySlot } = this.#listed;
    const home = table.home(entry);
    const server = indexBySlot.get(homeSlot(home));
    if (server === undefined || generationBySlot.get(homeSlot(home)) !== homeGeneration(home)) return;
    const isInUse = table.busy(entry) > 0;
    const flags = (table.isTentative(entry) ? TENTATIVE : 0) + (isInUse ? IN_USE : 0);
    const offset = this.#begin(table.keyLow(entry), table.keyHigh(entry), server + flags);
    const part = this.#parts.at(-1) as Buffer;
    const wallMs = this.#clock.wallMs();
    const toWallMs = wallMs - this.#clock.nowMs();
    part.writeUInt32LE(table.requests(entry) >>> 0, offset + 12);
    part.writeDoubleLE(table.createdMs(entry) + toWallMs, offset + 16);
    part.writeDoubleLE(isInUse ? wallMs : table.seenMs(entry) + toWallMs, offset + 24);
  }

  /** The key is no session any more. */
  addEnded(keyLow: number, keyHigh: number): void {
    this.#begin(keyLow, keyHigh, ENDED);
  }

  #begin(keyLow: number, keyHigh: number, server: number): number {
    let part = this.#parts.at(-1);
    if (part === undefined || this.#used === part.length) {
      const records = Math.min(PART_RECORDS.most, Math.max(PART_RECORDS.first, this.count));
      part = Buffer.alloc(records * RECORD_BYTES);
      this.#parts.push(part);
      this.#used = 0;
    }
    const offset = this.#used;
    part.writeInt32LE(keyLow, offset);
    part.writeInt32LE(keyHigh, offset + 4);
    part.writeUInt32LE(server, offset + 8);
    this.#used += RECORD_BYTES;
    this.count += 1;
    return offset;
  }

  /** All but the digest, in parts of at most a megabyte. */
  parts(operator: readonly OperatorSetting[]): readonly Buffer[] {
    const { servers } = this.#listed;
    const header: StoredHeader = {
      savedWallMs: this.#clock.wallMs(),
      servers,
      operator,
      records: this.count,
    };
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(json.length);
    const last = this.#parts.length - 1;
    const records = this.#parts.map((part, at) => (at === last ? part.subarray(0, this.#used) : part));
    return [Buffer.concat([Buffer.from(MAGIC), length, json]), ...records];
  }

  /** What `decodeSessions` reads. */
  encode(operator: readonly OperatorSetting[]): Buffer {
    const parts = this.parts(operator);
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return Buffer.concat([...parts, hash.digest()]);
  }
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
  for (let begin = first.end; begin < bytes.length; ) {
    const next = decodeAt(bytes, begin);
    if (next.kind === 'damaged') break;
    changes.push(next.contents);
    ({ savedWallMs, operator, end: begin } = next);
  }
  return { kind: 'read', savedWallMs, operator, contents: first.contents, changes };
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
  let { restored, expired, homeless } = restoreSessions(stored.contents, table, revision, clock);
  for (const contents of stored.changes) {
    const more = restoreSessions(contents, table, revision, clock);
    restored += more.restored;
    expired += more.expired;
    homeless += more.homeless;
  }
  return { restored, expired, homeless };
}

/**
 * Puts the sessions back under the homes that bear the same names now. Wall times become this clock's. Those that the
 * table has seen at `ownFromMs` or later are left alone: they are this process's own.
 */
export function restoreSessions(
  contents: StoredContents,
  table: SessionTable,
  revision: Revision,
  clock: Clock,
  ownFromMs: number = Number.POSITIVE_INFINITY,
): RestoreReport {
  const toClockMs = clock.nowMs() - clock.wallMs();
  const nowMs = clock.nowMs();
  const homes = contents.header.servers.map((server) => findHome(revision, server.pool, server.server));
  const report = { restored: 0, expired: 0, homeless: 0 };
  const { records } = contents;
  for (let offset = 0; offset < records.length; offset += RECORD_BYTES) {
    const [keyLow, keyHigh] = [records.readInt32LE(offset), records.readInt32LE(offset + 4)];
    const known = table.find(keyLow, keyHigh);
    if (known !== -1 && table.seenMs(known) >= ownFromMs) continue;
    const server = records.readUInt32LE(offset + 8);
    if (server === ENDED) {
      if (known !== -1 && table.remove(known, keyLow, keyHigh)) report.restored -= 1;
      continue;
    }
    const home = homes[server & INDEX_MASK] ?? null;
    if (home === null) {
      report.homeless += 1;
      continue;
    }
    // A clock that was set back must not make sessions younger than now.
    const createdMs = Math.min(nowMs, records.readDoubleLE(offset + 16) + toClockMs);
    const seenMs = Math.min(nowMs, records.readDoubleLE(offset + 24) + toClockMs);
    if (isOver(nowMs - seenMs, home.idleMs) || isOver(nowMs - createdMs, home.lifeMs)) {
      report.expired += 1;
      continue;
    }
    const requests = records.readUInt32LE(offset + 12) | 0;
    const isTentative = (server & TENTATIVE) !== 0;
    table.restore(keyLow, keyHigh, home.home, createdMs, seenMs, requests, isTentative);
    if (known === -1) report.restored += 1;
  }
  return report;
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

interface ListedServers {
  readonly servers: { pool: string; server: string }[];
  readonly indexBySlot: ReadonlyMap<number, number>;
  readonly generationBySlot: ReadonlyMap<number, number>;
}

function listServers(revision: Revision): ListedServers {
  const servers: { pool: string; server: string }[] = [];
  const indexBySlot = new Map<number, number>();
  const generationBySlot = new Map<number, number>();
  for (const { config, slots, generations } of revision.pools) {
    config.servers.forEach((server, index) => {
      indexBySlot.set(slots[index] ?? -1, servers.length);
      generationBySlot.set(slots[index] ?? -1, generations[index] ?? -1);
      servers.push({ pool: config.name, server: server.name });
    });
  }
  return { servers, indexBySlot, generationBySlot };
}

/** One whole; checked in the same way wherever the bytes come from. */
export function decodeSessions(bytes: Buffer): DecodedSessions {
  const decoded = decodeAt(bytes, 0);
  if (decoded.kind === 'damaged') return decoded;
  if (decoded.end !== bytes.length) return damaged('the number of records is wrong');
  return { ...decoded, changes: [] };
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
  if (bytes.toString('latin1', begin, begin + MAGIC.length) !== MAGIC)
    return damaged('it is not a sessions file of version 1');
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
      Array.isArray(value?.servers) && Array.isArray(value.operator) && Number.isInteger(value.records);
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

function isOver(ms: number, limitMs: number): boolean {
  return limitMs > 0 && ms > limitMs;
}

function damaged(message: string): { readonly kind: 'damaged'; readonly message: string } {
  return { kind: 'damaged', message };
}

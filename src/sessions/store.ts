// Sessions and operator settings in a file over a restart: versioned, checksummed, bounded, replaced atomically.
//
//   "HOLDFAST SESSIONS 1\n" | header length u32 | header, JSON | records, 32 bytes each | SHA-256 of all before
//
//   record   0 keyLow i32    8 server u32 (index in the header's list)   16 created f64, ms since the Unix epoch
//            4 keyHigh i32  12 requests u32                              24 seen f64, the same
//
// Numbers are little-endian. Homes are stored by pool and server name, because slots are dealt out anew. A process that
// is being replaced tells the next one in the same form what has changed since (changes.ts): then two bits of the server
// word say more.

import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import type { Clock } from '../base/clock.ts';
import type { ServerMode } from '../config/model.ts';
import type { Revision } from '../shared/revision.ts';
import { homeGeneration, homeSlot, packHome, type SessionTable } from '../shared/session-table.ts';

const MAGIC = 'HOLDFAST SESSIONS 1\n';
const RECORD_BYTES = 32;
/** In the server word, only from process to process: the session is over; its client has not shown the key yet. */
const ENDED = 0x8000_0000;
const TENTATIVE = 0x4000_0000;
const INDEX_MASK = 0x3fff_ffff;
const RECORDS_BYTES_MIN = 1024;
const DIGEST_BYTES = 32;
const HEADER_BYTES_MAX = 4 * 1024 * 1024;
const SECRET_BYTES = 32;
const PRIVATE_MODE = 0o600;

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
  #bytes = Buffer.alloc(RECORDS_BYTES_MIN);
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
    const flags = table.isTentative(entry) ? TENTATIVE : 0;
    const offset = this.#begin(table.keyLow(entry), table.keyHigh(entry), server + flags);
    const toWallMs = this.#clock.wallMs() - this.#clock.nowMs();
    this.#bytes.writeUInt32LE(table.requests(entry) >>> 0, offset + 12);
    this.#bytes.writeDoubleLE(table.createdMs(entry) + toWallMs, offset + 16);
    this.#bytes.writeDoubleLE(table.seenMs(entry) + toWallMs, offset + 24);
  }

  /** The key is no session any more. */
  addEnded(keyLow: number, keyHigh: number): void {
    this.#begin(keyLow, keyHigh, ENDED);
  }

  #begin(keyLow: number, keyHigh: number, server: number): number {
    const offset = this.count * RECORD_BYTES;
    if (offset === this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    this.#bytes.writeInt32LE(keyLow, offset);
    this.#bytes.writeInt32LE(keyHigh, offset + 4);
    this.#bytes.writeUInt32LE(server, offset + 8);
    this.count += 1;
    return offset;
  }

  /** What `decodeSessions` reads. */
  encode(operator: readonly OperatorSetting[]): Buffer {
    const { servers } = this.#listed;
    const header: StoredHeader = {
      savedWallMs: this.#clock.wallMs(),
      servers,
      operator,
      records: this.count,
    };
    return encode(header, this.#bytes.subarray(0, this.count * RECORD_BYTES));
  }
}

/** Reads and checks the file; a damaged one is described, never trusted in part. `sessionsMax` bounds its size. */
export function readSessions(path: string, sessionsMax: number): StoredSessions {
  let bytes: Buffer;
  try {
    const size = fs.statSync(path).size;
    const limit = sessionsMax * 2 * RECORD_BYTES + HEADER_BYTES_MAX + 1024;
    if (size > limit) return damaged(`it has ${size} bytes, more than ${limit} for ${sessionsMax} sessions`);
    bytes = fs.readFileSync(path);
  } catch (error) {
    return isMissing(error) ? { kind: 'none' } : damaged(`reading failed: ${messageOf(error)}`);
  }
  return decodeSessions(bytes);
}

/** Low and high word of each session's key by turns. */
export function keysOf({ records }: StoredContents): readonly number[] {
  const keys: number[] = [];
  for (let offset = 0; offset < records.length; offset += RECORD_BYTES)
    keys.push(records.readInt32LE(offset), records.readInt32LE(offset + 4));
  return keys;
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
      if (known !== -1) table.remove(known, keyLow, keyHigh);
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
    report.restored += 1;
  }
  return report;
}

export type SecretResult =
  | { readonly kind: 'found' | 'made'; readonly secret: Uint8Array }
  | { readonly kind: 'failed'; readonly message: string };

/** The secret kept in `<sessionsFile>.secret`, 32 bytes; made on first use, readable by this user only. */
export function loadSecret(sessionsFile: string): SecretResult {
  const path = `${sessionsFile}.secret`;
  try {
    const text = fs.readFileSync(path, 'utf8').trim();
    if (!/^[0-9a-f]{64}$/.test(text)) {
      return { kind: 'failed', message: `${path} does not hold a secret: expected 64 hexadecimal digits` };
    }
    if ((fs.statSync(path).mode & 0o077) !== 0) fs.chmodSync(path, PRIVATE_MODE);
    return { kind: 'found', secret: Buffer.from(text, 'hex') };
  } catch (error) {
    if (!isMissing(error)) return { kind: 'failed', message: `reading ${path} failed: ${messageOf(error)}` };
  }
  const secret = randomBytes(SECRET_BYTES);
  try {
    replaceFile(path, Buffer.from(`${secret.toString('hex')}\n`));
    return { kind: 'made', secret };
  } catch (error) {
    return { kind: 'failed', message: `writing ${path} failed: ${messageOf(error)}` };
  }
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

function encode(header: StoredHeader, records: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const body = Buffer.concat([Buffer.from(MAGIC), length, json, records]);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

/** Checked in the same way wherever the bytes come from. */
export function decodeSessions(bytes: Buffer): DecodedSessions {
  const headerBegin = MAGIC.length + 4;
  if (bytes.length < headerBegin + DIGEST_BYTES) return damaged('it is too short');
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC)
    return damaged('it is not a sessions file of version 1');
  const bodyEnd = bytes.length - DIGEST_BYTES;
  const digest = createHash('sha256').update(bytes.subarray(0, bodyEnd)).digest();
  if (!digest.equals(bytes.subarray(bodyEnd))) return damaged('its checksum does not match its contents');
  const headerEnd = headerBegin + bytes.readUInt32LE(MAGIC.length);
  if (headerEnd > bodyEnd) return damaged('its header is longer than the file');
  const header = parseHeader(bytes.toString('utf8', headerBegin, headerEnd));
  if (header === null) return damaged('its header is not understood');
  const records = bytes.subarray(headerEnd, bodyEnd);
  if (records.length !== header.records * RECORD_BYTES) return damaged('the number of records is wrong');
  const { savedWallMs, operator } = header;
  return { kind: 'read', savedWallMs, operator, contents: { header, records } };
}

/** The checksum holds, so this only guards against another writer; null when the shape is wrong. */
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

/** Readers see the old file or the new one, also after a crash. */
function replaceFile(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = fs.openSync(temporary, 'w', PRIVATE_MODE);
    try {
      fs.writeFileSync(file, bytes);
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

function isOver(ms: number, limitMs: number): boolean {
  return limitMs > 0 && ms > limitMs;
}

function damaged(message: string): DecodedSessions {
  return { kind: 'damaged', message };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

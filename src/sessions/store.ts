// Sessions and operator settings in a file over a restart: versioned, checksummed, bounded, replaced atomically.
//
//   "HOLDFAST SESSIONS 1\n" | header length u32 | header, JSON | records, 32 bytes each | SHA-256 of all before
//
//   record   0 keyLow i32    8 server u32 (index in the header's list)   16 created f64, ms since the Unix epoch
//            4 keyHigh i32  12 requests u32                              24 seen f64, the same
//
// Numbers are little-endian. Homes are stored by pool and server name, because slots are dealt out anew.

import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import type { Clock } from '../base/clock.ts';
import type { ServerMode } from '../config/model.ts';
import type { Revision } from '../shared/revision.ts';
import { homeGeneration, homeSlot, packHome, type SessionTable } from '../shared/session-table.ts';

const MAGIC = 'HOLDFAST SESSIONS 1\n';
const RECORD_BYTES = 32;
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

export type StoredSessions =
  | { readonly kind: 'none' }
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
  const { servers, indexBySlot, generationBySlot } = listServers(revision);
  const toWallMs = clock.wallMs() - clock.nowMs();
  let records = Buffer.alloc(64 * 1024);
  let count = 0;
  for (let entry = 0; entry < table.capacity; entry += 1) {
    if (!table.isUsed(entry) || table.isTentative(entry)) continue;
    const home = table.home(entry);
    const server = indexBySlot.get(homeSlot(home));
    if (server === undefined || generationBySlot.get(homeSlot(home)) !== homeGeneration(home)) continue;
    const offset = count * RECORD_BYTES;
    if (offset === records.length) records = Buffer.concat([records, Buffer.alloc(records.length)]);
    records.writeInt32LE(table.keyLow(entry), offset);
    records.writeInt32LE(table.keyHigh(entry), offset + 4);
    records.writeUInt32LE(server, offset + 8);
    records.writeUInt32LE(table.requests(entry) >>> 0, offset + 12);
    records.writeDoubleLE(table.createdMs(entry) + toWallMs, offset + 16);
    records.writeDoubleLE(table.seenMs(entry) + toWallMs, offset + 24);
    count += 1;
  }
  const header: StoredHeader = { savedWallMs: clock.wallMs(), servers, operator, records: count };
  return writeStore(path, encode(header, records.subarray(0, count * RECORD_BYTES)), count);
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
  return decode(bytes);
}

/**
 * Puts the sessions back under the homes that bear the same names now. Wall times become this clock's. `onlyNew` leaves
 * alone those that the table knows.
 */
export function restoreSessions(
  contents: StoredContents,
  table: SessionTable,
  revision: Revision,
  clock: Clock,
  onlyNew = false,
): RestoreReport {
  const toClockMs = clock.nowMs() - clock.wallMs();
  const nowMs = clock.nowMs();
  const homes = contents.header.servers.map((server) => findHome(revision, server.pool, server.server));
  const report = { restored: 0, expired: 0, homeless: 0 };
  const { records } = contents;
  for (let offset = 0; offset < records.length; offset += RECORD_BYTES) {
    const home = homes[records.readUInt32LE(offset + 8)] ?? null;
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
    const [keyLow, keyHigh] = [records.readInt32LE(offset), records.readInt32LE(offset + 4)];
    if (onlyNew && table.find(keyLow, keyHigh) !== -1) continue;
    table.restore(keyLow, keyHigh, home.home, createdMs, seenMs, requests);
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

function listServers(revision: Revision): {
  readonly servers: { pool: string; server: string }[];
  readonly indexBySlot: ReadonlyMap<number, number>;
  readonly generationBySlot: ReadonlyMap<number, number>;
} {
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

function decode(bytes: Buffer): StoredSessions {
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

function damaged(message: string): StoredSessions {
  return { kind: 'damaged', message };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// Sessions on their way into a file or to another process, and how they are laid out there.
//
//   "HOLDFAST SESSIONS 2\n" | header length u32 | header, JSON | records, 32 bytes each | SHA-256 of all before
//
//   record   0 keyLow i32    8 server u32, see below   16 created f64, ms since the Unix epoch
//            4 keyHigh i32  12 requests u32            24 seen f64, the same
//
//   server   bits 0..15 index in the header's list, 16..23 mark (entry-marks.ts), 29 in use, 30 tentative, 31 ended
//
// An alias has the key of its session at 16 (i32, i32) instead of an age. One that has ended has nothing but, where its user
// has ended it, when that was at 24: so long its key is kept (SessionTable.bury). Version 1 had no marks, no aliases and no tentative
// sessions in files; it is read as it is. Numbers are little-endian. Homes go by pool and server name, because slots are
// dealt out again.

import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { ServerMode } from '../config/model.ts';
import type { Revision } from '../shared/revision.ts';
import { homeSlot, packHome, type SessionTable } from '../shared/session-table.ts';
import { setsCookie } from './sweep.ts';

export const MAGIC = 'HOLDFAST SESSIONS 2\n';
/** Of the version before, as long as the other. */
export const FORMER_MAGIC = 'HOLDFAST SESSIONS 1\n';
export const RECORD_BYTES = 32;
/** The whole server word: the key is no session any more. */
export const ENDED = 0x8000_0000;
export const TENTATIVE = 0x4000_0000;
/** A request or tunnel of the session is open. */
export const IN_USE = 0x2000_0000;
export const INDEX_MASK = 0xffff;
export const MARK_SHIFT = 16;
export const MARK_MASK = 0xff;
export const SEEN_AT = 24;
const MARK_CHARS = 8;
/** A part of the records: the first is small, because there are usually few. */
const PART_RECORDS = { first: 32, most: 32_768 } as const;

/** What an operator changed on a server while running; outlives a restart. */
export interface OperatorSetting {
  readonly pool: string;
  readonly server: string;
  readonly mode?: ServerMode;
  readonly weight?: number;
}

/** A server that was found (discovery): it outlives a restart at which nobody answers, or during which it is leaving. */
export interface KeptServer {
  readonly pool: string;
  /** Where it was found. */
  readonly source: string;
  readonly url: string;
  readonly weight: number;
  readonly backup: boolean;
  /** The name in an SRV answer that its address is of; null: there is none. */
  readonly target: string | null;
  /** Not found any more: it keeps its sessions and gets no new ones. */
  readonly isLeaving: boolean;
}

/** Places on a server for sessions that requests under way may begin. */
export interface HeldPlaces {
  readonly pool: string;
  readonly server: string;
  readonly places: number;
}

export interface PoolSecrets {
  readonly pool: string;
  readonly marks: readonly string[];
}

export interface StoredHeader {
  readonly savedWallMs: number;
  readonly servers: readonly { readonly pool: string; readonly server: string }[];
  readonly operator: readonly OperatorSetting[];
  /** By what the secrets of each pool are told, those that are only read included. Absent: it is not said. */
  readonly secrets?: readonly PoolSecrets[];
  /** Absent: as it was said before. */
  readonly found?: readonly KeptServer[];
  /** From one process to the next only. */
  readonly places?: readonly HeldPlaces[];
  readonly records: number;
}

export class SessionRecords {
  /** Records in all. */
  count = 0;
  /** Aliases, which are no sessions. */
  aliases = 0;
  readonly #parts: Buffer[] = [];
  /** Bytes used of the last part. */
  #used = 0;
  readonly #table: SessionTable;
  readonly #clock: Clock;
  readonly #listed: ListedServers;
  readonly #secrets: readonly PoolSecrets[];

  constructor(table: SessionTable, revision: Revision, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
    this.#listed = listServers(revision);
    this.#secrets = secretsOf(revision);
  }

  /**
   * Whether the entry is worth keeping over a restart. A tentative session of a cookie that we give to whoever asks is not;
   * a key that a client has made itself is as good as any.
   */
  isKept(entry: number): boolean {
    const table = this.#table;
    if (!table.isTentative(entry) || table.marks.isAlias(entry)) return true;
    return !this.#listed.cookieSlots.has(homeSlot(table.home(entry)));
  }

  /** What is at `entry`, unless its home is none of the revision's. An alias has its session's home. */
  add(entry: number): void {
    const table = this.#table;
    if (table.marks.isOver(entry)) {
      const endedMs = this.#toWallMs() + table.seenMs(entry);
      this.addEnded(table.keyLow(entry), table.keyHigh(entry), endedMs);
      return;
    }
    const isAlias = table.marks.isAlias(entry);
    const [sessionLow, sessionHigh] = [table.marks.aliasLow(entry), table.marks.aliasHigh(entry)];
    const session = isAlias ? table.find(sessionLow, sessionHigh) : entry;
    if (session === -1 || (isAlias && table.marks.isAlias(session))) return;
    const server = this.#listed.indexByHome.get(table.home(session));
    if (server === undefined) return;
    const isInUse = table.busy(entry) > 0;
    const flags = (table.isTentative(entry) ? TENTATIVE : 0) + (isInUse ? IN_USE : 0);
    const mark = table.marks.mark(entry) << MARK_SHIFT;
    const offset = this.#begin(table.keyLow(entry), table.keyHigh(entry), server + mark + flags);
    const part = this.#parts.at(-1) as Buffer;
    const toWallMs = this.#toWallMs();
    part.writeDoubleLE((isInUse ? this.#clock.nowMs() : table.seenMs(entry)) + toWallMs, offset + SEEN_AT);
    if (isAlias) {
      this.aliases += 1;
      part.writeInt32LE(sessionLow, offset + 16);
      part.writeInt32LE(sessionHigh, offset + 20);
      return;
    }
    part.writeUInt32LE(table.requests(entry) >>> 0, offset + 12);
    part.writeDoubleLE(table.createdMs(entry) + toWallMs, offset + 16);
  }

  /** The key is no session any more. Where its user has ended it, `byUserMs` is when, on the wall clock. */
  addEnded(keyLow: number, keyHigh: number, byUserMs = 0): void {
    const offset = this.#begin(keyLow, keyHigh, ENDED);
    (this.#parts.at(-1) as Buffer).writeDoubleLE(byUserMs, offset + SEEN_AT);
  }

  #toWallMs(): number {
    return this.#clock.wallMs() - this.#clock.nowMs();
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

  /** All but the digest, in parts of at most a megabyte. Without `found` what was said of it before goes on. */
  parts(
    operator: readonly OperatorSetting[],
    found?: readonly KeptServer[],
    places?: readonly HeldPlaces[],
  ): readonly Buffer[] {
    const { servers } = this.#listed;
    const header: StoredHeader = {
      savedWallMs: this.#clock.wallMs(),
      servers,
      operator,
      secrets: this.#secrets,
      ...(found && { found }),
      ...(places && { places }),
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
  encode(
    operator: readonly OperatorSetting[],
    found?: readonly KeptServer[],
    places?: readonly HeldPlaces[],
  ): Buffer {
    const parts = this.parts(operator, found, places);
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return Buffer.concat([...parts, hash.digest()]);
  }
}

/** Nothing can be done with a mark but to compare it. */
export function secretsOf({ pools }: Revision): readonly PoolSecrets[] {
  return pools.map(({ config, keys }) => ({
    pool: config.name,
    marks: keys.map((key) =>
      createHash('sha256').update('mark').update(key).digest('hex').slice(0, MARK_CHARS),
    ),
  }));
}

interface ListedServers {
  readonly servers: { pool: string; server: string }[];
  /** By slot and generation. */
  readonly indexByHome: ReadonlyMap<number, number>;
  /** Slots of pools whose key is our own cookie. */
  readonly cookieSlots: ReadonlySet<number>;
}

function listServers(revision: Revision): ListedServers {
  const servers: { pool: string; server: string }[] = [];
  const indexByHome = new Map<number, number>();
  const cookieSlots = new Set<number>();
  for (const { config, slots, generations } of revision.pools) {
    config.servers.forEach((server, index) => {
      const slot = slots[index] ?? -1;
      indexByHome.set(packHome(slot, generations[index] ?? -1), servers.length);
      if (setsCookie(config.sticky)) cookieSlots.add(slot);
      servers.push({ pool: config.name, server: server.name });
    });
  }
  return { servers, indexByHome, cookieSlots };
}

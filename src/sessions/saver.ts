// Saves the sessions again and again, so that they outlive a crash.
//
//   first, and when the changes have grown longer than what they change:
//      walk the table in slices ─ write PATH.PID.tmp ─ sync ─ rename to PATH
//   then, each time something has changed:
//      walk the table in slices ─ append what has changed since the last time ─ sync
//
// A crash at any moment leaves the file as it was after the last sync, with at most the beginning of one more part at its
// end, which the reader leaves out. After an error the file is written again: nothing is appended behind half a part.

import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/message-of.ts';
import { temporaryOf } from '../base/private-files.ts';
import { type Scheduled, type Scheduler, systemScheduler } from '../base/scheduler.ts';
import type { Revision } from '../shared/revision.ts';
import type { SessionTable } from '../shared/session-table.ts';
import type { TableCopy } from '../shared/table-copy.ts';
import { type KeptServer, type OperatorSetting, SessionRecords } from './records.ts';
import type { SaveResult } from './store.ts';

/** Entries looked at before main's other work has its turn: about 1 ms. */
const SLICE_ENTRIES = 65_536;
/** Changes below this never cause the file to be written again. */
const CHANGES_BYTES_MIN = 1024 * 1024;
/** A session in use all the time is written again after this part of the shortest idle time, at most every minute. */
const IN_USE_PART = 1 / 8;
const IN_USE_MS_MAX = 60_000;
const PRIVATE_MODE = 0o600;

export interface SaverOptions {
  readonly path: string;
  readonly everyMs: number;
  readonly table: SessionTable;
  readonly clock: Clock;
  readonly scheduler?: Scheduler;
  readonly revision: () => Revision;
  readonly operator: () => readonly OperatorSetting[];
  readonly found: () => readonly KeptServer[];
  /** Each time something has been written or could not be. */
  readonly onSaved: (result: SaveResult) => void;
}

/** What has been written, and where the next changes go. */
interface Written {
  readonly file: FileHandle;
  readonly inode: number;
  readonly copy: TableCopy;
  readonly wholeBytes: number;
  changesBytes: number;
  operatorText: string;
  foundText: string;
}

export class SessionSaver {
  readonly #options: SaverOptions;
  readonly #scheduler: Scheduler;
  #written: Written | null = null;
  #timer: Scheduled | null = null;
  #saving: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor(options: SaverOptions) {
    this.#options = options;
    this.#scheduler = options.scheduler ?? systemScheduler;
  }

  /** Saves from now on, each time `everyMs` after the last time was done. */
  start(): void {
    this.#timer = this.#scheduler.after(this.#options.everyMs, () => {
      void this.save().then(() => {
        if (!this.#isEnded) this.start();
      });
    });
  }

  /** Saves what has changed until now; resolves when it is on the disk, or the failure has been told. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() => (this.#isEnded ? undefined : this.#save()));
    return this.#saving;
  }

  /** Stops, and writes no more once it has resolved. `isLast`: with a last save. */
  async end(isLast: boolean): Promise<void> {
    this.#timer?.cancel();
    if (isLast) await this.save();
    this.#isEnded = true;
    this.#timer?.cancel();
    await this.#saving;
    await this.#forget();
  }

  async #save(): Promise<void> {
    try {
      const result = (await this.#isAppendable()) ? await this.#append() : await this.#writeAnew();
      if (result !== null) this.#options.onSaved(result);
    } catch (error) {
      await this.#forget();
      const message = `writing ${this.#options.path} failed: ${messageOf(error)}`;
      this.#options.onSaved({ kind: 'failed', message });
    }
  }

  /** What is written is still there, and long enough to bear more changes. */
  async #isAppendable(): Promise<boolean> {
    const written = this.#written;
    if (written === null || written.changesBytes > Math.max(CHANGES_BYTES_MIN, written.wholeBytes))
      return false;
    const found = await stat(this.#options.path).catch(() => null);
    return found?.ino === written.inode && found.size === written.wholeBytes + written.changesBytes;
  }

  async #append(): Promise<SaveResult | null> {
    const written = this.#written as Written;
    const operator = this.#options.operator();
    const operatorText = JSON.stringify(operator);
    const found = this.#options.found();
    const foundText = JSON.stringify(found);
    const isFoundAnew = foundText !== written.foundText;
    const records = await this.#collect(written.copy);
    if (records.count === 0 && operatorText === written.operatorText && !isFoundAnew) return null;
    const bytes = await writeParts(written.file, records.parts(operator, isFoundAnew ? found : undefined));
    await written.file.datasync();
    written.changesBytes += bytes;
    written.operatorText = operatorText;
    written.foundText = foundText;
    return { kind: 'saved', sessions: records.count - records.aliases, bytes };
  }

  async #writeAnew(): Promise<SaveResult> {
    await this.#forget();
    const { path, table } = this.#options;
    const operator = this.#options.operator();
    const found = this.#options.found();
    const copy = table.copy();
    const records = await this.#collect(copy);
    const temporary = temporaryOf(path);
    const file = await open(temporary, 'w', PRIVATE_MODE);
    try {
      const bytes = await writeParts(file, records.parts(operator, found));
      await file.datasync();
      await rename(temporary, path);
      const inode = (await file.stat()).ino;
      const [operatorText, foundText] = [JSON.stringify(operator), JSON.stringify(found)];
      this.#written = { file, inode, copy, wholeBytes: bytes, changesBytes: 0, operatorText, foundText };
      return { kind: 'saved', sessions: records.count - records.aliases, bytes };
    } catch (error) {
      await file.close();
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async #collect(copy: TableCopy): Promise<SessionRecords> {
    const { table, clock } = this.#options;
    const revision = this.#options.revision();
    const records = new SessionRecords(table, revision, clock);
    const inUseTenths = Math.floor(inUseMs(revision) / 100);
    const visit = (entry: number, low: number, high: number): boolean => {
      const isKept = table.isUsed(entry) && records.isKept(entry);
      const isLeftOut = !isKept && table.isOf(entry, low, high);
      if (low !== 0 && (isLeftOut || table.find(low, high) === -1)) records.addEnded(low, high);
      if (isKept) records.add(entry);
      return isKept;
    };
    for (let begin = 0; begin < copy.entries; begin += SLICE_ENTRIES) {
      const end = Math.min(copy.entries, begin + SLICE_ENTRIES);
      copy.eachChange(begin, end, table.tenths(clock.nowMs()), inUseTenths, visit);
      await new Promise<void>((resolve) => this.#scheduler.after(0, resolve));
    }
    return records;
  }

  async #forget(): Promise<void> {
    const written = this.#written;
    this.#written = null;
    await written?.file.close().catch(() => undefined);
  }
}

function inUseMs(revision: Revision): number {
  return Math.min(IN_USE_MS_MAX, ...revision.pools.map(({ config }) => config.sticky.idleMs * IN_USE_PART));
}

/** With their digest, part by part, so that nobody waits for long. Returns the bytes written. */
async function writeParts(file: FileHandle, parts: readonly Buffer[]): Promise<number> {
  const hash = createHash('sha256');
  let bytes = 0;
  const write = async (part: Buffer): Promise<void> => {
    for (let done = 0; done < part.length; ) done += (await file.write(part, done)).bytesWritten;
    bytes += part.length;
  };
  for (const part of parts) {
    hash.update(part);
    await write(part);
  }
  await write(hash.digest());
  return bytes;
}

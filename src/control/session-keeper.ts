// The sessions file of a running balancer: owned, read once, saved while the balancer runs. What cannot be read is set aside.

import { existsSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { messageOf } from '../base/message-of.ts';
import { placeProblem, setAside } from '../base/private-files.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { keepSecret } from '../sessions/kept-files.ts';
import type { KeptServer, OperatorSetting } from '../sessions/records.ts';
import { SessionSaver } from '../sessions/saver.ts';
import { readSessions, type SaveResult, type StoredSessions } from '../sessions/store.ts';
import type { Revision } from '../shared/revision.ts';
import type { SessionTable } from '../shared/session-table.ts';
import { FileOwner, isSameFile } from './file-owner.ts';
import { StartError } from './start-error.ts';

/** What is kept, as it is now. */
export interface Kept {
  readonly table: SessionTable;
  revision(): Revision;
  operator(): readonly OperatorSetting[];
  found(): readonly KeptServer[];
}

export interface KeeperOptions {
  readonly file: string;
  readonly everyMs: number;
  readonly log: Log;
}

/** A process that is being replaced: its secret and sessions count, not those of the files. */
export interface FormerProcess {
  readonly secret: string;
  /** Where it keeps its sessions. Null: nowhere; undefined: it does not say. */
  readonly sessionsFile: string | null | undefined;
  readSessions(sessionsMax: number): StoredSessions;
}

/** Why no sessions can be kept at the path, null when they can. */
export function keepingProblem(file: string): string | null {
  return placeProblem(file);
}

export class SessionKeeper {
  readonly #options: KeeperOptions;
  readonly #former: FormerProcess | null;
  /** The former process keeps its sessions in the same file. */
  readonly #isFormers: boolean;
  #owner: FileOwner | null = null;
  #saver: SessionSaver | null = null;
  #isFailing = false;

  private constructor(options: KeeperOptions, former: FormerProcess | null) {
    this.#options = options;
    this.#former = former;
    this.#isFormers =
      former !== null && (former.sessionsFile === undefined || isKeptIn(former.sessionsFile, options.file));
  }

  get file(): string {
    return this.#options.file;
  }

  /** Null: no sessions are kept. */
  static async of(
    config: HoldfastConfig,
    log: Log,
    former: FormerProcess | null,
  ): Promise<SessionKeeper | null> {
    const { file, saveEveryMs: everyMs } = config.sessions;
    return file === null ? null : SessionKeeper.open({ file, everyMs, log }, former);
  }

  /**
   * Rejects with StartError when nothing can be kept there, or another process keeps its sessions there, unless that is
   * `former`, which is being replaced: then the file is its own until `begin`.
   */
  static async open(options: KeeperOptions, former: FormerProcess | null): Promise<SessionKeeper> {
    const problem = keepingProblem(options.file);
    if (problem !== null) throw new StartError(`cannot keep the sessions: ${problem}`);
    const keeper = new SessionKeeper(options, former);
    if (!keeper.#isFormers) await keeper.#own(false);
    return keeper;
  }

  async #own(isSuccessor: boolean): Promise<void> {
    const { file, log } = this.#options;
    const ownership = await FileOwner.own(file, isSuccessor);
    if (ownership.kind === 'taken')
      throw new StartError(
        `cannot keep the sessions in ${file}: another process does; give each its own file`,
      );
    if (ownership.kind === 'owned') this.#owner = ownership.owner;
    else log.warn({ file }, `nothing keeps a second process from this sessions file: ${ownership.message}`);
  }

  /** What a former process has left. What cannot be read is set aside; rejects with StartError where that fails. */
  read(sessionsMax: number): StoredSessions {
    const { file, log } = this.#options;
    const stored = readSessions(file, sessionsMax);
    if (stored.kind !== 'damaged') return stored;
    try {
      log.error({ file, aside: setAside(file) }, `saved sessions ignored and set aside: ${stored.message}`);
      return stored;
    } catch (error) {
      throw new StartError(`cannot set aside ${file}, which is not understood: ${(error as Error).message}`);
    }
  }

  /** Saves from now on. The file is ours, also that of a process that we have replaced. */
  async begin(kept: Kept): Promise<void> {
    const { file, everyMs } = this.#options;
    if (this.#former !== null) await this.#succeed(this.#former.secret);
    this.#saver = new SessionSaver({
      path: file,
      everyMs,
      table: kept.table,
      clock: systemClock,
      revision: () => kept.revision(),
      operator: () => kept.operator(),
      found: () => kept.found(),
      onSaved: (result) => this.#onSaved(result),
    });
    this.#saver.start();
  }

  /** The sessions are those of the process before us. What another one has left here goes on being there. */
  async #succeed(secret: string): Promise<void> {
    const { file, log } = this.#options;
    if (this.#isFormers) await this.#own(true);
    try {
      if (!this.#isFormers && existsSync(file))
        log.warn({ file, aside: setAside(file) }, 'sessions that were saved there are set aside');
      keepSecret(file, secret);
    } catch (error) {
      log.error({ file }, `the secret is not kept, cookies will not survive a restart: ${messageOf(error)}`);
    }
  }

  /** The next process keeps the file; it is written by us no more once this has resolved. */
  async handOver(): Promise<void> {
    await this.#saver?.end(false);
    this.#saver = null;
    this.#owner?.release();
    this.#owner = null;
  }

  /** What has changed until now is on the disk when this resolves. */
  async save(): Promise<void> {
    await this.#saver?.save();
  }

  /** A last time. */
  async end(): Promise<void> {
    await this.#saver?.end(true);
    this.#owner?.release();
  }

  /** A failure is said once, and that it is over. */
  #onSaved(result: SaveResult): void {
    const { file, log } = this.#options;
    if (result.kind === 'saved') {
      if (this.#isFailing) log.info({ file }, 'sessions can be saved again');
      log.debug({ file, sessions: result.sessions, bytes: result.bytes }, 'sessions saved');
    } else if (!this.#isFailing) log.error({ file }, `sessions not saved: ${result.message}`);
    this.#isFailing = result.kind === 'failed';
  }
}

function isKeptIn(file: string | null, wanted: string): boolean {
  return file !== null && isSameFile(file, wanted);
}

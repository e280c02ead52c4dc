// One process of those that share a folder at a time. The lock is the system's, on a file, and goes with the process that
// has it. Node gives no way to such a lock but by SQLite, which takes one on its database; nothing is ever written there.
// The file stays: who takes away one that another has just opened lets two in.

import { accessSync, constants, copyFileSync, statSync, truncateSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { messageOf } from './message-of.ts';

export interface FileLock {
  release(): void;
}

const BUSY = 5;
const NOT_A_DATABASE = 26;

/** Null: somebody else has it. Rejects where the file system has no locks, or the file cannot be written. */
export async function takeLock(path: string): Promise<FileLock | null> {
  const sqlite = await import('node:sqlite');
  const open = (): DatabaseSync => new sqlite.DatabaseSync(path, { timeout: 0 });
  try {
    return locked(path, open);
  } catch (error) {
    if (codeOf(error) === NOT_A_DATABASE) return lockedWhenEmpty(path, open);
    throw refusal(path, error);
  }
}

function locked(path: string, open: () => DatabaseSync): FileLock | null {
  const database = open();
  try {
    database.exec('BEGIN EXCLUSIVE');
    // of a file that can only be read SQLite makes one for many readers, and says nothing
    accessSync(path, constants.W_OK);
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if (codeOf(error) === BUSY) return null;
    throw error;
  }
}

/**
 * Another program's, or what a crash has left. Nobody had the lock when that was seen, and who has it since has emptied the file
 * before: it is emptied in its place. What was in it is kept, the first time.
 */
function lockedWhenEmpty(path: string, open: () => DatabaseSync): FileLock | null {
  try {
    keepAside(path);
    truncateSync(path);
    return locked(path, open);
  } catch (error) {
    throw refusal(path, error);
  }
}

function keepAside(path: string): void {
  try {
    copyFileSync(path, `${path}.aside`, constants.COPYFILE_EXCL);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function codeOf(error: unknown): number | string | undefined {
  const { errcode, code } = error as { readonly errcode?: number; readonly code?: string };
  return errcode ?? code;
}

function refusal(path: string, error: unknown): Error {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return new Error(`${path} cannot be locked: ${isFolder ? 'it is a folder, remove it' : messageOf(error)}`);
}

// Files for this user alone: replaced as a whole; what cannot be read is set aside, never overwritten.

import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from './message-of.ts';

/** Nobody else may read or write. */
export const PRIVATE_MODE = 0o600;
const ASIDE_MAX = 1000;
const OTHERS_MAY_WRITE = 0o002;

/** The disk's: they come, and go, without anybody having changed anything. */
const OF_THE_DISK: ReadonlySet<string> = new Set([
  'EROFS',
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'ESTALE',
  'ETIMEDOUT',
  'EBUSY',
]);

export interface PlaceProblem {
  readonly message: string;
  /** Neither path nor rights: a disk that is full, or that the system has made read-only. */
  readonly isOfTheDisk: boolean;
}

/** Why no file can be kept at the path, null when one can: tried by making one beside it. */
export function placeProblem(path: string): string | null {
  return triedPlace(path)?.message ?? null;
}

function triedPlace(path: string): PlaceProblem | null {
  const probe = `${path}.${process.pid}.probe`;
  try {
    fs.closeSync(fs.openSync(probe, 'w', PRIVATE_MODE));
    fs.rmSync(probe);
    if (!fs.existsSync(path)) return null;
    if (!fs.statSync(path).isFile()) return { message: `${path} is no file`, isOfTheDisk: false };
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK);
    return null;
  } catch (error) {
    return problemOf(`${path} cannot be written`, error);
  }
}

/** Why no keys can be kept in a folder, which may still be to be made; null: they can. Makes nothing that stays. */
export function keepingProblem(folder: string): PlaceProblem | null {
  try {
    if ((fs.statSync(folder).mode & OTHERS_MAY_WRITE) !== 0)
      return {
        message: `"${folder}" can be written by everybody on this machine, a place for keys must not: chmod o= ${folder}`,
        isOfTheDisk: false,
      };
    return triedPlace(join(folder, 'acme'));
  } catch (error) {
    if (!isMissing(error)) return problemOf(`"${folder}" cannot be used`, error);
    return makingProblem(folder, dirname(folder));
  }
}

/** `above` is the folder that it is to be made in, or the next above that is there. */
function makingProblem(folder: string, above: string): PlaceProblem | null {
  try {
    fs.accessSync(above, fs.constants.W_OK | fs.constants.X_OK);
    if (fs.statSync(above).isDirectory()) return null;
    return { message: `"${folder}" cannot be made: "${above}" is no folder`, isOfTheDisk: false };
  } catch (error) {
    const next = dirname(above);
    if (isMissing(error) && next !== above) return makingProblem(folder, next);
    return problemOf(`"${folder}" cannot be made`, error);
  }
}

function problemOf(what: string, error: unknown): PlaceProblem {
  const { code = '' } = error as NodeJS.ErrnoException;
  return { message: `${what}: ${messageOf(error)}`, isOfTheDisk: OF_THE_DISK.has(code) };
}

/** Readers see the old file or the new one, also after a crash. */
export function replaceFile(path: string, bytes: Uint8Array): void {
  const temporary = temporaryOf(path);
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

/** Where a file is written before it takes its place. */
export function temporaryOf(path: string): string {
  return `${path}.${process.pid}.tmp`;
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/**
 * Renames a file that this version cannot read to `PATH.aside`, or `PATH.aside-2` and so on. Returns the new path;
 * throws when it cannot be renamed.
 */
export function setAside(path: string): string {
  for (let number = 1; number <= ASIDE_MAX; number += 1) {
    const aside = number === 1 ? `${path}.aside` : `${path}.aside-${number}`;
    try {
      // fails where there is one already, which a rename would overwrite
      fs.linkSync(path, aside);
      fs.unlinkSync(path);
      return aside;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error(`there are ${ASIDE_MAX} files that have been set aside already`);
}

// The files that certificates are in, as those who check them see the disk.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { keepingProblem, type PlaceProblem } from '../base/private-files.ts';

/** More than any certificate or revocation list that is meant. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;
const OTHERS = 0o007;

export type FileRead =
  | { readonly bytes: Buffer; readonly isOpenToAll: boolean }
  | { readonly refused: string };

/** The disk. Nothing here throws. */
export interface Files {
  /** Wall time: certificates are good from then to then. */
  readonly nowMs: number;
  read(path: string): FileRead;
  /** Names in a folder, sorted; or why they cannot be had. */
  list(path: string): readonly string[] | { readonly refused: string };
  isFile(path: string): boolean;
  /** Changes whenever the file does, links followed; '' when there is none. */
  stamp(path: string): string;
  /** Why no keys can be kept in the folder, which may still be to be made; null: they can. */
  keepingProblem(folder: string): PlaceProblem | null;
}

/** Whether everybody on this machine may do something with the file. */
export function isOpenToAll({ mode }: { readonly mode: number }): boolean {
  return process.platform !== 'win32' && (mode & OTHERS) !== 0;
}

/** What is wrong with such a file when it holds a key. */
export function openKey(path: string): string {
  return `can be read by everybody on this machine, a key must not: chmod o= ${path}`;
}

export function realFiles(nowMs: number): Files {
  return { nowMs, read, list, isFile, stamp, keepingProblem };
}

function read(path: string): FileRead {
  try {
    const found = statSync(path);
    const { mode, size } = found;
    // a pipe or a device may have no end, and reading one may never begin
    if (!found.isFile() && !found.isDirectory()) return { refused: 'is not a file' };
    if (size > FILE_BYTES_MAX) return { refused: `has ${size} bytes, at most ${FILE_BYTES_MAX} are read` };
    const bytes = readFileSync(path);
    return { bytes, isOpenToAll: isOpenToAll({ mode }) };
  } catch (error) {
    return { refused: reasonOf(error, path) };
  }
}

function list(path: string): readonly string[] | { readonly refused: string } {
  try {
    return readdirSync(path)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch (error) {
    return { refused: reasonOf(error, path) };
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function stamp(path: string): string {
  try {
    const { ino, size, mtimeMs, mode } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${mode}`;
  } catch {
    // gone for the moment: that is a change as well
    return '';
  }
}

function reasonOf(error: unknown, path: string): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT')
    return isAbsolute(path) ? 'does not exist' : `does not exist, it would be ${resolve(path)}`;
  if (code === 'EACCES') return 'may not be read by this user; give it the right, or run as another';
  if (code === 'EISDIR') return 'is a folder, expected a file';
  if (code === 'ENOTDIR') return 'is a file, expected a folder';
  return `cannot be read: ${message}`;
}

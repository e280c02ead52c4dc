// The file of a unix socket that is listened on.
//
// It is bound under a name of its own, given its permissions, and only then takes the path: there is no moment without a
// socket, or with one that anybody may connect to, and what an ended process has left there is replaced. Node would also
// remove the path it has bound when it closes, though by then a successor may listen there.

import { chmodSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import type { ListenConfig } from '../config/model.ts';

/** Which file it was: another may have taken its place. */
export interface SocketFile {
  readonly path: string;
  readonly inode: bigint;
}

/** Rejects with the system's error, nothing left behind. */
export async function bindSocket(
  { path, mode }: NonNullable<ListenConfig['socket']>,
  listen: (path: string) => Promise<Server>,
): Promise<Server> {
  const own = `${path}~${process.pid}`;
  // of a process that had our number, as the first of a container always has
  rmSync(own, { force: true });
  const server = await listen(own);
  try {
    chmodSync(own, mode);
    renameSync(own, path);
  } catch (error) {
    server.close();
    throw error;
  }
  return server;
}

/** Null: nothing is there. */
export function fileAt(path: string): SocketFile | null {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? null : { path, inode: found.ino };
}

/** Unless it is another by now. */
export function setMode({ path, inode }: SocketFile, mode: number): void {
  if (fileAt(path)?.inode === inode) chmodSync(path, mode);
}

/** Unless it is another by now. */
export function removeFile({ path, inode }: SocketFile): void {
  if (fileAt(path)?.inode !== inode) return;
  try {
    unlinkSync(path);
  } catch {
    // another thread has done so, or the directory is not ours: the next start replaces it
  }
}

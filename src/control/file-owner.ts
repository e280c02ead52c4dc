// One owner for a file that a process keeps: two balancers that save over each other would lose both their sessions.
//
// The sign is a unix socket beside the file, PATH.owner, that the owner listens on. The kernel says whether somebody does:
// who has died listens no more, and no number of a process or time of a file has to be believed.
//
//   no socket                       ours takes the place in one step, and is refused when another was first
//   nobody listens                  ours is put over it, by one process at a time: under a lock, PATH.owner.lock
//   somebody listens                refused; the successor in a takeover takes the place when it is told to
//
// Where the file system has no sockets the file is kept without a sign, and the log says so.

import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, linkSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve as resolvePath } from 'node:path';
import { type FileLock, takeLock } from '../base/file-lock.ts';
import { systemScheduler } from '../base/scheduler.ts';

/** The path of a unix socket may be no longer; the part behind it is for names made while taking the place. */
const SOCKET_PATH_MAX = 90;
/** Whoever is another user may ask whether somebody listens, which is all that there is to be had. */
const SIGN_MODE = 0o666;
/** The lock is had for some milliseconds; who stands still while he has it is about to be the owner. */
const LOCK_MS = 5_000;
const LOCK_AGAIN_MS = 10;

export type Ownership =
  | { readonly kind: 'owned'; readonly owner: FileOwner }
  | { readonly kind: 'taken' }
  | { readonly kind: 'unmarked'; readonly message: string };

export class FileOwner {
  readonly #path: string;
  readonly #server: Server;
  readonly #inode: number;

  private constructor(path: string, server: Server, inode: number) {
    this.#path = path;
    this.#server = server;
    this.#inode = inode;
  }

  /** `isSuccessor`: whoever owns the file has said that it is ours now. */
  static async own(file: string, isSuccessor: boolean): Promise<Ownership> {
    const path = signOf(file);
    const own = `${path}.${randomBytes(4).toString('hex')}`;
    if (!isSuccessor && (await signAt(path)) === 'listens') return { kind: 'taken' };
    try {
      const server = await listen(own);
      chmodSync(own, SIGN_MODE);
      const inode = statSync(own).ino;
      if (!(await takePlace(own, path, isSuccessor))) {
        server.close();
        return { kind: 'taken' };
      }
      return { kind: 'owned', owner: new FileOwner(path, server, inode) };
    } catch (error) {
      return { kind: 'unmarked', message: (error as Error).message };
    }
  }

  /** Somebody else may own the file. */
  release(): void {
    if (this.#isOurs()) rmSync(this.#path, { force: true });
    this.#server.close();
  }

  #isOurs(): boolean {
    try {
      return statSync(this.#path).ino === this.#inode;
    } catch {
      return false;
    }
  }
}

/** False: somebody else was first. `own` is gone in either case. */
async function takePlace(own: string, path: string, isSuccessor: boolean): Promise<boolean> {
  let lock: FileLock | null = null;
  try {
    if (!isSuccessor && moves(() => linkSync(own, path))) return true;
    if (!isSuccessor && (await signAt(path)) === 'listens') return false;
    lock = await lockOf(path);
    const sign = isSuccessor ? 'dead' : await signAt(path);
    if (sign === 'none') return moves(() => linkSync(own, path));
    if (sign === 'dead') renameSync(own, path);
    return sign === 'dead';
  } finally {
    lock?.release();
    rmSync(own, { force: true });
  }
}

/** Null: it cannot be had, and two at the same moment may both think that they were first. */
async function lockOf(path: string): Promise<FileLock | null> {
  const endMs = performance.now() + LOCK_MS;
  try {
    for (;;) {
      const lock = await takeLock(`${path}.lock`);
      if (lock !== null || performance.now() > endMs) return lock;
      await new Promise<void>((resolve) => systemScheduler.after(LOCK_AGAIN_MS, resolve));
    }
  } catch {
    return null;
  }
}

/** False: what shall be moved is not there, or what is there already stays. */
function moves(move: () => void): boolean {
  try {
    move();
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EEXIST') return false;
    throw error;
  }
}

/** One file, by whatever links it is named. */
export function isSameFile(one: string, other: string): boolean {
  try {
    return signOf(one) === signOf(other);
  } catch {
    return false; // a folder is not there
  }
}

/** Beside the file, wherever links lead; where that path is too long for a socket, in the directory for temporary files. */
function signOf(file: string): string {
  const beside = `${withoutLinks(resolvePath(file))}.owner`;
  if (Buffer.byteLength(beside) <= SOCKET_PATH_MAX) return beside;
  return join(tmpdir(), `holdfast-${createHash('sha256').update(beside).digest('hex').slice(0, 16)}.owner`);
}

/** The file itself need not be there. */
function withoutLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return join(realpathSync(dirname(path)), basename(path));
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    // also later: that somebody who looks cannot be accepted is nobody's trouble
    server.on('error', reject);
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** `dead`: nobody listens. What can be neither asked nor ruled out is taken to listen. */
function signAt(path: string): Promise<'none' | 'dead' | 'listens'> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('listens');
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ENOENT') resolve('none');
      else resolve(code === 'ECONNREFUSED' || code === 'ENOTSOCK' ? 'dead' : 'listens');
    });
  });
}

// One owner for a file that a process keeps: two balancers that save over each other would lose both their sessions.
//
// The sign is a unix socket beside the file, PATH.owner, that the owner listens on. The kernel says whether somebody does:
// who has died listens no more, and no number of a process or time of a file has to be believed.
//
//   no socket                       ours takes the place in one step, and is refused when another was first
//   nobody listens                  it is moved away, and ours takes the place. Whoever moves one looks at what it has moved:
//                                   it is put back when somebody who has looked at the same time was first
//   somebody listens                refused; the successor in a takeover takes the place when it is told to
//
// Where the file system has no sockets the file is kept without a sign, and the log says so.

import { createHash, randomBytes } from 'node:crypto';
import { linkSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve as resolvePath } from 'node:path';

/** The path of a unix socket may be no longer; the part behind it is for names made while taking the place. */
const SOCKET_PATH_MAX = 90;

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
    if (!isSuccessor && (await isListenedOn(path))) return { kind: 'taken' };
    try {
      const server = await listen(own);
      const inode = statSync(own).ino;
      if (isSuccessor) renameSync(own, path);
      else if (!(await takePlace(own, path))) {
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
async function takePlace(own: string, path: string): Promise<boolean> {
  const former = `${own}.old`;
  try {
    if (moves(() => linkSync(own, path))) return true;
    if (await isListenedOn(path)) return false;
    if (moves(() => renameSync(path, former)) && (await isListenedOn(former))) {
      moves(() => linkSync(former, path));
      return false;
    }
    return moves(() => linkSync(own, path));
  } finally {
    rmSync(former, { force: true });
    rmSync(own, { force: true });
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

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

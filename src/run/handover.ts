// How one process hands its work to the next.
//
//   new                                      old
//   POST /api/takeover                 ->    private directory: handover.json, sessions, two unix sockets; says where
//   fetches the listening sockets,
//   restores, checks the servers,
//   starts its threads, listens on nothing
//   connects: "step back"              ->    stops listening, tells what has become of the sessions since
//   takes it in, says so, listens
//   opens the admin server                   closes the admin server, finishes what is in flight; each response waits
//   takes in, says so                  <->   until the session it may have begun or ended is told
//   removes the directory              <-    ends; later, when it hears itself of a process that still finishes
//
// All that can fail comes before "step back": until then the old process has given nothing away. Connections that come
// in the milliseconds in which nobody listens wait in the queues of the sockets, which both processes hold.
//
// The directory is the proof: only the same user can open what is in it. So neither secrets nor sessions ever cross the
// API, and nobody else can make the balancer leave.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FILE = 'handover.json';
const PRIVATE_MODE = 0o600;

/** What the next process needs to know beside the sessions. */
export interface Handover {
  readonly version: 2;
  readonly pid: number;
  /** Keys cookies and session hashes of pools that configure no secret. */
  readonly secret: string;
  readonly listeners: readonly { readonly address: string; readonly port: number }[];
  /** How many listening sockets there are to be fetched. */
  readonly sockets: number;
  readonly adminUrl: string;
}

/** The files and sockets of a handover. */
export class HandoverDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes a directory that is this user's only. */
  static make(): HandoverDirectory {
    return new HandoverDirectory(mkdtempSync(join(tmpdir(), 'holdfast-takeover-')));
  }

  /** Where the sessions are, as of the beginning. */
  get sessionsFile(): string {
    return join(this.path, 'sessions');
  }

  /** Unix socket that gives the listening sockets. */
  get listenersSocket(): string {
    return join(this.path, 'listeners');
  }

  /** Unix socket: connecting to it makes the old process step back. */
  get changesSocket(): string {
    return join(this.path, 'changes');
  }

  write(content: Omit<Handover, 'version' | 'pid'>): void {
    const handover: Handover = { version: 2, pid: process.pid, ...content };
    writeFileSync(join(this.path, FILE), JSON.stringify(handover), { mode: PRIVATE_MODE });
  }

  /** Null when it cannot be read or is of another version. */
  read(): Handover | null {
    try {
      const value = JSON.parse(readFileSync(join(this.path, FILE), 'utf8')) as Partial<Handover> | null;
      return value?.version === 2 ? (value as Handover) : null;
    } catch {
      return null;
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

// How one process hands its work to the next: in two steps, so that nothing is given away before somebody has it.
//
//   new                                      old
//   POST /api/takeover                 ->    says where its private directory is; that is all
//   checks that it is this user's
//   connects to `changes` there        ->    keeps the sessions in a file, offers the listening sockets
//                                      <-    OFFER
//   fetches the sockets, restores, checks
//   the servers, starts its threads
//   DONE (ready)                       ->    STEP 1: accepts nothing new, but keeps duplicates of its sockets;
//                                            responses wait until what they did to sessions is told
//                                      <-    CHANGES since the offer
//   takes them in
//   DONE                               ->
//                                      <-    LISTEN
//   listens
//   SERVES                             ->    STEP 2: closes its duplicates, leaves the sessions file
//                                      <-    LEFT
//   saves, opens the admin server            closes the admin server, finishes what is in flight
//   takes in; DONE                     <->   CHANGES, again and again
//                                            (every few seconds, and at the end: what is still in use)
//   removes the directory              <-    ends; later, when it hears itself of a process that still finishes
//
// From the offer on the listening sockets stay those that are offered: a thread that restarts meanwhile listens on them. Nothing
// is reloaded between ready and SERVES or back; a successor is refused that was offered something before another reload.
//
// Until SERVES the old process takes everything back when the line closes or nothing comes for STEP_MS: it listens on its
// duplicates, lets the responses go and says REFUSED, which makes a successor leave that was only slow. Whoever hangs reads
// what has been said before it decides anything. If the old process dies, the line closes without a word: the new one, which
// has the sockets, goes on alone; before it has them it ends and says so. Connections that come while nobody accepts wait in
// the queues of the sockets, which both processes hold.
//
//   old:  serves ── ready ──> steps back ── serves ──> replaced
//            ^                    │
//            └── closed, silent ──┘

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TicketKey } from '../ticket-keys.ts';
import { makePrivateDirectory } from './private-directory.ts';

/** How long either step may take on the side of the new process. Clients that come wait meanwhile. */
export const STEP_MS = 3000;

/** What the next process needs to know beside the sessions. */
export interface TakeoverOffer {
  readonly version: 3;
  readonly pid: number;
  /** Keys cookies and session hashes of pools that configure no secret. */
  readonly secret: string;
  /** Where it keeps its sessions, null: nowhere. Absent: it does not say. */
  readonly sessionsFile?: string | null;
  /** What TLS session tickets are sealed with. Absent: the old process has none. */
  readonly ticketKey?: TicketKey;
  readonly listeners: readonly { readonly address: string; readonly port: number }[];
  /** How many listening sockets there are to be fetched. */
  readonly sockets: number;
  readonly adminUrl: string;
  /** Where an OfferDirectory is. */
  readonly directory: string;
}

/** A process's private directory, where a successor asks. */
export class TakeoverDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  static make(): TakeoverDirectory {
    return new TakeoverDirectory(makePrivateDirectory());
  }

  /** Unix socket: who connects asks to take over. */
  get changesSocket(): string {
    return join(this.path, 'changes');
  }

  get isThere(): boolean {
    return existsSync(this.changesSocket);
  }

  /** Made by a version that stepped back as soon as somebody connected. */
  get isOfOldVersion(): boolean {
    return existsSync(join(this.path, 'handover.json'));
  }

  makeOffer(): OfferDirectory {
    return new OfferDirectory(mkdtempSync(join(this.path, 'offer-')));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Files and sockets for one successor. */
export class OfferDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Where the sessions are, as of the offer. */
  get sessionsFile(): string {
    return join(this.path, 'sessions');
  }

  /** Unix socket that gives the listening sockets. */
  get listenersSocket(): string {
    return join(this.path, 'listeners');
  }

  /** The same, for the old process itself. */
  get ownSocket(): string {
    return join(this.path, 'own');
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

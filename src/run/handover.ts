// How one process hands its work to the next: what the running one tells, and the files it tells it in.
//
//   new                                      old
//   POST /api/takeover {}            ->      writes handover.json and sessions into a private directory, says where
//   restores, checks the servers,
//   listens on the same ports
//   POST /api/takeover { ticket }    ->      stops accepting (its accept queues emptied first), saves sessions anew,
//                                            answers, closes the admin server
//   takes in sessions it does not know,      finishes what is in flight, saves the last ones, ends
//   opens the admin server
//
// The directory is the proof: only the same user can read the ticket, and only the same user may share the ports
// (SO_REUSEPORT). So neither secrets nor sessions ever cross the API, and nobody else can make the balancer leave.

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FILE = 'handover.json';
const PRIVATE_MODE = 0o600;

/** What the next process needs to know beside the sessions. */
export interface Handover {
  readonly version: 1;
  readonly pid: number;
  /** Shows that the bearer could read the directory. */
  readonly ticket: string;
  /** Keys cookies and session hashes of pools that configure no secret. */
  readonly secret: string;
  readonly listeners: readonly { readonly address: string; readonly port: number }[];
  readonly adminUrl: string;
}

/** Makes the directory, readable by this user only. */
export function writeHandover(content: Omit<Handover, 'version' | 'pid' | 'ticket'>): {
  readonly directory: string;
  readonly ticket: string;
} {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-takeover-'));
  const handover: Handover = {
    version: 1,
    pid: process.pid,
    ticket: randomBytes(24).toString('hex'),
    ...content,
  };
  writeFileSync(join(directory, FILE), JSON.stringify(handover), { mode: PRIVATE_MODE });
  return { directory, ticket: handover.ticket };
}

/** Null when it cannot be read or is of another version. */
export function readHandover(directory: string): Handover | null {
  try {
    const value = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as Partial<Handover> | null;
    return value?.version === 1 ? (value as Handover) : null;
  } catch {
    return null;
  }
}

/** Where the sessions are. */
export function sessionsIn(directory: string): string {
  return join(directory, 'sessions');
}

export function removeHandover(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

export function isTicket(given: string, ticket: string): boolean {
  const [first, second] = [Buffer.from(given), Buffer.from(ticket)];
  return first.length === second.length && timingSafeEqual(first, second);
}

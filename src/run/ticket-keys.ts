// What session tickets are sealed with, on all threads, so that a client may resume on any of them, in the next process too.
//
// OpenSSL under Node has one key for a context: a new one ends the tickets of the old. So keys live long compared with tickets,
// and not longer, for who has the key can read sessions of TLS 1.2 that were resumed with it.
//
//   key kept beside sessions.file ── after KEY_LIFE_MS ──> another in its place

import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { messageOf } from '../base/message-of.ts';
import { isMissing, replaceFile } from '../base/private-files.ts';
import type { ListenConfig } from '../config/model.ts';
import type { TlsMaterial } from '../tls/certificate.ts';

const KEY_LIFE_MS = 12 * 60 * 60 * 1000;
const KEY_BYTES = 32;
/** Name, AES key and HMAC key. */
const TICKET_KEYS_BYTES = 48;
const CONTEXT_CHARS = 32;

/** For the process that takes over. */
export interface TicketKey {
  /** 64 hexadecimal digits. */
  readonly key: string;
  /** Wall time. */
  readonly madeMs: number;
}

export class TicketKeys {
  readonly #clock: Clock;
  readonly #log: Log;
  /** null: not kept over restarts. */
  readonly #path: string | null;
  #current: TicketKey;

  /** `inherited`: what the process before this one has. */
  constructor(sessionsFile: string | null, inherited: TicketKey | null, clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
    this.#path = sessionsFile === null ? null : `${sessionsFile}.tickets`;
    const kept = this.#kept();
    this.#current = inherited ?? kept ?? this.#make();
    // the process before kept it elsewhere, or nowhere
    if (inherited !== null && inherited.key !== kept?.key) this.#keep(inherited);
  }

  get current(): TicketKey {
    return this.#current;
  }

  /** True when it was time for another key. */
  rotate(): boolean {
    if (!this.#isOver(this.#current)) return false;
    this.#current = this.#make();
    return true;
  }

  /** The same for all threads and the next process, as long as address and authorities are the same. */
  of(
    { address, tls }: ListenConfig,
    { ca, crl }: TlsMaterial,
  ): { ticketKeys: Uint8Array; sessionContext: string } {
    const content = JSON.stringify([address, tls?.clientAuth, ca, crl]);
    const sessionContext = createHash('sha256').update(content).digest('hex').slice(0, CONTEXT_CHARS);
    const key = Buffer.from(this.#current.key, 'hex');
    const derived = hkdfSync('sha256', key, sessionContext, 'holdfast tickets', TICKET_KEYS_BYTES);
    return { ticketKeys: new Uint8Array(derived), sessionContext };
  }

  #isOver({ madeMs }: TicketKey): boolean {
    const ageMs = this.#clock.wallMs() - madeMs;
    return ageMs < 0 || ageMs > KEY_LIFE_MS;
  }

  #make(): TicketKey {
    const made = { key: randomBytes(KEY_BYTES).toString('hex'), madeMs: this.#clock.wallMs() };
    this.#keep(made);
    return made;
  }

  #keep({ key, madeMs }: TicketKey): void {
    if (this.#path === null) return;
    try {
      replaceFile(this.#path, Buffer.from(`${key} ${madeMs}\n`));
    } catch (error) {
      this.#log.warn(
        {},
        `${this.#path} cannot be written, TLS sessions end with this process: ${messageOf(error)}`,
      );
    }
  }

  #kept(): TicketKey | null {
    if (this.#path === null) return null;
    try {
      const match = /^([0-9a-f]{64}) (\d{1,15})$/.exec(readFileSync(this.#path, 'utf8').trim());
      if (match === null) return null;
      const kept = { key: match[1] ?? '', madeMs: Number(match[2]) };
      return this.#isOver(kept) ? null : kept;
    } catch (error) {
      if (!isMissing(error)) this.#log.warn({}, `${this.#path} cannot be read: ${messageOf(error)}`);
      return null;
    }
  }
}

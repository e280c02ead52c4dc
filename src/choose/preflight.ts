// Preflights of CORS: a browser asks whether a page may send a request to another origin. It sends no cookies with one, whatever
// it has, and keeps none of the answer (Fetch standard, section 4.8), so that a session begun for it would be nobody's: it would
// stand for a minute at a server that no one uses, in a pool with `maxSessions` instead of the user that it was sent for.

import type { RequestHead } from '../http1/message.ts';
import { type Affinity, Finding } from './affinity.ts';

const ASKED_METHOD = /^access-control-request-method:/im;

/** The request shows no session and begins none: any server answers it, also one that takes no more sessions. */
export function noteNobodys(buffer: Buffer, head: RequestHead, affinity: Affinity): void {
  if (head.method !== 'OPTIONS' || affinity.hasKey || affinity.isAdopted) return;
  if (affinity.arrival !== Finding.new && affinity.arrival !== Finding.none) return;
  affinity.isNobodys = ASKED_METHOD.test(buffer.toString('latin1', head.fieldsBegin, head.fieldsEnd));
  if (affinity.isNobodys) affinity.arrival = Finding.none;
}

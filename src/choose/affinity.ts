// What is known about one exchange's session while it runs. One per exchange, reused: plain fields of one shape.
//
// Written by the choose room only; the exchange reads outcome, moveReason and failure (for the access log and its reply).

import type { FailureKind } from '../base/failure.ts';
import { AFFINITY_OUTCOMES, type AffinityOutcome, MOVE_REASONS, type MoveReason } from '../shared/stripe.ts';
import { COOKIE_TEXT_MAX } from './own-cookie.ts';
import { OwnCookie } from './own-cookie-parts.ts';

/** Indices into AFFINITY_OUTCOMES. */
export const Finding = {
  none: outcomeIndex('none'),
  new: outcomeIndex('new'),
  home: outcomeIndex('home'),
  moved: outcomeIndex('moved'),
  refused: outcomeIndex('refused'),
  invalid: outcomeIndex('invalid'),
  expired: outcomeIndex('expired'),
  overflow: outcomeIndex('overflow'),
  adopted: outcomeIndex('adopted'),
  limited: outcomeIndex('limited'),
} as const;

/** Indices into MOVE_REASONS. */
export const Reason = {
  none: -1,
  failure: reasonIndex('failure'),
  operator: reasonIndex('operator'),
  removed: reasonIndex('removed'),
} as const;

export type ChoiceFailure =
  | Extract<FailureKind, 'no-server' | 'home-down' | 'session-lost'>
  | 'busy'
  | 'full'
  | 'paced';

/** Cookies of one name in a request that are looked at: browsers send one for each path and domain. */
export const SHOWN_MAX = 8;
/** Cookies of one answer that are looked at. */
export const SAID_MAX = 8;

export class Affinity {
  /** The session key; meaningful with hasKey. */
  keyLow = 0;
  keyHigh = 0;
  hasKey = false;
  /** Session keys of all values that the request shows under the name, by turns low and high; those known, resolved. */
  readonly shown: Int32Array = new Int32Array(2 * SHOWN_MAX);
  /** Which name each is shown under, where only the begin of the name is known: `nameOf` in cookie-scope.ts, else ANY_NAME. */
  readonly shownNames: Int32Array = new Int32Array(SHOWN_MAX);
  shownCount = 0;
  /** The key as the first secret has it, when the table knows the session by an older one: due to become an alias. */
  newLow = 0;
  newHigh = 0;
  hasOldKey = false;
  /** Entry of the alias by which the session was found, -1 for none. */
  foundBy = -1;
  /** Which of the plan's sources has named the session, -1 for none. */
  source = -1;
  /** Scope of a cookie that the application sets without a path. */
  defaultScope = 0;
  /** The session has been ended: what the request has shown is none any more, whatever its answer sets. */
  isEnded = false;
  /** The request asks to delete what it names. */
  isDelete = false;
  /** What the request is for, where a session may begin or end there: `placeOf` in cookie-scope.ts, else 0. */
  place = 0;
  /** The session counts only because of this exchange's tunnel: its client has not shown the key again. */
  isByTunnel = false;
  /** The session's entry in the table, held busy; -1 when there is none. */
  entry = -1;
  /** The session's home: packed, and its slot. -1 when it has none, or none that is still of this pool. */
  home = -1;
  homeSlot = -1;
  /** The home is of a server that is no longer of the pool: only a move can help. */
  isHomeRemoved = false;
  /** The home is the one that a cookie of the balancer before us names. */
  isAdopted = false;
  /** By the latest choice only the home will do: a request that waits waits for that. */
  isHomeOnly = false;
  /** The session began with this exchange: it may still be placed elsewhere, or be taken back. */
  isBorn = false;
  /** A response head has arrived, so that what was reserved is kept. */
  isAnswered = false;
  /** The client's address has begun too many sessions: this request is served without one. */
  isLimited = false;
  /** It is a preflight: this request is served without one, too. */
  isNobodys = false;
  /** Who asks, for that limit. */
  clientAddress = '';
  /** The latest choice is for this request only; the session stays where it is. */
  isOverflow = false;
  /** Slot of a session that is counted on but has no key yet, or has not arrived yet; -1 for none. */
  reservedSlot = -1;
  /** What identify found when it is not a home: Finding.new, invalid, expired or none. */
  arrival: number = Finding.none;
  /** Index into AFFINITY_OUTCOMES. */
  outcome: number = Finding.none;
  /** A failure has driven the session from its home: it moves when the server that it goes to has taken it. */
  isLeaving = false;
  /** Why the latest choice is not the home: counted by commit. */
  pendingReason: number = Reason.none;
  /** Index into MOVE_REASONS, -1 when the session did not move with this exchange. */
  moveReason: number = Reason.none;
  /** Set-Cookie value that went out with the response head, '' for none. */
  cookieToSet = '';
  /** Why choose returned -1; null otherwise. */
  failure: ChoiceFailure | null = null;
  /** The exchange has begun and is not finished: the outcome is still to be counted. */
  isOpen = false;
  /** The client's cookie, or the new one, says something else than the table: it is due a new one. */
  isCookieDue = false;
  /** `cookie` holds the client's cookie, checked, or the newly minted one. */
  isCookieOpen = false;
  /** The balancer's own cookie of this exchange. */
  readonly cookie: OwnCookie = new OwnCookie();
  /** Its characters as the client sent them, for a move that is decided later, and how many they are. */
  cookieLength = 0;
  readonly cookieText: Buffer = Buffer.alloc(COOKIE_TEXT_MAX);

  /** Keys that the answer has set, or has ended: low and high words by turns. */
  readonly said: Int32Array = new Int32Array(2 * SAID_MAX);
  saidCount = 0;

  say(keyLow: number, keyHigh: number): void {
    if (this.saidCount === SAID_MAX) return;
    this.said[2 * this.saidCount] = keyLow;
    this.said[2 * this.saidCount + 1] = keyHigh;
    this.saidCount += 1;
  }

  /** A new exchange begins, of a client at this address. */
  begin(clientAddress: string): void {
    this.reset();
    this.isOpen = true;
    this.clientAddress = clientAddress;
  }

  reset(): void {
    this.keyLow = 0;
    this.keyHigh = 0;
    this.hasKey = false;
    this.shownCount = 0;
    this.saidCount = 0;
    this.hasOldKey = false;
    this.foundBy = -1;
    this.source = -1;
    this.defaultScope = 0;
    this.isEnded = false;
    this.isDelete = false;
    this.place = 0;
    this.isByTunnel = false;
    this.cookieLength = 0;
    this.entry = -1;
    this.home = -1;
    this.homeSlot = -1;
    this.isHomeRemoved = false;
    this.isAdopted = false;
    this.isHomeOnly = false;
    this.isBorn = false;
    this.isAnswered = false;
    this.isLimited = false;
    this.isNobodys = false;
    this.clientAddress = '';
    this.isOverflow = false;
    this.reservedSlot = -1;
    this.arrival = Finding.none;
    this.outcome = Finding.none;
    this.isLeaving = false;
    this.pendingReason = Reason.none;
    this.moveReason = Reason.none;
    this.cookieToSet = '';
    this.failure = null;
    this.isOpen = false;
    this.isCookieDue = false;
    this.isCookieOpen = false;
  }
}

function outcomeIndex(name: AffinityOutcome): number {
  return AFFINITY_OUTCOMES.indexOf(name);
}

function reasonIndex(name: MoveReason): number {
  return MOVE_REASONS.indexOf(name);
}

// Sessions that the application begins and ends: read from the Set-Cookie fields, or the session header, of its
// response. The server that set the key is the session's home.
//
// The first key of a session is its entry; every later one is an alias of it. So a value that the application has
// replaced still leads home, for requests that are under way with it and until it is idle, and the session counts once
// whatever its values: a renewed id (PHP, log-in), a value that rolls with each answer (Flask, Rails).
//
// Which session of the request does a cookie replace or delete? The one with its scope, its domain and path: another
// application of the same servers may use the same name for another path (Tomcat's contexts).

import { Field, type ResponseHead } from '../http1/message.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { type AddressLimit, mayBegin } from './address-limit.ts';
import { type Affinity, Finding } from './affinity.ts';
import { ANY_NAME, WHOLE_HOST } from './cookie-scope.ts';
import type { Ledger } from './ledger.ts';
import type { PoolPlan } from './plan.ts';
import { NO_SCOPE, readSignals, type SessionSignal, said } from './session-signals.ts';

const NONE = -1;
const NOT_FOUND = 404;

export class Learning {
  readonly #shared: SharedState;
  readonly #ledger: Ledger;

  constructor(shared: SharedState, ledger: Ledger) {
    this.#shared = shared;
    this.#ledger = ledger;
  }

  /** Takes over what the response head of server `index` says about sessions; new ones within the limit. */
  learn(
    plan: PoolPlan,
    limit: AddressLimit,
    affinity: Affinity,
    index: number,
    buffer: Buffer,
    head: ResponseHead,
    nowMs: number,
    wallMs: number,
  ): void {
    const isHeader = plan.sources[affinity.source]?.kind === 'header';
    if (isHeader && this.#isOver(plan, affinity, head, nowMs)) return;
    const count = readSignals(plan, affinity, buffer, head, wallMs);
    const hasEntry = this.#ledger.holdsEntry(affinity);
    if (count === 0 && hasEntry && this.#isAccepted(plan, affinity, head)) this.#confirm(affinity);
    for (let at = 0; at < count; at += 1) {
      const one = said[at] as SessionSignal;
      if (one.isDeletion) {
        if (one.source === affinity.source) this.#end(plan, affinity, one, nowMs);
        continue;
      }
      affinity.say(one.low, one.high);
      this.#set(plan, limit, affinity, index, one, nowMs);
    }
  }

  /**
   * Protocols that name the session in a header (MCP) end it with DELETE, at the place where it began, and answer 404 to one
   * that is over. Other applications delete something else and have not found something else: then the session does not
   * count any more, but its key still leads home, and it counts again when it is accepted.
   */
  #isOver(plan: PoolPlan, affinity: Affinity, head: ResponseHead, nowMs: number): boolean {
    const isNotFound = head.status === NOT_FOUND;
    const isDeleted = affinity.isDelete && head.status >= 200 && head.status < 300;
    if ((!isNotFound && !isDeleted) || !this.#ledger.holdsEntry(affinity)) return false;
    const { entry, place } = affinity;
    if (isDeleted && this.#shared.table.marks.scope(entry) === place)
      this.#endEntry(plan, affinity, entry, nowMs);
    else if (this.#ledger.suspend(affinity, 'logout')) this.#shared.table.marks.deny(affinity.entry);
    return true;
  }

  /**
   * Does the answer say that the key the client has shown again is a living session? Only where any server could know
   * it: with state local a key that the balancer has not seen set is most likely one whose server has lost it.
   */
  #isAccepted(plan: PoolPlan, affinity: Affinity, head: ResponseHead): boolean {
    if (head.status >= 400) return false;
    if (this.#shared.table.marks.isDenied(affinity.entry)) return true;
    return plan.config.state === 'shared' && !affinity.isBorn;
  }

  #confirm(affinity: Affinity): void {
    const { marks } = this.#shared.table;
    if (marks.isDenied(affinity.entry)) marks.setScope(affinity.entry, NO_SCOPE);
    this.#ledger.confirm(affinity);
  }

  #set(
    plan: PoolPlan,
    limit: AddressLimit,
    affinity: Affinity,
    index: number,
    { source, scope, low, high }: SessionSignal,
    nowMs: number,
  ): void {
    const { table } = this.#shared;
    const known = table.resolve(low, high);
    if (affinity.isEnded && isShown(affinity, table.resolvedLow, table.resolvedHigh)) return;
    if (known !== NONE) {
      const isHeld = known === affinity.entry;
      this.#ledger.confirmEntry(known);
      if (table.marks.scope(known) === NO_SCOPE) table.marks.setScope(known, scope);
      if (!isHeld && affinity.entry === NONE) this.#ledger.hold(plan, affinity, known, nowMs);
      return;
    }
    if (source !== affinity.source && this.#addName(plan, affinity, index, low, high, nowMs)) return;
    const replaced = this.#sessionOf(affinity, scope, affinity.shownCount === 1);
    if (replaced !== NONE && !table.isTentative(replaced) && this.#isSetAtHome(plan, replaced, index)) {
      if (scope !== NO_SCOPE) table.marks.setScope(replaced, scope);
      this.#ledger.addAlias(low, high, replaced, nowMs);
      return;
    }
    const hasEntry = this.#ledger.holdsEntry(affinity);
    if (!hasEntry && !mayBegin(limit, affinity, nowMs)) return;
    this.#begin(plan, affinity, index, low, high, nowMs);
    // not before it counts: its place would look free meanwhile
    this.#ledger.unreserve(affinity);
    const begun = table.find(low, high);
    if (begun !== NONE) table.marks.setScope(begun, scope === NO_SCOPE ? affinity.place : scope);
    affinity.source = source;
  }

  /** The session that the request is of gets one more name, in another place than it was known by. False: it is of none. */
  #addName(
    plan: PoolPlan,
    affinity: Affinity,
    index: number,
    low: number,
    high: number,
    nowMs: number,
  ): boolean {
    const ledger = this.#ledger;
    if (!ledger.holdsEntry(affinity) || !this.#isSetAtHome(plan, affinity.entry, index)) return false;
    ledger.confirm(affinity);
    ledger.addAlias(low, high, affinity.entry, nowMs);
    return true;
  }

  /** A server that is not the home has begun a session of its own, unless any server can serve any session. */
  #isSetAtHome(plan: PoolPlan, entry: number, index: number): boolean {
    return plan.config.state === 'shared' || this.#shared.table.home(entry) === plan.homes[index];
  }

  /** A session of its own. A key that was only a route gives way to it, unless other requests are still on that route. */
  #begin(plan: PoolPlan, affinity: Affinity, index: number, low: number, high: number, nowMs: number): void {
    const ledger = this.#ledger;
    if (affinity.outcome === Finding.none) affinity.outcome = Finding.new;
    if (ledger.holdsEntry(affinity)) {
      if (ledger.isReal(affinity)) {
        ledger.add(plan, low, high, index, nowMs);
        return;
      }
      ledger.giveWay(affinity, nowMs);
    }
    affinity.keyLow = low;
    affinity.keyHigh = high;
    affinity.hasKey = true;
    affinity.isBorn = false;
    ledger.begin(plan, affinity, index, nowMs, false);
  }

  #end(plan: PoolPlan, affinity: Affinity, { scope, name }: SessionSignal, nowMs: number): void {
    const entry = this.#sessionOf(affinity, scope, false, name);
    if (entry !== NONE) this.#endEntry(plan, affinity, entry, nowMs);
  }

  #endEntry(plan: PoolPlan, affinity: Affinity, entry: number, nowMs: number): void {
    const { table } = this.#shared;
    affinity.say(table.keyLow(entry), table.keyHigh(entry));
    this.#ledger.logOut(plan, affinity, entry, nowMs);
  }

  /**
   * The session of the request whose cookie has the scope, -1 for none. One of unknown scope is taken for the whole
   * host's, and when `isAny` for that of any. Where there are no scopes it is the session held. With a `name` only what is
   * shown under it.
   */
  #sessionOf(affinity: Affinity, scope: number, isAny: boolean, name = ANY_NAME): number {
    const { table } = this.#shared;
    if (scope === NO_SCOPE) return this.#ledger.holdsEntry(affinity) ? affinity.entry : NONE;
    let unknown = NONE;
    for (let at = 0; at < affinity.shownCount; at += 1) {
      if (name !== ANY_NAME && affinity.shownNames[at] !== name) continue;
      const entry = table.resolve(affinity.shown[2 * at] as number, affinity.shown[2 * at + 1] as number);
      if (entry === NONE) continue;
      const known = table.marks.scope(entry);
      if (known === scope) return entry;
      if (known === NO_SCOPE && unknown === NONE) unknown = entry;
    }
    return scope === WHOLE_HOST || isAny ? unknown : NONE;
  }
}

function isShown({ shown, shownCount }: Affinity, low: number, high: number): boolean {
  for (let at = 0; at < shownCount; at += 1)
    if (shown[2 * at] === low && shown[2 * at + 1] === high) return true;
  return false;
}

/** `x-holdfast-session: end`. The field itself never reaches the client, like all x-holdfast-*. */
export function saysSessionEnds(buffer: Buffer, head: ResponseHead): boolean {
  const { lines } = head;
  for (let line = 0; line < lines.count; line += 1) {
    if (lines.field[line] !== Field.holdfast) continue;
    const begin = lines.lineBegin[line] as number;
    const end = lines.valueEnd[line] as number;
    if (/^x-holdfast-session: *end$/i.test(buffer.toString('latin1', begin, end))) return true;
  }
  return false;
}

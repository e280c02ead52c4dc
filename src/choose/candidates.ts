// The servers that may take a new session now, gathered into reusable arrays.
//
// Groups, the first with a member wins: primaries up, primaries starting, backups up, backups starting. Ready mode
// and a weight above 0 are always asked for. Servers already tried by the exchange count only when nobody else is
// left; those that refused a connection a moment ago do not count at all. Members at their connection limit are left out of
// the candidates but keep their group the chosen one: a backup is for servers that are down, not for servers that are busy.
// So are those that have all the sessions they may have.
//
// Who may be chosen changes rarely. What was gathered stands until a verdict, mode or weight changes (main counts the
// changes), so that a request costs the same with two servers and with a thousand. It does not stand for a request that has
// tried servers, while a server that has just refused is held, nor in pools with limits on sessions. Connection limits are
// looked at when a server is picked:
//
//   standing ── the one picked is busy ──> gathered for each request ── nobody is busy any more ──> standing

import { type ControlCells, Mode, Verdict } from '../shared/control.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Refusals } from './refusals.ts';

/** The part of a pool's plan that is read here. */
export interface CandidatePool {
  /** Slot of each server, by its place in the configuration. */
  readonly slots: Int32Array;
  /** Places of the servers that are no backups, and of those that are. */
  readonly primaries: Int32Array;
  readonly backups: Int32Array;
  /** Connection limit of each server, 0 for none. */
  readonly connectionsMax: Int32Array;
  /** Most sessions of each server, 0 for no limit. */
  readonly sessionsMax: Int32Array;
}

/** busy: all at their connection limit. full: none takes another session, whatever it has room for otherwise. */
export const Gathered = { some: 0, busy: 1, full: 2, none: 3 } as const;
export type Gathered = (typeof Gathered)[keyof typeof Gathered];

/** Stands for a slot, of a request that is served without a session. */
export const NEEDS_NO_PLACE = -2;

export class Candidates {
  /** Places in the pool's configuration, valid up to `count`. */
  readonly indices: Int32Array;
  count = 0;
  /** Effective weight of each candidate, and the sum of it and of those before it. */
  readonly weights: Float64Array;
  readonly weightsEnd: Float64Array;
  /** Scratch of the policies: a load per candidate, lower is better. */
  readonly loads: Float64Array;
  /** When they were gathered. */
  nowMs = 0;
  readonly #limitsSessions: boolean;
  /** Some server was at its connection limit when they were gathered last with an eye on that. */
  #sawBusy = false;
  #refusals = NO_REFUSALS;
  #tried: readonly number[] = NOBODY;
  /** `ControlCells.eligibility` of what was gathered; NONE_STANDS: it was for one request only. */
  #standsFor = NONE_STANDS;
  /** Slot that counts the session of the request already. */
  #countedSlot = NONE_STANDS;

  constructor(sessionsMax: Int32Array) {
    const { length } = sessionsMax;
    this.indices = new Int32Array(length);
    this.weights = new Float64Array(length);
    this.weightsEnd = new Float64Array(length);
    this.loads = new Float64Array(length);
    this.#limitsSessions = sessionsMax.some((most) => most > 0);
  }

  /** Of all candidates. */
  get weightSum(): number {
    return this.count === 0 ? 0 : (this.weightsEnd[this.count - 1] as number);
  }

  /**
   * Fills `indices`. O(servers) when something has changed, else O(1). One of them may be at its connection limit: see
   * `gatherFree`. `countedSlot`: the server that counts the request's session already, -1 for none; NEEDS_NO_PLACE where it
   * is of no session.
   */
  gather(
    plan: CandidatePool,
    shared: SharedState,
    tried: readonly number[],
    refusals: Refusals,
    countedSlot: number,
    nowMs: number,
  ): Gathered {
    this.nowMs = nowMs;
    this.#countedSlot = countedSlot;
    this.#refusals = refusals;
    this.#tried = tried;
    const isAsUsual = tried.length === 0 && refusals.isQuiet(nowMs);
    if (!isAsUsual || this.#sawBusy || this.#limitsSessions) return this.gatherFree(plan, shared);
    if (this.#standsFor === shared.control.eligibility()) return Gathered.some;
    const eligibility = shared.control.eligibilityInOrder();
    const gathered = this.#gatherAny(plan, shared, false);
    this.#standsFor = gathered === Gathered.some ? eligibility : NONE_STANDS;
    return gathered;
  }

  /** The same for this request alone, without servers that are at a limit. O(servers). */
  gatherFree(plan: CandidatePool, shared: SharedState): Gathered {
    this.#standsFor = NONE_STANDS;
    this.#sawBusy = false;
    return this.#gatherAny(plan, shared, true);
  }

  #weigh(plan: CandidatePool, shared: SharedState): void {
    let sum = 0;
    for (let at = 0; at < this.count; at += 1) {
      const weight = shared.control.weight(plan.slots[this.indices[at] as number] as number);
      sum += weight;
      this.weights[at] = weight;
      this.weightsEnd[at] = sum;
    }
  }

  #gatherAny(plan: CandidatePool, shared: SharedState, withLimits: boolean): Gathered {
    let gathered = this.#gatherGroups(plan, shared, this.#tried, withLimits);
    if (gathered === Gathered.none && this.#tried.length > 0)
      gathered = this.#gatherGroups(plan, shared, NOBODY, withLimits);
    this.#weigh(plan, shared);
    return gathered;
  }

  #gatherGroups(
    plan: CandidatePool,
    shared: SharedState,
    tried: readonly number[],
    withLimits: boolean,
  ): Gathered {
    for (let group = 0; group < 4; group += 1) {
      const members = group < 2 ? plan.primaries : plan.backups;
      const verdict = (group & 1) === 0 ? Verdict.up : Verdict.starting;
      const gathered = this.#gatherGroup(plan, shared, members, verdict, tried, withLimits);
      if (gathered !== Gathered.none) return gathered;
    }
    return Gathered.none;
  }

  #gatherGroup(
    plan: CandidatePool,
    shared: SharedState,
    members: Int32Array,
    verdict: Verdict,
    tried: readonly number[],
    withLimits: boolean,
  ): Gathered {
    let count = 0;
    let isAnyBusy = false;
    let isAnyFull = false;
    for (let at = 0; at < members.length; at += 1) {
      const index = members[at] as number;
      const slot = plan.slots[index] as number;
      if (!takesNewSessions(shared.control, slot, verdict) || tried.includes(slot)) continue;
      if (this.#refusals.isHeld(slot, this.nowMs)) continue;
      if (withLimits && isFull(plan, shared, index)) {
        isAnyBusy = true;
        continue;
      }
      if (withLimits && this.#needsPlace(slot) && hasAllSessions(plan, shared, index)) {
        isAnyFull = true;
        continue;
      }
      this.indices[count] = index;
      count += 1;
    }
    this.count = count;
    if (isAnyBusy) this.#sawBusy = true;
    if (count > 0) return Gathered.some;
    if (isAnyFull) return Gathered.full;
    return isAnyBusy ? Gathered.busy : Gathered.none;
  }

  #needsPlace(slot: number): boolean {
    return this.#countedSlot !== NEEDS_NO_PLACE && this.#countedSlot !== slot;
  }
}

/** Is the server at its connection limit, over all threads? */
export function isFull(plan: CandidatePool, shared: SharedState, index: number): boolean {
  const connectionsMax = plan.connectionsMax[index] as number;
  return connectionsMax > 0 && shared.inFlight(plan.slots[index] as number) >= connectionsMax;
}

/** Does the server have as many sessions as it may have, over all threads? */
export function hasAllSessions(plan: CandidatePool, shared: SharedState, index: number): boolean {
  const sessionsMax = plan.sessionsMax[index] as number;
  return sessionsMax > 0 && shared.placedSessionsMost(plan.slots[index] as number) >= sessionsMax;
}

function takesNewSessions(control: ControlCells, slot: number, verdict: Verdict): boolean {
  return control.verdict(slot) === verdict && control.mode(slot) === Mode.ready && control.weight(slot) > 0;
}

const NOBODY: readonly number[] = [];
const NONE_STANDS = -1;
const NO_REFUSALS = new Refusals();

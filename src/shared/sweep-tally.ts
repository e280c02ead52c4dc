// What main's sweep over the session table takes along: limits by slot in, counts by slot out.

import { SLOTS_MAX } from './limits.ts';

/** A limit in tenths of a second that no session reaches. */
export const NEVER = 0x7fff_ffff;

/** What one pass over the table needs to know and finds out; arrays by slot unless said otherwise. */
export interface SweepTally {
  nowMs: number;
  /** Entries born under this epoch are left to the next pass. */
  epoch: number;
  /** The slot's generation now; other generations are strangers, kept under `strangerIdleTenths`. */
  readonly generation: Int32Array;
  /** Tenths of a second, as the next three. */
  readonly idleTenths: Int32Array;
  readonly tentativeIdleTenths: Int32Array;
  readonly lifeTenths: Int32Array;
  strangerIdleTenths: number;
  readonly sessions: Int32Array;
  readonly tentative: Int32Array;
  /** Other keys of sessions than the first. */
  readonly aliases: Int32Array;
  /** Sum of the sessions' request rates (requests per second of age), and of their squares. */
  readonly rateSum: Float64Array;
  readonly rateSquares: Float64Array;
  /** A rate above this makes a session a candidate for the hottest. */
  readonly hotAbove: Float64Array;
  /** Used entries seen, of any kind. */
  entries: number;
  /** Entries found expired in the latest slice: the first `expiredCount` are valid. Not yet removed. */
  readonly expired: Int32Array;
  expiredCount: number;
  /** Candidates for the hottest found in the latest slice. */
  readonly hot: Int32Array;
  hotCount: number;
}

/** Added to a session's age when its rate is computed, so that three requests in the first second are no storm. */
export const RATE_SMOOTHING_SECONDS = 10;

/** A tally whose slice lists hold `sliceEntries`; limits are never reached until they are set. */
export function createTally(sliceEntries: number): SweepTally {
  const perSlot = (): Int32Array => new Int32Array(SLOTS_MAX);
  return {
    nowMs: 0,
    epoch: 0,
    generation: perSlot().fill(-1),
    idleTenths: perSlot().fill(NEVER),
    tentativeIdleTenths: perSlot().fill(NEVER),
    lifeTenths: perSlot().fill(NEVER),
    strangerIdleTenths: NEVER,
    sessions: perSlot(),
    tentative: perSlot(),
    aliases: perSlot(),
    rateSum: new Float64Array(SLOTS_MAX),
    rateSquares: new Float64Array(SLOTS_MAX),
    hotAbove: new Float64Array(SLOTS_MAX),
    entries: 0,
    expired: new Int32Array(sliceEntries),
    expiredCount: 0,
    hot: new Int32Array(sliceEntries),
    hotCount: 0,
  };
}

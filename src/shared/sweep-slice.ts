// One slice of main's sweep over the session table.

import type { EntryHolds } from './entry-holds.ts';
import { ALIAS } from './entry-marks.ts';
import {
  BIRTH_MASK,
  BUCKET_ENTRIES,
  ENTRY_WORDS,
  GENERATION_MASK,
  SLOT_BITS,
  SLOT_MASK,
  TENTATIVE,
  Word,
} from './entry-words.ts';
import { RATE_SMOOTHING_SECONDS, type SweepTally } from './sweep-tally.ts';

/** An alias is looked at more closely this often in the idle time: is its session in use? */
export const ALIAS_LOOKS = 8;
/** The key of a session that its user has ended stays for so long: requests that were sent before are answered by then. */
export const OVER_MS = 60_000;
const OVER_TENTHS = OVER_MS / 100;

/**
 * Main's sweep over entries [begin, end), both of whole buckets: counts each under its home, settles it, and lists the
 * expired and the hot ones in the tally, whose lists must have room for the whole slice. About 10 ns per entry. Buckets in
 * which there has never been one are passed over: a table costs what it holds, not what it has room for.
 */
export function sweepSlice(
  words: Int32Array,
  everUsed: Uint8Array,
  holds: EntryHolds,
  begin: number,
  end: number,
  now: number,
  tally: SweepTally,
): void {
  tally.expiredCount = 0;
  tally.hotCount = 0;
  const last = end / BUCKET_ENTRIES;
  for (let bucket = begin / BUCKET_ENTRIES; bucket < last; bucket += 1) {
    if (everUsed[bucket] === 0) continue;
    const first = bucket;
    while (bucket < last && everUsed[bucket] !== 0) bucket += 1;
    sweepEntries(words, holds, first * BUCKET_ENTRIES, bucket * BUCKET_ENTRIES, now, tally);
  }
}

function sweepEntries(
  words: Int32Array,
  holds: EntryHolds,
  begin: number,
  end: number,
  now: number,
  tally: SweepTally,
): void {
  for (let entry = begin; entry < end; entry += 1) {
    const base = entry * ENTRY_WORDS;
    if (words[base] === 0) continue;
    tally.entries += 1;
    if (words[base + Word.mark] === ALIAS) {
      const slot = (words[base + Word.home] as number) & SLOT_MASK;
      const isOver = words[base + Word.created] === 0;
      if (!isOver) tally.aliases[slot] = (tally.aliases[slot] as number) + 1;
      const limit = isOver ? OVER_TENTHS : (tally.idleTenths[slot] as number) / ALIAS_LOOKS;
      if (now - (words[base + Word.seen] as number) > limit) {
        tally.expired[tally.expiredCount] = entry;
        tally.expiredCount += 1;
      }
      continue;
    }
    const flags = words[base + Word.flags] as number;
    const birth = flags & BIRTH_MASK;
    if (birth !== 0) {
      if (birth === tally.epoch) continue;
      Atomics.and(words, base + Word.flags, ~BIRTH_MASK);
    }
    const isTentative = (flags & TENTATIVE) !== 0;
    const home = words[base + Word.home] as number;
    const slot = home & SLOT_MASK;
    const isStranger = ((home >>> SLOT_BITS) & GENERATION_MASK) !== tally.generation[slot];
    const age = now - (words[base + Word.created] as number);
    const limits = isTentative ? tally.tentativeIdleTenths : tally.idleTenths;
    const idleLimit = isStranger ? tally.strangerIdleTenths : (limits[slot] as number);
    const isIdle = now - (words[base + Word.seen] as number) > idleLimit && holds.sum(entry) === 0;
    if (isIdle || (!isStranger && age > (tally.lifeTenths[slot] as number))) {
      tally.expired[tally.expiredCount] = entry;
      tally.expiredCount += 1;
      continue;
    }
    if (isStranger) continue;
    if (isTentative) {
      tally.tentative[slot] = (tally.tentative[slot] as number) + 1;
      continue;
    }
    tally.sessions[slot] = (tally.sessions[slot] as number) + 1;
    const rate = (words[base + Word.requests] as number) / (age / 10 + RATE_SMOOTHING_SECONDS);
    tally.rateSum[slot] = (tally.rateSum[slot] as number) + rate;
    tally.rateSquares[slot] = (tally.rateSquares[slot] as number) + rate * rate;
    if (rate <= (tally.hotAbove[slot] as number)) continue;
    tally.hot[tally.hotCount] = entry;
    tally.hotCount += 1;
  }
}

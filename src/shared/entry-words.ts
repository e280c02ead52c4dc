// An entry of the session table, word by word.
//
//   entry, 8 × Int32
//   0 keyLow      never 0 in a used entry; written last on insert, cleared first on removal
//   1 keyHigh
//   2 home        slot (12 bits) | generation (19 bits) << 12
//   3 created     tenths of a second since the table's epoch
//   4 seen        tenths of a second since the table's epoch
//   5 requests
//   6 flags       birth epoch (8 bits) | tentative << 8 | moved << 9 | where from, when moved << 10 (move-notes.ts)
//   7 mark        what kind of key the entry is for (entry-marks.ts)
//
// An entry may also be an alias, another key of a session: then 3 and 5 are the session's key (entry-marks.ts).

/** Entries of a bucket. */
export const BUCKET_ENTRIES = 8;
export const ENTRY_WORDS = 8;
export const Word = {
  keyLow: 0,
  keyHigh: 1,
  home: 2,
  created: 3,
  seen: 4,
  requests: 5,
  flags: 6,
  mark: 7,
} as const;
export const BIRTH_MASK = 0xff;
export const TENTATIVE = 1 << 8;
export const MOVED = 1 << 9;
export const SLOT_BITS = 12;
export const SLOT_MASK = (1 << SLOT_BITS) - 1;
export const GENERATION_MASK = (1 << 19) - 1;

// What a server asks of the store and what the store answers. Pure vocabulary: the scripts, the link to a real store and
// the model in the tests all speak it.
//
// The record of one session in the store, under a keyed hash of its id:
//
//   tenure    whole number, raised each time another server takes the session: a fencing token
//   owner     the server process that has it
//   claimed   when the claim of its owner was to arrive at the latest; an older claim comes too late
//   version   raised by each write
//   writer    the server process that made that version; differs from the owner until the owner writes
//   data      the session
//   unsure    put into a store that had lost the record by who may have missed that another had taken the session
//   life      of the record; the store's clock alone decides it
//
// After a destroy a tombstone stands in its place and refuses every write.

/** An operation on the store. Life is in milliseconds from now; 0 ends the record at once. */
export type Operation =
  /**
   * Take the session, with its next tenure, before the store's clock says `untilMs` (0: whenever). Claims carry it so
   * that one which was under way for long does not take the session from whoever claimed it meanwhile.
   */
  | { readonly kind: 'claim'; readonly key: string; readonly untilMs: number }
  /**
   * Put a version. `tenure` 0: made here without knowing whether there is a record. `isUnsure`: another may have taken the
   * session without this server's having heard. If the store has lost the record, nobody is given it so before all who
   * live have had the time to write back what they have. `dataSet`: where there is no record, it is put into that set of
   * data alone, null: into any. One that was under way for long does not come back into a store that was emptied meanwhile.
   * `untilMs`: as for a claim; one sent before a claim of this server is older than what that has found.
   */
  | {
      readonly kind: 'write';
      readonly key: string;
      readonly tenure: number;
      readonly version: number;
      readonly data: string;
      readonly lifeMs: number;
      readonly isUnsure: boolean;
      readonly dataSet: string | null;
      readonly untilMs: number;
    }
  /** Renew the life; also asks whether the record is still what this server believes. */
  | {
      readonly kind: 'touch';
      readonly key: string;
      readonly tenure: number;
      readonly version: number;
      readonly lifeMs: number;
    }
  /** Put a tombstone for `lifeMs`. */
  | { readonly kind: 'destroy'; readonly key: string; readonly lifeMs: number }
  /** Which set of data is this? `isRefilling`: this server still writes back what an emptied store has lost. */
  | { readonly kind: 'hello'; readonly isRefilling: boolean };

/** What became of an operation. */
export type Outcome =
  /** away: no answer, whether or not it was carried out. The store refused: full, whatever it were; error, this. */
  | { readonly kind: 'failed'; readonly why: 'away' | 'full' | 'error' }
  | {
      readonly kind: 'claimed';
      readonly tenure: number;
      /** The tenure that stood there. */
      readonly before: number;
      readonly version: number;
      readonly data: string;
      readonly lifeMs: number;
      /** The owner before, null when that was this server or nobody. */
      readonly from: string | null;
      /** It is kept in a way that is given up: sealed with a secret that will go. */
      readonly mustRewrite?: boolean;
    }
  /** To a claim: no such session. */
  | { readonly kind: 'unknown' }
  /**
   * To a claim: not there, or put there by who is unsure, but the store may have lost data and others may still write it
   * back.
   */
  | { readonly kind: 'again' }
  /** The store has it; tenure and version as they are now. `isUnsure`: which does not say that it is still ours. */
  | {
      readonly kind: 'accepted';
      readonly tenure: number;
      readonly version: number;
      readonly isUnsure?: true;
    }
  /** To a touch: the record is missing or older than it should be. */
  | { readonly kind: 'behind' }
  /** Another server has the session, with this tenure. */
  | { readonly kind: 'stale'; readonly tenure: number }
  /** A tombstone stands there. */
  | { readonly kind: 'destroyed' }
  /** To a claim: it came after its time, or after a claim that was made later. To a write: it is for another set of data. */
  | { readonly kind: 'late' }
  /** `dataSet` changes when the store loses its data; `run` when it is another process, null where it does not say. */
  | {
      readonly kind: 'hello';
      readonly dataSet: string;
      readonly run: string | null;
      /** The store's clock. */
      readonly storeMs: number;
    };

/** The way to the store. `reply` is called exactly once for each operation, later or at once. */
export interface StoreLink {
  readonly isUp: boolean;
  send(operation: Operation, reply: (outcome: Outcome) => void): void;
}

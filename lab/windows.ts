// The times an experiment is divided by.

/** In milliseconds since the begin. */
export interface Windows {
  /** Steady load begins here. */
  readonly steadyMs: number;
  /** The fault happens here; without a fault the end of the load. */
  readonly faultMs: number;
  /** From here on requests by server are counted as "after": the fault, or a little later when it takes time. */
  readonly changedMs: number;
  readonly endMs: number;
  /** Longest life of a session; a 401 after it is no loss. */
  readonly lifeMs: number;
}

// Exit statuses of every command.

export const EXIT_OK = 0;
/** The command ran and the answer is no: an invalid configuration, a refused change. */
export const EXIT_FAILED = 1;
/** The command line itself was wrong. */
export const EXIT_USAGE = 2;
/** What was waited for had not come by the deadline: sessions were left (`drain --wait`), not up (`ready --wait`). */
export const EXIT_LATE = 3;
/** Nobody reads standard output any more: nothing went wrong, nor did all go well. */
export const EXIT_READER_GONE = 141;
/** `status --check`. */
export const EXIT_CHECK = { well: 0, degraded: 1, failing: 2 } as const;

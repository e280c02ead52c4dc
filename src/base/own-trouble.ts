// Errors of the system that say that this machine or process has run out of something. They say nothing about whoever was
// to be connected to.

const OWN_TROUBLES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

/** Whether an error that came of opening a connection is our own trouble. */
export function isOwnTrouble(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && OWN_TROUBLES.has(String(error.code))) return true;
  // several addresses were tried
  return error instanceof AggregateError && error.errors.length > 0 && error.errors.every(isOwnTrouble);
}

// Programmer errors end the thread loudly; whatever a peer, a file or a user can cause is never an assertion.

/** Throws when `condition` is false. The message says which promise was broken. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Marks a branch the compiler has proved impossible. */
export function unreachable(value: never): never {
  throw new Error(`unreachable value: ${String(value)}`);
}

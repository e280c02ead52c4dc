// Deadlines instead of sleeps.

export interface EventuallyOptions {
  readonly deadlineMs?: number;
  /** Said when the deadline passes: what was waited for. */
  readonly what?: () => string;
}

const POLL_MS = 20;

/** Polls until `probe` returns something truthy, and returns that. Errors of the probe end it at once. */
export async function eventually<T>(
  probe: () => T | null | false | Promise<T | null | false>,
  options: EventuallyOptions = {},
): Promise<T> {
  const { deadlineMs = 20_000 } = options;
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const result = await probe();
    if (result !== null && result !== false) return result as T;
    if (performance.now() > endMs)
      throw new Error(`waited ${deadlineMs} ms for ${options.what?.() ?? probe.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

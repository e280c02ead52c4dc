// Processor time of one thread, as the system counts it (Linux; elsewhere it is not known).

import { readFileSync, readlinkSync } from 'node:fs';

/** The system's number of the calling thread; null where it has none to give. */
export function ownThreadId(): number | null {
  try {
    return Number(/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1] ?? Number.NaN) || null;
  } catch {
    return null;
  }
}

/** Hundredths of a second are what /proc counts in (USER_HZ, on all platforms that Node runs on). */
const TICK_MS = 10;
/** Positions of utime and stime after the name in parentheses: proc(5). */
const USER_TIME = 11;

/** Used so far by a thread of this process; null when it is not known. */
export function cpuMsOf(threadId: number | null): number | null {
  if (threadId === null) return null;
  try {
    const stat = readFileSync(`/proc/self/task/${threadId}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[USER_TIME]) + Number(fields[USER_TIME + 1])) * TICK_MS;
  } catch {
    return null;
  }
}

// The machine the lab runs on: what kind it is, and how busy others keep it.
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

/** Where the numbers come from. */
export interface Machine {
  /** As in "2-core virtual machine". */
  readonly kind: string;
  readonly node: string;
  readonly platform: string;
}

/** Time of all cores since the boot, in milliseconds. */
export interface CoreTimes {
  readonly idle: number;
  readonly all: number;
}

const LOOK_MS = 400;

export function coreTimes(): CoreTimes {
  const times = cpus().map((core) => core.times);
  const idle = times.reduce((total, one) => total + one.idle, 0);
  const all = times.reduce((total, one) => total + one.idle + one.user + one.nice + one.sys + one.irq, 0);
  return { idle, all };
}

/** Part of the cores' time that was used between two readings. Pure. */
export function busyBetween(before: CoreTimes, after: CoreTimes): number {
  return after.all === before.all ? 0 : 1 - (after.idle - before.idle) / (after.all - before.all);
}

/** Waits until others leave at least `idleShare` of the machine, at most `msMax`; returns how long it waited. */
export async function untilQuiet(idleShare: number, msMax: number, signal: AbortSignal): Promise<number> {
  const beganMs = performance.now();
  for (;;) {
    const before = coreTimes();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const waitedMs = performance.now() - beganMs;
    const isQuiet = busyBetween(before, coreTimes()) <= 1 - idleShare;
    if (isQuiet || waitedMs >= msMax || signal.aborted) return waitedMs;
  }
}

/** The class of this machine, without its name. */
export function machineOf(): Machine {
  const cores = availableParallelism();
  return {
    kind: `${cores}-core ${isVirtual() ? 'virtual machine' : 'machine'}`,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
  };
}

function isVirtual(): boolean {
  try {
    return /^flags.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    // Not Linux: nobody says.
    return false;
  }
}

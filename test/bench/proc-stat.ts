/** What Linux knows of a process and its children: CPU time and resident memory, read from /proc. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Clock ticks per second in /proc/PID/stat (USER_HZ). It is 100 on every Linux that Node runs on. */
export const TICKS_PER_SECOND = 100;

/** The fields of one /proc/PID/stat line that the benchmark uses. Times are in clock ticks. */
export type ProcStat = {
  readonly pid: number;
  readonly command: string;
  readonly parentPid: number;
  /** User and system time of all threads, and of children already waited for. */
  readonly cpuTicks: number;
};

/** Resident memory in bytes, now and at its greatest. */
export type Resident = { readonly nowBytes: number; readonly peakBytes: number };

/** Reads one stat line. The command may hold spaces and brackets, so the last `)` ends it. Null when malformed. */
export function parseStat(line: string): ProcStat | null {
  const open = line.indexOf('(');
  const close = line.lastIndexOf(')');
  if (open < 0 || close < open) return null;
  const pid = Number(line.slice(0, open));
  // Fields from the third one on: state, ppid, ...; utime is field 14, so index 11 here.
  const fields = line.slice(close + 2).split(' ');
  const parentPid = Number(fields[1]);
  const cpuTicks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  if (![pid, parentPid, cpuTicks].every(Number.isFinite)) return null;
  return { pid, command: line.slice(open + 1, close), parentPid, cpuTicks };
}

/** Reads VmRSS and VmHWM from the text of /proc/PID/status; zeros where the lines are missing (a zombie). */
export function parseResident(status: string): Resident {
  const kibibytes = (name: string): number => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
    return match === null ? 0 : Number(match[1]) * 1024;
  };
  return { nowBytes: kibibytes('VmRSS'), peakBytes: kibibytes('VmHWM') };
}

/** The pids of `root` and of all its descendants among `all`. */
export function treeOf(root: number, all: readonly ProcStat[]): readonly number[] {
  const pids = [root];
  // The list grows while it is walked; each process has one parent, so each is added at most once.
  for (const parent of pids) {
    for (const stat of all) if (stat.parentPid === parent && stat.pid !== parent) pids.push(stat.pid);
  }
  return pids;
}

/** CPU microseconds spent so far by the process, its threads and its children. Throws when the process is gone. */
export function cpuMicrosOfTree(root: number): number {
  const all = readAllStats();
  const pids = new Set(treeOf(root, all));
  const members = all.filter((stat) => pids.has(stat.pid));
  if (!members.some((stat) => stat.pid === root)) throw new Error(`process ${root} is gone`);
  const ticks = members.reduce((sum, stat) => sum + stat.cpuTicks, 0);
  return (ticks * 1e6) / TICKS_PER_SECOND;
}

/** Resident memory of the process and its children, added up (pages they share count once for each). */
export function residentOfTree(root: number): Resident {
  let nowBytes = 0;
  let peakBytes = 0;
  for (const pid of treeOf(root, readAllStats())) {
    const resident = parseResident(readOrEmpty(`/proc/${pid}/status`));
    nowBytes += resident.nowBytes;
    peakBytes += resident.peakBytes;
  }
  return { nowBytes, peakBytes };
}

/** Lets the peak of each process begin again at its present size; where the kernel refuses, it stays. */
export function resetPeak(root: number): void {
  for (const pid of treeOf(root, readAllStats())) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Not permitted in every container; the peak then covers the process's whole life.
    }
  }
}

/** The hard limit of open files for this process, from the text of /proc/PID/limits; null when unlimited. */
export function parseOpenFilesMax(limits: string): number | null {
  const match = /^Max open files\s+\S+\s+(\d+)/m.exec(limits);
  return match === null ? null : Number(match[1]);
}

function readAllStats(): readonly ProcStat[] {
  const stats: ProcStat[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = parseStat(readOrEmpty(`/proc/${entry}/stat`));
    if (stat !== null) stats.push(stat);
  }
  return stats;
}

/** A process may end between listing and reading: then there is nothing to read. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

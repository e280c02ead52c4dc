// Nothing left behind: gauges at zero and no socket more than before.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { eventually } from './eventually.ts';
import { type RunningHoldfast, sampleOf } from './holdfast.ts';

/** Sockets the process has open, those of its admin server left out (the test's own look-ups go there). */
export function socketsOf(holdfast: RunningHoldfast): number {
  const directory = `/proc/${holdfast.child.pid}/fd`;
  const adminPort = Number(new URL(holdfast.adminUrl).port);
  const adminInodes = inodesOfLocalPort(holdfast, adminPort);
  let count = 0;
  for (const name of readdirSync(directory)) {
    const inode = /^socket:\[(\d+)\]$/.exec(targetOf(`${directory}/${name}`))?.[1];
    if (inode !== undefined && !adminInodes.has(inode)) count += 1;
  }
  return count;
}

function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // closed since the directory was read
  }
}

function inodesOfLocalPort(holdfast: RunningHoldfast, port: number): Set<string> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync(`/proc/${holdfast.child.pid}/net/tcp`, 'latin1').split('\n').slice(1);
  const columns = lines.map((line) => line.trim().split(/\s+/));
  return new Set(columns.filter((column) => column[1]?.endsWith(`:${hex}`)).map((column) => column[9] ?? ''));
}

/** Resident memory in MB. */
export function residentMb(holdfast: RunningHoldfast): number {
  const status = readFileSync(`/proc/${holdfast.child.pid}/status`, 'latin1');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/**
 * Waits until no request is in flight, no client connection is open, no upstream connection is busy, and the process
 * has as many sockets as `before` plus its idle upstream connections.
 */
export async function isQuiet(holdfast: RunningHoldfast, before: number, deadlineMs = 8000): Promise<void> {
  let last = '';
  await eventually(
    async () => {
      const text = await holdfast.metrics();
      const facts = {
        inFlight: sampleOf(text, 'holdfast_requests_in_flight'),
        clients: sampleOf(text, 'holdfast_client_connections'),
        active: sampleOf(text, 'holdfast_upstream_connections', { state: 'active' }),
        leaked:
          socketsOf(holdfast) - before - sampleOf(text, 'holdfast_upstream_connections', { state: 'idle' }),
      };
      last = JSON.stringify(facts);
      return Object.values(facts).every((value) => value === 0);
    },
    { deadlineMs, what: () => `quiet; still ${last}` },
  );
}

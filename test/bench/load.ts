/** One timed run: the load generator at full speed for some seconds, and what the proxy spent meanwhile. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from './children.ts';
import { findProgram } from './cores.ts';
import { makeFolder, removeFolder } from './folders.ts';
import { cpuMicrosOfTree, resetPeak, residentOfTree } from './proc-stat.ts';
import { requestBytes, type Scenario } from './scenarios.ts';

/** `messages`: over upgraded connections, each message after the echo of the one before. */
export type Generator = 'wrk' | 'autocannon' | 'messages';

/** What the clients saw. */
export type Load = {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
};

/** What the clients saw and what it cost the proxy. */
export type Sample = Load & {
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
  /** Share of one core that the proxy used, 1 = all of it. */
  readonly busy: number;
  readonly residentBytes: number;
  readonly residentPeakBytes: number;
};

/** Where and how to send. `visitors` are the affinity cookies, each of a client of its own; may hold empty ones. */
export type Target = {
  readonly generator: Generator;
  readonly port: number;
  readonly scenario: Scenario;
  readonly visitors: readonly string[];
  readonly connections: number;
  readonly core: number | null;
};

const GRACE_MS = 15_000;

/** wrk where the system has it, since it costs least; else autocannon. */
export function chooseGenerator(wanted: string | undefined): Generator {
  if (wanted === 'autocannon') return 'autocannon';
  if (findProgram('wrk') !== null) return 'wrk';
  if (wanted === 'wrk') throw new Error('no wrk on this machine');
  return 'autocannon';
}

/** Drives the load and measures the proxy with that pid over the same time. */
export async function measure(target: Target, pid: number, seconds: number): Promise<Sample> {
  resetPeak(pid);
  const cpuBefore = cpuMicrosOfTree(pid);
  const load = await drive(target, seconds);
  if (load.requests === 0) throw new Error(`no request succeeded, ${load.errors} errors`);
  const cpuMicros = cpuMicrosOfTree(pid) - cpuBefore;
  const resident = residentOfTree(pid);
  return {
    ...load,
    cpuMicrosPerRequest: cpuMicros / load.requests,
    requestsPerSecond: load.requests / load.seconds,
    busy: cpuMicros / 1e6 / load.seconds,
    residentBytes: resident.nowBytes,
    residentPeakBytes: resident.peakBytes,
  };
}

/** Only drives the load, as for warming up. */
export async function drive(target: Target, seconds: number): Promise<Load> {
  const output = await (target.generator === 'wrk' ? wrk(target, seconds) : node(target, seconds));
  const line = output.split('\n').findLast((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`the load generator said: ${output.slice(-300)}`);
  return JSON.parse(line) as Load;
}

async function wrk(target: Target, seconds: number): Promise<string> {
  const folder = makeFolder('wrk');
  const script = join(folder, 'load.lua');
  const heads = target.visitors.map((cookie) => requestBytes(target.scenario, cookie));
  writeFileSync(script, luaText(heads, target.scenario.sentBytes));
  const options = ['-t1', `-c${target.connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script];
  const command = [
    findProgram('wrk') ?? 'wrk',
    ...options,
    `${target.scenario.isSecure ? 'https' : 'http'}://127.0.0.1:${target.port}/`,
  ];
  try {
    return await runChild(command, target.core, seconds * 1000 + GRACE_MS);
  } finally {
    removeFolder(folder);
  }
}

async function node(target: Target, seconds: number): Promise<string> {
  const order = JSON.stringify({ ...target, seconds });
  const command = [process.execPath, join(import.meta.dirname, `${target.generator}-child.ts`), order];
  return runChild(command, target.core, seconds * 1000 + GRACE_MS);
}

/** A wrk script that sends the prepared heads in turn, each with a body of so many bytes, and reports as one line of JSON. */
export function luaText(heads: readonly string[], bodyBytes = 0): string {
  const quoted = heads.map(
    (text) => `  "${text.replace(/[\\"]/g, '\\$&').replaceAll('\r\n', '\\r\\n')}" .. body,`,
  );
  return `local body = string.rep("u", ${bodyBytes})
local requests = {
${quoted.join('\n')}
}
local count, turn = #requests, 0
request = function()
  turn = turn % count + 1
  return requests[turn]
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"errors":%d,"seconds":%.6f,"p50Micros":%.0f,"p99Micros":%.0f}\\n',
    summary.requests, e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
`;
}

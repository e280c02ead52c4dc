// Runs one cell: starts real servers and a real balancer, lets the users in, does harm, judges, stops everything.
import { type Demo, startDemo } from '../demo/launch.ts';
import { type LabBalancer, startLabBalancer } from './balancer-process.ts';
import type { CellPlan } from './cells.ts';
import type { Check } from './check.ts';
import { Target } from './client.ts';
import { collectStats, memoryOf, type ServerStats, wireOf } from './evidence.ts';
import { expectationsOf } from './expectations.ts';
import { comparesTraffic } from './faults.ts';
import { inject, type Marks } from './inject.ts';
import { judge } from './judge.ts';
import { busyBetween, coreTimes } from './machine.ts';
import type { Measured } from './measured.ts';
import { type LabClock, simulate } from './simulate.ts';
import { spreadOf } from './spread.ts';
import { type Exchange, isAcknowledged } from './transcript.ts';
import type { Windows } from './windows.ts';

/** What a finished cell has to say. */
export interface CellResult {
  readonly plan: CellPlan;
  readonly measured: Measured;
  readonly checks: readonly Check[];
  /** Wall time of the whole cell. */
  readonly tookMs: number;
  /** Part of all cores' time that anything on this machine used meanwhile. */
  readonly busyShare: number;
}

/** A password check of 0.4 ms: the lab measures sessions, not scrypt. */
const SCRYPT_COST = 128;
/** What was on its way when a change was applied does not count. */
const SETTLE_MS = 30;

/** Runs a cell. Rejects when it could not be run at all or was called off; leaves nothing running either way. */
export async function runCell(plan: CellPlan, signal: AbortSignal): Promise<CellResult> {
  const beganMs = performance.now();
  const before = coreTimes();
  let demo: Demo | null = null;
  let balancer: LabBalancer | null = null;
  try {
    demo = await startDemo({
      ...plan.architecture.demo,
      servers: plan.servers,
      exposeGc: true,
      scryptCost: SCRYPT_COST,
      flags: plan.backendFlags,
    });
    signal.throwIfAborted();
    balancer = await startLabBalancer(plan.architecture, demo.backends, `lab-${plan.seed}-${'s'.repeat(32)}`);
    signal.throwIfAborted();
    const measured = await measure(plan, demo, balancer, signal);
    signal.throwIfAborted();
    const checks = expectationsOf(plan, measured);
    const busyShare = busyBetween(before, coreTimes());
    return { plan, measured, checks, tookMs: performance.now() - beganMs, busyShare };
  } finally {
    // A hung server would hold SIGTERM back; SIGCONT does nothing to the others.
    for (const backend of demo?.backends ?? []) backend.signal('SIGCONT');
    await Promise.allSettled([balancer?.stop(), demo?.stop()]);
  }
}

async function measure(
  plan: CellPlan,
  demo: Demo,
  balancer: LabBalancer,
  signal: AbortSignal,
): Promise<Measured> {
  const clock = startClock(signal);
  const target = new Target(balancer.url);
  try {
    const allIn = Promise.withResolvers<void>();
    const before = statsAtSteady(plan, demo, clock, allIn.promise);
    const injecting = inject({ plan, demo, balancer, clock, signal });
    // Both are waited for even when one fails, so that nothing goes on behind the back of the clean-up.
    const playing = simulate(plan, target, clock, signal, allIn.resolve);
    const [played, injected] = await Promise.allSettled([playing, injecting]);
    if (injected.status === 'rejected') throw injected.reason;
    if (played.status === 'rejected') throw played.reason;
    signal.throwIfAborted();
    return await conclude({
      plan,
      demo,
      balancer,
      transcript: played.value,
      marks: injected.value,
      before: await before,
    });
  } finally {
    await target.end();
  }
}

/**
 * Statistics when all are logged in, however long that takes: log-ins have traffic of their own. Only where traffic is compared,
 * since collecting garbage costs time.
 */
async function statsAtSteady(
  plan: CellPlan,
  demo: Demo,
  clock: LabClock,
  allIn: Promise<void>,
): Promise<Reading> {
  if (!comparesTraffic(plan.fault)) return { atMs: 0, stats: [] };
  await clock.until(plan.steadyMs - 200);
  await Promise.race([allIn, clock.until(plan.endMs)]);
  const stats = await collectStats(demo.backends);
  return { atMs: clock.nowMs(), stats };
}

interface Reading {
  readonly atMs: number;
  readonly stats: readonly ServerStats[];
}

async function conclude(parts: {
  readonly plan: CellPlan;
  readonly demo: Demo;
  readonly balancer: LabBalancer;
  readonly transcript: readonly Exchange[];
  readonly marks: Marks;
  readonly before: Reading;
}): Promise<Measured> {
  const { plan, demo, balancer, transcript, marks, before } = parts;
  const after = await collectStats(demo.backends);
  const servers = demo.backends.map(({ name }) => name);
  const judgement = judge(transcript, windowsOf(plan, marks));
  const atEnd = Object.values(judgement.homes.atEnd).reduce((sum, count) => sum + count, 0);
  // Users who never log in again keep a session that some server still has.
  const live = plan.logsInAgain ? atEnd : judgement.sessions;
  const since = transcript.filter((one) => one.endedMs >= before.atMs && isAcknowledged(one));
  const writes = since.filter(({ kind }) => kind === 'write' || kind === 'login').length;
  const requests = since.filter(({ kind }) => kind !== 'login').length;
  const isCompared = before.stats.length === after.length && after.length > 0;
  return {
    judgement,
    marks,
    memory: memoryOf(after, live),
    wire: isCompared
      ? wireOf(before.stats, after, writes, requests)
      : { messagesPerWrite: 0, messageBytesPerWrite: 0, storeOperationsPerRequest: 0 },
    balancerLost: await balancer.metric('holdfast_sessions_lost_total'),
    spread:
      plan.fault === 'add-server' && marks.appliedMs !== null
        ? spreadOf(transcript, servers, marks.server, marks.appliedMs, plan.endMs)
        : [],
    servers,
  };
}

function windowsOf(plan: CellPlan, marks: Marks): Windows {
  return {
    steadyMs: plan.steadyMs,
    faultMs: marks.faultMs,
    changedMs: marks.appliedMs === null ? marks.faultMs : marks.appliedMs + SETTLE_MS,
    endMs: plan.endMs,
    lifeMs: plan.lifeMs,
  };
}

/** A clock that begins now. */
function startClock(signal: AbortSignal): LabClock {
  const beganMs = performance.now();
  const nowMs = (): number => performance.now() - beganMs;
  return {
    nowMs,
    until: (ms) =>
      new Promise((resolve) => {
        if (signal.aborted) {
          resolve();
          return;
        }
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        // A wait that lost its race must not hold up the end of the program; a cell's processes keep it alive.
        const timer = setTimeout(done, Math.max(0, ms - nowMs())).unref();
        signal.addEventListener('abort', done);
      }),
  };
}

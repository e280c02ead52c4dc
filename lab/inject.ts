// The faults themselves: what is done to real processes, at the time the plan says.
import { request } from 'undici';
import type { Demo, DemoBackend } from '../demo/launch.ts';
import type { LabBalancer } from './balancer-process.ts';
import type { CellPlan } from './cells.ts';
import { drainMs, HANG_MS, rollingPace, STORE_DELAY_MS, STORE_DOWN_MS } from './faults.ts';
import type { LabClock } from './simulate.ts';

/** What an injection works on. */
export interface Stage {
  readonly plan: CellPlan;
  readonly demo: Demo;
  readonly balancer: LabBalancer;
  readonly clock: LabClock;
  readonly signal: AbortSignal;
}

/** What happened when, in milliseconds since the begin, and to whom. */
export interface Marks {
  /** The fault began. */
  readonly faultMs: number;
  /** The store, the balancer or the hung server was back. */
  readonly backMs: number | null;
  /** The new server was up, the drained one no longer chosen: requests by server count from here. */
  readonly appliedMs: number | null;
  /** The drained server was stopped, the killed ones had ended. */
  readonly stoppedMs: number | null;
  /** Name of the server the fault hit, or that joined. */
  readonly server: string;
  /** Names of the servers that were killed and stay away. */
  readonly gone: readonly string[];
}

const POLL_MS = 20;

/** Waits for the plan's time, does what its fault says, and resolves when it is done. */
export async function inject(stage: Stage): Promise<Marks> {
  const { plan, clock, signal, demo } = stage;
  const victim = demo.backends[plan.victim];
  const marks = {
    faultMs: plan.faultMs,
    backMs: null,
    appliedMs: null,
    stoppedMs: null,
    server: victim?.name ?? '',
    gone: [],
  };
  await clock.until(plan.faultMs);
  if (signal.aborted || victim === undefined) return marks;
  const begun = { ...marks, faultMs: clock.nowMs() };
  switch (plan.fault) {
    case 'kill-one':
      return { ...begun, ...(await kill(stage, [victim])) };
    case 'kill-two': {
      const other = demo.backends[(plan.victim + 1) % demo.backends.length] ?? victim;
      return { ...begun, ...(await kill(stage, [victim, other])) };
    }
    case 'rolling-restart':
      await restartAll(stage);
      return begun;
    case 'sigstop':
      victim.signal('SIGSTOP');
      await clock.until(begun.faultMs + HANG_MS);
      victim.signal('SIGCONT');
      return { ...begun, backMs: clock.nowMs() };
    case 'add-server':
      return { ...begun, ...(await addServer(stage)) };
    case 'drain-server':
      return { ...begun, ...(await drain(stage, victim)) };
    case 'store-killed':
      await demo.store.kill();
      // Sentinels replace the primary; nobody starts it again.
      if (plan.architecture.demo.redis === 'sentinel') return begun;
      await clock.until(begun.faultMs + STORE_DOWN_MS);
      await demo.store.restart();
      return { ...begun, backMs: clock.nowMs() };
    case 'store-emptied':
      await demo.store.kill();
      await demo.store.restart();
      return { ...begun, backMs: clock.nowMs() };
    case 'store-hung':
      demo.store.signal('SIGSTOP');
      await clock.until(begun.faultMs + STORE_DOWN_MS);
      demo.store.signal('SIGCONT');
      return { ...begun, backMs: clock.nowMs() };
    case 'store-slow':
      await Promise.all(demo.backends.map((backend) => slowDown(backend)));
      return { ...begun, appliedMs: clock.nowMs() };
    case 'store-full':
      await demo.store.fill();
      return { ...begun, appliedMs: clock.nowMs() };
    case 'ban':
      await Promise.all(Array.from({ length: plan.users }, (_, user) => ban(victim, `user${user + 1}`)));
      return { ...begun, appliedMs: clock.nowMs() };
    case 'keys-rotated':
    case 'keys-replaced':
      await demo.rotateSecret(plan.fault === 'keys-rotated');
      for (const { name } of demo.backends) await untilUp(stage.balancer, name, signal);
      return { ...begun, backMs: clock.nowMs() };
    case 'balancer-restart':
      await stage.balancer.restart();
      return { ...begun, backMs: clock.nowMs() };
    default:
      return begun;
  }
}

async function kill(
  { clock }: Stage,
  victims: readonly DemoBackend[],
): Promise<Pick<Marks, 'stoppedMs' | 'gone'>> {
  await Promise.all(victims.map((victim) => victim.kill()));
  return { stoppedMs: clock.nowMs(), gone: victims.map(({ name }) => name) };
}

/** What an operator does, at one server. An architecture that cannot answers 501. */
async function ban({ statsUrl }: DemoBackend, user: string): Promise<void> {
  const response = await request(`${statsUrl}/admin/ban`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user }),
  });
  await response.body.dump();
}

async function restartAll({ plan, demo, clock, signal, balancer }: Stage): Promise<void> {
  const { downMs, upMs } = rollingPace(plan.architecture, plan.periodMs);
  for (const backend of demo.backends) {
    if (signal.aborted) return;
    await backend.kill('SIGTERM');
    await clock.until(clock.nowMs() + downMs);
    if (signal.aborted) return;
    await backend.restart();
    await untilUp(balancer, backend.name, signal);
    await clock.until(clock.nowMs() + upMs);
  }
}

async function drain(
  { balancer, clock, plan }: Stage,
  victim: DemoBackend,
): Promise<Pick<Marks, 'appliedMs' | 'stoppedMs'>> {
  const beganMs = clock.nowMs();
  await balancer.setMode(victim.name, 'drain');
  const appliedMs = clock.nowMs();
  await clock.until(beganMs + drainMs(plan.architecture));
  const stoppedMs = clock.nowMs();
  await victim.kill('SIGTERM');
  return { appliedMs, stoppedMs };
}

async function addServer({
  demo,
  balancer,
  clock,
  signal,
}: Stage): Promise<Pick<Marks, 'appliedMs' | 'server'>> {
  const backend = await demo.add();
  await balancer.reconfigure(demo.backends);
  await untilUp(balancer, backend.name, signal);
  return { appliedMs: clock.nowMs(), server: backend.name };
}

async function untilUp(balancer: LabBalancer, server: string, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; attempt < 200 && !signal.aborted; attempt += 1) {
    if (await balancer.isUp(server)) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function slowDown({ statsUrl }: DemoBackend): Promise<void> {
  const response = await request(`${statsUrl}/lab/store-delay`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ms: STORE_DELAY_MS }),
  });
  await response.body.dump();
}

// One proxy thread in the test's own process: real sockets, and a clock that can be moved forward.

import { Socket } from 'node:net';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import { withNamedFiles } from '../../src/config/named-files.ts';
import { SlotRegistry } from '../../src/control/slots.ts';
import { ABUSE_KINDS } from '../../src/http2/abuse.ts';
import { ProxyThread } from '../../src/proxy/thread.ts';
import { UpstreamSocket } from '../../src/proxy/upstream-socket.ts';
import { Verdict } from '../../src/shared/control.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Counter, Gauge } from '../../src/shared/stripe.ts';
import { Faults } from '../../src/tls/certificate.ts';
import type { ListenerSecrets } from '../../src/tls/contexts.ts';
import { realFiles } from '../../src/tls/files.ts';
import { readMaterial } from '../../src/tls/material.ts';
import { selfSigned } from '../../src/tls/self-signed.ts';
import { eventually } from './eventually.ts';
import { whenDone } from './lifetime.ts';

const SESSIONS_MAX = 1000;

export interface RunningThread {
  readonly thread: ProxyThread;
  readonly shared: SharedState;
  readonly port: number;
  /** What authorities that ask are answered, from now on. */
  apply(more: Pick<Revision, 'tokens'> & Partial<Pick<ListenerSecrets, 'proofs'>>): void;
  /** Deadlines up to `ms` from now fire. */
  pass(ms: number): void;
  /** Waits until nothing is left behind: gauges, connections, deadlines, busy sessions. */
  isQuiet(): Promise<void>;
  /** Bytes that wait in its sockets because their peers do not take them. */
  unsent(): number;
  /** Failures counted for a server. */
  failures(slot: number): number;
  /** Bytes received from servers so far, by connections that are open. */
  heardFromServers(): number;
  /** Keys of sessions that a retiring thread asks about; `told` answers. */
  readonly held: number[][];
  /** Level and message of each line. */
  readonly log: readonly string[];
}

/** `yaml`: the configuration without `listen`, which `listener` completes. Its servers are up. */
export async function runThread(yaml: string, listener = ''): Promise<RunningThread> {
  const text = `listen: [{ address: 127.0.0.1:0, ${listener} }]\nadmin: off\n${yaml}`;
  const loaded = loadConfig(text, { file: 'test.yaml', env: {} });
  const { config, problems } = withNamedFiles(loaded, 'test.yaml', realFiles(systemClock.wallMs()));
  if (config === null) throw new Error(`the test's own configuration is wrong: ${JSON.stringify(problems)}`);
  const shared = SharedState.create(1, SESSIONS_MAX, systemClock.nowMs());
  const revision = {
    ...new SlotRegistry(shared).revise(config, 'a secret of the test'),
    secrets: secretsOf(config),
  };
  for (const { slots } of revision.pools)
    for (const slot of slots) shared.control.setVerdict(slot, Verdict.up);
  let shiftMs = 0;
  const clock: Clock = {
    nowMs: () => systemClock.nowMs() + shiftMs,
    wallMs: () => systemClock.wallMs() + shiftMs,
    stoodStillMs: 0,
  };
  const held: number[][] = [];
  const log: string[] = [];
  const thread = new ProxyThread(
    {
      shared: SharedState.attach(shared.handles(), 0),
      clock,
      random: new SeededRandom(1),
      log: (level, message) => log.push(`${level} ${message}`),
      onDrained: () => undefined,
      onWithheld: (keys) => held.push([...keys]),
      onAccessLines: () => undefined,
    },
    revision,
  );
  whenDone(() => thread.destroy());
  const port = await thread.listen(revision, 0, 0, false, []);
  const slots = revision.pools.flatMap((pool) => [...pool.slots]);
  const left = (): object => ({
    ...leftOver(thread, slots),
    busy: busySessions(shared),
  });
  return {
    thread,
    shared,
    port,
    held,
    log,
    apply: ({ tokens = {}, proofs = [] }) =>
      thread.apply({
        ...revision,
        tokens,
        secrets: revision.secrets.map((one) => one && { ...one, proofs, version: JSON.stringify(proofs) }),
      }),
    failures: (slot) => thread.own.counter(slot, Counter.failures),
    heardFromServers: () => upstreamSockets().reduce((sum, socket) => sum + socket.bytesRead, 0),
    unsent: () => unsentOf(port),
    pass: (ms) => {
      shiftMs += ms;
      thread.deadlines.walk();
    },
    isQuiet: async () => {
      await eventually(() => Object.values(left()).every((value) => value === 0), {
        what: () => `quiet; still ${JSON.stringify(left())}`,
      });
    },
  };
}

/** What main would read for the listeners with TLS. */
function secretsOf({ listen }: HoldfastConfig): readonly (ListenerSecrets | null)[] {
  return listen.map(({ tls }) => {
    if (tls === null) return null;
    const faults = new Faults();
    const nowMs = systemClock.wallMs();
    const material = readMaterial(tls, realFiles(nowMs), faults, () => selfSigned(['localhost'], nowMs));
    if (material === null) throw new Error(JSON.stringify(faults.list));
    return { ...material, ticketKeys: Buffer.alloc(48, 7), proofs: [], sessionContext: 'test' };
  });
}

/** What clients of HTTP/2 have overdone, by kind. */
export const abuseOf = ({ thread }: RunningThread): Record<string, number> =>
  Object.fromEntries(
    ABUSE_KINDS.map((kind) => [kind, thread.own.http2Abuse(0, kind)] as const).filter(
      ([, count]) => count > 0,
    ),
  );

function openSockets(): readonly Socket[] {
  const { _getActiveHandles: activeHandles } = process as typeof process & { _getActiveHandles(): unknown[] };
  return activeHandles().filter((handle) => handle instanceof Socket);
}

const upstreamSockets = (): readonly Socket[] =>
  openSockets().filter((socket) => socket instanceof UpstreamSocket);

/** Accepted on the port, or opened to a server. */
function unsentOf(port: number): number {
  const own = openSockets().filter((socket) => socket instanceof UpstreamSocket || socket.localPort === port);
  return own.reduce((sum, socket) => sum + socket.writableLength, 0);
}

/** What the thread has not given back. Idle connections to servers may stay, each with its deadline. */
function leftOver(thread: ProxyThread, slots: readonly number[]): Record<string, number> {
  const sum = (gauge: Gauge): number =>
    slots.reduce((total, slot) => total + thread.own.gauge(slot, gauge), 0);
  return {
    inFlight: sum(Gauge.inFlight),
    active: sum(Gauge.upstreamActive),
    clients: thread.own.clientConnections(0),
    deadlines: thread.deadlines.count - sum(Gauge.upstreamIdle),
  };
}

/** Sessions that are counted as having a request under way, above or below none. */
function busySessions(shared: SharedState): number {
  const { table } = shared;
  let busy = 0;
  for (let entry = 0; entry < table.capacity; entry += 1)
    if (table.isUsed(entry) && table.busy(entry) !== 0) busy += 1;
  return busy;
}

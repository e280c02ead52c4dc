// The worker threads: started, listened for, restarted with back-off when one dies, stopped.

import { Worker } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import type { ListeningSocket, PassedSocket } from '../base/pass-sockets.ts';
import { StartError } from '../control/start-error.ts';
import type { Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { BACKOFF_FIRST_MS, deal, type Member, newMember } from './fleet-member.ts';
import type { Logger } from './logger.ts';
import type { Descriptors, FromWorker, ToWorker, WorkerData } from './messages.ts';
import { listenMessage } from './ports.ts';
import { BEAT_MS, Pulse } from './pulse.ts';
import { withShared } from './shared-sockets.ts';
import { cpuMsOf } from './thread-time.ts';

const BACKOFF_MAX_MS = 5000;
/**
 * V8's default grows the young generation to many times this under load, for nothing: an exchange makes little garbage.
 * Measured with 8: the same CPU per request, 60 MB less memory, 7 instead of 10 KB per idle connection.
 */
const YOUNG_GENERATION_MIB = 8;
/** A worker that lived so long starts its back-off anew. */
const HEALTHY_MS = 30_000;
/** A worker that takes so long to stop accepting hangs, and accepts nothing either. */
const PAUSE_MS = 2000;
/** A worker that takes so long to do what it is told is given up: to start, to open its listeners, to swap. */
const ANSWER_MS = 10_000;
/** A thread that is blocked outside of JavaScript cannot be ended; nobody waits for that longer. */
const END_MS = 2000;
/** How long polite endings may take when the grace is over. */
const FINISH_MS = 2000;
const WORKER_ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);

export interface FleetOptions {
  readonly shared: SharedState;
  readonly threads: number;
  readonly reusePort: boolean;
  readonly clientsMax: number | null;
  readonly log: Logger;
  /** Whole lines of the access log, from any worker. */
  readonly onAccessLines: (lines: string) => void;
}

export class Fleet {
  restarts = 0;
  readonly #options: FleetOptions;
  readonly #members: Member[];
  #revision: Revision | null = null;
  #ports: readonly number[] = [];
  #isStopping = false;
  #watchTimer: NodeJS.Timeout | null = null;
  #watchedMs = 0;
  #onDrained: (() => void) | null = null;
  #onPaused: (() => void) | null = null;
  /** Another process is about to take over: nobody accepts. */
  #isPaused = false;
  #tell: (keys: readonly number[]) => Promise<void> = () => Promise.resolve();
  readonly #applied = new Map<number, number>();
  #onApplied: (() => void) | null = null;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#members = Array.from({ length: options.threads }, () => newMember());
  }

  /** Somebody accepts connections and answers them. */
  get isServing(): boolean {
    return this.#members.some(({ worker, isListening, isSilent }) => worker && isListening && !isSilent);
  }

  /** Starts all workers on the revision. They do not listen yet. */
  async start(revision: Revision): Promise<void> {
    this.#revision = revision;
    this.#watchedMs = performance.now();
    this.#watchTimer = setInterval(() => this.#watch(), BEAT_MS).unref();
    await Promise.all(this.#members.map((_, index) => this.#startWorker(index)));
  }

  /** Ends threads that hang. The exit that follows brings another. */
  #watch(): void {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#watchedMs;
    this.#watchedMs = nowMs;
    for (const [index, member] of this.#members.entries()) {
      const { worker, isStarted, isDrained, pulse, threadId } = member;
      if (worker === null || !isStarted || isDrained) continue;
      const beats = this.#options.shared.stripes[index]?.beats ?? 0;
      const state = pulse.poll(beats, elapsedMs, () => cpuMsOf(threadId));
      member.isSilent = state !== 'beats';
      if (state === 'hangs') this.#giveUp(index, 'hangs');
    }
  }

  #giveUp(index: number, why: string): void {
    const member = this.#members[index];
    if (member === undefined) return;
    this.#options.log.error({ worker: index }, `a worker thread ${why} and is ended`);
    // its descriptors are closed before we hear that it has ended, and may be somebody's connection by then
    Object.assign(member, { isStarted: false, isListening: false, sockets: [] });
    void member.worker?.terminate();
  }

  /**
   * Opens the listeners: on `sockets`, dealt out among the workers; a worker without one for a listener binds. The first
   * worker binds first, the others share its ports. Resolves with the ports, rejects with StartError.
   */
  async listen(ports: readonly number[], sockets: readonly ListeningSocket[]): Promise<readonly number[]> {
    this.#ports = ports;
    const { length } = this.#members;
    this.#ports = await this.#listen(0, 'listen', this.#deal(sockets, 0, length));
    await Promise.all(
      this.#members
        .slice(1)
        .map((_, index) => this.#listen(index + 1, 'listen', this.#deal(sockets, index + 1, length))),
    );
    return this.#ports;
  }

  /** What the workers listen on, to be passed on. */
  get sockets(): readonly ListeningSocket[] {
    return this.#members.flatMap(({ sockets }) => sockets);
  }

  /** Resolves when the worker is ready to listen. */
  #startWorker(index: number): Promise<void> {
    const { shared, reusePort, clientsMax } = this.#options;
    const member = this.#members[index];
    const revision = this.#revision;
    if (member === undefined || revision === null) throw new Error(`no worker ${index}`);
    const handles = shared.handles();
    const clock = systemClock.cells;
    const workerData: WorkerData = { worker: index, clock, handles, revision, reusePort, clientsMax };
    const worker = new Worker(WORKER_ENTRY, {
      workerData,
      name: `holdfast-${index}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    Object.assign(member, { worker, startedMs: performance.now(), pulse: new Pulse() });
    Object.assign(member, { isDrained: false, isStarted: false, isListening: false, isSilent: false });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(index, 'does not start'), ANSWER_MS);
      worker.on('message', (message: FromWorker) => {
        if (message.type !== 'ready') {
          this.#onMessage(index, message);
          return;
        }
        clearTimeout(timer);
        member.isStarted = true;
        member.threadId = message.threadId;
        this.#applied.set(index, revision.number);
        resolve();
      });
      worker.on('error', (error: Error) => {
        this.#options.log.error(
          { worker: index, error: error.stack ?? String(error) },
          'a worker thread failed',
        );
        reject(error);
      });
      worker.on('exit', () => {
        clearTimeout(timer);
        this.#onExit(index, worker);
        reject(new Error(`worker ${index} ended before it was ready`));
      });
    });
  }

  #deal(sockets: readonly ListeningSocket[], at: number, count: number): Descriptors {
    return deal(this.#revision?.config.listen ?? [], sockets, at, count);
  }

  async #listen(index: number, type: 'listen' | 'resume', dealt: Descriptors): Promise<readonly number[]> {
    const listeners = this.#revision?.config.listen ?? [];
    // after a pause each has its own again
    const fds = type === 'resume' ? dealt : await withShared(listeners, dealt, [], this.sockets);
    const worker = this.#members[index]?.worker ?? null;
    return new Promise((resolve, reject) => {
      if (worker === null) throw new Error(`worker ${index} is gone`);
      const timer = setTimeout(() => this.#giveUp(index, 'does not open its listeners'), ANSWER_MS);
      const onMessage = (message: FromWorker): void => {
        if (message.type === 'listening') resolve(message.ports);
        else if (message.type === 'listen-failed') reject(new StartError(listenMessage(message)));
        else return;
        clearTimeout(timer);
        worker.off('message', onMessage).off('exit', onExit);
      };
      const onExit = (): void => {
        clearTimeout(timer);
        reject(new Error(`worker ${index} died before it listened`));
      };
      worker.on('message', onMessage).once('exit', onExit);
      this.#say(worker, { type, ports: this.#ports, fds });
    });
  }

  #onMessage(index: number, message: FromWorker): void {
    const member = this.#members[index];
    if (member !== undefined && (message.type === 'listening' || message.type === 'applied'))
      member.sockets = message.sockets;
    if (member !== undefined && message.type === 'listening') member.isListening = true;
    if (message.type === 'access') this.#options.onAccessLines(message.lines);
    else if (message.type === 'log') this.#options.log[message.level]({ worker: index }, message.message);
    else if (message.type === 'applied') {
      this.#applied.set(index, message.revision);
      if (message.revision === this.#revision?.number) this.#ports = message.ports;
      this.#onApplied?.();
    } else if (message.type === 'withheld') {
      void this.#tell(message.keys).then(() => {
        if (member?.worker != null) this.#say(member.worker, { type: 'known' });
      });
    } else if (message.type === 'paused' && member !== undefined) {
      member.isPaused = true;
      this.#onPaused?.();
    } else if (message.type === 'drained' && member !== undefined) {
      member.isDrained = true;
      this.#checkDrained();
    }
  }

  #say(worker: Worker, message: ToWorker): void {
    worker.postMessage(message);
  }

  /** The worker's gauges and locks are released; unless we are stopping, another takes its place. */
  #onExit(index: number, worker: Worker): void {
    const { shared, log } = this.#options;
    const member = this.#members[index];
    if (member === undefined || member.worker !== worker) return;
    const hasListened = member.isListening;
    Object.assign(member, { worker: null, sockets: [], isStarted: false, isListening: false });
    this.#onApplied?.();
    this.#onPaused?.();
    shared.stripes[index]?.clearGauges();
    shared.addresses.clear(index);
    shared.waiting.clear(index);
    shared.table.forget(index);
    if (this.#isStopping || member.isDrained) {
      member.isDrained = true;
      this.#checkDrained();
      return;
    }
    this.restarts += 1;
    if (performance.now() - member.startedMs > HEALTHY_MS) member.backoffMs = BACKOFF_FIRST_MS;
    // where nobody else is there nobody serves: it does not wait with the others
    const isLast = this.#members.every(({ worker: other }) => other === null);
    const lastMs = hasListened ? 0 : BACKOFF_FIRST_MS;
    const restartInMs = isLast ? lastMs : member.backoffMs;
    log.error({ worker: index, restartInMs }, 'a worker thread died and is restarted');
    setTimeout(() => this.#restart(index), restartInMs);
    member.backoffMs = Math.min(BACKOFF_MAX_MS, member.backoffMs * 2);
  }

  #restart(index: number): void {
    if (this.#isStopping) return;
    if (this.#isPaused) {
      setTimeout(() => this.#restart(index), BACKOFF_FIRST_MS);
      return;
    }
    const { log } = this.#options;
    const start = this.#startWorker(index).then(() => this.#listen(index, 'listen', []));
    const said = start.then(() => log.info({ worker: index }, 'another worker thread has taken its place'));
    said.catch((error: unknown) => {
      log.error({ worker: index, error: String(error) }, 'a worker thread could not be restarted');
      void this.#members[index]?.worker?.terminate();
    });
  }

  /** Posts a revision; resolves with the ports once every living worker has swapped to it. */
  async apply(revision: Revision): Promise<readonly number[]> {
    const old = this.#revision;
    this.#revision = revision;
    // A listener that stays keeps its port, a new one binds as configured: the first worker decides where that is 0.
    this.#ports = revision.config.listen.map(({ address, port }) => {
      const index = old?.config.listen.findIndex((listen) => listen.address === address) ?? -1;
      return this.#ports[index] ?? port;
    });
    const living = [...this.#members.keys()].filter((index) => this.#members[index]?.worker !== null);
    await this.#post(revision, living.slice(0, 1));
    await this.#post(revision, living.slice(1));
    return this.#ports;
  }

  /** Posts to these workers and waits for their word; a worker that dies meanwhile starts on the revision. */
  async #post(revision: Revision, indexes: readonly number[]): Promise<void> {
    for (const index of indexes) {
      const own = this.#members[index]?.sockets ?? [];
      const fds = await withShared(revision.config.listen, [], own, this.sockets);
      const worker = this.#members[index]?.worker ?? null;
      if (worker !== null) this.#say(worker, { type: 'revision', revision, ports: this.#ports, fds });
    }
    const missing = (): readonly number[] =>
      indexes.filter((index) => {
        const isThere = this.#members[index]?.worker != null;
        return isThere && (this.#applied.get(index) ?? 0) < revision.number;
      });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        for (const index of missing()) this.#giveUp(index, 'does not take the configuration');
        resolve();
      }, ANSWER_MS);
      this.#onApplied = () => {
        if (missing().length > 0) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onApplied();
    });
    this.#onApplied = null;
  }

  /** Lets requests in flight finish for at most `graceMs`, then ends what is left. True when nothing had to be cut. */
  async stop(graceMs: number): Promise<boolean> {
    this.#isStopping = true;
    this.#tellAll({ type: 'stop' });
    return this.drain(graceMs);
  }

  /**
   * Another process is about to take over: resolves when every worker that does not hang has stopped accepting. From now on
   * responses wait until `tell` has told it how it stands with their sessions. `resume` or `retire` is next.
   */
  async pause(tell: (keys: readonly number[]) => Promise<void>): Promise<void> {
    this.#isPaused = true;
    this.#tell = tell;
    for (const member of this.#members) member.isPaused = false;
    const paused = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS);
      this.#onPaused = () => {
        if (!this.#members.every(({ worker, isPaused }) => isPaused || worker === null)) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#tellAll({ type: 'pause' });
    this.#onPaused?.();
    await paused;
  }

  /** It does not: all listen again, on the sockets, which are closed where nobody does. */
  async resume(sockets: readonly PassedSocket[]): Promise<void> {
    this.#isPaused = false;
    this.#tell = () => Promise.resolve();
    const living = [...this.#members.keys()].filter((index) => this.#members[index]?.worker !== null);
    const dealt = living.map((_, at) => this.#deal(sockets, at, living.length));
    const used = new Set(dealt.flat(2));
    for (const socket of sockets) if (!used.has(socket.fd)) socket.close();
    await Promise.allSettled(living.map((index, at) => this.#listen(index, 'resume', dealt[at] ?? [])));
  }

  /** After `pause`: it has the listening sockets. Call `drain` next. */
  retire(): void {
    this.#isStopping = true;
    this.#tellAll({ type: 'retire' });
  }

  /** The second half of a stop: waits, then ends politely what still runs. True when nothing had to be cut. */
  async drain(graceMs: number): Promise<boolean> {
    const isClean = await this.#whenDrained(graceMs);
    if (!isClean) {
      this.#tellAll({ type: 'finish' });
      await this.#whenDrained(FINISH_MS);
    }
    await this.end();
    return isClean;
  }

  #tellAll(message: ToWorker): void {
    for (const { worker } of this.#members) if (worker !== null) this.#say(worker, message);
  }

  /** False after `limitMs`. */
  #whenDrained(limitMs: number): Promise<boolean> {
    return new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), limitMs);
      this.#onDrained = () => {
        clearTimeout(timer);
        resolve(true);
      };
      this.#checkDrained();
    });
  }

  /** Ends all workers now. */
  async end(): Promise<void> {
    this.#isStopping = true;
    if (this.#watchTimer !== null) clearInterval(this.#watchTimer);
    const ended = Promise.all(this.#members.map(({ worker }) => worker?.terminate()));
    const tooLong = new Promise((resolve) => setTimeout(resolve, END_MS).unref());
    await Promise.race([ended, tooLong]);
  }

  #checkDrained(): void {
    if (this.#members.every((member) => member.isDrained || member.worker === null)) this.#onDrained?.();
  }
}

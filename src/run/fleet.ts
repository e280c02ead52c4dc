// The worker threads: started, listened for, restarted with back-off when one dies, stopped.

import { createServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { ListeningSocket } from '../base/pass-sockets.ts';
import type { Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import type { Logger } from './logger.ts';
import type { FromWorker, ToWorker, WorkerData } from './messages.ts';

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5000;
/**
 * V8's default grows the young generation to many times this under load, for nothing: an exchange makes little garbage.
 * Measured with 8: the same CPU per request, 60 MB less memory, 7 instead of 10 KB per idle connection.
 */
const YOUNG_GENERATION_MIB = 8;
/** A worker that lived so long starts its back-off anew. */
const HEALTHY_MS = 30_000;
/** A worker that takes so long to stop accepting hangs, and accepts nothing either. */
const RETIRE_MS = 2000;
/** How long polite endings may take when the grace is over. */
const FINISH_MS = 2000;
const WORKER_ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);

/** A listener could not be opened. The message is for the user. */
export class ListenError extends Error {}

interface Member {
  worker: Worker | null;
  startedMs: number;
  backoffMs: number;
  isDrained: boolean;
  isRetired: boolean;
  sockets: readonly ListeningSocket[];
}

export interface FleetOptions {
  readonly shared: SharedState;
  readonly threads: number;
  readonly reusePort: boolean;
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
  #onDrained: (() => void) | null = null;
  #onRetired: (() => void) | null = null;
  #tell: (keys: readonly number[]) => Promise<void> = () => Promise.resolve();
  readonly #applied = new Map<number, number>();
  #onApplied: (() => void) | null = null;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#members = Array.from({ length: options.threads }, () => ({
      worker: null,
      startedMs: 0,
      backoffMs: BACKOFF_FIRST_MS,
      isDrained: false,
      isRetired: false,
      sockets: [],
    }));
  }

  /** Starts all workers on the revision. They do not listen yet. */
  async start(revision: Revision): Promise<void> {
    this.#revision = revision;
    await Promise.all(this.#members.map((_, index) => this.#startWorker(index)));
  }

  /**
   * Opens the listeners: on `sockets`, dealt out among the workers; a worker without one for a listener binds. The first
   * worker binds first, the others share its ports. Resolves with the ports, rejects with ListenError.
   */
  async listen(ports: readonly number[], sockets: readonly ListeningSocket[]): Promise<readonly number[]> {
    this.#ports = ports;
    this.#ports = await this.#listen(0, sockets);
    await Promise.all(this.#members.slice(1).map((_, index) => this.#listen(index + 1, sockets)));
    return this.#ports;
  }

  /** What the workers listen on, to be passed on. */
  get sockets(): readonly ListeningSocket[] {
    return this.#members.flatMap(({ sockets }) => sockets);
  }

  /** Resolves when the worker is ready to listen. */
  #startWorker(index: number): Promise<void> {
    const { shared, reusePort } = this.#options;
    const member = this.#members[index];
    const revision = this.#revision;
    if (member === undefined || revision === null) throw new Error(`no worker ${index}`);
    const workerData: WorkerData = { worker: index, handles: shared.handles(), revision, reusePort };
    const worker = new Worker(WORKER_ENTRY, {
      workerData,
      name: `holdfast-${index}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    member.worker = worker;
    member.startedMs = performance.now();
    member.isDrained = false;
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') {
          this.#applied.set(index, revision.number);
          resolve();
        } else this.#onMessage(index, message);
      });
      worker.on('error', (error: Error) => {
        this.#options.log.error(
          { worker: index, error: error.stack ?? String(error) },
          'a worker thread failed',
        );
        reject(error);
      });
      worker.on('exit', () => this.#onExit(index, worker));
    });
  }

  #listen(index: number, sockets: readonly ListeningSocket[]): Promise<readonly number[]> {
    const worker = this.#members[index]?.worker ?? null;
    const fds = (this.#revision?.config.listen ?? []).map(({ address }) =>
      sockets
        .filter((socket) => socket.address === address)
        .filter((_, at) => at % this.#members.length === index)
        .map(({ fd }) => fd),
    );
    return new Promise((resolve, reject) => {
      if (worker === null) throw new Error(`worker ${index} is gone`);
      const onMessage = (message: FromWorker): void => {
        if (message.type === 'listening') resolve(message.ports);
        else if (message.type === 'listen-failed') reject(new ListenError(listenMessage(message)));
        else return;
        worker.off('message', onMessage);
      };
      worker.on('message', onMessage);
      worker.once('exit', () => reject(new Error(`worker ${index} died before it listened`)));
      this.#say(worker, { type: 'listen', ports: this.#ports, fds });
    });
  }

  #onMessage(index: number, message: FromWorker): void {
    const member = this.#members[index];
    if (member !== undefined && (message.type === 'listening' || message.type === 'applied'))
      member.sockets = message.sockets;
    if (message.type === 'access') this.#options.onAccessLines(message.lines);
    else if (message.type === 'log') this.#options.log[message.level]({ worker: index }, message.message);
    else if (message.type === 'applied') {
      this.#applied.set(index, message.revision);
      this.#ports = message.ports;
      this.#onApplied?.();
    } else if (message.type === 'held') {
      void this.#tell(message.keys).then(() => {
        if (member?.worker != null) this.#say(member.worker, { type: 'told' });
      });
    } else if (message.type === 'retired' && member !== undefined) {
      member.isRetired = true;
      this.#onRetired?.();
    } else if (message.type === 'drained' && member !== undefined) {
      // having had no connection, it ends without another word
      member.isRetired = true;
      this.#onRetired?.();
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
    member.worker = null;
    member.sockets = [];
    this.#onApplied?.();
    this.#onRetired?.();
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
    log.error({ worker: index, restartInMs: member.backoffMs }, 'a worker thread died and is restarted');
    setTimeout(() => this.#restart(index), member.backoffMs);
    member.backoffMs = Math.min(BACKOFF_MAX_MS, member.backoffMs * 2);
  }

  #restart(index: number): void {
    if (this.#isStopping) return;
    const start = this.#startWorker(index).then(() => this.#listen(index, []));
    start.catch((error: unknown) => {
      this.#options.log.error(
        { worker: index, error: String(error) },
        'a worker thread could not be restarted',
      );
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
    await this.#post(revision, 0, 1);
    await this.#post(revision, 1, this.#members.length);
    return this.#ports;
  }

  /** Posts to the workers begin..end-1 and waits for their word; a worker that dies meanwhile starts on the revision. */
  async #post(revision: Revision, begin: number, end: number): Promise<void> {
    for (const { worker } of this.#members.slice(begin, end)) {
      if (worker !== null) this.#say(worker, { type: 'revision', revision, ports: this.#ports });
    }
    await new Promise<void>((resolve) => {
      this.#onApplied = () => {
        const isDone = this.#members.every(({ worker }, index) => {
          const isAsked = index >= begin && index < end && worker !== null;
          return !isAsked || (this.#applied.get(index) ?? 0) >= revision.number;
        });
        if (isDone) resolve();
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
   * Another process has the listening sockets: resolves when every worker that does not hang has stopped accepting. Call `drain` next. From
   * now on responses wait until `tell` has told it how it stands with their sessions.
   */
  async retire(tell: (keys: readonly number[]) => Promise<void>): Promise<void> {
    this.#isStopping = true;
    this.#tell = tell;
    const retired = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, RETIRE_MS);
      this.#onRetired = () => {
        if (!this.#members.every(({ worker, isRetired }) => isRetired || worker === null)) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#tellAll({ type: 'retire' });
    this.#onRetired?.();
    await retired;
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
    await Promise.all(this.#members.map(({ worker }) => worker?.terminate()));
  }

  #checkDrained(): void {
    if (this.#members.every((member) => member.isDrained || member.worker === null)) this.#onDrained?.();
  }
}

function listenMessage(failed: { address: string; code: string; message: string }): string {
  if (failed.code === 'EADDRINUSE') return portTaken(failed.address);
  if (failed.code === 'EACCES')
    return `may not listen on ${failed.address}: ports below 1024 need a privilege`;
  if (failed.code === 'EADDRNOTAVAIL')
    return `cannot listen on ${failed.address}: this machine does not have that address`;
  return `cannot listen on ${failed.address}: ${failed.message}`;
}

export function portTaken(address: string): string {
  return `cannot listen on ${address}: the port is taken by another process; stop it or choose another port`;
}

/** Whether several sockets may share a port here (SO_REUSEPORT with load balancing: Linux, some BSDs). */
export function supportsReusePort(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Rejects with ListenError when somebody listens there already. Needed because SO_REUSEPORT would let a second
 * process of the same user share the port silently.
 */
export function assertPortFree(address: string, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new ListenError(listenMessage({ address, code: error.code ?? '', message: error.message })));
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

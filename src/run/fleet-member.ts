// One place in the fleet, and the worker thread that has it: started, told to listen, watched, given up.
//
//   no worker ── start ──> starting ── ready ──> started ── listening ──> listens ⇄ paused
//       ^                     │                     │                        │
//       └───── exit ──────────┴──── dies, hangs, is ended ───────────────────┘

import { Worker } from 'node:worker_threads';
import type { ListeningSocket, PassedSocket } from '../base/pass-sockets.ts';
import type { ListenConfig } from '../config/model.ts';
import { StartError } from '../control/start-error.ts';
import type { Revision } from '../shared/revision.ts';
import type { Logger } from './logger.ts';
import type { Descriptors, FromWorker, ToWorker, WorkerData } from './messages.ts';
import { listenMessage } from './ports.ts';
import { Pulse } from './pulse.ts';
import { cpuMsOf } from './thread-time.ts';

export const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5000;
/** A worker that lived so long starts its back-off again. */
const HEALTHY_MS = 30_000;
/** A worker that takes so long to do what it is told is given up: to open its listeners, to swap. */
export const ANSWER_MS = 10_000;
/** To start: it reads all its code, which takes long on a machine that is busy. */
const START_MS = 30_000;
/**
 * V8's default grows the young generation to many times this under load, for nothing: an exchange makes little garbage.
 * Measured with 8: the same CPU per request, 60 MB less memory, 7 instead of 10 KB per idle connection.
 */
const YOUNG_GENERATION_MIB = 8;
const WORKER_ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);

/** The fleet as its members see it. */
export interface MemberHome {
  /** All but `ready`. */
  onMessage(member: Member, message: FromWorker): void;
  /** It has no worker any more. */
  onExit(member: Member): void;
}

export class Member {
  readonly index: number;
  worker: Worker | null = null;
  /** What it listens on. */
  sockets: readonly ListeningSocket[] = [];
  /** Number of the revision it has swapped to. */
  applied = 0;
  isDrained = false;
  /** It has stopped accepting, since it was last told to pause. */
  isPaused = false;
  isListening = false;
  /** It has not been heard of for a while. */
  isSilent = false;
  /** What the present worker has been given by its number: its own, but for what it has not come to when it ends. */
  readonly #given = new Map<number, PassedSocket>();
  readonly #home: MemberHome;
  readonly #log: Logger;
  /** It has started, and is watched from then on. */
  #isStarted = false;
  #startedMs = 0;
  #backoffMs = BACKOFF_FIRST_MS;
  #pulse = new Pulse();
  /** The system's number of the thread; null where it is not known. */
  #threadId: number | null = null;

  /** Without a worker. */
  constructor(index: number, home: MemberHome, log: Logger) {
    this.index = index;
    this.#home = home;
    this.#log = log;
  }

  /** Resolves when a new worker is ready to listen. One that the system gives no thread to has ended as others do. */
  async start(data: Omit<WorkerData, 'worker'>): Promise<void> {
    const { index } = this;
    this.#startedMs = performance.now();
    let worker: Worker;
    try {
      worker = this.#makeWorker({ ...data, worker: index });
    } catch (error) {
      this.#onExit();
      throw error;
    }
    this.worker = worker;
    this.isDrained = false;
    this.isSilent = false;
    this.#pulse = new Pulse();
    return new Promise((resolve, reject) => {
      const timer = this.#giveUpAfter(START_MS, 'does not start', reject);
      worker.on('message', (message: FromWorker) => {
        if (message.type !== 'ready') {
          this.#onMessage(message);
          return;
        }
        clearTimeout(timer);
        this.#isStarted = true;
        this.#threadId = message.threadId;
        this.applied = data.revision.number;
        resolve();
      });
      worker.on('error', (error: Error) => {
        this.#log.error({ worker: index, error: error.stack ?? String(error) }, 'a worker thread failed');
        reject(error);
      });
      worker.on('exit', () => {
        clearTimeout(timer);
        this.#onExit();
        reject(new Error(`worker ${index} ended before it was ready`));
      });
    });
  }

  #makeWorker(workerData: WorkerData): Worker {
    return new Worker(WORKER_ENTRY, {
      workerData,
      name: `holdfast-${this.index}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
      // it opens no files, and closes listening sockets that it was given and does not need
      trackUnmanagedFds: false,
    });
  }

  /**
   * Opens the listeners, on these sockets where there are any for one. Resolves with their ports; rejects with StartError
   * where one cannot be opened.
   */
  listen(
    type: 'listen' | 'resume',
    listeners: readonly ListenConfig[],
    ports: readonly number[],
    sockets: readonly PassedSocket[],
  ): Promise<readonly number[]> {
    const { index, worker } = this;
    const fds = this.#give(listeners, sockets);
    return new Promise((resolve, reject) => {
      if (worker === null) throw new Error(`worker ${index} is gone`);
      const timer = this.#giveUpAfter(ANSWER_MS, 'does not open its listeners', reject);
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
      this.say({ type, ports, fds });
    });
  }

  /** Swaps to the revision, and opens what is new in it as `listen` does. Where it cannot the log says so. */
  swap(revision: Revision, ports: readonly number[], sockets: readonly PassedSocket[]): void {
    const fds = this.#give(revision.config.listen, sockets);
    this.say({ type: 'revision', revision, ports, fds });
  }

  #give(listeners: readonly ListenConfig[], sockets: readonly PassedSocket[]): Descriptors {
    for (const socket of sockets) {
      if (this.worker === null) socket.close();
      else this.#given.set(socket.fd, socket);
    }
    return listeners.map(({ address }) =>
      sockets.filter((socket) => socket.address === address).map(({ fd }) => fd),
    );
  }

  /** Nothing where there is no worker. */
  say(message: ToWorker): void {
    this.worker?.postMessage(message);
  }

  #onMessage(message: FromWorker): void {
    const { type } = message;
    if (type === 'listening' || type === 'applied') this.sockets = message.sockets;
    if (type === 'listening') this.isListening = true;
    else if (type === 'applied') this.applied = message.revision;
    else if (type === 'paused') {
      this.isPaused = true;
      this.isListening = false;
      this.sockets = [];
    }
    if (type === 'drained') this.isDrained = true;
    this.#home.onMessage(this, message);
  }

  /** Ends a worker that hangs. `beats` of it so far; `elapsedMs` since the last call. The exit that follows brings another. */
  watch(beats: number, elapsedMs: number): void {
    if (this.worker === null || !this.#isStarted || this.isDrained) return;
    const state = this.#pulse.poll(beats, elapsedMs, () => cpuMsOf(this.#threadId));
    this.isSilent = state !== 'beats';
    if (state === 'hangs') void this.giveUp('hangs');
  }

  /** Whoever waits for the worker hears of it then, and not only when its thread has ended, which may be never. */
  #giveUpAfter(limitMs: number, why: string, reject: (error: Error) => void): NodeJS.Timeout {
    return setTimeout(() => {
      void this.giveUp(why);
      reject(new Error(`worker ${this.index} ${why}`));
    }, limitMs);
  }

  /** Resolves when its thread has ended: never, where that is blocked outside of JavaScript. */
  async giveUp(why: string): Promise<void> {
    this.#log.error({ worker: this.index }, `a worker thread ${why} and is ended`);
    // its descriptors are closed before we hear that it has ended, and may be somebody's connection by then
    this.sockets = [];
    this.isListening = false;
    this.#isStarted = false;
    await this.worker?.terminate();
  }

  #onExit(): void {
    this.worker = null;
    this.sockets = [];
    // what it has listened on has ended with it, what it has not would get connections and be listened on by nobody
    for (const socket of this.#given.values()) socket.close();
    this.#given.clear();
    this.#isStarted = false;
    this.#home.onExit(this);
    this.isListening = false;
  }

  /**
   * How long to wait before another worker takes the place: longer each time, unless the last lived for a while. `isLast`:
   * where nobody else is there nobody serves, and it does not wait with the others.
   */
  nextBackoffMs(isLast: boolean): number {
    if (performance.now() - this.#startedMs > HEALTHY_MS) this.#backoffMs = BACKOFF_FIRST_MS;
    const lastMs = this.isListening ? 0 : BACKOFF_FIRST_MS;
    const waitMs = isLast ? lastMs : this.#backoffMs;
    this.#backoffMs = Math.min(BACKOFF_MAX_MS, this.#backoffMs * 2);
    return waitMs;
  }
}

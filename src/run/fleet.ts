// The worker threads: started, listened for, restarted with back-off when one dies, stopped.

import { systemClock } from '../base/clock.ts';
import type { ListeningSocket, PassedSocket } from '../base/pass-sockets.ts';
import type { ListenConfig } from '../config/model.ts';
import { StartError } from '../control/start-error.ts';
import type { Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { ANSWER_MS, BACKOFF_FIRST_MS, Member, type MemberHome } from './fleet-member.ts';
import type { Logger } from './logger.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { BEAT_MS } from './pulse.ts';
import { sharedWith } from './shared-sockets.ts';

/** A worker that takes so long to stop accepting hangs, and accepts nothing either. */
const PAUSE_MS = 2000;
/** A thread that is blocked outside of JavaScript cannot be ended; nobody waits for that longer. */
const END_MS = 2000;
/** How long polite endings may take when the grace is over. */
const FINISH_MS = 2000;

export interface FleetOptions {
  readonly shared: SharedState;
  readonly threads: number;
  readonly reusePort: boolean;
  readonly clientsMax: number | null;
  readonly log: Logger;
  /** Whole lines of the access log, from any worker. */
  readonly onAccessLines: (lines: string) => void;
}

export class Fleet implements MemberHome {
  restarts = 0;
  /** Duplicates of what is listened on, offered to a next process: a worker that restarts meanwhile binds nothing new. */
  readonly offered: Set<PassedSocket> = new Set();
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
  #onApplied: (() => void) | null = null;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#members = Array.from(
      { length: options.threads },
      (_, index) => new Member(index, this, options.log),
    );
  }

  /** Somebody accepts connections and answers them. */
  get isServing(): boolean {
    return this.#members.some(({ worker, isListening, isSilent }) => worker && isListening && !isSilent);
  }

  /** Starts all workers on the revision. They do not listen yet. Rejects with StartError. */
  async start(revision: Revision): Promise<void> {
    this.#revision = revision;
    this.#watchedMs = performance.now();
    this.#watchTimer = setInterval(() => this.#watch(), BEAT_MS).unref();
    try {
      await Promise.all(this.#members.map((member) => this.#start(member)));
    } catch (error) {
      throw new StartError(`a worker thread cannot be started: ${(error as Error).message}`);
    }
  }

  /** Ends threads that hang. The exit that follows brings another. */
  #watch(): void {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#watchedMs;
    this.#watchedMs = nowMs;
    for (const member of this.#members)
      member.watch(this.#options.shared.stripes[member.index]?.beats ?? 0, elapsedMs);
  }

  /**
   * Opens the listeners: on `sockets`, dealt out among the workers; a worker without one for a listener binds. The first
   * worker binds first, the others share its ports. Resolves with the ports, rejects with StartError.
   */
  async listen(ports: readonly number[], sockets: readonly PassedSocket[]): Promise<readonly number[]> {
    this.#ports = ports;
    const [first, ...others] = this.#members;
    const open = (member: Member): Promise<readonly number[]> =>
      this.#listen(member, 'listen', deal(sockets, member.index, this.#members.length));
    if (first !== undefined) this.#ports = await open(first);
    await Promise.all(others.map(open));
    return this.#ports;
  }

  /** What the workers listen on, to be passed on. */
  get sockets(): readonly ListeningSocket[] {
    return this.#members.flatMap(({ sockets }) => sockets);
  }

  /** Resolves when the worker is ready to listen. */
  #start(member: Member): Promise<void> {
    const { shared, reusePort, clientsMax } = this.#options;
    const revision = this.#revision;
    if (revision === null) throw new Error('a fleet without a revision');
    return member.start({
      clock: systemClock.cells,
      handles: shared.handles(),
      revision,
      reusePort,
      clientsMax,
    });
  }

  async #listen(
    member: Member,
    type: 'listen' | 'resume',
    dealt: readonly PassedSocket[],
  ): Promise<readonly number[]> {
    const { listen: listeners = [] } = this.#revision?.config ?? {};
    // after a pause each has its own again
    const shared = type === 'resume' ? [] : await this.#sharedWith(member, dealt, listeners);
    return member.listen(type, listeners, this.#ports, [...dealt, ...shared]);
  }

  #sharedWith(
    { sockets }: Member,
    dealt: readonly PassedSocket[],
    listeners: readonly ListenConfig[],
  ): Promise<readonly PassedSocket[]> {
    return sharedWith([...sockets, ...dealt], listeners, this.sockets, this.offered);
  }

  /** Where they cannot be had it binds what is new by itself, as the first worker does. */
  async #sharedIfPossible(
    member: Member,
    listeners: readonly ListenConfig[],
  ): Promise<readonly PassedSocket[]> {
    try {
      return await this.#sharedWith(member, [], listeners);
    } catch (error) {
      const { message } = error as Error;
      this.#options.log.error(
        { worker: member.index },
        `listening sockets cannot be passed between threads: ${message}`,
      );
      return [];
    }
  }

  onMessage(member: Member, message: FromWorker): void {
    const { index } = member;
    if (message.type === 'access') this.#options.onAccessLines(message.lines);
    else if (message.type === 'log') this.#options.log[message.level]({ worker: index }, message.message);
    else if (message.type === 'applied') {
      if (message.revision === this.#revision?.number) this.#ports = message.ports;
      this.#onApplied?.();
    } else if (message.type === 'withheld')
      void this.#letKnow(message.keys).then(() => member.say({ type: 'known' }));
    else if (message.type === 'paused') this.#onPaused?.();
    else if (message.type === 'drained') this.#checkDrained();
  }

  /** Never rejects: responses wait for it, and go also when it cannot be done. */
  async #letKnow(keys: readonly number[]): Promise<void> {
    try {
      await this.#tell(keys);
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'the next process cannot be told of sessions');
    }
  }

  /** The worker's gauges and locks are released; unless we are stopping, another takes its place. */
  onExit(member: Member): void {
    const { shared, log } = this.#options;
    const { index } = member;
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
    const restartInMs = member.nextBackoffMs(this.#living.length === 0);
    log.error({ worker: index, restartInMs }, 'a worker thread died and is restarted');
    setTimeout(() => this.#restart(member), restartInMs);
  }

  get #living(): readonly Member[] {
    return this.#members.filter(({ worker }) => worker !== null);
  }

  #restart(member: Member): void {
    if (this.#isStopping) return;
    if (this.#isPaused) {
      setTimeout(() => this.#restart(member), BACKOFF_FIRST_MS);
      return;
    }
    const { log } = this.#options;
    const { index } = member;
    // where a takeover has begun meanwhile, `resume` makes it listen
    const start = this.#start(member).then(() => (this.#isPaused ? [] : this.#listen(member, 'listen', [])));
    const said = start.then(() => log.info({ worker: index }, 'another worker thread has taken its place'));
    said.catch((error: unknown) => {
      log.error({ worker: index, error: String(error) }, 'a worker thread could not be restarted');
      void member.worker?.terminate();
    });
  }

  /**
   * Posts a revision; resolves with the ports once every living worker has swapped to it. Never rejects: the revision is made,
   * and half of the workers may have it.
   */
  async apply(revision: Revision): Promise<readonly number[]> {
    const old = this.#revision;
    this.#revision = revision;
    // A listener that stays keeps its port, a new one binds as configured: the first worker decides where that is 0.
    this.#ports = revision.config.listen.map(({ address, port }) => {
      const index = old?.config.listen.findIndex((listen) => listen.address === address) ?? -1;
      return this.#ports[index] ?? port;
    });
    const living = this.#living;
    await this.#post(revision, living.slice(0, 1));
    await this.#post(revision, living.slice(1));
    return this.#ports;
  }

  /** Posts to these workers and waits for their word; a worker that dies meanwhile starts on the revision. */
  async #post(revision: Revision, members: readonly Member[]): Promise<void> {
    for (const member of members)
      member.swap(revision, this.#ports, await this.#sharedIfPossible(member, revision.config.listen));
    const missing = (): readonly Member[] =>
      members.filter(({ worker, applied }) => worker !== null && applied < revision.number);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        for (const member of missing()) void member.giveUp('does not take the configuration');
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
    const living = this.#living;
    // who has not stopped accepting hangs, and binds anew when it goes on
    const able = living.filter(({ isPaused }) => isPaused);
    const takers = able.length > 0 ? able : living;
    const isListenedOn = ({ address }: PassedSocket): boolean =>
      takers.length > 0 &&
      this.#revision?.config.listen.some((listen) => listen.address === address) === true;
    for (const socket of sockets) if (!isListenedOn(socket)) socket.close();
    const dealtTo = (member: Member): readonly PassedSocket[] =>
      deal(sockets.filter(isListenedOn), takers.indexOf(member), takers.length);
    await Promise.all(living.map((member) => this.#listenAgain(member, dealtTo(member))));
  }

  async #listenAgain(member: Member, dealt: readonly PassedSocket[]): Promise<void> {
    try {
      await this.#listen(member, 'resume', dealt);
    } catch (error) {
      this.#options.log.error(
        { worker: member.index, error: String(error) },
        'a worker thread does not listen again',
      );
      void member.giveUp('does not listen again');
    }
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
    for (const member of this.#members) member.say(message);
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

/** The sockets of the worker that is number `at` of `count`: of each listener its part. None for -1. */
function deal(sockets: readonly PassedSocket[], at: number, count: number): readonly PassedSocket[] {
  const dealt = new Map<string, number>();
  return sockets.filter(({ address }) => {
    const index = dealt.get(address) ?? 0;
    dealt.set(address, index + 1);
    return index % count === at;
  });
}

// The one place through which node:http, http-proxy and timers call an exchange back. Whatever is thrown there, by
// node:http that refuses a value or by a fault of ours, ends that one exchange: nothing that a peer sends may end the
// application that we are a part of. Each call also reads the time, which stands still while it is handled.

import type { TurnClock } from '../base/clock.ts';

/** What events come from. */
interface Emitter {
  // biome-ignore lint/suspicious/noExplicitAny: as node:events has it
  on(event: string, listener: (...values: any[]) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: as node:events has it
  once(event: string, listener: (...values: any[]) => void): unknown;
}

export class Guard {
  readonly #clock: TurnClock;
  readonly #onThrown: (error: Error) => void;

  /** `onThrown` must not throw itself. */
  constructor(clock: TurnClock, onThrown: (error: Error) => void) {
    this.#clock = clock;
    this.#onThrown = onThrown;
  }

  /** `handler`, made safe. */
  safe<Values extends unknown[]>(handler: (...values: Values) => void): (...values: Values) => void {
    return (...values) => {
      try {
        this.#clock.turn();
        handler(...values);
      } catch (error) {
        this.#onThrown(errorOf(error));
      }
    };
  }

  run(task: () => void): void {
    try {
      this.#clock.turn();
      task();
    } catch (error) {
      this.#onThrown(errorOf(error));
    }
  }

  on<Values extends unknown[]>(emitter: Emitter, event: string, handler: (...values: Values) => void): void {
    emitter.on(event, this.safe(handler));
  }

  once<Values extends unknown[]>(
    emitter: Emitter,
    event: string,
    handler: (...values: Values) => void,
  ): void {
    emitter.once(event, this.safe(handler));
  }

  /** After all that is running now, the application's listeners of the same event included. */
  later(task: () => void): void {
    process.nextTick(this.safe(task));
  }
}

/** What has an `emit` of its own, and whatever listens to it. */
interface Emitting {
  emit(event: string | symbol, ...values: unknown[]): boolean;
}

/** From now on what a listener of the emitter throws comes to `onThrown`, which may throw it on, and not to who emits. */
export function catchListeners(
  emitter: Emitting,
  onThrown: (cause: unknown, event: string | symbol, values: readonly unknown[]) => void,
): void {
  const emit = emitter.emit.bind(emitter);
  emitter.emit = (event, ...values) => {
    try {
      return emit(event, ...values);
    } catch (cause) {
      onThrown(cause, event, values);
      return true;
    }
  };
}

/** Those of an emitter's methods that take a listener: event first, the listener second. */
const LISTENER_METHODS = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
  'off',
  'removeListener',
] as const;

type AnyFunction = (...values: unknown[]) => unknown;

/** What events are about that the application listens to. */
export interface Listened {
  /** A listener of the application has thrown, or the promise that it returned was rejected. */
  listenerThrew(cause: unknown): void;
}

/** An asynchronous listener that fails comes to whatever `subjectOf` names while it is called, instead of ending the process. */
export function guardListeners(emitter: object, subjectOf: () => Listened | null): void {
  const known = new WeakMap<AnyFunction, AnyFunction>();
  const made = new WeakSet<AnyFunction>();
  const guarded = (listener: AnyFunction): AnyFunction => {
    const before = known.get(listener);
    if (before !== undefined) return before;
    // an emitter that takes off what it has registered itself
    if (made.has(listener)) return listener;
    const one = function (this: unknown, ...values: unknown[]): void {
      const subject = subjectOf();
      const result = Reflect.apply(listener, this, values);
      if (subject !== null && result instanceof Promise)
        result.catch((cause: unknown) => subject.listenerThrew(cause));
    };
    // by which node:events finds one of `once` to take it off
    if ('listener' in listener) Object.assign(one, { listener: listener.listener });
    known.set(listener, one);
    made.add(one);
    return one;
  };
  for (const name of LISTENER_METHODS) {
    const method: unknown = Reflect.get(emitter, name);
    if (typeof method !== 'function') continue;
    const guardedMethod = function (
      this: unknown,
      event: unknown,
      listener: unknown,
      ...rest: unknown[]
    ): unknown {
      const one = typeof listener === 'function' ? guarded(listener as AnyFunction) : listener;
      return Reflect.apply(method, this, [event, one, ...rest]);
    };
    Reflect.set(emitter, name, guardedMethod);
  }
}

/** `handler` hears of each event first, and is no listener: nothing is read for it. */
export function overhear(emitter: Emitting, event: string, handler: (value: Buffer) => void): void {
  const emit = emitter.emit.bind(emitter);
  emitter.emit = (name, ...values) => {
    const [value] = values;
    if (name === event && Buffer.isBuffer(value)) handler(value);
    return emit(name, ...values);
  };
}

/** 'close' follows an error and does the work; without a listener the error would end the process. */
export function ignoreErrors(emitter: Emitter): void {
  emitter.on('error', ignore);
}

function ignore(): void {}

export function errorOf(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
